//! Answers that go wrong, and what became of the money behind them.

use std::time::Duration;

use serde_json::{Value, json};

use super::harness::{Reply, Stripe, poll, renewal_form};

async fn struck(fault: Value) -> (Stripe, String, String) {
    let stripe = Stripe::start(None).await;
    let (customer, method, _intent) = stripe.buyer("pm_card_visa").await;
    stripe
        .fault(json!({ "on": "response", "path_prefix": "/v1/payment_intents", "method": "POST", "fault": fault }))
        .await;
    (stripe, customer, method)
}

/// Charges once into the fault, then again with the same key; the number of renewals taken.
async fn twice(fault: Value) -> (Result<(u16, String), ()>, Reply, usize) {
    let (stripe, customer, method) = struck(fault).await;
    let form = renewal_form(&customer, &method);
    let request =
        stripe.request("/v1/payment_intents", &form).header("idempotency-key", "k").timeout(Duration::from_secs(2));
    let first = match request.send().await {
        Ok(response) => {
            let status = response.status().as_u16();
            response.text().await.map(|text| (status, text)).map_err(|_cut| ())
        }
        Err(_lost) => Err(()),
    };
    let second = stripe.post_keyed("/v1/payment_intents", &form, "k").await;
    let renewals = stripe.charges().await.len() - 1;
    (first, second, renewals)
}

#[tokio::test]
async fn a_timeout_before_commit_moved_nothing() {
    let (first, second, renewals) =
        twice(json!({ "kind": "timeout_before_commit", "hold_milliseconds": 60_000 })).await;

    assert_eq!((first, second.replayed(), renewals), (Err(()), false, 1));
}

#[tokio::test]
async fn a_timeout_after_commit_is_found_by_its_key() {
    let (first, second, renewals) = twice(json!({ "kind": "timeout_after_commit", "hold_milliseconds": 60_000 })).await;

    assert_eq!((first, second.replayed(), renewals), (Err(()), true, 1));
    assert_eq!(second.body["status"], "succeeded");
}

#[tokio::test]
async fn a_cut_answer_is_found_by_its_key() {
    let (first, second, renewals) = twice(json!({ "kind": "cut_mid_body" })).await;

    assert_eq!((first, second.replayed(), renewals), (Err(()), true, 1));
}

#[tokio::test]
async fn a_rate_limit_did_nothing_and_says_whether_to_come_back() {
    let (stripe, customer, method) =
        struck(json!({ "kind": "rate_limited", "should_retry": true, "retry_after_seconds": 3 })).await;

    let limited = stripe.post_keyed("/v1/payment_intents", &renewal_form(&customer, &method), "k").await;
    let second = stripe.post_keyed("/v1/payment_intents", &renewal_form(&customer, &method), "k").await;

    assert_eq!((limited.status, limited.error("code")), (429, &json!("rate_limit")));
    assert_eq!(
        (&limited.headers["stripe-should-retry"], &limited.headers["retry-after"]),
        (&"true".parse().unwrap(), &"3".parse().unwrap())
    );
    assert_eq!((second.status, second.replayed()), (200, false));
}

#[tokio::test]
async fn a_500_is_what_its_key_remembers_even_when_money_moved() {
    for (committed, expected) in [(false, 0), (true, 1)] {
        let (first, second, renewals) = twice(json!({ "kind": "server_error", "committed": committed })).await;

        assert_eq!(first.unwrap().0, 500);
        assert_eq!((second.status, second.replayed(), renewals), (500, true, expected));
    }
}

#[tokio::test]
async fn a_bad_gateway_speaks_html_and_hides_the_true_answer() {
    for committed in [false, true] {
        let (first, second, renewals) = twice(json!({ "kind": "bad_gateway", "committed": committed })).await;

        let (status, text) = first.unwrap();
        assert_eq!((status, text.starts_with("<html>")), (502, true));
        assert_eq!((second.status, second.replayed(), renewals), (200, committed, 1));
    }
}

#[tokio::test]
async fn fields_can_be_lacking_and_values_strange() {
    let (stripe, customer, method) = struck(json!({ "kind": "lacking_fields", "fields": ["id", "status"] })).await;
    let strange = json!({ "kind": "strange_values", "values": { "status": "teleported", "warp": 9 } });
    stripe.fault(json!({ "on": "response", "path_prefix": "/v1/payment_intents/", "fault": strange })).await;

    let lacking = stripe.post_keyed("/v1/payment_intents", &renewal_form(&customer, &method), "k").await;
    let whole = stripe.post_keyed("/v1/payment_intents", &renewal_form(&customer, &method), "k").await;
    let odd = stripe.get(&format!("/v1/payment_intents/{}", whole.id())).await;

    assert_eq!((lacking.status, lacking.body.get("id"), lacking.body.get("status")), (200, None, None));
    assert_eq!((&odd.body["status"], &odd.body["warp"]), (&json!("teleported"), &json!(9)));
}

#[tokio::test]
async fn a_key_in_flight_is_refused_and_its_work_outlives_the_client() {
    let (stripe, customer, method) = struck(json!({ "kind": "slow", "delay_milliseconds": 1_000 })).await;
    let form = renewal_form(&customer, &method);
    let gone =
        stripe.request("/v1/payment_intents", &form).header("idempotency-key", "k").timeout(Duration::from_millis(100));

    assert!(gone.send().await.is_err(), "the client was to lose its patience");
    let in_flight = stripe.post_keyed("/v1/payment_intents", &form, "k").await;
    assert_eq!((in_flight.status, in_flight.error("code")), (409, &json!("idempotency_key_in_use")));

    let answered = poll("the answer of the key", async || {
        let reply = stripe.post_keyed("/v1/payment_intents", &form, "k").await;
        Some(reply).filter(|reply| reply.status != 409)
    })
    .await;
    assert_eq!((answered.status, answered.replayed()), (200, true));
    assert_eq!(stripe.charges().await.len(), 2);
}

#[tokio::test]
async fn a_fault_strikes_as_often_as_asked_and_where_asked() {
    let stripe = Stripe::start(None).await;
    let fault = json!({ "kind": "rate_limited" });
    stripe.fault(json!({ "on": "response", "path_prefix": "/v1/customers", "method": "POST", "skip": 1, "times": 2, "fault": fault })).await;

    let mut statuses = Vec::new();
    for _request in 0..4 {
        statuses.push(stripe.post("/v1/customers", &[]).await.status);
    }

    assert_eq!(stripe.get("/v1/customers").await.status, 200);
    assert_eq!(statuses, [200, 429, 429, 200]);
    let requests = stripe.look("requests").await;
    let struck: Vec<_> =
        requests["requests"].as_array().unwrap().iter().filter(|line| line["fault"] == "rate_limited").collect();
    assert_eq!(struck.len(), 2);
}
