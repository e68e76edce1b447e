//! Payments that banks want back: what they were for is suspended until that is decided, and nobody is charged meanwhile.

use berth::{domain::account::SuspensionReason, effects::Effects};
use berth_jobs::ids::{AccountId, OrderId};
use jiff::SignedDuration;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{Running, Stack, StackOptions};

/// A customer with a live account; their order, its payment's intent, and the account.
async fn customer(stack: &Stack) -> (Uuid, String, String, AccountId) {
    let user = Uuid::new_v4();
    let (order, intent) = stack.bought(user, "shared-monthly").await;
    stack.until_all_is_heard().await;
    let id: OrderId = order.parse().unwrap();
    let account: Uuid = sqlx::query_scalar("select id from berth.hosting_accounts where order_id = $1")
        .bind(id.0)
        .fetch_one(&stack.pool)
        .await
        .unwrap();
    (user, order, intent, AccountId(account))
}

/// What the customer is told of the account: its status, and why it is suspended.
async fn shown(stack: &Stack, user: Uuid, account: AccountId) -> (Value, Value) {
    let (status, shown) = stack.get(user, &format!("/v1/hosting/{account}")).await;
    assert_eq!(status, 200, "{shown}");
    (shown["status"].clone(), shown["suspension_reason"].clone())
}

async fn is_frozen(berth: &Running, account: AccountId) -> bool {
    berth.app.store.agenda_entry(account).await.unwrap().unwrap().facts.frozen
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_suspends_what_its_payment_was_for_until_it_is_won() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let (user, order, intent, account) = customer(&stack).await;
    let (bystander, _, _, others) = customer(&stack).await;

    let dispute = stack.dispute(&intent).await;
    stack.until_all_is_heard().await;

    assert_eq!(shown(&stack, user, account).await, (json!("suspended"), json!("dispute")));
    assert_eq!(shown(&stack, bystander, others).await.0, "active");
    assert!(is_frozen(&berth, account).await && !is_frozen(&berth, others).await);
    assert_eq!(stack.count("select count(*) from berth.alerts where kind = 'dispute_opened'").await, 1);
    assert_eq!(stack.count("select count(*) from berth.mails where kind = 'dispute_opened'").await, 1);
    assert_eq!(stack.refund(&order, json!({})).await.refusal(), (409, "refund-disputed"));
    stack.audit().await;

    stack.settle_dispute(&dispute, "under_review").await;
    stack.settle_dispute(&dispute, "won").await;
    stack.until_all_is_heard().await;

    assert_eq!(shown(&stack, user, account).await, (json!("active"), json!(null)));
    assert!(!is_frozen(&berth, account).await);
    assert_eq!(stack.count("select count(*) from berth.mails where kind = 'dispute_opened'").await, 1);
    stack.refund(&order, json!({ "amount": "1.00" })).await.ok();
    stack.until_all_is_heard().await;
    assert_eq!(stack.text("select state from berth.refunds").await, "succeeded");
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_that_is_lost_leaves_the_account_to_a_person_and_nothing_to_give_back() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let (user, order, intent, account) = customer(&stack).await;
    let dispute = stack.dispute(&intent).await;
    stack.until_all_is_heard().await;

    stack.settle_dispute(&dispute, "lost").await;
    stack.until_all_is_heard().await;

    assert_eq!(shown(&stack, user, account).await, (json!("suspended"), json!("dispute")));
    assert_eq!(stack.count("select count(*) from berth.alerts where kind = 'dispute_lost'").await, 1);
    assert_eq!(stack.refund(&order, json!({})).await.refusal(), (409, "refund-nothing-left"));
    assert!(!is_frozen(&berth, account).await, "it is decided");
    stack.audit().await;

    // A person lets it work again, and no late news of the dispute overrules that.
    let lift = json!({ "reason": "dispute", "note": "they have paid by bank transfer" });
    stack.ask(&stack.staff(), "POST", &format!("/v1/hosting/{account}/unsuspend"), &lift).await.ok();
    for event in stack.events_at_stripe(&["charge.dispute."]).await {
        stack.resend(&event).await;
    }
    stack.until_all_is_heard().await;
    assert_eq!(shown(&stack, user, account).await.0, "active");
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn news_of_a_dispute_lead_to_the_same_end_in_whichever_order_they_come() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let (user, _, intent, account) = customer(&stack).await;

    // All of its life is over before the first word of it comes, and then the last word comes first.
    let url = format!("{}/webhooks/stripe", stack.base());
    stack.sim("webhooks", &json!({ "url": null })).await;
    let dispute = stack.dispute(&intent).await;
    stack.settle_dispute(&dispute, "won").await;
    stack.sim("webhooks", &json!({ "url": url })).await;
    let events = stack.events_at_stripe(&["charge.dispute."]).await;
    assert_eq!(events.len(), 5, "created, withdrawn, updated, closed, reinstated");
    for event in events.iter().rev().chain(&events).chain(events.iter().rev()) {
        stack.resend(event).await;
    }
    stack.until_count("select count(*) from berth.stripe_events where type like 'charge.dispute.%'", 5).await;
    stack.until_all_is_heard().await;

    assert_eq!(stack.text("select status || ' ' || followed from berth.disputes").await, "won won");
    assert_eq!(shown(&stack, user, account).await.0, "active");
    let suspended = "select count(*) from berth.account_history where to_phase = 'suspending'";
    assert_eq!(stack.count(suspended).await, 0, "what is won suspends nobody any more");
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_does_not_lift_a_dispute() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let (user, _, intent, account) = customer(&stack).await;
    let state = berth.app.store.account(account).await.unwrap().state;
    let unpaid = state.suspend(SuspensionReason::NonPayment).unwrap();
    berth.app.committer.write(Effects::none().begin(unpaid)).await.unwrap();
    stack.until_all_is_heard().await;
    let dispute = stack.dispute(&intent).await;
    stack.until_all_is_heard().await;
    assert_eq!(shown(&stack, user, account).await, (json!("suspended"), json!("dispute")));

    let row = berth.app.store.account(account).await.unwrap();
    let until = row.expires_at.unwrap() + SignedDuration::from_hours(30 * 24);
    berth.app.committer.write(Effects::none().begin(row.state.renewed(until).unwrap())).await.unwrap();
    stack.until_all_is_heard().await;
    assert_eq!(shown(&stack, user, account).await, (json!("suspended"), json!("dispute")));

    stack.settle_dispute(&dispute, "won").await;
    stack.until_all_is_heard().await;
    assert_eq!(shown(&stack, user, account).await.0, "active");
    stack.audit_rows().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_disputes_over_an_account_the_one_that_is_won_lifts_nothing_of_the_other() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let (user, _, intent, account) = customer(&stack).await;
    let (one, other) = (stack.dispute(&intent).await, stack.dispute(&intent).await);
    stack.until_all_is_heard().await;

    stack.settle_dispute(&one, "won").await;
    stack.until_all_is_heard().await;
    assert_eq!(shown(&stack, user, account).await, (json!("suspended"), json!("dispute")));

    stack.settle_dispute(&other, "won").await;
    stack.until_all_is_heard().await;
    assert_eq!(shown(&stack, user, account).await.0, "active");
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_another_policy_nobody_is_suspended_and_nobody_is_charged() {
    let stack = Stack::with(StackOptions::default().setting("disputes.suspend", "false")).await;
    let berth = stack.start().await;
    let (user, _, intent, account) = customer(&stack).await;

    let warning = stack.sim("early_fraud_warnings", &json!({ "payment_intent": intent })).await;
    let dispute = stack.dispute(&intent).await;
    stack.settle_dispute(&dispute, "a_word_of_tomorrow").await;
    stack.until_all_is_heard().await;

    assert!(warning["id"].is_string());
    assert_eq!(shown(&stack, user, account).await.0, "active");
    assert!(is_frozen(&berth, account).await, "a word that is not known decides nothing");
    let told = "select string_agg(kind, ' ' order by kind) from berth.alerts where resolved_at is null";
    assert_eq!(stack.text(told).await, "dispute_opened dispute_unknown early_fraud_warning");
    assert_eq!(stack.count("select count(*) from berth.mails where kind = 'dispute_opened'").await, 0);
    stack.audit().await;
    berth.stop().await;
}
