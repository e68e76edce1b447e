//! Checkouts whose server is killed at every point of them, asked again: one order, one page, one use of the coupon.

use std::time::Duration;

use berth::effects::{CartEdit, CouponTerms};
use serde_json::json;
use uuid::Uuid;

use super::support::{
    Stack, StackOptions, WatchedPanel,
    cart::{change, line},
    keeper::Keeper,
    process::{Launch, Process},
    purchase::{coupon, ten_per_cent},
};

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
