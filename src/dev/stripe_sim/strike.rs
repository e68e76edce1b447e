//! Answers that go wrong, as queued faults ask: late, lost, cut, refused, or strange.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use super::Sim;
use super::api::{Call, SHOULD_RETRY, send};
use super::error::StripeError;
use super::faults::ResponseFault;
use super::idempotency::{Answer, Claim};

/// Lets the first half of a cut answer reach the client before the connection breaks.
const BEFORE_THE_CUT: Duration = Duration::from_millis(30);
const BAD_GATEWAY: &str =
    "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>";

/// Answers a request that a fault was queued for.
pub(super) async fn strike(sim: Arc<Sim>, call: Arc<Call>, fault: ResponseFault) -> Response {
    let name = fault_name(&fault);
    let (answer, response) = match fault {
        ResponseFault::TimeoutBeforeCommit { hold_milliseconds } => {
            return withhold(&sim, &call, &call.refusal(&outage()), hold_milliseconds, name).await;
        }
        ResponseFault::TimeoutAfterCommit { hold_milliseconds } => {
            let answer = call.run(&sim);
            return withhold(&sim, &call, &answer, hold_milliseconds, name).await;
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
        ResponseFault::RateLimited { should_retry, retry_after_seconds } => {
            rate_limited(&call, should_retry, retry_after_seconds)
        }
        ResponseFault::ServerError { committed } => {
            let answer = fail(&sim, &call, committed);
            let response = send(&call, &answer);
            (answer, response)
        }
        ResponseFault::BadGateway { committed } => {
            let answer = if committed { call.run(&sim) } else { call.refusal(&outage()) };
            (answer, (StatusCode::BAD_GATEWAY, [(header::CONTENT_TYPE, "text/html")], BAD_GATEWAY).into_response())
        }
        ResponseFault::LackingFields { fields } => {
            altered(&sim, &call, |object| object.retain(|field, _value| !fields.contains(field)))
        }
        ResponseFault::StrangeValues { values } => altered(&sim, &call, |object| object.extend(values)),
    };
    call.log(&sim, &answer, name);
    response
}

fn outage() -> StripeError {
    StripeError::new(
        500,
        "api_error",
        "Sorry! There was an error while talking to one of our backends. Support has been notified.",
    )
}

/// Logs what the answer would have been, and never sends it.
async fn withhold(sim: &Sim, call: &Call, answer: &Answer, hold_milliseconds: u64, fault: Option<String>) -> Response {
    call.log(sim, answer, fault);
    sim.pause(Duration::from_millis(hold_milliseconds)).await;
    broken(Bytes::new(), 1)
}

/// Answers 500 and lets the key remember that, whether or not the work was done behind it.
fn fail(sim: &Sim, call: &Call, committed: bool) -> Answer {
    match call.claim(sim) {
        Ok(Claim::Replay(answer)) => answer,
        Ok(Claim::Execute) => {
            let hidden = if committed { call.execute(sim) } else { Ok(Value::Null) };
            call.finish(sim, hidden.and(Err(outage())))
        }
        Err(refusal) => call.refusal(&refusal),
    }
}

/// Does the work and sends another body than the key remembers.
fn altered(sim: &Sim, call: &Call, alter: impl FnOnce(&mut Map<String, Value>)) -> (Answer, Response) {
    let answer = call.run(sim);
    let mut shown = answer.clone();
    if let Some(object) = shown.body.as_object_mut() {
        alter(object);
    }
    (answer, send(call, &shown))
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
            tracing::debug!(request = work.id, "the client had gone when its request was done");
        }
    });
    receiver
        .await
        .unwrap_or_else(|_gone| call.refusal(&StripeError::new(500, "api_error", "the simulator is stopping")))
}

fn rate_limited(call: &Call, should_retry: Option<bool>, retry_after_seconds: Option<u64>) -> (Answer, Response) {
    let error = StripeError::new(
        429,
        "invalid_request_error",
        "Request rate limit exceeded. You can learn more about rate limits here https://stripe.com/docs/rate-limits.",
    )
    .code("rate_limit");
    let answer = call.refusal(&error);
    let mut response = send(call, &answer);
    if let Some(should) = should_retry {
        response.headers_mut().insert(SHOULD_RETRY, HeaderValue::from_static(if should { "true" } else { "false" }));
    }
    if let Some(seconds) = retry_after_seconds {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
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
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    response
}

fn fault_name(fault: &ResponseFault) -> Option<String> {
    json!(fault)["kind"].as_str().map(str::to_owned)
}
