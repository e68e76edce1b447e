//! Renewals charged on saved cards: once, whatever is lost, declined, doubled or called off meanwhile. Stripe's own records
//! are what counts.

mod cards;
mod declines;
mod doubt;
mod pages;
mod unheard;

use berth::{
    app::App,
    domain::{account::AccountPhase, order::OrderPhase, renewal::RenewalPhase},
};
use berth_jobs::Queue;
use serde_json::json;

use super::support::{Running, Stack};

/// Berth with a Stripe that takes what it is given.
async fn start() -> (Stack, Running) {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    (stack, berth)
}

fn app(berth: &Running) -> &App {
    &berth.app
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_is_charged_once_and_its_account_is_good_for_another_period() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let renewer = stack.renewer(app, "pm_card_visa").await;
    let before = app.store.account(renewer.account).await.unwrap();

    stack.charge(app, renewer.order).await;
    stack.charge(app, renewer.order).await;
    stack.insert_job("charge_renewal", Queue::Payments, &json!({ "order_id": renewer.order.to_string() }), None).await;
    stack.until_renewal(app, renewer.order, RenewalPhase::Paid).await;
    stack.until_idle().await;
    stack.repeat_events(20).await;

    let (renewal, charges) = stack.renewal_of(app, renewer.order).await;
    let account = app.store.account(renewer.account).await.unwrap();
    assert_eq!(account.expires_at, Some(renewal.period_end));
    assert_eq!(renewal.period_start, before.expires_at.unwrap());
    assert_eq!(account.state.phase, AccountPhase::Active);
    assert_eq!(app.store.order(renewer.order).await.unwrap().state.phase, OrderPhase::Completed);
    assert_eq!(charges.iter().map(|charge| charge.state.as_str()).collect::<Vec<_>>(), ["succeeded"]);
    assert_eq!(stack.attempts_at_stripe(renewer.order).await, [true]);
    let invoice = app.store.invoice_of(renewer.order).await.unwrap().unwrap();
    assert_eq!(charges[0].amount, invoice.total, "what is charged is what the invoice says");
    let receipt = stack.mail_of(renewer.user, "renewal_receipt").await;
    assert_eq!(receipt["invoice_number"], json!(invoice.number));
    assert_eq!(receipt["card"], "Visa ending in 4242");
    assert_eq!(receipt["paid"], json!(invoice.total.amount_text()));
    assert_eq!(stack.count_mails(renewer.user, "renewal_receipt").await, 1);
    stack.money_agrees().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_credit_pays_is_not_charged() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let (_, partly) = stack.buyer(app, "pm_card_visa").await;
    let (_, wholly) = stack.buyer(app, "pm_card_visa").await;
    stack.pass_until_before(app, partly, 48).await;
    let with_some = stack.issue(app, partly, "1.00").await;
    let total = app.store.order(with_some).await.unwrap().total;
    let with_all = stack.issue(app, wholly, &total.amount_text()).await;

    assert_eq!(stack.charge_through(app, with_some).await, RenewalPhase::Paid);
    assert_eq!(stack.charge_through(app, with_all).await, RenewalPhase::Paid);

    let (_, charges) = stack.renewal_of(app, with_some).await;
    assert_eq!(charges[0].amount, app.store.order(with_some).await.unwrap().due());
    assert_eq!(charges[0].amount.to_minor().unwrap(), total.to_minor().unwrap() - 100);
    assert!(stack.renewal_of(app, with_all).await.1.is_empty(), "nothing is charged where nothing is due");
    assert!(stack.attempts_at_stripe(with_all).await.is_empty());
    assert!(app.store.payments_of(with_all).await.unwrap().is_empty());
    stack.money_agrees().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_charged_that_is_not_due() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let (_, early) = stack.buyer(app, "pm_card_visa").await;
    stack.pass_until_before(app, early, 120).await;
    let before_its_day = stack.issue(app, early, "0").await;
    assert_eq!(stack.charge_through(app, before_its_day).await, RenewalPhase::Invoiced);

    stack.pass_until_before(app, early, 48).await;
    for switch in [
        "update berth.hosting_accounts set auto_renew = false",
        "update berth.hosting_accounts set auto_renew = true, cancel_at = expires_at, version = version",
        "update berth.hosting_accounts set cancel_at = null",
    ] {
        sqlx::query(switch).execute(&stack.pool).await.unwrap();
        if !switch.ends_with("null") {
            assert_eq!(stack.charge_through(app, before_its_day).await, RenewalPhase::Invoiced, "{switch}");
        }
    }
    sqlx::query("update berth.cards set removed_at = berth.now(), default_since = null")
        .execute(&stack.pool)
        .await
        .unwrap();
    assert_eq!(stack.charge_through(app, before_its_day).await, RenewalPhase::Invoiced);

    assert!(stack.attempts_at_stripe(before_its_day).await.is_empty());
    assert!(app.store.charges_of(before_its_day).await.unwrap().is_empty(), "no attempt was begun");
    stack.money_agrees().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_that_is_called_off_while_its_card_is_charged_gives_the_money_back() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let paying = stack.renewer(app, "pm_card_visa").await;
    let (declined_user, declined_account) = stack.buyer(app, "pm_card_chargeCustomerFail").await;
    stack.pass_until_before(app, declined_account, 48).await;
    let declined = stack.issue(app, declined_account, "1.00").await;
    let paid_until = app.store.account(paying.account).await.unwrap().expires_at;

    for order in [paying.order, declined] {
        stack.fault("/v1/payment_intents", 1, json!({ "kind": "slow", "delay_milliseconds": 1500 })).await;
        stack.charge(app, order).await;
        stack.until_renewal(app, order, RenewalPhase::Charging).await;
        stack.call_off(app, order).await;
        stack
            .until("its charge has ended", async || !app.store.renewal(order).await.unwrap().state.phase.is_charging())
            .await;
        stack.until_idle().await;
    }

    assert_eq!(app.store.renewal(paying.order).await.unwrap().state.phase, RenewalPhase::Returned);
    assert_eq!(app.store.renewal(declined).await.unwrap().state.phase, RenewalPhase::Void);
    for order in [paying.order, declined] {
        assert_eq!(app.store.order(order).await.unwrap().state.phase, OrderPhase::Withdrawn);
    }
    assert_eq!(app.store.account(paying.account).await.unwrap().expires_at, paid_until, "nothing was extended");
    assert_eq!(stack.sim_get("records").await["refunds"].as_array().unwrap().len(), 1);
    assert_eq!(stack.count_mails(declined_user, "payment_failed").await, 0, "who has left is not asked to pay");
    let credit = app.store.credit_of(&[berth_jobs::ids::CustomerId(declined_user)]).await.unwrap();
    assert_eq!(credit.iter().map(|(_, amount)| amount.amount_text()).collect::<Vec<_>>(), ["1.00"], "given back");
    stack.money_agrees().await;
    berth.stop().await;
}
