//! When the issuer's keys are fetched, and what happens when they cannot be.

use super::*;

#[tokio::test]
async fn a_flood_of_unknown_keys_causes_one_fetch() {
    let issuer = Issuer::start(published()).await;
    let authenticator = Authenticator::new(&only_published(&issuer.url), http());
    let key = rsa_key(STRANGER);
    let token = signed(Algorithm::RS256, "unknown-0", &key);

    for number in 0..50 {
        let head = json!({ "alg": "RS256", "kid": format!("unknown-{number}") }).to_string();
        let other = format!("{}{}", URL_SAFE_NO_PAD.encode(head), &token[token.find('.').unwrap()..]);
        assert_eq!(ask(&authenticator, &other).await, Err(StatusCode::UNAUTHORIZED));
    }

    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn many_at_once_wait_for_one_fetch() {
    let issuer = Issuer::slow(published(), Duration::from_millis(100)).await;
    let authenticator = Authenticator::new(&only_published(&issuer.url), http());
    let token = signed(Algorithm::ES256, "ec", &ec_key());

    let answers = futures::future::join_all((0..20).map(|_| ask(&authenticator, &token))).await;

    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn a_rotated_key_is_learnt_when_the_pace_allows() {
    let issuer = Issuer::start(json!({ "keys": [jwk(&ec_key(), Algorithm::ES256, "old")] })).await;
    let pace = Pace { after_success: Duration::from_millis(200), ..Pace::default() };
    let authenticator = Authenticator::with_pace(&only_published(&issuer.url), http(), pace);
    let (old, new) = (signed(Algorithm::ES256, "old", &ec_key()), signed(Algorithm::ES256, "new", &ec_key()));
    assert!(ask(&authenticator, &old).await.is_ok());

    issuer.answers(StatusCode::OK, json!({ "keys": [jwk(&ec_key(), Algorithm::ES256, "new")] }));
    let early = ask(&authenticator, &new).await;
    tokio::time::sleep(pace.after_success).await;
    let late = ask(&authenticator, &new).await;

    assert_eq!(early, Err(StatusCode::UNAUTHORIZED));
    assert!(late.is_ok());
    assert_eq!(ask(&authenticator, &old).await, Err(StatusCode::UNAUTHORIZED), "a withdrawn key");
}

#[tokio::test]
async fn keys_stay_in_use_while_the_issuer_fails() {
    let issuer = Issuer::start(published()).await;
    let at_once = Pace { after_success: Duration::ZERO, after_failure: Duration::ZERO, max_age: Duration::ZERO };
    let authenticator = Authenticator::with_pace(&only_published(&issuer.url), http(), at_once);
    let token = signed(Algorithm::ES256, "ec", &ec_key());
    assert!(ask(&authenticator, &token).await.is_ok());

    for (status, body) in [
        (StatusCode::INTERNAL_SERVER_ERROR, json!({ "keys": [] })),
        (StatusCode::FOUND, published()),
        (StatusCode::OK, json!({ "keys": [] })),
        (StatusCode::OK, json!({ "message": "maintenance" })),
        (StatusCode::OK, json!("<html>")),
        (StatusCode::OK, json!({ "keys": [], "padding": "x".repeat(300_000) })),
    ] {
        let asked = issuer.asked();
        issuer.answers(status, body.clone());
        assert!(ask(&authenticator, &token).await.is_ok(), "{status}");
        assert!(issuer.asked() > asked, "{status}");
    }
}

#[tokio::test]
async fn before_the_first_keys_a_token_is_told_to_come_back() {
    let issuer = Issuer::start(json!({ "keys": [] })).await;
    let pace = Pace { after_failure: Duration::from_millis(200), ..Pace::default() };
    let authenticator = Authenticator::with_pace(&only_published(&issuer.url), http(), pace);
    let token = signed(Algorithm::ES256, "ec", &ec_key());

    assert_eq!(ask(&authenticator, &token).await, Err(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(ask(&authenticator, &token).await, Err(StatusCode::SERVICE_UNAVAILABLE));
    assert_eq!(issuer.asked(), 1);
    issuer.answers(StatusCode::OK, published());
    tokio::time::sleep(pace.after_failure).await;

    assert!(ask(&authenticator, &token).await.is_ok());
}
