//! Checkout Sessions and their hosted page.

use serde_json::json;

use super::harness::{Stripe, form_post, session_form};

#[tokio::test]
async fn a_session_carries_its_lines_its_total_and_our_ids() {
    let stripe = Stripe::start(None).await;
    let customer = stripe.customer().await;

    let session = stripe.session(&customer).await;
    let lines = stripe.get(&format!("/v1/checkout/sessions/{}/line_items?limit=1", session.id())).await;

    assert_eq!(session.body["amount_total"], 2999);
    assert_eq!(session.body["metadata"]["order_id"], "ord_1");
    assert_eq!((&session.body["status"], &session.body["payment_status"]), (&json!("open"), &json!("unpaid")));
    assert_eq!((&lines.body["data"][0]["amount_total"], &lines.body["has_more"]), (&json!(2500), &json!(true)));
}

#[tokio::test]
async fn a_session_that_cannot_be_is_refused() {
    let stripe = Stripe::start(None).await;
    let now = stripe.look("healthz").await["now"].as_i64().unwrap();
    let (soon, late) = ((now + 29 * 60).to_string(), (now + 24 * 3600 + 60).to_string());
    let refusals = [
        ("expires_at", soon.as_str(), "expires_at"),
        ("expires_at", late.as_str(), "expires_at"),
        ("customer", "cus_nobody", "customer"),
        ("line_items[0][quantity]", "0", "line_items[0][quantity]"),
        ("line_items[1][price_data][unit_amount]", "-1", "line_items[1][price_data][unit_amount]"),
        ("line_items[1][price_data][currency]", "eur", "line_items"),
        ("payment_intent_data[colour]", "red", "payment_intent_data[colour]"),
        ("mode", "barter", "mode"),
    ];

    for (name, value, param) in refusals {
        let mut form: Vec<_> = session_form().into_iter().filter(|(key, _value)| *key != name).collect();
        form.push((name, value));

        let refused = stripe.post("/v1/checkout/sessions", &form).await;

        assert_eq!((refused.status, refused.error("param")), (400, &json!(param)), "{name}={value}: {}", refused.body);
    }
}

#[tokio::test]
async fn too_little_is_refused_and_nothing_is_free() {
    let stripe = Stripe::start(None).await;
    let priced = |unit: &'static str| {
        let kept = session_form().into_iter().filter(|(key, _value)| !key.starts_with("line_items"));
        let mut form: Vec<_> = kept.collect();
        form.extend([
            ("line_items[0][quantity]", "1"),
            ("line_items[0][price_data][currency]", "usd"),
            ("line_items[0][price_data][unit_amount]", unit),
            ("line_items[0][price_data][product_data][name]", "Crumb"),
        ]);
        form
    };

    let little = stripe.post("/v1/checkout/sessions", &priced("49")).await;
    let free = stripe.post("/v1/checkout/sessions", &priced("0")).await.id();
    let done = stripe.control(&format!("checkout/sessions/{free}/complete"), json!({ "as": "paid" })).await;

    assert_eq!(little.error("code"), "amount_too_small");
    assert_eq!((&done["payment_status"], &done["payment_intent"]), (&json!("no_payment_required"), &json!(null)));
}

#[tokio::test]
async fn a_buyer_is_declined_then_pays_and_the_card_is_kept() {
    let stripe = Stripe::start(None).await;
    let customer = stripe.customer().await;
    let session = stripe.session(&customer).await;
    let url = session.body["url"].as_str().unwrap();

    let press = async |action| form_post(stripe.http.post(url), &[("action", action)]).send().await.unwrap();

    let page = stripe.http.get(url).send().await.unwrap().text().await.unwrap();
    let declined = press("decline").await;
    let paid = press("pay").await;
    let again = press("pay").await;

    assert!(page.contains("Plan &lt;S&gt;") && page.contains("2999 USD"), "{page}");
    assert_eq!((declined.status().as_u16(), paid.status().as_u16(), again.status().as_u16()), (402, 303, 400));
    let location = paid.headers()["location"].to_str().unwrap();
    assert_eq!(location, format!("http://127.0.0.1/thanks?session={}", session.id()));
    let shown =
        stripe.get(&format!("/v1/checkout/sessions/{}?expand[]=payment_intent.latest_charge", session.id())).await.body;
    assert_eq!(shown["payment_status"], "paid");
    assert_eq!(shown["payment_intent"]["latest_charge"]["amount"], 2999);
    assert_eq!(shown["payment_intent"]["metadata"]["order_id"], "ord_1");
    let cards = stripe.get(&format!("/v1/customers/{customer}/payment_methods")).await.body;
    assert_eq!(cards["data"][0]["id"], shown["payment_intent"]["payment_method"]);
    let charges: Vec<_> = stripe.charges().await.iter().map(|charge| charge["status"].clone()).collect();
    assert_eq!(charges, ["failed", "succeeded"]);
}

#[tokio::test]
async fn who_pays_later_is_unpaid_until_the_money_comes() {
    let stripe = Stripe::start(None).await;
    let customer = stripe.customer().await;
    for (result, last_event, status) in [
        ("succeed", "checkout.session.async_payment_succeeded", "paid"),
        ("fail", "checkout.session.async_payment_failed", "unpaid"),
    ] {
        let session = stripe.session(&customer).await.id();

        let waiting = stripe.control(&format!("checkout/sessions/{session}/complete"), json!({ "as": "unpaid" })).await;
        let ended = stripe.control(&format!("checkout/sessions/{session}/async"), json!({ "result": result })).await;

        assert_eq!((&waiting["status"], &waiting["payment_status"]), (&json!("complete"), &json!("unpaid")));
        assert_eq!(ended["payment_status"], status);
        assert_eq!(stripe.get("/v1/events?limit=1").await.body["data"][0]["type"], last_event);
    }
}

#[tokio::test]
async fn an_open_session_expires_when_its_time_has_come() {
    let stripe = Stripe::start(None).await;
    let customer = stripe.customer().await;
    let session = stripe.session(&customer).await;

    stripe.control("clock", json!({ "offset_seconds": 24 * 3600 + 1 })).await;

    let shown = stripe.get(&format!("/v1/checkout/sessions/{}", session.id())).await.body;
    assert_eq!((&shown["status"], &shown["url"]), (&json!("expired"), &json!(null)));
    assert_eq!(stripe.get("/v1/events?limit=1").await.body["data"][0]["type"], "checkout.session.expired");
    let late =
        form_post(stripe.http.post(session.body["url"].as_str().unwrap()), &[("action", "pay")]).send().await.unwrap();
    assert_eq!(late.status().as_u16(), 400);
}

#[tokio::test]
async fn setup_mode_keeps_a_card_and_takes_no_money() {
    let stripe = Stripe::start(None).await;
    let customer = stripe.customer().await;
    let form = [
        ("mode", "setup"),
        ("currency", "usd"),
        ("customer", customer.as_str()),
        ("success_url", "http://127.0.0.1/ok"),
    ];
    let session = stripe.post("/v1/checkout/sessions", &form).await.id();

    let done = stripe.control(&format!("checkout/sessions/{session}/complete"), json!({ "as": "paid" })).await;

    let setup = stripe.get(&format!("/v1/setup_intents/{}", done["setup_intent"].as_str().unwrap())).await.body;
    assert_eq!((&setup["status"], &setup["customer"]), (&json!("succeeded"), &json!(customer)));
    assert!(stripe.charges().await.is_empty());
}

#[tokio::test]
async fn five_hundred_sessions_move_money_five_hundred_times() {
    let stripe = Stripe::start(None).await;
    let customer = stripe.customer().await;

    for _session in 0..500 {
        let id = stripe.session(&customer).await.id();
        stripe.control(&format!("checkout/sessions/{id}/complete"), json!({ "as": "paid" })).await;
    }

    let charges = stripe.charges().await;
    let taken: i64 = charges.iter().map(|charge| charge["amount_captured"].as_i64().unwrap()).sum();
    assert_eq!((charges.len(), taken), (500, 500 * 2999));
}
