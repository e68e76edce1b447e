//! `POST /v1/jobs/batch`: many jobs in one commit.

use axum::{Json, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use tower_http::limit::RequestBodyLimitLayer;
use utoipa::ToSchema;

use super::{EnqueuedJson, ask_for};
use crate::{
    app::App,
    http::{
        auth::AuthenticatedMachine,
        problem::{ApiJson, Problem, ProblemJson, Refuses, RefusesBody, RefusesStaff},
    },
    ways_in::Asked,
};

/// So many jobs at once.
const MOST: usize = 1_000;
/// The largest body: a thousand jobs with long keys.
const BODY_LIMIT: usize = 1024 * 1024;

/// Jobs that are asked for together.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BatchRequest {
    /// 1 to 1,000 of them.
    #[schema(min_items = 1, max_items = 1_000)]
    jobs: Vec<Asked>,
}

/// What became of jobs that were asked for together.
#[derive(Debug, Serialize, ToSchema)]
pub struct BatchJson {
    /// In the order of the request.
    jobs: Vec<EnqueuedJson>,
}

/// The limit of this route's body.
pub(in crate::http) fn body_limit() -> RequestBodyLimitLayer {
    RequestBodyLimitLayer::new(BODY_LIMIT)
}

/// Asks for up to 1,000 jobs, all or none.
///
/// A refusal names the first that cannot be taken: `index` is its place, from 0.
#[utoipa::path(post, path = "/v1/jobs/batch", tag = "jobs", operation_id = "enqueue_jobs",
    security(("key" = [])),
    request_body = BatchRequest,
    responses(
        (status = 202, description = "All of them are in the ledger.", body = BatchJson),
        (status = 422, description = "As for one job; `job-batch-size`: there is none, or there are more than 1,000.",
            body = ProblemJson, content_type = "application/problem+json"),
        (status = 429, description = "`too-many-requests` with this key.", body = ProblemJson,
            content_type = "application/problem+json"),
        RefusesBody,
        RefusesStaff,
        Refuses,
    ),
)]
pub async fn enqueue(
    machine: AuthenticatedMachine,
    State(app): State<App>,
    ApiJson(request): ApiJson<BatchRequest>,
) -> Result<(StatusCode, Json<BatchJson>), Problem> {
    if request.jobs.is_empty() || request.jobs.len() > MOST {
        let detail = format!("Send 1 to {MOST} jobs at once, not {}.", request.jobs.len());
        return Err(Problem::unprocessable("job-batch-size", detail));
    }
    let jobs = ask_for(&app, &machine.caller, &request.jobs).await.map_err(|(index, problem)| match index {
        Some(index) => problem.with("index", index),
        None => problem,
    })?;
    Ok((StatusCode::ACCEPTED, Json(BatchJson { jobs })))
}
