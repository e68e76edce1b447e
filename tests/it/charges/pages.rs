//! A renewal's page beside its charge: it is paid by one of them.

use berth::domain::renewal::RenewalPhase;
use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{app, start};
use crate::support::{Stack, renewing::Renewer};

/// Opens the renewal's page as its customer; answers its session.
async fn open_page(stack: &Stack, renewer: &Renewer) -> String {
    let path = format!("/v1/hosting/{}/renew", renewer.account);
    let opened = stack.ask(&stack.token(renewer.user), "POST", &path, &Value::Null).await.ok();
    assert_eq!(opened["order_id"], json!(renewer.order.to_string()));
    assert_eq!(opened["amount_due"], opened["total"]);
    opened["checkout_url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

fn link(stack: &Stack, berth: &crate::support::Running, renewer: &Renewer) -> String {
    berth.app.secrets.as_ref().unwrap().pay_link(&stack.base(), renewer.order)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_was_paid_as_a_charge_begins_is_what_has_paid() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let renewer = stack.renewer(app, "pm_card_visa").await;
    let session = open_page(&stack, &renewer).await;
    let lost = json!({ "on": "delivery", "event_type": "checkout.session.completed", "fault": { "kind": "drop" } });
    stack.sim("faults", &json!({ "faults": [lost] })).await;
    stack.pay(&session).await;

    stack.charge(app, renewer.order).await;
    stack.until_renewal(app, renewer.order, RenewalPhase::Paid).await;
    stack.until_idle().await;

    let (_, charges) = stack.renewal_of(app, renewer.order).await;
    assert_eq!(charges.iter().map(|charge| charge.state.as_str()).collect::<Vec<_>>(), ["not_made"]);
    assert_eq!(stack.attempts_at_stripe(renewer.order).await, [true], "on the page");
    stack.money_agrees().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_open_as_a_charge_begins_is_closed_first() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let renewer = stack.renewer(app, "pm_card_chargeCustomerFail_insufficient_funds").await;
    let first = open_page(&stack, &renewer).await;
    assert_eq!(open_page(&stack, &renewer).await, first, "one page at a time");

    assert_eq!(stack.charge_through(app, renewer.order).await, RenewalPhase::PastDue);
    let sessions = stack.sim_get("records").await["checkout_sessions"].clone();
    let first_now = sessions.as_array().unwrap().iter().find(|it| it["id"] == json!(first)).unwrap().clone();
    assert_eq!(first_now["status"], "expired");
    let second = open_page(&stack, &renewer).await;
    assert_ne!(second, first, "after the decline it can be paid on another page");
    stack.pay(&second).await;
    stack.until_renewal(app, renewer.order, RenewalPhase::Paid).await;
    stack.until_idle().await;

    assert_eq!(stack.attempts_at_stripe(renewer.order).await, [false, true]);
    stack.repeat_events(20).await;
    stack.money_agrees().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_is_opened_while_a_card_is_charged() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let renewer = stack.renewer(app, "pm_card_visa").await;
    stack.fault("/v1/payment_intents", 1, json!({ "kind": "slow", "delay_milliseconds": 3000 })).await;
    stack.charge(app, renewer.order).await;
    stack.until_renewal(app, renewer.order, RenewalPhase::Charging).await;

    let path = format!("/v1/hosting/{}/renew", renewer.account);
    let refused = stack.ask(&stack.token(renewer.user), "POST", &path, &Value::Null).await;
    assert_eq!(refused.refusal(), (409, "renewal-being-charged"));
    let told = stack.client.get(link(&stack, &berth, &renewer)).send().await.unwrap();
    assert_eq!(told.status(), StatusCode::CONFLICT);
    assert!(told.text().await.unwrap().contains("being charged"));
    stack.until_renewal(app, renewer.order, RenewalPhase::Paid).await;
    stack.until_idle().await;

    let sessions = stack.sim_get("records").await["checkout_sessions"].as_array().unwrap().len();
    assert_eq!(sessions, 1, "the purchase's alone");
    stack.money_agrees().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_is_paid_after_the_renewal_was_called_off_is_paid_back() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let renewer = stack.renewer(app, "pm_card_visa").await;
    let session = open_page(&stack, &renewer).await;
    stack.call_off(app, renewer.order).await;

    stack.pay(&session).await;
    stack.until_count("select count(*) from berth.payments where state = 'refunded'", 1).await;
    stack.until_idle().await;

    assert_eq!(app.store.renewal(renewer.order).await.unwrap().state.phase, RenewalPhase::Returned);
    let told = stack.client.get(link(&stack, &berth, &renewer)).send().await.unwrap();
    assert_eq!(told.status(), StatusCode::GONE);
    stack.money_agrees().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_to_pay_needs_no_login_leads_to_one_page_and_cannot_be_forged() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let renewer = stack.renewer(app, "pm_card_visa").await;
    let link = link(&stack, &berth, &renewer);

    let looked = stack.client.head(&link).send().await.unwrap();
    assert_eq!(looked.status(), StatusCode::NO_CONTENT);
    assert_eq!(
        stack.sim_get("records").await["checkout_sessions"].as_array().unwrap().len(),
        1,
        "a look opens nothing"
    );
    let mut pages = Vec::new();
    for _ in 0..3 {
        let led = stack.client.get(&link).send().await.unwrap();
        assert_eq!(led.status(), StatusCode::SEE_OTHER);
        assert_eq!(led.headers()["cache-control"], "no-store");
        pages.push(led.headers()["location"].to_str().unwrap().to_owned());
    }
    pages.dedup();
    assert_eq!(pages.len(), 1);
    let mut forged = link.clone();
    let last = forged.pop().unwrap();
    forged.push(if last == '0' { '1' } else { '0' });
    let refused = stack.client.get(&forged).send().await.unwrap();
    assert_eq!(refused.status(), StatusCode::NOT_FOUND);
    assert!(refused.headers()["content-type"].to_str().unwrap().starts_with("text/html"));

    // A page lives for a day; the link leads to another one then.
    stack.pass_everywhere(app, 86_400.0).await;
    let led = stack.client.get(&link).send().await.unwrap();
    assert_eq!(led.status(), StatusCode::SEE_OTHER);
    assert_ne!(led.headers()["location"].to_str().unwrap(), pages[0]);
    let mut statuses = Vec::new();
    for _ in 0..40 {
        statuses.push(stack.client.get(&forged).send().await.unwrap().status());
    }
    assert!(statuses.contains(&StatusCode::TOO_MANY_REQUESTS), "who guesses is slowed down");
    stack.until_idle().await;
    stack.money_agrees().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_period_can_be_paid_for_before_it_is_invoiced_and_one_ahead() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let (user, account) = stack.buyer(app, "pm_card_visa").await;
    let path = format!("/v1/hosting/{account}/renew");
    let before = app.store.account(account).await.unwrap().expires_at.unwrap();

    let opened = stack.ask(&stack.token(user), "POST", &path, &Value::Null).await.ok();
    let again = stack.ask(&stack.token(user), "POST", &path, &Value::Null).await.ok();
    assert_eq!(again, opened, "one renewal, one page");
    let order = opened["order_id"].as_str().unwrap().parse().unwrap();
    stack.pay(opened["checkout_url"].as_str().unwrap().rsplit('/').next().unwrap()).await;
    stack.until_renewal(app, order, RenewalPhase::Paid).await;
    stack.until_idle().await;

    let renewal = app.store.renewal(order).await.unwrap();
    assert_eq!(renewal.period_start, before);
    assert_eq!(app.store.account(account).await.unwrap().expires_at, Some(renewal.period_end));
    let invoice = app.store.invoice_of(order).await.unwrap().unwrap();
    assert_eq!(opened["amount_due"], json!(invoice.total.amount_text()));
    let further = stack.ask(&stack.token(user), "POST", &path, &Value::Null).await;
    assert_eq!(further.refusal(), (409, "nothing-to-renew"));
    stack.money_agrees().await;
    berth.stop().await;
}
