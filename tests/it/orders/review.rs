//! Orders that a person decides on.

use berth_jobs::{Queue, ids::OrderId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{as_staff, slug};
use crate::support::{Stack, StackOptions, WatchedPanel, events::session_event};

/// A shop that looks at every order above one dollar.
async fn careful() -> Stack {
    Stack::with(StackOptions::default().setting("fraud.hold_above", "USD:1.00")).await
}

async fn decide(stack: &Stack, order: &str, what: &str, reason: &str) -> (u16, Value) {
    let path = format!("/v1/orders/{order}/{what}");
    as_staff(stack, "POST", &path, json!({ "reason": reason })).await
}

/// An order that is paid and held.
async fn held(stack: &Stack, user: Uuid) -> (String, String) {
    let (order, session) = stack.checkout(user, "shared-monthly", 1).await;
    stack.pay(&session).await;
    let id: OrderId = order.parse().unwrap();
    stack
        .until("it is held", async || {
            let phase: String = sqlx::query_scalar("select phase from berth.orders where id = $1")
                .bind(id.0)
                .fetch_one(&stack.pool)
                .await
                .unwrap();
            phase == "held"
        })
        .await;
    (order, session)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_a_rule_holds_is_made_once_staff_approves_it() {
    let stack = careful().await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();
    let (order, _) = held(&stack, user).await;
    stack.until_idle().await;
    let path = format!("/v1/orders/{order}");

    let (_, shown) = stack.get(user, &path).await;
    assert_eq!((&shown["status"], &shown["paid_at"]), (&json!("pending"), &json!(null)));
    assert_eq!(shown["timeline"][1]["reason"], "held to be looked at");
    assert!(!shown.to_string().contains("1.00 USD") && shown.get("hold_reason").is_none(), "{shown}");
    let (_, for_staff) = as_staff(&stack, "GET", &path, Value::Null).await;
    assert_eq!(
        (&for_staff["phase"], &for_staff["hold_reason"]),
        (&json!("held"), &json!("the total is above 1.00 USD"))
    );
    assert_eq!(stack.count("select count(*) from berth.hosting_accounts").await, 0);
    assert_eq!(stack.count("select count(*) from berth.alerts where kind = 'order_held'").await, 1);
    let (status, problem) = stack.post(user, &format!("{path}/cancel"), &json!({})).await;
    assert_eq!((status, slug(&problem)), (409, "order-not-cancellable"));
    stack.audit().await;

    let (status, approved) = decide(&stack, &order, "approve", "known to us").await;
    assert_eq!((status, &approved["status"]), (200, &json!("processing")), "{approved}");
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 1).await;
    stack.until_idle().await;

    let (_, shown) = stack.get(user, &path).await;
    let actors: Vec<&str> =
        shown["timeline"].as_array().unwrap().iter().map(|step| step["actor"].as_str().unwrap()).collect();
    assert_eq!(actors, ["customer", "berth", "staff", "berth"]);
    assert_eq!(stack.mailbox.mails().len(), 2, "the confirmation and the welcome");
    let audited = berth.app.store.audit_entries(Some(&order), None, 10).await.unwrap();
    assert_eq!((audited[0].action.as_str(), audited[0].reason.as_deref()), ("order.approve", Some("known to us")));
    let (status, problem) = decide(&stack, &order, "approve", "again").await;
    assert_eq!((status, slug(&problem)), (409, "order-not-held"));
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_order_is_refunded_and_no_news_of_its_payment_revives_it() {
    let stack = careful().await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();
    let (order, session) = held(&stack, user).await;

    let (status, rejected) = decide(&stack, &order, "reject", "a stolen card").await;
    assert_eq!((status, &rejected["status"], &rejected["phase"]), (200, &json!("cancelled"), &json!("rejected")));
    stack.until_idle().await;
    assert_eq!(stack.count("select count(*) from berth.payments where state = 'refunded'").await, 1);
    let refunds = stack.sim_get("records").await["refunds"].as_array().unwrap().len();
    assert_eq!(refunds, 1, "Stripe has given it back");

    // Stripe says again that it was paid, in another event, and is asked as well.
    let event = session_event("evt_again", "checkout.session.async_payment_succeeded", &order, &session, 499, "paid");
    assert_eq!(stack.send_event(event.to_string().as_bytes()).await, 200);
    stack.insert_job("sync_checkout", Queue::Payments, &json!({ "order_id": order }), None).await;
    stack.until_idle().await;

    let (_, shown) = stack.get(user, &format!("/v1/orders/{order}")).await;
    assert_eq!(shown["status"], "cancelled");
    assert_eq!(shown["timeline"].as_array().unwrap().len(), 3, "{shown}");
    assert!(!shown.to_string().contains("stolen"), "why is for staff");
    assert_eq!(stack.count("select count(*) from berth.hosting_accounts").await, 0);
    assert_eq!(stack.sim_get("records").await["refunds"].as_array().unwrap().len(), 1);
    let (status, answer) = stack.post(user, &format!("/v1/orders/{order}/cancel"), &json!({})).await;
    assert_eq!((status, &answer["status"]), (200, &json!("cancelled")), "it is cancelled already");
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_paid_otherwise_than_asked_cannot_be_approved_and_goes_back() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let user = Uuid::new_v4();
    let (order, session) = stack.checkout(user, "shared-monthly", 1).await;
    let path = format!("checkout/sessions/{session}/complete");
    stack.sim(&path, &json!({ "as": "paid", "amount_total": 100 })).await;
    stack.until_count("select count(*) from berth.orders where phase = 'held'", 1).await;

    let (status, problem) = decide(&stack, &order, "approve", "it is close enough").await;
    assert_eq!((status, slug(&problem)), (409, "paid-amount-differs"));
    let (status, rejected) = decide(&stack, &order, "reject", "not what was asked").await;
    assert_eq!((status, &rejected["status"]), (200, &json!("cancelled")), "{rejected}");
    stack.until_idle().await;

    let given_back = "select count(*) from berth.payments where state = 'refunded' and amount = 1.00";
    assert_eq!(stack.count(given_back).await, 1);
    assert_eq!(stack.sim_get("records").await["refunds"].as_array().unwrap().len(), 1);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_who_decide_at_once_one_is_told_and_only_staff_who_says_why_decides() {
    let stack = careful().await;
    let berth = stack.start_on(&WatchedPanel::new(), &Queue::ALL).await;
    let user = Uuid::new_v4();
    let (order, _) = held(&stack, user).await;

    for what in ["approve", "reject"] {
        let path = format!("/v1/orders/{order}/{what}");
        let (status, problem) = stack.post(user, &path, &json!({ "reason": "mine" })).await;
        assert_eq!((status, slug(&problem)), (403, "forbidden"));
        assert_eq!(stack.client.post(format!("{}{path}", stack.base())).send().await.unwrap().status(), 401);
        for bad in [json!({}), json!({ "reason": " " }), json!({ "reason": "x", "refund": false }), json!([])] {
            assert_eq!(as_staff(&stack, "POST", &path, bad.clone()).await.0, 400, "{bad}");
        }
        let nobody = format!("/v1/orders/{}/{what}", OrderId::new());
        assert_eq!(as_staff(&stack, "POST", &nobody, json!({ "reason": "x" })).await.0, 404);
    }
    assert_eq!(stack.count("select count(*) from berth.orders where phase = 'held'").await, 1);

    let (approved, rejected) =
        tokio::join!(decide(&stack, &order, "approve", "yes"), decide(&stack, &order, "reject", "no"));

    let mut statuses = [approved.0, rejected.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{approved:?} {rejected:?}");
    assert_eq!(stack.count("select count(*) from berth.audit").await, 1);
    stack.until_idle().await;
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_from_a_named_country_is_held() {
    let stack = Stack::with(StackOptions::default().setting("fraud.hold_countries", "XA")).await;
    let berth = stack.start_on(&WatchedPanel::new(), &Queue::ALL).await;
    let mut order = crate::support::purchase::order(&berth.app, None);
    order.terms.customer_snapshot = Some(json!({ "email": order.customer.email, "country": "XA" }));
    let id = order.id;
    berth.app.committer.write(berth::effects::Effects::new_order(order)).await.unwrap();

    stack.tell_paid(&berth.app, id).await;
    stack.until_count("select count(*) from berth.orders where phase = 'held'", 1).await;

    let (_, shown) = as_staff(&stack, "GET", &format!("/v1/orders/{id}"), Value::Null).await;
    assert_eq!(shown["hold_reason"], "the customer is in XA");
    berth.stop().await;
}
