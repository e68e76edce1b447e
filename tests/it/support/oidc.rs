//! An OpenID Connect provider on loopback: it keeps to the flow as strictly as one may, and lies in its ID tokens when told to.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use uuid::Uuid;

use super::StackOptions;

pub(crate) const CLIENT: &str = "berth console";
/// With signs that mean something in a header and in a form.
pub(crate) const SECRET: &str = "s3cret:of/the+client%";
const KEY: &str = "key-1";
// Made for tests; they open nothing.
const RSA: &[u8] = include_bytes!("../../../src/http/auth/testdata/rsa.pem");
const RSA_PUBLIC: &[u8] = include_bytes!("../../../src/http/auth/testdata/rsa.pub.pem");
const STRANGER: &[u8] = include_bytes!("../../../src/http/auth/testdata/stranger_rsa.pem");
const EC: &[u8] = include_bytes!("../../../src/http/auth/testdata/ec.pem");

/// How an ID token is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signed {
    /// RS256, by the published key.
    Well,
    /// Not at all: `alg` is `none`.
    ByNobody,
    /// HS256, by the public key as if it were a secret.
    ByThePublicKey,
    /// RS256, by another key under the same id.
    ByAStranger,
    /// ES256, by a key that is published, which the configuration does not allow.
    ByAnotherAlgorithm,
    /// RS256, without the id of the key.
    ByAKeyWithoutId,
}

/// What the provider does.
#[derive(Clone, Debug)]
pub(crate) struct Manner {
    /// Claims other than usual; `null` takes one away.
    pub(crate) claims: Value,
    pub(crate) signed: Signed,
    /// What the token's address answers instead.
    pub(crate) refuses: Option<(StatusCode, Value)>,
    /// It does not answer at all.
    pub(crate) away: bool,
    /// It asks its person, by a page with a link, before it sends them back.
    pub(crate) asks: bool,
}

impl Default for Manner {
    fn default() -> Self {
        Self { claims: json!({}), signed: Signed::Well, refuses: None, away: false, asks: false }
    }
}

#[derive(Clone)]
pub(crate) struct Provider {
    pub(crate) issuer: String,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    issuer: String,
    manner: Manner,
    /// What each code that is not used yet was given for.
    codes: BTreeMap<String, BTreeMap<String, String>>,
    /// Every code and token that was given.
    given: Vec<String>,
    exchanges: usize,
}

type Shared = State<Arc<Mutex<Held>>>;

impl Provider {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}/realms/shop", listener.local_addr().unwrap());
        let held = Arc::new(Mutex::new(Held { issuer: issuer.clone(), ..Held::default() }));
        let routes = Router::new()
            .route("/realms/shop/.well-known/openid-configuration", get(discovery))
            .route("/realms/shop/keys", get(keys))
            .route("/realms/shop/authorize", get(authorize))
            .route("/realms/shop/token", post(token))
            .with_state(held.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Self { issuer, held }
    }

    /// Settings of a Berth whose staff signs in here.
    pub(crate) fn options(&self) -> StackOptions {
        StackOptions::default()
            .setting("console.oidc.issuer", &self.issuer)
            .setting("console.oidc.client_id", CLIENT)
            .setting("console.oidc.client_secret", SECRET)
            .setting("console.oidc.claim", "groups")
            .setting("console.oidc.values", "staff")
            .setting("console.oidc.name", "Harbour ID")
    }

    pub(crate) fn does(&self, manner: Manner) {
        self.held.lock().unwrap().manner = manner;
    }

    /// ID tokens are as usual but for these claims.
    pub(crate) fn claims(&self, claims: Value) {
        self.does(Manner { claims, ..Manner::default() });
    }

    /// How often a code was brought to it.
    pub(crate) fn exchanges(&self) -> usize {
        self.held.lock().unwrap().exchanges
    }

    /// Every code and token that it has given.
    pub(crate) fn given(&self) -> Vec<String> {
        self.held.lock().unwrap().given.clone()
    }
}

async fn discovery(State(held): Shared) -> Response {
    let held = held.lock().unwrap();
    if held.manner.away {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let issuer = &held.issuer;
    Json(json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize?realm=shop"),
        "token_endpoint": format!("{issuer}/token"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    }))
    .into_response()
}

async fn keys() -> Json<Value> {
    let jwk = |key: &EncodingKey, algorithm, id: &str| {
        let mut jwk = Jwk::from_encoding_key(key, algorithm).unwrap();
        jwk.common.key_id = Some(id.to_owned());
        serde_json::to_value(jwk).unwrap()
    };
    let (rsa, ec) = (EncodingKey::from_rsa_pem(RSA).unwrap(), EncodingKey::from_ec_pem(EC).unwrap());
    Json(json!({ "keys": [jwk(&rsa, Algorithm::RS256, KEY), jwk(&ec, Algorithm::ES256, "ec")] }))
}

/// The person has signed in here already.
async fn authorize(State(held): Shared, Query(asked): Query<BTreeMap<String, String>>) -> Response {
    let mut held = held.lock().unwrap();
    for (name, wanted) in
        [("realm", "shop"), ("response_type", "code"), ("client_id", CLIENT), ("code_challenge_method", "S256")]
    {
        assert_eq!(asked.get(name).map(String::as_str), Some(wanted), "{name} in {asked:?}");
    }
    assert!(asked["scope"].split(' ').any(|scope| scope == "openid"), "{asked:?}");
    assert!(asked["redirect_uri"].ends_with("/console/oidc/callback"), "{asked:?}");
    let code = format!("code-{}", Uuid::new_v4());
    let mut back: url::Url = asked["redirect_uri"].parse().unwrap();
    back.query_pairs_mut()
        .append_pair("code", &code)
        .append_pair("state", &asked["state"])
        .append_pair("iss", &held.issuer);
    held.given.push(code.clone());
    held.codes.insert(code, asked);
    if held.manner.asks {
        let link = back.as_str().replace('&', "&amp;");
        return Html(format!("<!doctype html><title>Harbour ID</title><a id=allow href=\"{link}\">Allow</a>"))
            .into_response();
    }
    Redirect::to(back.as_str()).into_response()
}

async fn token(State(held): Shared, headers: HeaderMap, body: String) -> Response {
    let mut held = held.lock().unwrap();
    held.exchanges += 1;
    if held.manner.away {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let refuse = |error: &str| (StatusCode::BAD_REQUEST, Json(json!({ "error": error }))).into_response();
    let form: BTreeMap<String, String> = url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    if !is_the_client(&headers) {
        return (StatusCode::UNAUTHORIZED, Json(json!({ "error": "invalid_client" }))).into_response();
    }
    // A code is used up by whoever brings it.
    let Some(asked) = form.get("code").and_then(|code| held.codes.remove(code)) else { return refuse("invalid_grant") };
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
    if form["grant_type"] != "authorization_code"
        || form["redirect_uri"] != asked["redirect_uri"]
        || challenge != asked["code_challenge"]
    {
        return refuse("invalid_grant");
    }
    if let Some((status, answer)) = held.manner.refuses.clone() {
        return (status, Json(answer)).into_response();
    }
    let token = sign(&claims(&held, &asked["nonce"]), held.manner.signed);
    held.given.push(token.clone());
    Json(json!({ "access_token": "not used", "token_type": "Bearer", "expires_in": 300, "id_token": token }))
        .into_response()
}

fn is_the_client(headers: &HeaderMap) -> bool {
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let wanted = format!("Basic {}", STANDARD.encode(format!("{}:{}", encoded(CLIENT), encoded(SECRET))));
    headers.get("authorization").is_some_and(|given| given == wanted.as_str())
}

fn claims(held: &Held, nonce: &str) -> Value {
    let now = berth::clock::Clock::machine().as_second();
    let mut claims = json!({
        "iss": held.issuer, "sub": "u-4711", "aud": CLIENT, "iat": now, "exp": now + 300, "nonce": nonce,
        "email": "ada@shop.test", "email_verified": true, "groups": ["everybody", "staff"],
    });
    for (name, value) in held.manner.claims.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    claims
}

fn sign(claims: &Value, signed: Signed) -> String {
    let header = |algorithm, key: Option<&str>| Header { kid: key.map(str::to_owned), ..Header::new(algorithm) };
    let by = |algorithm, id, key: &EncodingKey| jsonwebtoken::encode(&header(algorithm, id), claims, key).unwrap();
    let rsa = |pem| EncodingKey::from_rsa_pem(pem).unwrap();
    match signed {
        Signed::Well => by(Algorithm::RS256, Some(KEY), &rsa(RSA)),
        Signed::ByAStranger => by(Algorithm::RS256, Some(KEY), &rsa(STRANGER)),
        Signed::ByAKeyWithoutId => by(Algorithm::RS256, None, &rsa(RSA)),
        Signed::ByThePublicKey => by(Algorithm::HS256, Some(KEY), &EncodingKey::from_secret(RSA_PUBLIC)),
        Signed::ByAnotherAlgorithm => by(Algorithm::ES256, Some("ec"), &EncodingKey::from_ec_pem(EC).unwrap()),
        Signed::ByNobody => {
            let head = json!({ "alg": "none", "typ": "JWT", "kid": KEY }).to_string();
            format!("{}.{}.", URL_SAFE_NO_PAD.encode(head), URL_SAFE_NO_PAD.encode(claims.to_string()))
        }
    }
}
