//! Keys, errors, idempotency, customers and lists.

use serde_json::json;

use super::harness::{KEY, Stripe, form_post, renewal_form, session_form};

#[tokio::test]
async fn only_the_api_key_opens_the_door() {
    let stripe = Stripe::start(None).await;
    let url = stripe.at("/v1/customers");

    let none = stripe.http.get(&url).send().await.unwrap();
    let wrong = stripe.http.get(&url).bearer_auth("sk_test_other").send().await.unwrap();
    let basic = stripe.http.get(&url).basic_auth(KEY, Some("")).send().await.unwrap();

    assert_eq!([none.status().as_u16(), wrong.status().as_u16(), basic.status().as_u16()], [401, 401, 200]);
    assert!(basic.headers()["request-id"].to_str().unwrap().starts_with("req_"));
}

#[tokio::test]
async fn what_stripe_does_not_know_is_refused_in_its_words() {
    let stripe = Stripe::start(None).await;

    let parameter = stripe.post("/v1/customers", &[("address[planet]", "Mars")]).await;
    let path = stripe.get("/v1/planets").await;
    let object = stripe.get("/v1/payment_intents/pi_none").await;
    let json = form_post(stripe.http.post(stripe.at("/v1/customers")).bearer_auth(KEY), &[])
        .header("content-type", "application/json")
        .body("{}")
        .send()
        .await
        .unwrap();

    assert_eq!(
        (parameter.status, parameter.error("code"), parameter.error("param")),
        (400, &json!("parameter_unknown"), &json!("address[planet]"))
    );
    assert_eq!((path.status, path.error("type")), (404, &json!("invalid_request_error")));
    assert_eq!((object.status, object.error("code")), (404, &json!("resource_missing")));
    assert_eq!(json.status().as_u16(), 400);
}

#[tokio::test]
async fn the_same_key_gets_the_first_answer_and_moves_money_once() {
    let stripe = Stripe::start(None).await;
    let (customer, method, _intent) = stripe.buyer("pm_card_visa").await;
    let form = renewal_form(&customer, &method);

    let first = stripe.post_keyed("/v1/payment_intents", &form, "k1").await;
    let second = stripe.post_keyed("/v1/payment_intents", &form, "k1").await;

    assert_eq!((first.status, first.replayed()), (200, false));
    assert_eq!((second.body, second.headers.contains_key("idempotent-replayed")), (first.body, true));
    let charges = stripe.charges().await;
    let of_key: Vec<_> = charges.iter().filter(|charge| charge["idempotency_key"] == "k1").collect();
    assert_eq!(of_key.len(), 1);
    assert_eq!(of_key[0]["metadata"]["attempt_id"], "att_1");
}

#[tokio::test]
async fn a_key_remembers_a_decline() {
    let stripe = Stripe::start(None).await;
    let customer = stripe.customer().await;
    let form = renewal_form(&customer, "pm_card_chargeDeclinedInsufficientFunds");

    let first = stripe.post_keyed("/v1/payment_intents", &form, "k").await;
    let second = stripe.post_keyed("/v1/payment_intents", &form, "k").await;

    assert_eq!((first.status, second.status, second.replayed()), (402, 402, true));
    assert_eq!(second.error("payment_intent")["id"], first.error("payment_intent")["id"]);
    assert_eq!(stripe.charges().await.len(), 1);
}

#[tokio::test]
async fn a_key_with_another_body_or_path_is_refused() {
    let stripe = Stripe::start(None).await;
    stripe.post_keyed("/v1/customers", &[("email", "a@example.com")], "k").await;

    let other_body = stripe.post_keyed("/v1/customers", &[("email", "b@example.com")], "k").await;
    let other_path = stripe.post_keyed("/v1/payment_intents", &[("email", "a@example.com")], "k").await;

    for refused in [other_body, other_path] {
        assert_eq!((refused.status, refused.error("type")), (400, &json!("idempotency_error")));
    }
}

#[tokio::test]
async fn a_request_refused_before_execution_leaves_its_key_free() {
    let stripe = Stripe::start(None).await;

    let refused = stripe.post_keyed("/v1/customers", &[("colour", "red")], "k").await;
    let corrected = stripe.post_keyed("/v1/customers", &[("name", "Red")], "k").await;

    assert_eq!((refused.status, corrected.status, corrected.replayed()), (400, 200, false));
}

#[tokio::test]
async fn a_key_is_forgotten_after_a_day() {
    let stripe = Stripe::start(None).await;
    let first = stripe.post_keyed("/v1/customers", &[("name", "Ada")], "k").await;

    stripe.control("clock", json!({ "offset_seconds": 23 * 3600 })).await;
    let within = stripe.post_keyed("/v1/customers", &[("name", "Ada")], "k").await;
    stripe.control("clock", json!({ "offset_seconds": 24 * 3600 + 1 })).await;
    let after = stripe.post_keyed("/v1/customers", &[("name", "Ada")], "k").await;

    assert_eq!(within.id(), first.id());
    assert_ne!(after.id(), first.id());
}

#[tokio::test]
async fn a_deleted_customer_can_be_seen_but_not_sold_to() {
    let stripe = Stripe::start(None).await;
    let (customer, method, _intent) = stripe.buyer("pm_card_visa").await;

    let gone = stripe.delete(&format!("/v1/customers/{customer}")).await;

    assert_eq!(gone.body["deleted"], true);
    assert_eq!(stripe.get(&format!("/v1/customers/{customer}")).await.body["deleted"], true);
    let mut form = session_form();
    form.push(("customer", &customer));
    assert_eq!(stripe.post("/v1/checkout/sessions", &form).await.error("code"), "resource_missing");
    let charge = stripe.post("/v1/payment_intents", &renewal_form(&customer, &method)).await;
    assert_eq!((charge.status, charge.error("param")), (400, &json!("customer")));
}

#[tokio::test]
async fn metadata_keeps_stripes_limits_and_unsets_by_empty_values() {
    let stripe = Stripe::start(None).await;
    let long = "x".repeat(501);

    let too_long = stripe.post("/v1/customers", &[("metadata[a]", &long)]).await;
    let customer = stripe.post("/v1/customers", &[("metadata[a]", "1"), ("metadata[b]", "2")]).await.id();
    let updated = stripe.post(&format!("/v1/customers/{customer}"), &[("metadata[a]", "")]).await;

    assert_eq!(too_long.status, 400);
    assert_eq!(updated.body["metadata"], json!({ "b": "2" }));
}

#[tokio::test]
async fn a_list_can_be_walked_in_both_directions() {
    let stripe = Stripe::start(None).await;
    let mut made = Vec::new();
    for _customer in 0..5 {
        made.push(stripe.customer().await);
    }
    made.reverse();
    let ids = |reply: super::harness::Reply| -> Vec<String> {
        reply.body["data"].as_array().unwrap().iter().map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };

    let first = stripe.get("/v1/customers?limit=2").await;
    assert_eq!(first.body["has_more"], true);
    assert_eq!(ids(first), made[..2]);
    assert_eq!(ids(stripe.get(&format!("/v1/customers?limit=3&starting_after={}", made[1])).await), made[2..]);
    assert_eq!(ids(stripe.get(&format!("/v1/customers?limit=2&ending_before={}", made[3])).await), made[1..3]);
    assert_eq!(stripe.get("/v1/customers?limit=101").await.status, 400);
}

#[tokio::test]
async fn events_are_found_by_type_by_time_and_by_delivery() {
    let stripe = Stripe::start(None).await;
    let (_customer, _method, intent) = stripe.buyer("pm_card_visa").await;

    let several = stripe.get("/v1/events?types[]=charge.succeeded&types[]=payment_intent.succeeded").await;
    let family = stripe.get("/v1/events?type=payment_intent.*").await;
    let undelivered = stripe.get("/v1/events?delivery_success=false").await;
    stripe.control("clock", json!({ "offset_seconds": 31 * 24 * 3600 })).await;
    let forgotten = stripe.get("/v1/events").await;

    assert_eq!(several.body["data"].as_array().unwrap().len(), 2);
    let kinds: Vec<_> = family.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| event["type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(kinds, ["payment_intent.succeeded", "payment_intent.created"]);
    assert_eq!(family.body["data"][0]["data"]["object"]["id"], intent);
    assert!(undelivered.body["data"].as_array().unwrap().is_empty(), "nobody was to be told");
    assert!(forgotten.body["data"].as_array().unwrap().is_empty(), "Stripe lists 30 days");
}
