//! An issuer on loopback, tokens good and forged, and what they open.

mod attacks;
mod rotation;

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use axum::{Json, Router, extract::State, http::StatusCode, response::IntoResponse, routing::get};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::jwk::Jwk;
use sha2::Sha256;

use super::*;

const SECRET: &str = "a-secret-of-the-tests-which-is-long-enough";
const AUDIENCE: &str = "authenticated";
const ISSUER: &str = "https://id.example.com/auth/v1";
const USER: &str = "6f2c0b0e-6a5e-4a8e-9a35-0d8f3f3a7c11";
// Made for these tests with openssl; they open nothing.
const RSA: &[u8] = include_bytes!("testdata/rsa.pem");
const RSA_PUBLIC: &[u8] = include_bytes!("testdata/rsa.pub.pem");
const STRANGER: &[u8] = include_bytes!("testdata/stranger_rsa.pem");
const WEAK: &[u8] = include_bytes!("testdata/weak_rsa.pem");
const EC: &[u8] = include_bytes!("testdata/ec.pem");

#[expect(clippy::disallowed_methods, reason = "tokens expire by real time")]
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    since.as_secs().try_into().unwrap()
}

fn claims() -> Value {
    json!({
        "sub": USER, "aud": AUDIENCE, "iss": ISSUER, "iat": now(), "exp": now() + 600,
        "email": "ada@example.com", "role": "authenticated",
        "app_metadata": { "provider": "email" }, "user_metadata": { "full_name": "Ada" },
    })
}

/// The usual claims, some of them other; `null` takes one away.
fn with(changes: Value) -> Value {
    let mut claims = claims();
    for (name, value) in changes.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn header(algorithm: Algorithm, kid: Option<&str>) -> Header {
    Header { kid: kid.map(str::to_owned), ..Header::new(algorithm) }
}

fn hs256(claims: &Value) -> String {
    jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &EncodingKey::from_secret(SECRET.as_bytes())).unwrap()
}

fn rsa_key(pem: &[u8]) -> EncodingKey {
    EncodingKey::from_rsa_pem(pem).unwrap()
}

fn ec_key() -> EncodingKey {
    EncodingKey::from_ec_pem(EC).unwrap()
}

fn signed(algorithm: Algorithm, kid: &str, key: &EncodingKey) -> String {
    jsonwebtoken::encode(&header(algorithm, Some(kid)), &claims(), key).unwrap()
}

/// A token of exactly this text, with a right HS256 signature by this secret: for what no library would write.
fn forged(header: &str, claims: &str, secret: &[u8]) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

fn jwk(pem_key: &EncodingKey, algorithm: Algorithm, kid: &str) -> Value {
    let mut jwk = Jwk::from_encoding_key(pem_key, algorithm).unwrap();
    jwk.common.key_id = Some(kid.to_owned());
    serde_json::to_value(jwk).unwrap()
}

fn published() -> Value {
    let mut for_encryption = jwk(&rsa_key(RSA), Algorithm::RS256, "encryption");
    for_encryption["use"] = "enc".into();
    let mut pss = jwk(&rsa_key(RSA), Algorithm::RS256, "pss");
    pss["alg"] = "PS256".into();
    json!({ "keys": [
        jwk(&rsa_key(RSA), Algorithm::RS256, "rsa"),
        jwk(&ec_key(), Algorithm::ES256, "ec"),
        jwk(&rsa_key(WEAK), Algorithm::RS256, "weak"),
        for_encryption,
        pss,
        { "kty": "oct", "kid": "oct", "alg": "HS256", "k": URL_SAFE_NO_PAD.encode(SECRET) },
        { "kty": "from the future", "kid": "odd" },
    ] })
}

/// An issuer on loopback that counts how often its keys are asked for.
struct Issuer {
    url: url::Url,
    answers: Arc<Answers>,
}

struct Answers {
    body: Mutex<(StatusCode, Value)>,
    asked: AtomicUsize,
    delay: Duration,
}

impl Issuer {
    async fn start(body: Value) -> Self {
        Self::slow(body, Duration::ZERO).await
    }

    #[expect(clippy::disallowed_methods, reason = "the server lives as long as the test's runtime")]
    async fn slow(body: Value, delay: Duration) -> Self {
        let answers = Arc::new(Answers { body: Mutex::new((StatusCode::OK, body)), asked: AtomicUsize::new(0), delay });
        let answer = |State(answers): State<Arc<Answers>>| async move {
            answers.asked.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(answers.delay).await;
            let (status, body) = answers.body.lock().unwrap().clone();
            (status, Json(body)).into_response()
        };
        let router = Router::new().route("/jwks.json", get(answer)).with_state(answers.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, answers }
    }

    fn asked(&self) -> usize {
        self.answers.asked.load(Ordering::SeqCst)
    }

    fn answers(&self, status: StatusCode, body: Value) {
        *self.answers.body.lock().unwrap() = (status, body);
    }
}

fn http() -> reqwest::Client {
    let _already = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

fn auth(jwks_url: Option<url::Url>) -> Auth {
    Auth {
        jwt_secret: Some(SECRET.into()),
        jwks_url,
        audience: Some(AUDIENCE.to_owned()),
        issuer: Some(ISSUER.to_owned()),
    }
}

fn only_published(url: &url::Url) -> Auth {
    Auth { jwt_secret: None, ..auth(Some(url.clone())) }
}

fn only_shared() -> Authenticator {
    Authenticator::new(&auth(None), http())
}

async fn ask(authenticator: &Authenticator, token: &str) -> Result<Customer, StatusCode> {
    ask_with(authenticator, &[&format!("Bearer {token}")]).await
}

async fn ask_with(authenticator: &Authenticator, values: &[&str]) -> Result<Customer, StatusCode> {
    let mut headers = HeaderMap::new();
    for value in values {
        headers.append(header::AUTHORIZATION, value.parse().unwrap());
    }
    authenticator.authenticate(&headers).await.map_err(|problem| problem.status())
}

/// Every one of these is refused with 401.
async fn refused(authenticator: &Authenticator, cases: Vec<(&str, String)>) {
    let mut let_in = BTreeSet::new();
    for (name, token) in cases {
        if ask(authenticator, &token).await != Err(StatusCode::UNAUTHORIZED) {
            let_in.insert(name.to_owned());
        }
    }
    assert_eq!(let_in, BTreeSet::new());
}

#[tokio::test]
async fn a_valid_token_of_each_kind_names_its_customer() {
    let issuer = Issuer::start(published()).await;
    let authenticator = Authenticator::new(&auth(Some(issuer.url.clone())), http());
    let expected = Customer {
        id: CustomerId(USER.parse().unwrap()),
        email: Some("ada@example.com".to_owned()),
        name: Some("Ada".to_owned()),
        role: Role::Customer,
    };

    for token in [
        hs256(&claims()),
        signed(Algorithm::RS256, "rsa", &rsa_key(RSA)),
        signed(Algorithm::ES256, "ec", &ec_key()),
        hs256(&with(json!({ "aud": ["other", AUDIENCE] }))),
        hs256(&with(json!({ "exp": now() - 5 }))),
        hs256(&with(json!({ "nbf": now() - 5 }))),
    ] {
        assert_eq!(ask(&authenticator, &token).await, Ok(expected.clone()));
    }
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn a_kind_of_key_that_is_not_configured_opens_nothing() {
    let issuer = Issuer::start(published()).await;
    let nothing = Authenticator::new(&Auth::default(), http());
    let published = Authenticator::new(&only_published(&issuer.url), http());

    refused(&nothing, vec![("HS256", hs256(&claims())), ("RS256", signed(Algorithm::RS256, "rsa", &rsa_key(RSA)))])
        .await;
    refused(&published, vec![("HS256", hs256(&claims()))]).await;
    refused(&only_shared(), vec![("RS256", signed(Algorithm::RS256, "rsa", &rsa_key(RSA)))]).await;
}

#[tokio::test]
async fn without_a_configured_audience_and_issuer_any_is_taken() {
    let any = Authenticator::new(&Auth { audience: None, issuer: None, ..auth(None) }, http());

    assert!(ask(&any, &hs256(&with(json!({ "aud": "whatever", "iss": null })))).await.is_ok());
}

#[tokio::test]
async fn staff_is_made_by_the_claim_that_users_cannot_write_and_by_no_other() {
    let authenticator = only_shared();
    let role = async |changes| ask(&authenticator, &hs256(&with(changes))).await.unwrap().role;

    assert_eq!(role(json!({ "app_metadata": { "berth_role": "staff" } })).await, Role::Staff);
    for changes in [
        json!({ "user_metadata": { "berth_role": "staff" } }),
        json!({ "berth_role": "staff" }),
        json!({ "role": "staff" }),
        json!({ "app_metadata": { "berth_role": "Staff" } }),
        json!({ "app_metadata": { "berth_role": ["staff"] } }),
        json!({ "app_metadata": { "berth_role": true } }),
        json!({ "app_metadata": "staff" }),
        json!({ "app_metadata.berth_role": "staff" }),
    ] {
        assert_eq!(role(changes.clone()).await, Role::Customer, "{changes}");
    }
}

#[tokio::test]
async fn a_name_or_address_that_cannot_be_shown_counts_as_not_given() {
    let authenticator = only_shared();
    let token = hs256(&with(json!({
        "email": "ada@example.com\r\nBcc: all@example.com",
        "user_metadata": { "full_name": "A".repeat(1_000), "name": 7 },
    })));

    let customer = ask(&authenticator, &token).await.unwrap();

    assert_eq!((customer.email, customer.name), (None, None));
}

#[tokio::test]
async fn routes_take_customers_and_staff_as_arguments() {
    use tower::ServiceExt;

    let auth = auth(None);
    let app = Router::new()
        .route("/me", get(|Authenticated(customer): Authenticated| async move { customer.id.to_string() }))
        .route("/staff", get(|_: AuthenticatedStaff| async { "in" }))
        .with_state(Authenticator::new(&auth, http()));
    let made_at = Timestamp::from_second(now()).unwrap();
    let token =
        |staff| development_token(&auth, USER.parse().unwrap(), None, staff, made_at, Duration::from_secs(60)).unwrap();
    let get = async |path: &str, token: Option<String>| {
        let mut request = axum::http::Request::get(path);
        if let Some(token) = token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        app.clone().oneshot(request.body(axum::body::Body::empty()).unwrap()).await.unwrap()
    };

    assert_eq!(get("/me", Some(token(false))).await.status(), StatusCode::OK);
    assert_eq!(get("/staff", Some(token(true))).await.status(), StatusCode::OK);
    assert_eq!(get("/staff", Some(token(false))).await.status(), StatusCode::FORBIDDEN);
    let nobody = get("/me", None).await;
    assert_eq!(nobody.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(nobody.headers()[header::CONTENT_TYPE], "application/problem+json");
    assert_eq!(nobody.headers()[header::WWW_AUTHENTICATE], "Bearer");
}

#[test]
fn a_development_token_needs_a_secret_to_sign_with() {
    let made =
        development_token(&Auth::default(), Uuid::from_u128(1), None, false, Timestamp::UNIX_EPOCH, Duration::ZERO);

    assert!(matches!(made, Err(TokenError::NoSecret)));
}

#[test]
fn what_is_logged_of_an_authenticator_holds_no_secret() {
    assert!(!format!("{:?}", only_shared()).contains(SECRET));
}
