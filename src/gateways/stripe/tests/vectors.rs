//! Signature vectors and event bodies against the webhook code.

use crate::domain::decline::DeclineClass;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::super::webhook::{SignatureError, TOLERANCE_SECONDS, sign, verify};
use super::*;

#[derive(Deserialize)]
struct Vectors {
    vectors: Vec<Vector>,
}

#[derive(Deserialize)]
struct Vector {
    name: String,
    payload_b64: String,
    header: String,
    secrets: Vec<String>,
    now: i64,
    tolerance: u64,
    expected: String,
    http: serde_json::Value,
}

fn data(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/stripe").join(path)
}

fn event(name: &str) -> StripeEvent {
    StripeEvent::parse(&std::fs::read(data(&format!("events/{name}.json"))).unwrap()).unwrap()
}

fn secrets(texts: &[String]) -> Vec<SecretString> {
    texts.iter().map(|text| SecretString::from(text.as_str())).collect()
}

#[test]
fn every_signature_vector_gets_its_verdict() {
    let file: Vectors = serde_json::from_slice(&std::fs::read(data("signature_vectors.json")).unwrap()).unwrap();
    let mut either = Vec::new();
    let mut judged = 0;
    for vector in &file.vectors {
        let payload = STANDARD.decode(&vector.payload_b64).unwrap();
        let verdict =
            verify(&payload, Some(vector.header.as_bytes()), &secrets(&vector.secrets), vector.now, vector.tolerance);
        match vector.expected.as_str() {
            "accept" => assert_eq!(verdict, Ok(()), "{}", vector.name),
            "reject" => assert!(verdict.is_err(), "{}", vector.name),
            _ => {
                either.push(vector.name.as_str());
                continue;
            }
        }
        judged += 1;
    }
    assert_eq!(
        either,
        ["future_301s", "t_leading_plus", "t_leading_zero", "uppercase_hex", "non_utf8_correct_mac", "bom_prefixed"]
    );
    assert_eq!(judged, 46);
}

#[test]
fn a_genuine_signature_over_a_body_that_is_no_event_is_answered_with_400() {
    let file: Vectors = serde_json::from_slice(&std::fs::read(data("signature_vectors.json")).unwrap()).unwrap();
    let mut not_json = Vec::new();
    for vector in file.vectors.iter().filter(|vector| vector.http == 400 && vector.expected != "reject") {
        let payload = STANDARD.decode(&vector.payload_b64).unwrap();
        match StripeEvent::parse(&payload) {
            Err(EventError::NotJson { .. }) => not_json.push(vector.name.as_str()),
            Err(EventError::Shape { problem }) => {
                assert_eq!((vector.name.as_str(), problem.as_str()), ("json_array_correct_mac", "not an object"))
            }
            other => panic!("{}: {other:?}", vector.name),
        }
    }
    assert_eq!(not_json, ["empty_body", "non_utf8_correct_mac", "not_json_correct_mac", "bom_prefixed"]);
}

#[test]
fn what_is_signed_here_verifies_and_only_for_its_time() {
    let secret = SecretString::from("whsec_1");
    let header = sign(b"{}", &secret, 1_000);
    let judge = |now| verify(b"{}", Some(header.as_bytes()), std::slice::from_ref(&secret), now, TOLERANCE_SECONDS);

    assert_eq!(judge(1_300), Ok(()));
    assert_eq!(judge(1_301), Err(SignatureError::TooOld { age_seconds: 301 }));
    assert_eq!(judge(700), Ok(()));
    assert_eq!(judge(699), Err(SignatureError::FromFuture { ahead_seconds: 301 }));
    assert_eq!(judge(i64::MIN), Err(SignatureError::FromFuture { ahead_seconds: 1_000 + i64::MIN.unsigned_abs() }));
}

#[test]
fn an_empty_secret_or_none_lets_nobody_in() {
    let empty = SecretString::from("");
    let header = sign(b"{}", &empty, 1_000);

    assert_eq!(verify(b"{}", Some(header.as_bytes()), &[empty], 1_000, 300), Err(SignatureError::NoMatch));
    assert_eq!(verify(b"{}", Some(header.as_bytes()), &[], 1_000, 300), Err(SignatureError::NoMatch));
    assert_eq!(verify(b"{}", None, &[], 1_000, 300), Err(SignatureError::Missing));
}

#[test]
fn headers_beyond_the_bounds_are_malformed() {
    let secret = SecretString::from("whsec_1");
    let good = sign(b"{}", &secret, 1_000);
    let bad = format!(",v1={}", "0".repeat(64));
    let judge = |header: &str| verify(b"{}", Some(header.as_bytes()), std::slice::from_ref(&secret), 1_000, 300);

    assert_eq!(judge(&format!("{good}{}", bad.repeat(7))), Ok(()));
    assert_eq!(judge(&format!("{good}{}", bad.repeat(8))), Err(SignatureError::Malformed));
    assert_eq!(judge(&format!("{good},x={}", "y".repeat(4096))), Err(SignatureError::Malformed));
    assert_eq!(judge(&good.replace("t=1000", "t=0000000001000")), Err(SignatureError::Malformed));
    assert_eq!(judge(&good.replace("t=1000", "t=")), Err(SignatureError::Malformed));
    assert_eq!(judge("t=1000,v1=\u{fffd}"), Err(SignatureError::Malformed));
}

#[test]
fn every_sample_event_has_an_envelope_and_the_view_its_type_promises() {
    let mut seen = 0;
    for file in std::fs::read_dir(data("events")).unwrap() {
        let path = file.unwrap().path();
        let event =
            StripeEvent::parse(&std::fs::read(&path).unwrap()).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        let view = match event.kind.as_str() {
            "charge.refund.updated" => event.refund().map(drop),
            kind if kind.starts_with("charge.dispute.") => event.dispute().map(drop),
            kind if kind.starts_with("charge.") => event.charge().map(drop),
            kind if kind.starts_with("checkout.session.") => event.checkout_session().map(drop),
            kind if kind.starts_with("customer.") => event.customer().map(drop),
            kind if kind.starts_with("payment_intent.") => event.payment_intent().map(drop),
            kind if kind.starts_with("payment_method.") => event.payment_method().map(drop),
            kind if kind.starts_with("refund.") => event.refund().map(drop),
            kind if kind.starts_with("setup_intent.") => event.setup_intent().map(drop),
            kind if kind.starts_with("radar.") => event.early_fraud_warning().map(drop),
            "v2.core.event_destination.ping" => {
                assert_eq!(
                    event.payment_intent().unwrap_err(),
                    EventError::Shape { problem: "no data.object".to_owned() }
                );
                Ok(())
            }
            "invoice.paid" | "invoice.payment_failed" | "review.opened" => Ok(()),
            other => panic!("{path:?}: {other}"),
        };
        view.unwrap_or_else(|error| panic!("{path:?}: {error}"));
        assert!(event.created.is_some(), "{path:?}");
        seen += 1;
    }
    assert_eq!(seen, 52);
}

#[test]
fn a_paid_session_and_an_unpaid_one_differ_in_payment_status() {
    let paid = event("checkout.session.completed.paid").checkout_session().unwrap();
    let unpaid = event("checkout.session.completed.unpaid_async").checkout_session().unwrap();

    assert_eq!(paid.payment_status, Some(CheckoutPaymentStatus::Paid));
    assert_eq!(paid.total(), Some(Amount::new(1000, "usd")));
    assert_eq!(paid.metadata.get("order_id").map(String::as_str), Some("0190"));
    assert_eq!(unpaid.status, Some(CheckoutStatus::Complete));
    assert_eq!(unpaid.payment_status, Some(CheckoutPaymentStatus::Unpaid));
}

#[test]
fn a_failed_payment_says_what_can_be_done() {
    let class = |name: &str| event(name).payment_intent().unwrap().last_payment_error.unwrap().class();

    assert_eq!(class("payment_intent.payment_failed.insufficient_funds"), DeclineClass::Soft);
    assert_eq!(class("payment_intent.payment_failed.stolen_card"), DeclineClass::Hard);
    assert_eq!(class("payment_intent.payment_failed.authentication_required"), DeclineClass::NeedsCustomer);
}

#[test]
fn what_an_event_is_about_is_told_by_its_envelope() {
    assert!(event("edge.account_connect").account.is_some());
    assert_eq!(event("edge.livemode_true").livemode, Some(true));
    assert_eq!(event("edge.api_version_null").api_version, None);
    let thin = event("edge.v2_thin_event");
    assert_eq!(thin.created, Some("2026-11-22T12:00:00Z".parse().unwrap()));
    assert_eq!(thin.object_json(), None);
}

#[test]
fn one_object_is_not_mistaken_for_another() {
    let error = event("charge.succeeded").payment_intent().unwrap_err();

    assert_eq!(error, EventError::OtherObject { expected: "payment_intent", found: "charge".to_owned() });
}

#[test]
fn a_view_that_does_not_fit_names_the_place_and_no_value() {
    let body =
        br#"{"id":"evt_1","type":"x","data":{"object":{"object":"payment_intent","id":"pi_1","status":"succeeded",
        "last_payment_error":{"code":{"secret":"pi_1_secret_x"}}}}}"#;

    let error = StripeEvent::parse(body).unwrap().payment_intent().unwrap_err();

    assert_eq!(
        error,
        EventError::Shape { problem: "data.object: last_payment_error.code: expected a string".to_owned() }
    );
}

#[test]
fn an_envelope_that_has_changed_keeps_its_id_and_type() {
    let body = br#"{"id":"evt_1","type":"x","livemode":"yes","data":[1],"account":{"id":"acct_1"}}"#;

    let event = StripeEvent::parse(body).unwrap();

    assert_eq!((event.id.as_str(), event.kind.as_str(), event.livemode), ("evt_1", "x", None));
}

#[test]
fn escapes_in_an_envelope_are_read() {
    let event = StripeEvent::parse(br#"{"id":"evt_\u0031","type":"a\/b","created":[1,{"x":2}]}"#).unwrap();

    assert_eq!((event.id.as_str(), event.kind.as_str(), event.created), ("evt_1", "a/b", None));
}

#[test]
fn the_object_of_an_event_is_not_shown() {
    let shown = format!("{:?}", event("payment_intent.succeeded"));

    assert!(!shown.contains("_secret_"), "{shown}");
    assert!(shown.contains("payment_intent.succeeded"));
}
