//! Whether the process lives, and whether it can do its work.

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::Draining;
use crate::app::App;

/// How the process stands.
#[derive(Serialize, ToSchema)]
pub struct Readiness {
    /// ready, degraded (Redis is away: work is taken in and waits), draining or unavailable.
    status: &'static str,
    /// Whether Postgres answers.
    database: bool,
    /// Whether all migrations are applied.
    migrated: bool,
    /// Whether Redis answers.
    redis: bool,
}

/// Says that the process lives.
#[utoipa::path(get, path = "/healthz", tag = "health", responses((status = 200, description = "It lives.")))]
pub async fn live() -> &'static str {
    "ok\n"
}

/// Says whether the process can do its work: Postgres must answer and be migrated; without Redis it is degraded.
#[utoipa::path(get, path = "/readyz", tag = "health", responses(
    (status = 200, description = "Requests are welcome.", body = Readiness),
    (status = 503, description = "Send them elsewhere.", body = Readiness),
))]
pub async fn ready(State(app): State<App>, State(draining): State<Draining>) -> Response {
    let pending = app.store.pending_migrations().await;
    let database = pending.is_ok();
    let migrated = pending.is_ok_and(|pending| pending.is_empty());
    let redis = app.redis.ping().await.is_ok();
    let draining = draining.0.is_cancelled();
    let usable = database && migrated && !draining;
    let status = match (draining, usable, redis) {
        (true, _, _) => "draining",
        (false, false, _) => "unavailable",
        (false, true, false) => "degraded",
        (false, true, true) => "ready",
    };
    let code = if usable { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, Json(Readiness { status, database, migrated, redis })).into_response()
}
