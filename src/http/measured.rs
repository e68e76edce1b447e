//! Every request is a span of a trace, is counted, and is timed.

use std::time::Instant;

use axum::{
    extract::{MatchedPath, Request},
    http::{Method, StatusCode},
    middleware::Next,
    response::Response,
};
use uuid::Uuid;

use crate::{
    metrics,
    trace::{About, Span, SpanKind, TraceParent},
};

const TRACEPARENT: &str = "traceparent";
/// What no route is for: paths that anybody thinks of are no labels.
const UNMATCHED: &str = "unmatched";

/// Counts a request when it is answered, or when whoever asked has gone.
struct Measured {
    route: String,
    method: &'static str,
    began: Instant,
    status: &'static str,
}

impl Drop for Measured {
    fn drop(&mut self) {
        let (route, method) = (("route", self.route.as_str()), ("method", self.method));
        metrics::counter("berth_http_requests_total", &[route, method, ("status", self.status)]).increment(1);
        metrics::histogram("berth_http_request_duration_seconds", &[route, method]).record(self.began.elapsed());
    }
}

/// Answers the request that is known under `id`, in the trace that it names or in one that begins with it.
pub(super) async fn answer(id: Uuid, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map_or(UNMATCHED, MatchedPath::as_str).to_owned();
    let method = method(request.method());
    let traceparent = request.headers().get(TRACEPARENT).and_then(|value| value.to_str().ok());
    let caller: Option<TraceParent> = traceparent.and_then(|text| text.parse().ok());
    let mut span = Span::begin(caller, SpanKind::Server, format!("{method} {route}"), About::Request(id));
    span.note("http.request.method", method);
    span.note("http.route", &route);
    let mut measured = Measured { route, method, began: Instant::now(), status: "aborted" };
    let response = span.within(next.run(request)).await;
    measured.status = class(response.status());
    span.count("http.response.status_code", response.status().as_u16());
    if response.status().is_server_error() {
        span.fail();
    }
    response
}

/// Methods that nobody needs here are one: they, too, are the caller's words.
fn method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

fn class(status: StatusCode) -> &'static str {
    match status.as_u16() / 100 {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        _ => "5xx",
    }
}
