//! Checkouts and refunds whose server or worker is killed at every point of them, asked again: one order, one page, one use of
//! the coupon; and money that goes back once.

use std::time::Duration;

use berth::effects::{CartEdit, CouponTerms};
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{
    Stack, StackOptions, WatchedPanel,
    cart::{change, line},
    keeper::Keeper,
    process::{Launch, Process},
    purchase::{coupon, ten_per_cent},
};

/// Around the commit of a staff's refund, in the process that answers the request.
const OF_THE_REQUEST: [&str; 2] = ["committer.before_commit=kill@1", "committer.after_commit=kill@1"];

/// Around each commit of the job that gives the money back, and around its call to Stripe.
const OF_THE_JOB: [&str; 6] = [
    "committer.before_commit=kill@1",
    "committer.after_commit=kill@1",
    "refund.before=kill@1",
    "refund.after=kill@1",
    "committer.before_commit=kill@2",
    "committer.after_commit=kill@2",
];

/// Before and after each commit of a first checkout (the order, Stripe's customer, the page), and between its steps.
const POINTS: [&str; 9] = [
    "committer.before_commit=kill@1",
    "committer.after_commit=kill@1",
    "checkout.agreed=kill@1",
    "committer.before_commit=kill@2",
    "committer.after_commit=kill@2",
    "checkout.opened=kill@1",
    "committer.before_commit=kill@3",
    "committer.after_commit=kill@3",
    "checkout.stored=kill@1",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_checkout_that_is_asked_again_after_a_crash_is_one_order_with_one_page() {
    let stack = Stack::with(StackOptions::default().quick()).await;
    let (app, _tasks) = stack.app(&WatchedPanel::new()).await;
    let most = Some(u32::try_from(2 * POINTS.len()).unwrap());
    let terms = CouponTerms { max_uses: most, max_uses_per_customer: Some(1), ..ten_per_cent() };
    coupon(&app, "TEN", terms).await;
    let inline = json!({ "items": [{ "service_id": "shared-monthly", "quantity": 2 }], "coupon": "TEN" });
    let mut sessions = Vec::new();

    for point in POINTS {
        // One buys lines of the request under a key, the other one a cart without.
        let (with_key, with_cart) = (Uuid::new_v4(), Uuid::new_v4());
        let edits = vec![line("vps-monthly", 1), CartEdit::SetCoupon(Some("TEN".to_owned()))];
        change(&app, with_cart, edits).await;
        for (user, key, body) in [(with_key, Some("cart"), &inline), (with_cart, None, &json!({}))] {
            let mut serve = Process::start(&stack, &["serve"], &[("BERTH_FAILPOINTS", point)]);
            stack.until_listening().await;
            assert_eq!(stack.try_buy(user, key, body).await, None, "{point} was not met");
            serve.wait().await;

            let mut serve = Process::start(&stack, &["serve"], &[]);
            stack.until_listening().await;
            let (status, _, answer) = stack.buy(user, key, body).await;
            assert_eq!(status, 201, "{point}: {answer}");
            let (_, _, again) = stack.buy(user, key, body).await;
            assert_eq!(again, answer, "{point}");
            sessions.push(stack.session_of(user, &answer).await);
            serve.kill().await;
        }
    }
    let all = i64::try_from(sessions.len()).unwrap();
    assert_eq!(stack.count("select count(*) from berth.orders").await, all);
    assert_eq!(stack.count("select uses::int8 from berth.coupons").await, all);
    assert_eq!(stack.sessions_at_stripe().await.len(), sessions.len());
    stack.audit_rows().await;

    let _up = Keeper::start(&Launch::new(&stack, &["up"]), 1, &[]);
    stack.until_listening().await;
    stack.pay_all(&sessions).await;
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", all).await;
    let mut wrong = stack.unfinished_after(Duration::from_secs(30)).await;
    wrong.extend(stack.violations().await);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_around_a_refund_gives_the_money_back_once() {
    let stack = Stack::with(StackOptions::default().quick()).await;
    let _serve = Keeper::start(&Launch::new(&stack, &["serve"]), 1, &[]);
    stack.until_listening().await;
    let user = Uuid::new_v4();
    let (order, session) = stack.checkout(user, "shared-monthly", 1).await;
    let rival = stack.rival_session(&order, 499).await;

    let workers = Keeper::start(&Launch::new(&stack, &["work"]), 1, &["refund.before=kill@1", "refund.after=kill@1"]);
    stack.pay(&session).await;
    stack.pay(&rival).await;
    stack.until_count("select count(*) from berth.payments where state = 'refunded'", 1).await;
    let mut wrong = stack.unfinished_after(Duration::from_secs(30)).await;

    wrong.extend(workers.deaths().iter().filter(|death| death.signal != Some(9)).map(|death| format!("{death:?}")));
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(workers.deaths().len(), 2, "both points were met");
    assert_eq!(stack.charged_net().await, 499);
    assert_eq!(stack.sim_get("records").await["refunds"].as_array().unwrap().len(), 1);
    stack.audit_rows().await;
}

/// An order that is paid and live, of which nothing is under way.
async fn paid_orders(stack: &Stack, orders: usize) -> Vec<String> {
    let up = Keeper::start(&Launch::new(stack, &["up"]), 1, &[]);
    stack.until_listening().await;
    let mut paid = Vec::new();
    for _ in 0..orders {
        paid.push(stack.bought(Uuid::new_v4(), "shared-monthly").await.0);
    }
    stack.until_all_is_heard().await;
    up.stop(Duration::from_secs(10)).await;
    paid
}

#[tokio::test(flavor = "multi_thread")]
async fn staffs_refund_goes_back_once_wherever_the_request_or_its_job_is_killed() {
    let stack = Stack::with(StackOptions::default().quick()).await;
    let paid = paid_orders(&stack, OF_THE_REQUEST.len() + OF_THE_JOB.len()).await;
    let (of_requests, of_jobs) = paid.split_at(OF_THE_REQUEST.len());
    let staff = stack.staff();
    let body = json!({ "amount": "2.00", "reason": "late" });
    let ask = async |order: &String| {
        let url = format!("{}/v1/orders/{order}/refund", stack.base());
        let request = stack.client.post(url).bearer_auth(&staff).header("Idempotency-Key", order);
        let response = request.json(&body).send().await.ok()?;
        let replayed = response.headers().contains_key("idempotent-replayed");
        Some((response.status().as_u16(), replayed, response.json::<Value>().await.ok()?))
    };

    for (order, point) in of_requests.iter().zip(OF_THE_REQUEST) {
        let mut serve = Process::start(&stack, &["serve"], &[("BERTH_FAILPOINTS", point)]);
        stack.until_listening().await;
        assert!(ask(order).await.is_none(), "{point} was not met");
        serve.wait().await;

        let mut serve = Process::start(&stack, &["serve"], &[]);
        stack.until_listening().await;
        let (status, replayed, refund) = ask(order).await.unwrap();
        let (_, _, again) = ask(order).await.unwrap();
        assert_eq!((status, replayed), (201, point.contains("after")), "{point}: {refund}");
        assert_eq!(again["id"], refund["id"], "{point}");
        serve.kill().await;
    }
    let _serve = Keeper::start(&Launch::new(&stack, &["serve"]), 1, &[]);
    stack.until_listening().await;
    let work = Launch::new(&stack, &["work", "--queues", "payments"]);
    for (order, point) in of_jobs.iter().zip(OF_THE_JOB) {
        let before = arrived(&stack).await;
        assert_eq!(ask(order).await.unwrap().0, 201);
        let worker = Keeper::start(&work, 1, &[point]);
        let due = if before == 0 { 1 + of_requests.len() } else { 1 };
        stack
            .until(&format!("{point} was met, and the money is back"), async || {
                let killed: Vec<_> = worker.deaths().into_iter().map(|death| death.signal).collect();
                killed == [Some(9)] && arrived(&stack).await == before + due
            })
            .await;
        worker.stop(Duration::from_secs(10)).await;
    }

    let _work = Keeper::start(&Launch::new(&stack, &["work"]), 1, &[]);
    let mut wrong = stack.unfinished_after(Duration::from_secs(60)).await;
    wrong.extend(stack.violations().await);
    assert!(wrong.is_empty(), "{wrong:#?}");
    let given: Vec<i64> = stack.refunds_at_stripe().await.into_iter().map(|(_, minor, _)| minor).collect();
    assert_eq!(given, vec![200; paid.len()]);
    assert_eq!(stack.charged_net().await, i64::try_from(paid.len()).unwrap() * 299);
    let orders = i64::try_from(paid.len()).unwrap();
    for (what, sql) in [
        ("refunds", "select count(*) from berth.refunds where state = 'succeeded'"),
        ("credit notes", "select count(*) from berth.credit_notes where total = 2 and cancelled_at is null"),
        ("orders with one", "select count(distinct order_id) from berth.credit_notes"),
        ("mails", "select count(*) from berth.mails where kind = 'refund_issued' and accepted_at is not null"),
        ("lines of the audit log", "select count(*) from berth.audit where action = 'order.refund'"),
    ] {
        assert_eq!(stack.count(sql).await, orders, "{what}");
    }
}

/// How many refunds are known to have arrived.
async fn arrived(stack: &Stack) -> usize {
    let sql = "select count(*) from berth.refunds where state = 'succeeded'";
    usize::try_from(stack.count(sql).await).unwrap()
}
