//! Orders that are given up before they are paid.

use std::os::unix::process::ExitStatusExt;

use berth::effects::CouponTerms;
use berth_jobs::{Queue, ids::OrderId};
use futures::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{as_staff, slug};
use crate::support::{
    Stack, StackOptions, WatchedPanel,
    process::Process,
    purchase::{agreeing, coupon, order, ten_per_cent},
};

async fn cancel(stack: &Stack, user: Uuid, order: &str) -> (u16, Value) {
    stack.post(user, &format!("/v1/orders/{order}/cancel"), &json!({})).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unpaid_order_is_cancelled_once_and_its_page_is_closed() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();
    let (order, session) = stack.checkout(user, "shared-monthly", 1).await;
    let url = format!("{}/v1/orders/{order}/cancel", stack.base());

    // Without a body, as a plain button would.
    let cancelled = stack.client.post(&url).bearer_auth(stack.token(user)).send().await.unwrap();
    assert_eq!(cancelled.status(), 200);
    let cancelled: Value = cancelled.json().await.unwrap();
    let (status, again) = cancel(&stack, user, &order).await;

    assert_eq!((status, &again["version"]), (200, &json!(2)), "the second one changed nothing");
    assert_eq!((&cancelled["status"], &cancelled["checkout_url"]), (&json!("cancelled"), &json!(null)));
    let step = &cancelled["timeline"][1];
    assert_eq!((&step["to"], &step["actor"]), (&json!("cancelled"), &json!("customer")), "{cancelled}");
    stack
        .until("its page is closed", async || {
            let records = stack.sim_get("records").await;
            let sessions = records["checkout_sessions"].as_array().unwrap().clone();
            sessions.iter().any(|known| known["id"] == session.as_str() && known["status"] == "expired")
        })
        .await;
    stack.until_idle().await;
    assert_eq!(stack.count("select count(*) from berth.orders where phase = 'cancelled' and version = 2").await, 1);
    assert_eq!(stack.mailbox.mails().len(), 0, "nobody is told what they did themselves");
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_coupon_of_a_cancelled_order_is_free_in_the_same_moment() {
    let stack = Stack::new().await;
    let berth = stack.start_on(&WatchedPanel::new(), &[]).await;
    let once = coupon(&berth.app, "TEN", CouponTerms { max_uses: Some(1), ..ten_per_cent() }).await;
    let agreed = order(&berth.app, Some(once));
    let (id, user) = (agreed.id.to_string(), agreed.customer.id.0);
    berth.app.committer.write(agreeing(agreed)).await.unwrap();
    assert!(berth.app.committer.write(agreeing(order(&berth.app, Some(once)))).await.is_err(), "it is used up");

    assert_eq!(cancel(&stack, user, &id).await.0, 200);

    berth.app.committer.write(agreeing(order(&berth.app, Some(once)))).await.unwrap();
    assert_eq!(stack.broken_rules().await, []);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_paid_before_the_page_was_closed_has_paid() {
    let stack = Stack::new().await;
    let idle = stack.start_with(&[]).await;
    let user = Uuid::new_v4();
    let (order, session) = stack.checkout(user, "shared-monthly", 1).await;
    assert_eq!(cancel(&stack, user, &order).await.1["status"], "cancelled");
    // Nobody has closed the page yet, and Stripe's event is lost: only who asks will know.
    idle.stop().await;
    stack.pay(&session).await;

    let berth = stack.start().await;
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 1).await;
    stack.until_idle().await;

    let (_, shown) = stack.get(user, &format!("/v1/orders/{order}")).await;
    let steps: Vec<&str> = shown["timeline"].as_array().unwrap().iter().map(|s| s["to"].as_str().unwrap()).collect();
    assert_eq!(steps, ["pending", "cancelled", "processing", "completed"]);
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cancels_and_a_payment_at_once_end_in_a_paid_order() {
    let stack = Stack::new().await;
    let berth = stack.start_on(&WatchedPanel::new(), &Queue::ALL).await;
    let user = Uuid::new_v4();

    for _ in 0..5 {
        let (order, session) = stack.checkout(user, "shared-monthly", 1).await;
        let cancels = join_all((0..5).map(|_| cancel(&stack, user, &order)));
        // Whether the page can still be paid is Stripe's to say; if it can, the money counts.
        let pay = stack.client.post(format!("{}/_sim/checkout/sessions/{session}/complete", stack.stripe));
        let (answers, paid) = tokio::join!(cancels, pay.json(&json!({ "as": "paid" })).send());

        assert!(answers.iter().all(|(status, _)| [200, 409].contains(status)), "{answers:?}");
        let wanted = if paid.unwrap().status().is_success() { "completed" } else { "cancelled" };
        stack.until(wanted, async || stack.get(user, &format!("/v1/orders/{order}")).await.1["status"] == wanted).await;
    }
    stack.until_idle().await;
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_paid_or_about_to_be_is_not_cancelled() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();
    let (paid, session) = stack.checkout(user, "shared-monthly", 1).await;
    stack.pay(&session).await;
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 1).await;
    let (waiting, session) = stack.checkout(user, "shared-monthly", 1).await;
    stack.sim(&format!("checkout/sessions/{session}/complete"), &json!({ "as": "unpaid" })).await;
    stack.until_count("select count(*) from berth.orders where phase = 'awaiting_payment'", 1).await;

    for (order, status_of_order) in [(&paid, "completed"), (&waiting, "pending")] {
        let (status, problem) = cancel(&stack, user, order).await;
        assert_eq!((status, slug(&problem)), (409, "order-not-cancellable"), "{problem}");
        assert_eq!(problem["order_status"], status_of_order);
    }
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_its_customer_and_staff_who_say_why_cancel_an_order() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let (user, stranger) = (Uuid::new_v4(), Uuid::new_v4());
    let (order, _) = stack.checkout(user, "shared-monthly", 1).await;
    let path = format!("/v1/orders/{order}/cancel");
    let url = format!("{}{path}", stack.base());

    assert_eq!(stack.post(stranger, &path, &json!({})).await.0, 404);
    assert_eq!(stack.client.post(&url).send().await.unwrap().status(), 401);
    let long = "x".repeat(501);
    for bad in [json!({ "reason": "" }), json!({ "reason": "a\0b" }), json!({ "reason": long }), json!({ "why": 1 })] {
        assert_eq!(stack.post(user, &path, &bad).await.0, 400, "{bad}");
    }
    let as_text = stack.client.post(&url).bearer_auth(stack.token(user)).header("Content-Type", "text/plain");
    assert_eq!(as_text.body("because").send().await.unwrap().status(), 415);
    let large = json!({ "reason": "x".repeat(70_000) });
    assert_eq!(stack.post(user, &path, &large).await.0, 413);
    let (status, problem) = as_staff(&stack, "POST", &path, Value::Null).await;
    assert_eq!((status, slug(&problem)), (422, "reason-required"));
    assert_eq!(stack.count("select count(*) from berth.orders where phase = 'pending'").await, 1);

    let (status, shown) = as_staff(&stack, "POST", &path, json!({ "reason": "a test order" })).await;
    assert_eq!((status, &shown["status"]), (200, &json!("cancelled")));
    assert_eq!(shown["timeline"][1]["actor"], "staff");
    let audited = berth.app.store.audit_entries(Some(&order), None, 10).await.unwrap();
    assert_eq!(audited.len(), 1);
    assert_eq!((audited[0].action.as_str(), audited[0].reason.as_deref()), ("order.cancel", Some("a test order")));
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_opens_while_its_order_is_cancelled_is_closed_as_well() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();
    let (order, session) = stack.checkout(user, "shared-monthly", 1).await;
    let id: OrderId = order.parse().unwrap();
    // As if the answer of Stripe had not been stored yet.
    sqlx::query("update berth.orders set stripe_session_id = null where id = $1")
        .bind(id.0)
        .execute(&stack.pool)
        .await
        .unwrap();
    assert_eq!(cancel(&stack, user, &order).await.0, 200);
    stack
        .until_count(
            "select count(*) from berth.jobs where kind = 'expire_checkout' and snooze_deadline is not null",
            1,
        )
        .await;

    sqlx::query("update berth.orders set stripe_session_id = $2 where id = $1")
        .bind(id.0)
        .bind(&session)
        .execute(&stack.pool)
        .await
        .unwrap();
    stack.pass(16.0).await;
    stack.until_count("select count(*) from berth.jobs where kind = 'expire_checkout' and state = 'done'", 1).await;

    let records = stack.sim_get("records").await;
    assert_eq!(records["checkout_sessions"][0]["status"], "expired");
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_is_closed_although_whoever_closes_it_is_killed_before_or_after() {
    let stack = Stack::with(StackOptions::default().quick()).await;
    let berth = stack.start_with(&[]).await;
    let user = Uuid::new_v4();

    for (number, point) in [(1, "checkout.expiring=kill@1"), (2, "checkout.expired=kill@1")] {
        let (order, _) = stack.checkout(user, "shared-monthly", 1).await;
        assert_eq!(cancel(&stack, user, &order).await.0, 200);
        let mut killed = Process::start(&stack, &["work"], &[("BERTH_FAILPOINTS", point)]);
        assert_eq!(killed.wait().await.signal(), Some(9), "{point}");

        let mut other = Process::start(&stack, &["work"], &[]);
        let done = "select count(*) from berth.jobs where kind = 'expire_checkout' and state = 'done'";
        stack.until_count(done, number).await;
        other.terminate().await;
    }

    let records = stack.sim_get("records").await;
    let sessions = records["checkout_sessions"].as_array().unwrap();
    assert_eq!(sessions.iter().filter(|session| session["status"] == "expired").count(), 2, "{sessions:?}");
    assert_eq!(stack.count("select count(*) from berth.orders where phase = 'cancelled' and version = 2").await, 2);
    stack.audit_rows().await;
    berth.stop().await;
}
