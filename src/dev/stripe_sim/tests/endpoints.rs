//! Webhook endpoints that the API makes: sent what they ask for, under a secret of their own.

use serde_json::{Value, json};

use super::harness::{Endpoint, SECRET, Stripe, poll};

async fn made(stripe: &Stripe, url: &str, kind: &str) -> (String, String) {
    let form = [("url", url), ("enabled_events[0]", kind), ("api_version", "2026-09-30.endive")];
    let reply = stripe.post("/v1/webhook_endpoints", &form).await;
    assert_eq!(reply.status, 200, "{:?}", reply.body);
    (reply.id(), reply.body["secret"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn an_endpoint_is_sent_what_it_asked_for_signed_with_its_own_secret() {
    let endpoint = Endpoint::start().await;
    let stripe = Stripe::start(None).await;
    let (id, secret) = made(&stripe, &endpoint.url, "customer.updated").await;

    let customer = stripe.customer().await;
    stripe.post(&format!("/v1/customers/{customer}"), &[("name", "Ada")]).await;
    let arrival = endpoint.wait("customer.updated", 1).await.remove(0);

    assert!(arrival.is_signed_with(&secret) && !arrival.is_signed_with(SECRET));
    assert_eq!(endpoint.arrivals("customer.created").len(), 0, "it was not asked for");
    let shown = stripe.get(&format!("/v1/webhook_endpoints/{id}")).await.body;
    assert_eq!((&shown["status"], shown.get("secret")), (&json!("enabled"), None), "the secret is told once");
}

#[tokio::test]
async fn an_endpoint_is_changed_disabled_and_ended() {
    let endpoint = Endpoint::start().await;
    let stripe = Stripe::start(None).await;
    let (id, _) = made(&stripe, &endpoint.url, "customer.updated").await;
    let path = format!("/v1/webhook_endpoints/{id}");

    let changed = stripe.post(&path, &[("enabled_events[0]", "customer.created")]).await;
    stripe.customer().await;
    endpoint.wait("customer.created", 1).await;
    stripe.post(&path, &[("disabled", "true")]).await;
    stripe.customer().await;
    let ended = stripe.delete(&path).await;

    assert_eq!(changed.body["enabled_events"], json!(["customer.created"]));
    assert_eq!(ended.body, json!({ "id": id, "object": "webhook_endpoint", "deleted": true }));
    assert_eq!(stripe.get(&path).await.status, 404);
    poll("the second customer is an event that nobody is sent", async || {
        let events = stripe.get("/v1/events?type=customer.created").await;
        events.body["data"].as_array().filter(|events| events.len() == 2).map(Vec::len)
    })
    .await;
    assert_eq!(endpoint.arrivals("customer.created").len(), 1);
}

#[tokio::test]
async fn the_endpoint_that_it_was_started_with_stands_in_the_list() {
    let endpoint = Endpoint::start().await;
    let stripe = Stripe::start(Some(&endpoint)).await;
    made(&stripe, "https://shop.example/webhooks/stripe", "refund.created").await;

    let listed = stripe.get("/v1/webhook_endpoints").await.body;

    let urls: Vec<&Value> = listed["data"].as_array().unwrap().iter().map(|endpoint| &endpoint["url"]).collect();
    assert_eq!(urls, [&json!("https://shop.example/webhooks/stripe"), &json!(endpoint.url)]);
}

#[tokio::test]
async fn the_endpoint_that_it_was_started_with_is_changed_and_ended_like_any_other() {
    let endpoint = Endpoint::start().await;
    let stripe = Stripe::start(Some(&endpoint)).await;
    let path = "/v1/webhook_endpoints/we_startedwith";

    let changed = stripe.post(path, &[("enabled_events[0]", "customer.updated")]).await;
    let customer = stripe.customer().await;
    stripe.post(&format!("/v1/customers/{customer}"), &[("name", "Ada")]).await;
    endpoint.wait("customer.updated", 1).await;
    let ended = stripe.delete(path).await;

    assert_eq!(changed.body["enabled_events"], json!(["customer.updated"]));
    assert_eq!(endpoint.arrivals("customer.created").len(), 0);
    assert_eq!((ended.status, stripe.get(path).await.status), (200, 404));
}

#[tokio::test]
async fn what_stripe_refuses_is_refused() {
    let stripe = Stripe::start(None).await;
    let refused = async |form: &[(&str, &str)]| {
        let reply = stripe.post("/v1/webhook_endpoints", form).await;
        (reply.status, reply.error("param").clone())
    };

    assert_eq!(refused(&[("enabled_events[0]", "*")]).await, (400, json!("url")));
    assert_eq!(refused(&[("url", "https://a.example/")]).await, (400, json!("enabled_events")));
    assert_eq!(refused(&[("url", "nonsense"), ("enabled_events[0]", "*")]).await, (400, json!("url")));
    let odd = [("url", "https://a.example/"), ("enabled_events[0]", "Refunds")];
    assert_eq!(refused(&odd).await, (400, json!("enabled_events")));
    let (id, _) = made(&stripe, "https://a.example/", "*").await;
    // An endpoint's version is set when it is made, and never again.
    let later = stripe.post(&format!("/v1/webhook_endpoints/{id}"), &[("api_version", "2026-09-30.endive")]).await;
    assert_eq!((later.status, later.error("code")), (400, &json!("parameter_unknown")));
    assert_eq!(stripe.get("/v1/balance").await.body["livemode"], json!(false));
}
