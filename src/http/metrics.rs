//! `GET /metrics`: the process' numbers, for Prometheus. Behind a token among the API's routes, or on a listener of its own.

use std::io;

use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use secrecy::ExposeSecret;
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;

use super::{problem::Problem, server};
use crate::{app::App, metrics, supervise::Supervisor};

/// So many scrapers are answered at once.
const MOST_SCRAPERS: usize = 16;
const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The numbers, for who brings `metrics.token`. Among the API's routes there is nothing to see while none is set.
pub(super) async fn among_routes(State(app): State<App>, headers: HeaderMap) -> Response {
    if app.config.metrics.token.is_none() {
        return Problem::not_found().into_response();
    }
    answer(&app, &headers).await
}

/// The numbers on a listener of their own, which a network or a token keeps to those who may see them.
async fn by_itself(State(app): State<App>, headers: HeaderMap) -> Response {
    answer(&app, &headers).await
}

async fn answer(app: &App, headers: &HeaderMap) -> Response {
    let wanted = app.config.metrics.token.as_ref();
    if wanted.is_some_and(|token| !is_brought(token.expose_secret(), headers)) {
        let challenge = [(header::WWW_AUTHENTICATE, "Bearer realm=\"metrics\"")];
        return (StatusCode::UNAUTHORIZED, challenge, "metrics.token is needed\n").into_response();
    }
    let text = metrics::render(app.observed.samples().await);
    ([(header::CONTENT_TYPE, TEXT), (header::CACHE_CONTROL, "no-store")], text).into_response()
}

fn is_brought(token: &str, headers: &HeaderMap) -> bool {
    let brought = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let brought =
        brought.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    brought.is_some_and(|(_, brought)| brought.trim().as_bytes().ct_eq(token.as_bytes()).into())
}

/// Serves `/metrics` and `/healthz`, and nothing else, until the process has stopped: also a process without other HTTP is
/// seen, and one that drains.
///
/// # Errors
/// Never; it ends with the process.
pub async fn serve_metrics(app: App, listener: TcpListener, tasks: &Supervisor) -> io::Result<()> {
    let routes = Router::new()
        .route("/metrics", get(by_itself))
        .route("/healthz", get(super::health::live))
        .with_state(app.clone());
    let stopped = tasks.stopped.clone();
    let grace = app.config.work.shutdown_grace();
    server::connections(listener, routes, MOST_SCRAPERS, stopped.cancelled_owned(), grace, tasks).await;
    Ok(())
}
