//! Charges whose outcome is not known, and reads, which are never in doubt.

use super::server::Step;
use super::*;

const BAD_GATEWAY: &str = "<html><body>502 Bad Gateway</body></html>";

async fn doubt_of(server: &Server, timeout: Duration) -> Doubt {
    match with_timeout(server, timeout).charge_off_session(&key(), &charge()).await {
        Err(GatewayError::InDoubt { doubt, .. }) => doubt,
        other => panic!("not in doubt: {other:?}"),
    }
}

fn same_key_each_time(server: &Server) -> usize {
    let received = server.received();
    assert!(received.iter().all(|request| request.header("idempotency-key") == Some("berth:pi:attempt_1")));
    received.len()
}

#[tokio::test]
async fn silence_after_the_charge_was_sent_is_doubt() {
    let server = Server::start([Step::Silence]);

    let doubt = doubt_of(&server, Duration::from_millis(500)).await;

    assert_eq!(doubt, Doubt::TimedOut);
    assert_eq!(same_key_each_time(&server), 1);
}

#[tokio::test]
async fn a_lost_connection_is_tried_again_and_then_doubt() {
    let server = Server::start([Step::HangUp]);

    let doubt = doubt_of(&server, Duration::from_secs(10)).await;

    assert_eq!(doubt, Doubt::ConnectionLost);
    assert_eq!(same_key_each_time(&server), 3);
}

#[tokio::test]
async fn an_answer_cut_short_is_replayed_under_the_same_key() {
    let server = Server::start([Step::CutBody, Step::answer(200, SUCCEEDED)]);

    let intent = stripe(&server).charge_off_session(&key(), &charge()).await.unwrap();

    assert_eq!(intent.status, PaymentIntentStatus::Succeeded);
    assert_eq!(same_key_each_time(&server), 2);
}

#[tokio::test]
async fn a_success_that_cannot_be_read_is_doubt_and_names_the_place() {
    for (body, problem) in [
        (r#"{"id":"pi_1","status":7,"client_secret":"pi_1_secret_x"}"#, "status: expected"),
        (r#"{"id":"pi_1"}"#, "missing field `status`"),
        (r#"{"id":"pi_1","sta"#, "EOF while parsing"),
        ("", "EOF while parsing"),
    ] {
        let server = Server::start([Step::answer(200, body)]);

        let doubt = doubt_of(&server, Duration::from_secs(10)).await;

        let Doubt::UnreadableAnswer { problem: found } = &doubt else { panic!("{doubt:?}") };
        assert!(found.contains(problem), "{found}");
        assert_eq!(same_key_each_time(&server), 1);
    }
}

#[tokio::test]
async fn a_proxys_html_is_doubt_with_its_status_kept() {
    let server = Server::start([Step::answer(502, BAD_GATEWAY)]);

    let doubt = doubt_of(&server, Duration::from_secs(10)).await;

    assert_eq!(doubt, Doubt::ServerError { status: 502 });
    assert_eq!(same_key_each_time(&server), 3);
}

#[tokio::test]
async fn a_key_that_stays_in_use_is_doubt() {
    let server = Server::start([Step::answer(409, r#"{"error":{"code":"idempotency_key_in_use"}}"#)]);

    let doubt = doubt_of(&server, Duration::from_secs(10)).await;

    assert_eq!(doubt, Doubt::KeyInUse);
    assert_eq!(same_key_each_time(&server), 3);
}

#[tokio::test]
async fn a_later_refusal_to_look_does_not_lift_an_earlier_doubt() {
    for status in [429, 401, 403] {
        let server =
            Server::start([Step::HangUp, Step::with_headers(status, &[("stripe-should-retry", "false")], "{}")]);

        let doubt = doubt_of(&server, Duration::from_secs(10)).await;

        assert_eq!(doubt, Doubt::ConnectionLost, "{status}");
    }
}

#[tokio::test]
async fn a_stored_decline_lifts_an_earlier_doubt() {
    let server =
        Server::start([Step::HangUp, Step::answer(402, r#"{"error":{"type":"card_error","code":"card_declined"}}"#)]);

    let error = stripe(&server).charge_off_session(&key(), &charge()).await.unwrap_err();

    assert!(matches!(error, GatewayError::Declined { .. }), "{error:?}");
}

#[tokio::test]
async fn a_read_is_never_in_doubt() {
    for step in [Step::HangUp, Step::Silence, Step::CutBody, Step::answer(502, BAD_GATEWAY), Step::answer(200, "{}")] {
        let server = Server::start([step]);
        let error = with_timeout(&server, Duration::from_millis(300)).payment_intent("pi_1").await.unwrap_err();
        assert!(matches!(error, GatewayError::Transient { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn attempts_end_when_the_time_is_spent() {
    let server = Server::start([Step::answer(500, "{}")]);
    let retry =
        RetryPolicy { attempts: 100, first_pause: Duration::from_millis(300), max_pause: Duration::from_millis(300) };
    let gateway = Stripe::with_retries(&config(&server, Duration::from_millis(500)), retry).unwrap();

    gateway.charge_off_session(&key(), &charge()).await.unwrap_err();

    assert!((2..=10).contains(&server.received().len()), "{}", server.received().len());
}
