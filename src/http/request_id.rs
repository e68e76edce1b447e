//! Every answer carries the id under which the log knows the request.

use std::any::Any;

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue},
    middleware::Next,
    response::{IntoResponse, Response},
};
use tracing::Instrument;
use uuid::Uuid;

use super::{measured, problem::Problem};

const HEADER: HeaderName = HeaderName::from_static("x-request-id");

/// Gives the request an id, logs and measures it under that, and puts it on the answer.
pub(super) async fn answer(request: Request, next: Next) -> Response {
    let request_id = Uuid::now_v7();
    let id = request_id.to_string();
    let span = tracing::debug_span!("request", id, method = %request.method(), path = request.uri().path());
    let mut response = measured::answer(request_id, request, next).instrument(span).await;
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(HEADER, value);
    }
    response
}

/// The answer to a request whose route panicked.
pub(super) fn answer_panic(_: Box<dyn Any + Send + 'static>) -> Response {
    // The panic itself was logged where it happened.
    Problem::internal(Uuid::now_v7().to_string()).into_response()
}
