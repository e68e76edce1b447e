//! Webhooks: signed, tried again, and astray where a fault says so.

use serde_json::{Value, json};

use super::harness::{Endpoint, SECRET, Stripe, eventually, poll, renewal_form};

async fn pair() -> (Endpoint, Stripe) {
    let endpoint = Endpoint::start().await;
    let stripe = Stripe::start(Some(&endpoint)).await;
    (endpoint, stripe)
}

fn delivery_fault(event_type: &str, fault: Value) -> Value {
    json!({ "on": "delivery", "event_type": event_type, "fault": fault })
}

#[tokio::test]
async fn a_paid_session_tells_its_whole_story_signed() {
    let (endpoint, stripe) = pair().await;

    let (customer, _method, intent) = stripe.buyer("pm_card_visa").await;

    endpoint.wait("checkout.session.completed", 1).await;
    for kind in [
        "customer.created",
        "payment_intent.created",
        "payment_method.attached",
        "charge.succeeded",
        "payment_intent.succeeded",
    ] {
        let arrival = endpoint.wait(kind, 1).await.remove(0);
        assert!(arrival.is_signed_with(SECRET), "{kind}");
        let mut tampered = arrival.clone();
        tampered.body.push(b' ');
        assert!(!tampered.is_signed_with(SECRET) && !arrival.is_signed_with("whsec_other"), "{kind}");
    }
    let event = endpoint.arrivals("payment_intent.succeeded")[0].event();
    assert_eq!(
        (&event["api_version"], &event["livemode"], &event["pending_webhooks"]),
        (&json!("2026-09-30.endive"), &json!(false), &json!(1))
    );
    assert_eq!(
        (&event["data"]["object"]["id"], &event["data"]["object"]["customer"]),
        (&json!(intent), &json!(customer))
    );
}

#[tokio::test]
async fn an_event_names_the_request_that_caused_it() {
    let (endpoint, stripe) = pair().await;
    let customer = stripe.post_keyed("/v1/customers", &[("name", "Ada")], "k").await;
    stripe.post(&format!("/v1/customers/{}", customer.id()), &[("name", "Ada L.")]).await;

    let created = endpoint.wait("customer.created", 1).await[0].event();
    let updated = endpoint.wait("customer.updated", 1).await[0].event();

    assert_eq!(
        created["request"],
        json!({ "id": customer.headers["request-id"].to_str().unwrap(), "idempotency_key": "k" })
    );
    assert_eq!(updated["data"]["previous_attributes"], json!({ "name": "Ada" }));
}

#[tokio::test]
async fn each_secret_signs_and_a_rolled_one_takes_over() {
    let (endpoint, stripe) = pair().await;
    stripe.control("webhooks", json!({ "url": endpoint.url, "secrets": ["whsec_old", "whsec_new"] })).await;
    stripe.customer().await;
    let both = endpoint.wait("customer.created", 1).await.remove(0);
    stripe.control("webhooks", json!({ "url": endpoint.url, "secrets": ["whsec_new"] })).await;

    stripe.customer().await;

    let one = endpoint.wait("customer.created", 2).await.remove(1);
    assert!(both.is_signed_with("whsec_old") && both.is_signed_with("whsec_new"));
    assert_eq!((one.signatures().len(), one.is_signed_with("whsec_new")), (1, true));
}

#[tokio::test]
async fn a_webhook_is_tried_again_until_it_is_answered_2xx() {
    let (endpoint, stripe) = pair().await;
    endpoint.will_answer(&[500, 302, 429, 404]);

    stripe.customer().await;

    let arrivals = endpoint.wait("customer.created", 5).await;
    assert!(arrivals.iter().all(|arrival| arrival.is_signed_with(SECRET) && arrival.body == arrivals[0].body));
    let id = arrivals[0].event()["id"].as_str().unwrap().to_owned();
    let delivered = format!("/v1/events/{id}");
    poll("the end of the event's delivery", async || {
        let event = stripe.get(&delivered).await.body;
        Some(()).filter(|()| event["pending_webhooks"] == 0)
    })
    .await;
    let log = stripe.look(&format!("deliveries?event={id}")).await;
    let attempts: Vec<_> = log["deliveries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| (line["attempt"].clone(), line["status"].clone()))
        .collect();
    assert_eq!(
        attempts,
        [
            (json!(1), json!(500)),
            (json!(2), json!(302)),
            (json!(3), json!(429)),
            (json!(4), json!(404)),
            (json!(5), json!(200))
        ]
    );
}

#[tokio::test]
async fn an_endpoint_that_was_away_gets_everything_when_it_is_back() {
    let stripe = Stripe::start(None).await;
    let closed = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody = format!("http://{}/hook", closed.local_addr().unwrap());
    drop(closed);
    stripe.control("webhooks", json!({ "url": nobody })).await;
    let id = stripe.customer().await;
    let failing = stripe.get("/v1/events?delivery_success=false").await.body;
    let endpoint = Endpoint::start().await;

    stripe.control("webhooks", json!({ "url": endpoint.url })).await;

    assert_eq!(failing["data"][0]["data"]["object"]["id"], id);
    assert_eq!(endpoint.wait("customer.created", 1).await[0].event()["data"]["object"]["id"], id);
}

#[tokio::test]
async fn a_duplicated_event_arrives_as_often_as_asked() {
    let (endpoint, stripe) = pair().await;
    stripe.fault(delivery_fault("customer.*", json!({ "kind": "duplicate", "copies": 3 }))).await;

    stripe.customer().await;
    stripe.customer().await;

    let arrivals = endpoint.wait("customer.created", 4).await;
    let first = arrivals[0].event()["id"].clone();
    let mut counts = [0, 0];
    for arrival in &arrivals {
        counts[usize::from(arrival.event()["id"] != first)] += 1;
    }
    counts.sort_unstable();
    assert_eq!(counts, [1, 3]);
}

#[tokio::test]
async fn a_reordered_event_arrives_after_a_later_one() {
    let (endpoint, stripe) = pair().await;
    stripe.customer().await;
    endpoint.wait("customer.created", 1).await;
    stripe.fault(delivery_fault("customer.created", json!({ "kind": "reorder" }))).await;

    let held_back = stripe.customer().await;
    for _round_trip in 0..50 {
        stripe.get("/v1/customers").await;
    }
    let later = stripe.customer().await;

    let arrivals = endpoint.wait("customer.created", 3).await;
    let order: Vec<_> = arrivals[1..].iter().map(|arrival| arrival.event()["data"]["object"]["id"].clone()).collect();
    assert_eq!(order, [later, held_back]);
}

#[tokio::test]
async fn a_dropped_event_is_only_in_the_list() {
    let (endpoint, stripe) = pair().await;
    stripe.fault(delivery_fault("checkout.session.completed", json!({ "kind": "drop" }))).await;

    let (_customer, _method, _intent) = stripe.buyer("pm_card_visa").await;
    endpoint.wait("payment_intent.succeeded", 1).await;
    let listed = stripe.get("/v1/events?type=checkout.session.completed&delivery_success=false").await.body;
    let id = listed["data"][0]["id"].as_str().unwrap().to_owned();
    assert!(endpoint.arrivals("checkout.session.completed").is_empty());

    stripe.control(&format!("events/{id}/resend"), json!({})).await;
    let resent = endpoint.wait("checkout.session.completed", 1).await[0].event();

    assert_eq!(resent["id"], id);
}

#[tokio::test]
async fn a_delivery_can_be_stale_doubly_signed_of_another_version_or_thin() {
    let (endpoint, stripe) = pair().await;
    for (event_type, fault) in [
        ("customer.created", json!({ "kind": "stale_timestamp", "seconds": 600 })),
        ("payment_intent.created", json!({ "kind": "two_signatures" })),
        ("charge.succeeded", json!({ "kind": "api_version", "version": "2020-08-27" })),
        ("payment_intent.succeeded", json!({ "kind": "thin" })),
    ] {
        stripe.fault(delivery_fault(event_type, fault)).await;
    }

    let (_customer, _method, intent) = stripe.buyer("pm_card_visa").await;

    let stale = endpoint.wait("customer.created", 1).await.remove(0);
    let on_time = endpoint.wait("checkout.session.completed", 1).await.remove(0);
    assert!(stale.is_signed_with(SECRET) && (590..=610).contains(&(on_time.signed_at() - stale.signed_at())));
    let double = endpoint.wait("payment_intent.created", 1).await.remove(0);
    assert_eq!((double.signatures().len(), double.is_signed_with(SECRET)), (2, true));
    let old = endpoint.wait("charge.succeeded", 1).await.remove(0);
    assert_eq!((&old.event()["api_version"], old.is_signed_with(SECRET)), (&json!("2020-08-27"), true));
    let thin = endpoint.wait("v1.payment_intent.succeeded", 1).await[0].event();
    assert_eq!(
        (thin.get("data"), &thin["related_object"]["id"], thin["created"].is_string()),
        (None, &json!(intent), true)
    );
}

#[tokio::test]
async fn a_moved_clock_dates_events_and_signatures_only_if_asked() {
    let (endpoint, stripe) = pair().await;
    let year = 365 * 24 * 3600;
    stripe.control("clock", json!({ "offset_seconds": year })).await;
    stripe.customer().await;
    let real = endpoint.wait("customer.created", 1).await.remove(0);
    stripe.control("clock", json!({ "offset_seconds": year, "signatures": true })).await;

    stripe.customer().await;

    let moved = endpoint.wait("customer.created", 2).await.remove(1);
    let lead = |arrival: &super::harness::Arrival| arrival.event()["created"].as_i64().unwrap() - arrival.signed_at();
    assert!((year - 10..=year).contains(&lead(&real)), "{}", lead(&real));
    assert!((-10..=0).contains(&lead(&moved)), "{}", lead(&moved));
}

#[tokio::test]
async fn five_hundred_renewals_are_told_sixty_four_at_a_time() {
    let (endpoint, stripe) = pair().await;
    let (customer, method, _intent) = stripe.buyer("pm_card_visa").await;
    let form = renewal_form(&customer, &method);
    endpoint.hold(true);

    for _renewal in 0..500 {
        stripe.post("/v1/payment_intents", &form).await;
    }
    eventually("many at once", || Some(()).filter(|()| endpoint.most_at_once() >= 64)).await;
    endpoint.hold(false);

    let arrivals = endpoint.wait("payment_intent.succeeded", 501).await;
    let mut ids: Vec<_> = arrivals.iter().map(|arrival| arrival.event()["id"].to_string()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 501);
    assert_eq!(endpoint.most_at_once(), 64);
}
