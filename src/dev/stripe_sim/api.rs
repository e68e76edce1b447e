//! The API's door: keys, idempotency, faults, and Stripe's headers around every answer.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use serde_json::Value;

use super::error::StripeError;
use super::form::Params;
use super::idempotency::{Answer, Claim, fingerprint};
use super::state::{Origin, RequestLine};
use super::{Sim, checkout, ids, routes, strike};

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const ORIGINAL_REQUEST: HeaderName = HeaderName::from_static("original-request");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
pub(super) const SHOULD_RETRY: HeaderName = HeaderName::from_static("stripe-should-retry");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const VERSION: HeaderName = HeaderName::from_static("stripe-version");

/// One request, read and not yet executed.
pub(super) struct Call {
    pub(super) id: String,
    method: Method,
    path: String,
    query: Vec<u8>,
    body: Bytes,
    key: Option<String>,
    version: Option<HeaderValue>,
}

/// Answers everything under `/v1/`.
pub(super) async fn handle(
    Shared(sim): Shared<Arc<Sim>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let call = Arc::new(Call {
        id: ids::new("req_"),
        key: headers
            .get(IDEMPOTENCY_KEY)
            .and_then(|key| key.to_str().ok())
            .filter(|_key| method == Method::POST)
            .map(str::to_owned),
        version: headers.get(VERSION).cloned(),
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().as_bytes().to_vec(),
        method,
        body,
    });
    if let Err(refusal) = authenticate(&headers, &sim.api_key).and_then(|()| check_content_type(&call, &headers)) {
        return send(&call, &call.refusal(&refusal));
    }
    let fault = sim.lock().faults.for_request(call.method.as_str(), &call.path);
    let answer = match fault {
        None => call.run(&sim),
        Some(fault) => return strike::strike(sim, call, fault).await,
    };
    call.log(&sim, &answer, None);
    send(&call, &answer)
}

/// Answers every path that is no part of the simulator.
pub(super) async fn unrecognized(method: Method, uri: Uri) -> Response {
    let error = StripeError::unrecognized(method.as_str(), uri.path());
    (StatusCode::NOT_FOUND, axum::Json(error.body())).into_response()
}

impl Call {
    /// Executes the request, or replays what its key remembers.
    pub(super) fn run(&self, sim: &Sim) -> Answer {
        match self.claim(sim) {
            Ok(Claim::Replay(answer)) => answer,
            Ok(Claim::Execute) => {
                let answer = self.execute(sim);
                self.finish(sim, answer)
            }
            Err(refusal) => self.refusal(&refusal),
        }
    }

    pub(super) fn claim(&self, sim: &Sim) -> Result<Claim, StripeError> {
        let Some(key) = &self.key else {
            return Ok(Claim::Execute);
        };
        let mut state = sim.lock();
        let now = state.now();
        state.keys.claim(key, &self.path, &fingerprint(&[&self.query, &self.body]), now)
    }

    /// Does the work in one turn of the lock; the key, if any, is still claimed.
    pub(super) fn execute(&self, sim: &Sim) -> Result<Value, StripeError> {
        let params = Params::parse(&[&self.query, &self.body])?;
        let segments: Vec<&str> = self.path.trim_start_matches("/v1/").split('/').collect();
        let mut state = sim.lock();
        state.origin = Origin::default();
        checkout::expire_due(&mut state);
        state.origin = Origin { request_id: Some(self.id.clone()), idempotency_key: self.key.clone() };
        routes::answer(&mut state, self.method.as_str(), &segments, params)
    }

    /// Turns the result into an answer and lets the key remember it.
    pub(super) fn finish(&self, sim: &Sim, result: Result<Value, StripeError>) -> Answer {
        let (answer, keeps) = match result {
            Ok(body) => (Answer { status: 200, body, request_id: self.id.clone(), replayed: false }, true),
            Err(error) => (self.refusal(&error), error.keeps),
        };
        if let Some(key) = &self.key {
            let mut state = sim.lock();
            if keeps { state.keys.finish(key, &answer) } else { state.keys.forget(key) }
        }
        answer
    }

    pub(super) fn refusal(&self, error: &StripeError) -> Answer {
        let error =
            error.clone().with("request_log_url", format!("https://dashboard.stripe.com/test/logs/{}", self.id).into());
        Answer { status: error.status, body: error.body(), request_id: self.id.clone(), replayed: false }
    }

    pub(super) fn log(&self, sim: &Sim, answer: &Answer, fault: Option<String>) {
        sim.lock().log_request(RequestLine {
            id: self.id.clone(),
            method: self.method.to_string(),
            path: self.path.clone(),
            idempotency_key: self.key.clone(),
            replayed: answer.replayed,
            status: answer.status,
            fault,
        });
    }
}

pub(super) fn send(call: &Call, answer: &Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, axum::Json(&answer.body)).into_response();
    let headers = response.headers_mut();
    let mut put = |name: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(name, value);
        }
    };
    put(REQUEST_ID, &call.id);
    if let Some(key) = &call.key {
        put(IDEMPOTENCY_KEY, key);
        put(ORIGINAL_REQUEST, &answer.request_id);
    }
    if answer.replayed {
        put(REPLAYED, "true");
    }
    if answer.status == 409 {
        put(SHOULD_RETRY, "true");
    }
    if let Some(version) = &call.version {
        headers.insert(VERSION, version.clone());
    }
    response
}

/// Takes the key as a bearer token or as the user name of Basic authentication.
fn authenticate(headers: &HeaderMap, api_key: &str) -> Result<(), StripeError> {
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(presented_key);
    let refuse = |message: String| Err(StripeError::new(401, "invalid_request_error", message).not_kept());
    match given {
        Some(given) if given == api_key => Ok(()),
        Some(given) => refuse(format!("Invalid API Key provided: {}***", given.chars().take(8).collect::<String>())),
        None => refuse("You did not provide an API key. You need to provide your API key in the Authorization header, using Bearer auth (e.g. 'Authorization: Bearer YOUR_SECRET_KEY').".into()),
    }
}

fn presented_key(authorization: &str) -> Option<String> {
    let (scheme, credentials) = authorization.split_once(' ')?;
    match scheme.to_ascii_lowercase().as_str() {
        "bearer" => Some(credentials.trim().to_owned()),
        "basic" => {
            let decoded = base64::engine::general_purpose::STANDARD.decode(credentials.trim()).ok()?;
            let (user, _password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
            Some(user.to_owned())
        }
        _ => None,
    }
}

fn check_content_type(call: &Call, headers: &HeaderMap) -> Result<(), StripeError> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if call.body.is_empty() || kind.starts_with("application/x-www-form-urlencoded") {
        return Ok(());
    }
    Err(StripeError::refused(format!(
        "Invalid request (check that your POST content type is application/x-www-form-urlencoded, not {kind})."
    ))
    .not_kept())
}
