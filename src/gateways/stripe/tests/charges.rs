//! Refusals, retries under the same key, and what errors may say.

use super::server::Step;
use super::*;
use crate::domain::decline::DeclineClass;

const DECLINED: &str = r#"{"error":{"type":"card_error","code":"card_declined","decline_code":"DECLINE","charge":"ch_1",
    "message":"Your card was declined.","payment_intent":{"id":"pi_1","object":"payment_intent","status":"requires_payment_method",
    "client_secret":"pi_1_secret_ZZZ","receipt_email":"jenny@example.com"}}}"#;

async fn declined_with(decline_code: &str, advice: &str) -> GatewayError {
    let body = DECLINED.replace("DECLINE", decline_code).replace("\"charge\"", &format!("{advice}\"charge\""));
    let server = Server::start([Step::answer(402, &body)]);
    let error = stripe(&server).charge_off_session(&key(), &charge()).await.unwrap_err();
    server.one();
    error
}

#[tokio::test]
async fn a_decline_has_a_class_and_its_intent_and_is_not_retried() {
    let error = declined_with("stolen_card", "").await;

    assert_eq!(
        error,
        GatewayError::Declined {
            class: DeclineClass::Hard,
            code: Some("card_declined".to_owned()),
            decline_code: Some("stolen_card".to_owned()),
            advice_code: None,
            payment_intent: Some("pi_1".to_owned()),
        }
    );
}

#[tokio::test]
async fn the_class_of_a_decline_follows_advice_then_code() {
    for (decline_code, advice, expected) in [
        ("insufficient_funds", "", DeclineClass::Soft),
        ("authentication_required", "", DeclineClass::NeedsCustomer),
        ("insufficient_funds", r#""advice_code":"do_not_try_again","#, DeclineClass::Hard),
        ("fraudulent", r#""advice_code":"try_again_later","#, DeclineClass::Soft),
        ("generic_decline", r#""advice_code":"confirm_card_data","#, DeclineClass::NeedsCustomer),
        ("a_code_of_tomorrow", "", DeclineClass::Soft),
    ] {
        let error = declined_with(decline_code, advice).await;
        assert!(
            matches!(error, GatewayError::Declined { class, .. } if class == expected),
            "{decline_code}: {error:?}"
        );
    }
}

#[tokio::test]
async fn retries_send_the_same_bytes_under_the_same_key() {
    let server = Server::start([
        Step::answer(500, r#"{"error":{"type":"api_error"}}"#),
        Step::answer(409, r#"{"error":{"type":"invalid_request_error","code":"idempotency_key_in_use"}}"#),
        Step::answer(200, SUCCEEDED),
    ]);

    let intent = stripe(&server).charge_off_session(&key(), &charge()).await.unwrap();

    assert_eq!(intent.id, "pi_1");
    let received = server.received();
    assert_eq!(received.len(), 3);
    for request in &received {
        assert_eq!(request.header("idempotency-key"), Some("berth:pi:attempt_1"));
        assert_eq!(request.body, received[0].body);
    }
}

#[tokio::test]
async fn the_same_charge_has_the_same_bytes_whenever_it_is_made() {
    let server = Server::start([Step::answer(200, SUCCEEDED)]);
    let mut charge = charge();
    charge.metadata = (0..20).map(|n| (format!("key_{n}"), format!("value_{n}"))).collect();

    for _ in 0..3 {
        stripe(&server).charge_off_session(&key(), &charge).await.unwrap();
    }

    let received = server.received();
    assert!(received.iter().all(|request| request.body == received[0].body));
}

#[tokio::test]
async fn stripe_decides_whether_to_retry() {
    let stop = Server::start([Step::with_headers(500, &[("stripe-should-retry", "false")], "{}")]);
    let go_on = Server::start([
        Step::with_headers(400, &[("stripe-should-retry", "true")], "{}"),
        Step::answer(200, SUCCEEDED),
    ]);

    let stopped = stripe(&stop).charge_off_session(&key(), &charge()).await.unwrap_err();
    let went_on = stripe(&go_on).charge_off_session(&key(), &charge()).await;

    stop.one();
    assert!(matches!(stopped, GatewayError::InDoubt { doubt: Doubt::ServerError { status: 500 }, .. }), "{stopped:?}");
    assert!(went_on.is_ok());
}

#[tokio::test]
async fn too_many_requests_are_reported_with_the_wait_after_few_attempts() {
    let quick = Server::start([Step::with_headers(429, &[("retry-after", "0")], "{}")]);
    let slow = Server::start([Step::with_headers(429, &[("retry-after", "60")], "{}")]);

    let after_three = stripe(&quick).charge_off_session(&key(), &charge()).await.unwrap_err();
    let at_once = stripe(&slow).charge_off_session(&key(), &charge()).await.unwrap_err();

    assert_eq!(quick.received().len(), 3);
    assert_eq!(after_three, GatewayError::RateLimited { retry_after: Some(Duration::ZERO) });
    slow.one();
    assert_eq!(at_once, GatewayError::RateLimited { retry_after: Some(Duration::from_secs(60)) });
}

#[tokio::test]
async fn a_refusal_is_not_retried_and_says_why() {
    let body = r#"{"error":{"type":"invalid_request_error","code":"resource_missing","param":"customer",
        "message":"No such customer: 'cus_1'"}}"#;
    let server = Server::start([Step::answer(404, body)]);

    let error = stripe(&server).charge_off_session(&key(), &charge()).await.unwrap_err();

    server.one();
    assert_eq!(error.to_string(), "stripe refused the request (404 resource_missing): No such customer: 'cus_1'");
    assert!(
        matches!(&error, GatewayError::Refused { param: Some(param), request_id: Some(id), .. } if param == "customer" && id == "req_1")
    );
    assert!(!error.is_misconfigured());
}

#[tokio::test]
async fn a_bad_key_is_a_misconfiguration() {
    for status in [401, 403] {
        let server = Server::start([Step::answer(status, "<html>")]);
        let error = stripe(&server).payment_intent("pi_1").await.unwrap_err();
        assert!(error.is_misconfigured(), "{error:?}");
        server.one();
    }
}

#[tokio::test]
async fn nothing_listening_is_transient_because_nothing_was_sent() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let config = StripeConfig {
        secret_key: SecretString::from(SECRET),
        api_base: base.parse().unwrap(),
        timeout: Duration::from_secs(5),
    };
    let retry = RetryPolicy { attempts: 3, first_pause: Duration::from_millis(1), max_pause: Duration::from_millis(5) };

    let error = Stripe::with_retries(&config, retry).unwrap().charge_off_session(&key(), &charge()).await.unwrap_err();

    assert!(matches!(error, GatewayError::Transient { .. }), "{error:?}");
}

#[tokio::test]
async fn many_calls_share_one_connection() {
    let server = Server::start([Step::answer(200, SUCCEEDED)]);
    let stripe = stripe(&server);

    for _ in 0..20 {
        stripe.clone().payment_intent("pi_1").await.unwrap();
    }

    let connections: Vec<usize> = server.received().iter().map(|request| request.connection).collect();
    assert_eq!(connections, vec![0; 20]);
}

#[tokio::test]
async fn neither_errors_nor_the_client_show_a_secret() {
    let talkative = format!(
        r#"{{"error":{{"type":"invalid_request_error","code":"{SECRET}","param":"pi_1_secret_ZZZ",
        "message":"Invalid API Key provided: {SECRET} for pi_1_secret_ZZZ of jenny@example.com"}}}}"#
    );
    let server = Server::start([Step::answer(401, &talkative)]);
    let gateway = stripe(&server);

    let refused = gateway.charge_off_session(&key(), &charge()).await.unwrap_err();
    let declined = declined_with("insufficient_funds", "").await;

    let shown = format!(
        "{refused} {refused:?} {declined} {declined:?} {gateway:?} {:?}",
        config(&server, Duration::from_secs(1))
    );
    for secret in [SECRET, "_secret_", "jenny", "Bearer", "receipt_email"] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}
