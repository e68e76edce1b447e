//! Saved cards: known by what Stripe says, chosen and removed by their customers, and told of before they expire.

use berth::sweeps::{self, Sources, Sweep};
use serde_json::{Value, json};

use super::{app, start};
use crate::support::ask::Answer;

#[tokio::test(flavor = "multi_thread")]
async fn cards_are_listed_chosen_and_removed_by_their_customer() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let (user, _) = stack.buyer(app, "pm_card_visa").await;
    let token = stack.token(user);
    let list = async || -> Vec<(String, bool)> {
        let cards = stack.ask(&token, "GET", "/v1/payment-methods", &Value::Null).await.ok();
        let cards = cards["data"].as_array().unwrap().clone();
        cards.iter().map(|it| (it["last4"].as_str().unwrap().to_owned(), it["default"] == true)).collect()
    };
    let ids = async || -> Vec<String> { stack.cards(app, user).await.into_iter().map(|card| card.id).collect() };
    assert_eq!(list().await, [("4242".to_owned(), true)]);

    let page = stack.ask(&token, "POST", "/v1/payment-methods", &Value::Null).await.ok();
    let session = page["url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let saved = json!({ "as": "paid", "card": "pm_card_mastercard" });
    stack.sim(&format!("checkout/sessions/{session}/complete"), &saved).await;
    stack.until("the second card is charged", async || list().await[0].0 == "4444").await;
    stack.until_idle().await;
    assert_eq!(list().await, [("4444".to_owned(), true), ("4242".to_owned(), false)]);

    let first = ids().await[1].clone();
    let chosen: Answer = stack.ask(&token, "PUT", &format!("/v1/payment-methods/{first}/default"), &Value::Null).await;
    assert_eq!(chosen.ok()["data"][0]["id"], json!(first));
    stack.repeat_events(3).await;
    assert_eq!(list().await[0], ("4242".to_owned(), true), "an event told again chooses nothing");

    let removed = stack.ask(&token, "DELETE", &format!("/v1/payment-methods/{first}"), &Value::Null).await.ok();
    assert_eq!(removed["warning"], Value::Null);
    assert_eq!(list().await, [("4444".to_owned(), true)], "the one that is left is charged");
    let last = ids().await[0].clone();
    let removed = stack.ask(&token, "DELETE", &format!("/v1/payment-methods/{last}"), &Value::Null).await.ok();
    assert!(removed["warning"].as_str().unwrap().contains("renew by themselves"), "{removed}");
    let again = stack.ask(&token, "DELETE", &format!("/v1/payment-methods/{last}"), &Value::Null).await;
    assert_eq!(again.refusal(), (404, "not-found"));
    stack.until_idle().await;
    stack.repeat_events(3).await;
    assert!(list().await.is_empty(), "what was removed does not come back");
    stack.money_agrees().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whose_card_expires_is_told_twice_and_a_new_date_is_a_new_card() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let (user, _) = stack.buyer(app, "pm_card_visa").await;
    let card = stack.cards(app, user).await.remove(0);
    let now = app.store.now().await.unwrap().to_zoned(jiff::tz::TimeZone::UTC);
    // The card's last month is the next one.
    let next = now.date().first_of_month().checked_add(jiff::Span::new().months(1)).unwrap();
    let expiry = json!([next.month(), next.year()]);
    stack.sim(&format!("payment_methods/{}", card.id), &json!({ "expiry": expiry })).await;
    stack.until("the new date is known", async || stack.cards(app, user).await[0].exp_year == Some(next.year())).await;
    stack.until_idle().await;
    let expires = stack.cards(app, user).await[0].expires_at;
    let since = stack.cards(app, user).await[0].default_since;
    assert!(since > card.default_since, "a card with another date is tried at once");

    let mut told = Vec::new();
    for days in [20, 14, 10, 3, 1, -1] {
        let a_minute = jiff::SignedDuration::from_mins(1);
        stack.pass_until(app, expires - jiff::SignedDuration::from_hours(24 * days) + a_minute).await;
        for _ in 0..3 {
            app.committer.write(berth::effects::Effects::none().enqueue(Sweep::Cards.job(None))).await.unwrap();
            stack.until_idle().await;
        }
        told.push(stack.count_mails(user, "card_expiring").await);
        let now = app.store.now().await.unwrap();
        let sources = Sources::of(app, app.store.now().await.unwrap());
        let plan = sweeps::plan(&sources, Sweep::Cards, now, 10).await.unwrap();
        assert!(plan.steps.is_empty(), "what was told is due no more: {plan:?}");
    }

    assert_eq!(told, [0, 1, 1, 2, 2, 2]);
    assert_eq!(
        stack.mail_of(user, "card_expiring").await["last_month"],
        json!(format!("{:02}/{}", next.month(), next.year()))
    );
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_deleted_at_stripe_has_no_card_left() {
    let (stack, berth) = start().await;
    let app = app(&berth);
    let (user, _) = stack.buyer(app, "pm_card_visa").await;
    let at_stripe =
        stack.text("select stripe_customer_id from berth.customers where stripe_customer_id is not null").await;

    let deleted = stack
        .client
        .delete(format!("{}/v1/customers/{at_stripe}", stack.stripe))
        .bearer_auth(crate::support::STRIPE_KEY)
        .header("Stripe-Version", berth::gateways::stripe::STRIPE_VERSION)
        .send()
        .await
        .unwrap();
    assert!(deleted.status().is_success(), "{}", deleted.text().await.unwrap());

    stack.until("its cards are gone", async || stack.cards(app, user).await.is_empty()).await;
    stack.until_idle().await;
    berth.stop().await;
}
