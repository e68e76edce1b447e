//! Renewals, declines and refunds.

use serde_json::json;

use super::harness::{Stripe, renewal_form};

#[tokio::test]
async fn a_kept_card_is_charged_off_session_and_only_once_an_intent() {
    let stripe = Stripe::start(None).await;
    let (customer, method, _intent) = stripe.buyer("pm_card_visa").await;

    let paid = stripe.post("/v1/payment_intents", &renewal_form(&customer, &method)).await;
    let again = stripe.post(&format!("/v1/payment_intents/{}/confirm", paid.id()), &[]).await;
    let cancelled = stripe.post(&format!("/v1/payment_intents/{}/cancel", paid.id()), &[]).await;

    assert_eq!((&paid.body["status"], &paid.body["amount_received"]), (&json!("succeeded"), &json!(2999)));
    for refused in [again, cancelled] {
        assert_eq!((refused.status, refused.error("code")), (400, &json!("payment_intent_unexpected_state")));
        assert_eq!(refused.error("payment_intent")["status"], "succeeded");
    }
}

#[tokio::test]
async fn each_decline_says_why_and_leaves_the_intent_to_be_tried_again() {
    let stripe = Stripe::start(None).await;
    let (customer, method, _intent) = stripe.buyer("pm_card_visa").await;
    for (card, code, decline_code) in [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedStolenCard", "card_declined", "stolen_card"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
        ("pm_card_chargeDeclined_do_not_honor", "card_declined", "do_not_honor"),
        ("pm_card_authenticationRequired", "authentication_required", "authentication_required"),
    ] {
        let declined = stripe.post("/v1/payment_intents", &renewal_form(&customer, card)).await;

        assert_eq!((declined.status, declined.error("type")), (402, &json!("card_error")), "{card}");
        assert_eq!(
            (declined.error("code"), declined.error("decline_code")),
            (&json!(code), &json!(decline_code)),
            "{card}"
        );
        assert!(declined.error("advice_code").is_string() && declined.error("charge").is_string());
        let intent = declined.error("payment_intent");
        assert_eq!(intent["status"], "requires_payment_method");
        assert_eq!(intent["last_payment_error"]["decline_code"], decline_code);
        let path = format!("/v1/payment_intents/{}/confirm", intent["id"].as_str().unwrap());
        let retried = stripe.post(&path, &[("payment_method", &method), ("off_session", "true")]).await;
        assert_eq!(retried.body["status"], "succeeded", "{card}");
    }
}

#[tokio::test]
async fn a_card_that_paid_at_first_can_refuse_the_renewal() {
    let stripe = Stripe::start(None).await;
    let (customer, method, _intent) = stripe.buyer("pm_card_chargeCustomerFail_insufficient_funds").await;
    let (other, changed, _intent) = stripe.buyer("pm_card_visa").await;
    stripe.control(&format!("payment_methods/{changed}"), json!({ "outcome": "lost_card" })).await;

    let declined = stripe.post("/v1/payment_intents", &renewal_form(&customer, &method)).await;
    let lost = stripe.post("/v1/payment_intents", &renewal_form(&other, &changed)).await;

    assert_eq!(declined.error("decline_code"), "insufficient_funds");
    assert_eq!(lost.error("decline_code"), "lost_card");
}

#[tokio::test]
async fn authentication_is_asked_for_when_the_customer_is_there() {
    let stripe = Stripe::start(None).await;
    let customer = stripe.customer().await;
    let mut form = renewal_form(&customer, "pm_card_authenticationRequired");
    form.retain(|(name, _value)| *name != "off_session");

    let asked = stripe.post("/v1/payment_intents", &form).await;
    let settled =
        stripe.control(&format!("payment_intents/{}/settle", asked.id()), json!({ "result": "succeed" })).await;

    assert_eq!((asked.status, &asked.body["status"]), (200, &json!("requires_action")));
    assert_eq!(settled["status"], "succeeded");
}

#[tokio::test]
async fn a_processing_payment_settles_either_way() {
    let stripe = Stripe::start(None).await;
    let customer = stripe.customer().await;
    for (result, status) in [("succeed", "succeeded"), ("fail", "requires_payment_method")] {
        let waiting = stripe.post("/v1/payment_intents", &renewal_form(&customer, "pm_card_processing")).await;
        assert_eq!(waiting.body["status"], "processing");

        let settled =
            stripe.control(&format!("payment_intents/{}/settle", waiting.id()), json!({ "result": result })).await;

        assert_eq!(settled["status"], status);
    }
    let statuses: Vec<_> = stripe.charges().await.iter().map(|charge| charge["status"].clone()).collect();
    assert_eq!(statuses, ["succeeded", "failed"]);
}

#[tokio::test]
async fn a_card_belongs_to_the_customer_who_pays() {
    let stripe = Stripe::start(None).await;
    let (customer, method, _intent) = stripe.buyer("pm_card_visa").await;
    let stranger = stripe.customer().await;

    let stolen = stripe.post("/v1/payment_intents", &renewal_form(&stranger, &method)).await;
    stripe.post(&format!("/v1/payment_methods/{method}/detach"), &[]).await;
    let detached = stripe.post("/v1/payment_intents", &renewal_form(&customer, &method)).await;
    let refused = stripe.post("/v1/payment_methods/pm_card_chargeDeclined/attach", &[("customer", &customer)]).await;

    assert_eq!((stolen.status, detached.status, refused.status), (400, 400, 402));
    assert_eq!(stripe.charges().await.len(), 1);
}

#[tokio::test]
async fn a_payment_that_could_redirect_the_buyer_needs_somewhere_to_return_to() {
    let stripe = Stripe::start(None).await;
    let customer = stripe.customer().await;
    let mut form = renewal_form(&customer, "pm_card_visa");
    form.retain(|(name, _value)| *name != "payment_method_types[]");

    let refused = stripe.post("/v1/payment_intents", &form).await;
    form.push(("automatic_payment_methods[enabled]", "true"));
    form.push(("automatic_payment_methods[allow_redirects]", "never"));
    let taken = stripe.post("/v1/payment_intents", &form).await;

    assert_eq!((refused.status, taken.status), (400, 200));
}

#[tokio::test]
async fn no_more_is_refunded_than_was_taken() {
    let stripe = Stripe::start(None).await;
    let (_customer, _method, intent) = stripe.buyer("pm_card_visa").await;
    let refund = |amount: &'static str| {
        let form = [("payment_intent", intent.clone()), ("amount", amount.to_owned())];
        let stripe = &stripe;
        async move { stripe.post("/v1/refunds", &form.each_ref().map(|(name, value)| (*name, value.as_str()))).await }
    };

    let part = refund("1000").await;
    let over = refund("2000").await;
    let rest = refund("1999").await;
    let none_left = refund("1").await;

    assert_eq!((part.status, rest.status), (200, 200));
    assert_eq!((over.status, over.error("param")), (400, &json!("amount")));
    assert_eq!(none_left.error("code"), "charge_already_refunded");
    let charge = stripe.charges().await[0].clone();
    assert_eq!((&charge["amount_refunded"], &charge["refunded"]), (&json!(2999), &json!(true)));
}

#[tokio::test]
async fn a_refund_waits_fails_and_gives_its_sum_back_to_the_charge() {
    let stripe = Stripe::start(None).await;
    let (_customer, _method, intent) = stripe.buyer("pm_card_visa").await;
    stripe.control("settings", json!({ "refunds_wait": true })).await;

    let waiting = stripe.post("/v1/refunds", &[("payment_intent", &intent)]).await;
    let failed = stripe
        .control(
            &format!("refunds/{}", waiting.id()),
            json!({ "result": "fail", "failure_reason": "lost_or_stolen_card" }),
        )
        .await;
    let again = stripe.post("/v1/refunds", &[("payment_intent", &intent)]).await;
    let done = stripe.control(&format!("refunds/{}", again.id()), json!({ "result": "succeed" })).await;

    assert_eq!(waiting.body["status"], "pending");
    assert_eq!((&failed["status"], &failed["failure_reason"]), (&json!("failed"), &json!("lost_or_stolen_card")));
    assert_eq!(done["status"], "succeeded");
    let failures = stripe.get("/v1/events?type=refund.failed").await.body;
    assert_eq!(failures["data"][0]["data"]["object"]["id"], waiting.id());
}
