//! The API's door: keys, idempotency, faults, and Stripe's headers around every answer.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State as Shared;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use futures::stream;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::error::StripeError;
use super::faults::ResponseFault;
use super::form::Params;
use super::idempotency::{Answer, Claim, fingerprint};
use super::state::{Origin, RequestLine};
use super::{Sim, checkout, ids, routes};

const REQUEST_ID: HeaderName = HeaderName::from_static("request-id");
const ORIGINAL_REQUEST: HeaderName = HeaderName::from_static("original-request");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const SHOULD_RETRY: HeaderName = HeaderName::from_static("stripe-should-retry");
const VERSION: HeaderName = HeaderName::from_static("stripe-version");

/// Lets the first half of a cut answer reach the client before the connection breaks.
const BEFORE_THE_CUT: Duration = Duration::from_millis(30);

/// One request, read and not yet executed.
struct Call {
    id: String,
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
    if let Err(refusal) =
        authenticate(&headers, &sim.api_key).and_then(|()| check_content_type(&call, &headers))
    {
        return send(&call, &call.refusal(&refusal));
    }
    let fault = sim
        .lock()
        .faults
        .for_request(call.method.as_str(), &call.path);
    let name = fault.as_ref().and_then(fault_name);
    let answer = match fault {
        None => call.run(&sim),
        Some(fault) => return strike(sim, call, fault, name).await,
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
    fn run(&self, sim: &Sim) -> Answer {
        match self.claim(sim) {
            Ok(Claim::Replay(answer)) => answer,
            Ok(Claim::Execute) => {
                let answer = self.execute(sim);
                self.finish(sim, answer)
            }
            Err(refusal) => self.refusal(&refusal),
        }
    }

    fn claim(&self, sim: &Sim) -> Result<Claim, StripeError> {
        let Some(key) = &self.key else {
            return Ok(Claim::Execute);
        };
        let mut state = sim.lock();
        let now = state.now();
        state.keys.claim(
            key,
            &self.path,
            &fingerprint(&[&self.query, &self.body]),
            now,
        )
    }

    /// Does the work in one turn of the lock; the key, if any, is still claimed.
    fn execute(&self, sim: &Sim) -> Result<Value, StripeError> {
        let params = Params::parse(&[&self.query, &self.body])?;
        let segments: Vec<&str> = self.path.trim_start_matches("/v1/").split('/').collect();
        let mut state = sim.lock();
        state.origin = Origin::default();
        checkout::expire_due(&mut state);
        state.origin = Origin {
            request_id: Some(self.id.clone()),
            idempotency_key: self.key.clone(),
        };
        routes::answer(&mut state, self.method.as_str(), &segments, params)
    }

    /// Turns the result into an answer and lets the key remember it.
    fn finish(&self, sim: &Sim, result: Result<Value, StripeError>) -> Answer {
        let (answer, keeps) = match result {
            Ok(body) => (
                Answer {
                    status: 200,
                    body,
                    request_id: self.id.clone(),
                    replayed: false,
                },
                true,
            ),
            Err(error) => (self.refusal(&error), error.keeps),
        };
        if let Some(key) = &self.key {
            let mut state = sim.lock();
            if keeps {
                state.keys.finish(key, &answer)
            } else {
                state.keys.forget(key)
            }
        }
        answer
    }

    fn refusal(&self, error: &StripeError) -> Answer {
        let error = error.clone().with(
            "request_log_url",
            format!("https://dashboard.stripe.com/test/logs/{}", self.id).into(),
        );
        Answer {
            status: error.status,
            body: error.body(),
            request_id: self.id.clone(),
            replayed: false,
        }
    }

    fn log(&self, sim: &Sim, answer: &Answer, fault: Option<String>) {
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

/// Answers a request that a fault was queued for.
async fn strike(
    sim: Arc<Sim>,
    call: Arc<Call>,
    fault: ResponseFault,
    name: Option<String>,
) -> Response {
    let outage = || {
        StripeError::new(
            500,
            "api_error",
            "Sorry! There was an error while talking to one of our backends. Support has been notified.",
        )
    };
    let (answer, response) = match fault {
        ResponseFault::TimeoutBeforeCommit { hold_milliseconds } => {
            call.log(&sim, &call.refusal(&outage()), name);
            sim.pause(Duration::from_millis(hold_milliseconds)).await;
            return broken(Bytes::new(), 1);
        }
        ResponseFault::TimeoutAfterCommit { hold_milliseconds } => {
            let answer = call.run(&sim);
            call.log(&sim, &answer, name);
            sim.pause(Duration::from_millis(hold_milliseconds)).await;
            return broken(Bytes::new(), 1);
        }
        ResponseFault::Slow { delay_milliseconds } => {
            let answer = run_later(&sim, &call, Duration::from_millis(delay_milliseconds)).await;
            let response = send(&call, &answer);
            (answer, response)
        }
        ResponseFault::CutMidBody => {
            let answer = call.run(&sim);
            let whole = Bytes::from(answer.body.to_string());
            let response = broken(whole.slice(..whole.len() / 2), whole.len());
            (answer, response)
        }
        ResponseFault::RateLimited {
            should_retry,
            retry_after_seconds,
        } => rate_limited(&call, should_retry, retry_after_seconds),
        ResponseFault::ServerError { committed } => {
            let answer = match call.claim(&sim) {
                Ok(Claim::Replay(answer)) => answer,
                Ok(Claim::Execute) => {
                    let hidden = if committed {
                        call.execute(&sim)
                    } else {
                        Ok(Value::Null)
                    };
                    call.finish(&sim, hidden.and(Err(outage())))
                }
                Err(refusal) => call.refusal(&refusal),
            };
            let response = send(&call, &answer);
            (answer, response)
        }
        ResponseFault::BadGateway { committed } => {
            let answer = if committed {
                call.run(&sim)
            } else {
                call.refusal(&outage())
            };
            let html = "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>";
            (
                answer,
                (
                    StatusCode::BAD_GATEWAY,
                    [(header::CONTENT_TYPE, "text/html")],
                    html,
                )
                    .into_response(),
            )
        }
        ResponseFault::LackingFields { fields } => {
            let answer = call.run(&sim);
            let mut shown = answer.clone();
            if let Some(object) = shown.body.as_object_mut() {
                object.retain(|field, _value| !fields.contains(field));
            }
            (answer, send(&call, &shown))
        }
        ResponseFault::StrangeValues { values } => {
            let answer = call.run(&sim);
            let mut shown = answer.clone();
            if let Some(object) = shown.body.as_object_mut() {
                object.extend(values);
            }
            (answer, send(&call, &shown))
        }
    };
    call.log(&sim, &answer, name);
    response
}

/// Claims the key now and does the work after a delay, even when the client has gone by then.
async fn run_later(sim: &Arc<Sim>, call: &Arc<Call>, delay: Duration) -> Answer {
    match call.claim(sim) {
        Ok(Claim::Replay(answer)) => return answer,
        Ok(Claim::Execute) => {}
        Err(refusal) => return call.refusal(&refusal),
    }
    let (sender, receiver) = oneshot::channel();
    let (later, work) = (Arc::clone(sim), Arc::clone(call));
    sim.tasks.spawn(async move {
        later.pause(delay).await;
        let result = work.execute(&later);
        let answer = work.finish(&later, result);
        if sender.send(answer).is_err() {
            tracing::debug!(
                request = work.id,
                "the client had gone when its request was done"
            );
        }
    });
    receiver.await.unwrap_or_else(|_gone| {
        call.refusal(&StripeError::new(
            500,
            "api_error",
            "the simulator is stopping",
        ))
    })
}

fn rate_limited(
    call: &Call,
    should_retry: Option<bool>,
    retry_after_seconds: Option<u64>,
) -> (Answer, Response) {
    let error = StripeError::new(429, "invalid_request_error", "Request rate limit exceeded. You can learn more about rate limits here https://stripe.com/docs/rate-limits.").code("rate_limit");
    let answer = call.refusal(&error);
    let mut response = send(call, &answer);
    if let Some(should) = should_retry {
        response.headers_mut().insert(
            SHOULD_RETRY,
            HeaderValue::from_static(if should { "true" } else { "false" }),
        );
    }
    if let Some(seconds) = retry_after_seconds {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    (answer, response)
}

/// An answer that promises `length` bytes, sends `part` and breaks the connection.
fn broken(part: Bytes, length: usize) -> Response {
    let body = stream::unfold(Some(part), |part| async move {
        match part {
            Some(part) if !part.is_empty() => Some((Ok(part), Some(Bytes::new()))),
            Some(_sent) => {
                tokio::time::sleep(BEFORE_THE_CUT).await;
                Some((Err(std::io::Error::other("cut by a queued fault")), None))
            }
            None => None,
        }
    });
    let mut response = Response::new(Body::from_stream(body));
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    response
        .headers_mut()
        .insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}

fn send(call: &Call, answer: &Answer) -> Response {
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
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(presented_key);
    let refuse =
        |message: String| Err(StripeError::new(401, "invalid_request_error", message).not_kept());
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
            let decoded = base64::engine::general_purpose::STANDARD
                .decode(credentials.trim())
                .ok()?;
            let (user, _password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
            Some(user.to_owned())
        }
        _ => None,
    }
}

fn check_content_type(call: &Call, headers: &HeaderMap) -> Result<(), StripeError> {
    let kind = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if call.body.is_empty() || kind.starts_with("application/x-www-form-urlencoded") {
        return Ok(());
    }
    Err(StripeError::refused(format!("Invalid request (check that your POST content type is application/x-www-form-urlencoded, not {kind}).")).not_kept())
}

fn fault_name(fault: &ResponseFault) -> Option<String> {
    json!(fault)["kind"].as_str().map(str::to_owned)
}
