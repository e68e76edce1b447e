//! `/v1/jobs`: how other applications ask for jobs, and what became of them.

pub mod batch;

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use berth_jobs::{JobKind, ids::JobId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{
    auth::AuthenticatedMachine,
    checkout::key_of,
    orders::of_store,
    problem::{ApiJson, Problem, ProblemJson, Refuses, RefusesBody, RefusesStaff},
    segments::Segments,
};
use crate::{
    app::App,
    effects::{Effects, NewJob},
    error::chain,
    store::jobs::JobRow,
    ways_in::{Asked, Caller, Keys, Refused, external},
};

/// A job that is in the ledger because it was asked for.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EnqueuedJson {
    /// `job_…`.
    #[schema(value_type = String)]
    id: JobId,
    /// Its name.
    kind: String,
    /// queued, running, done, cancelled or dead.
    state: String,
    /// Whether this request made it. If not, a job under the same key is there, or one that does the same waited already.
    created: bool,
}

/// A job, as whoever asked for it sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobJson {
    /// `job_…`.
    #[schema(value_type = String)]
    id: JobId,
    /// Its name.
    kind: String,
    /// queued, running, done, cancelled or dead. Dead jobs wait for a person.
    state: String,
    /// How often it was begun.
    attempt: i32,
    /// What it was asked to do.
    #[schema(value_type = Object)]
    payload: Value,
    /// When it is or was due.
    #[schema(value_type = String, format = DateTime)]
    run_at: Timestamp,
    /// Why the last attempt failed, or what it waits for.
    last_error: Option<String>,
    /// When it was asked for.
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// When it ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
}

impl From<JobRow> for JobJson {
    fn from(row: JobRow) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            state: row.state,
            attempt: row.attempt,
            payload: row.payload,
            run_at: row.run_at,
            last_error: row.last_error,
            created_at: row.created_at,
            finished_at: row.finished_at,
        }
    }
}

/// Which job.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub struct JobQuery {
    /// The key under which your application has asked for it.
    #[param(min_length = 1, max_length = 255)]
    key: String,
}

/// What can be asked for: the JSON Schema of each kind's payload, by the kind's name.
#[derive(Debug, Serialize, ToSchema)]
pub struct SchemasJson {
    #[schema(value_type = Object)]
    schemas: BTreeMap<&'static str, Value>,
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        let detail = format!("{refused}.");
        match refused {
            Refused::Kind(_) => Self::unprocessable("job-kind-unknown", detail),
            Refused::NotAllowed { .. } => Self::forbidden(detail),
            Refused::Payload(_) => Self::unprocessable("job-payload-invalid", detail),
            Refused::Key => Self::unprocessable("job-key-invalid", detail),
            Refused::Time => Self::unprocessable("job-time-refused", detail),
        }
    }
}

/// Asks for a job. Its payload is checked before anything is written.
///
/// Send `key`, or the header `Idempotency-Key`, and a request whose answer was lost can be sent again: it is answered with the
/// job of the first.
#[utoipa::path(post, path = "/v1/jobs", tag = "jobs", operation_id = "enqueue_job",
    security(("key" = [])),
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[ -~]+$",
        description = "The same as `key` in the body.")),
    request_body = Asked,
    responses(
        (status = 200, description = "It was there already.", body = EnqueuedJson),
        (status = 202, description = "It is in the ledger; its address is in `Location`.", body = EnqueuedJson),
        (status = 422, description = "`job-kind-unknown`, `job-payload-invalid`, `job-key-invalid`, `job-time-refused`; \
                                      `idempotency-key-reused`: the key stands for another job.",
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
    headers: HeaderMap,
    ApiJson(asked): ApiJson<Asked>,
) -> Result<Response, Problem> {
    let asked = with_header(asked, key_of(&headers)?)?;
    let enqueued = ask_for(&app, &machine.caller, &[asked]).await.map_err(|(_, problem)| problem)?;
    let enqueued = enqueued.into_iter().next().ok_or_else(Problem::database_away)?;
    let status = if enqueued.created { StatusCode::ACCEPTED } else { StatusCode::OK };
    let location = format!("/v1/jobs/{}", enqueued.id);
    Ok((status, [(header::LOCATION, location)], Json(enqueued)).into_response())
}

/// One key, however it came.
fn with_header(asked: Asked, of_header: Option<String>) -> Result<Asked, Problem> {
    match (&asked.key, &of_header) {
        (Some(key), Some(header)) if key != header => {
            Err(Problem::invalid_request("Idempotency-Key: it differs from `key` in the body; send one of them"))
        }
        (Some(_), _) => Ok(asked),
        (None, _) => Ok(Asked { key: of_header, ..asked }),
    }
}

/// Writes all that is asked for in one commit, or nothing; answers what it has become, in its order. A refusal names the place
/// of what it is about, where it is about one.
async fn ask_for(app: &App, caller: &Caller, asked: &[Asked]) -> Result<Vec<EnqueuedJson>, (Option<usize>, Problem)> {
    let whole = |problem: Problem| (None, problem);
    let now = app.store.now().await.map_err(|error| whole(of_store(error)))?;
    let mut new: Vec<NewJob> = Vec::with_capacity(asked.len());
    for (at, asked) in asked.iter().enumerate() {
        new.push(caller.admit(asked, now).map_err(|refused| (Some(at), refused.into()))?);
    }
    check_keys(app, &new).await?;
    let written = Effects { jobs: new.clone(), ..Effects::none() };
    app.committer.write(written).await.map_err(|error| {
        tracing::error!(error = chain(&error), "jobs that were asked for could not be written");
        whole(Problem::database_away())
    })?;
    let became = app.store.became(&new).await.map_err(|error| whole(of_store(error)))?;
    let kinds = new.iter().map(|new| (new.id, new.job.kind().name));
    let enqueued = became.into_iter().zip(kinds).map(|(became, (asked_id, kind))| {
        // What waited already has begun and ended since: what was asked for is done.
        let (id, state) = became.unwrap_or_else(|| (asked_id, "done".to_owned()));
        EnqueuedJson { id, kind: kind.to_owned(), state, created: id == asked_id }
    });
    Ok(enqueued.collect())
}

/// Refuses keys that stand for other jobs.
async fn check_keys(app: &App, new: &[NewJob]) -> Result<(), (Option<usize>, Problem)> {
    let once_keys: Vec<String> = new.iter().filter_map(|new| new.once_key.clone()).collect();
    if once_keys.is_empty() {
        return Ok(());
    }
    let known = app.store.jobs_under_keys(&once_keys).await.map_err(|error| (None, of_store(error)))?;
    let mut keys = Keys::of(known);
    match new.iter().position(|new| !keys.take(new)) {
        None => Ok(()),
        Some(at) => {
            let detail = "The key stands for another job: take a new one for what is another job.";
            Err((Some(at), Problem::unprocessable("idempotency-key-reused", detail)))
        }
    }
}

/// What can be asked for: the JSON Schema of each kind's payload.
#[utoipa::path(get, path = "/v1/jobs/schemas", tag = "jobs", operation_id = "job_schemas",
    responses((status = 200, description = "By the kind's name.", body = SchemasJson)),
)]
pub async fn schemas() -> Json<SchemasJson> {
    let of = |kind: &'static JobKind| (kind.name, (kind.schema)().to_value());
    Json(SchemasJson { schemas: external().map(of).collect() })
}

/// A job, of a kind that you may ask for.
#[utoipa::path(get, path = "/v1/jobs/{id}", tag = "jobs", operation_id = "show_job",
    security(("key" = [])),
    params(("id" = String, Path, description = "`job_…`")),
    responses(
        (status = 200, description = "The job.", body = JobJson),
        (status = 404, description = "There is none, it is of a kind that you may not ask for, or it has ended more than a week \
                                      ago.",
            body = ProblemJson, content_type = "application/problem+json"),
        (status = 429, description = "`too-many-requests` with this key.", body = ProblemJson,
            content_type = "application/problem+json"),
        RefusesStaff,
        Refuses,
    ),
)]
pub async fn show(
    machine: AuthenticatedMachine,
    State(app): State<App>,
    Segments(id): Segments<String>,
) -> Result<Json<JobJson>, Problem> {
    let id: JobId = id.parse().map_err(|_| Problem::not_found())?;
    let job = app.store.job(id).await.map_err(of_store)?;
    if !machine.caller.kinds.contains(&job.kind) {
        return Err(Problem::not_found());
    }
    Ok(Json(job.into()))
}

/// The job that your application has asked for under a key.
#[utoipa::path(get, path = "/v1/jobs", tag = "jobs", operation_id = "find_job",
    security(("key" = [])),
    params(JobQuery),
    responses(
        (status = 200, description = "The job.", body = JobJson),
        (status = 400, description = "`key` is missing.", body = ProblemJson, content_type = "application/problem+json"),
        (status = 404, description = "None was asked for under it, or it has ended more than a week ago.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 422, description = "`job-key-invalid`.", body = ProblemJson, content_type = "application/problem+json"),
        (status = 429, description = "`too-many-requests` with this key.", body = ProblemJson,
            content_type = "application/problem+json"),
        RefusesStaff,
        Refuses,
    ),
)]
pub async fn find(
    machine: AuthenticatedMachine,
    State(app): State<App>,
    query: Result<Query<JobQuery>, QueryRejection>,
) -> Result<Json<JobJson>, Problem> {
    let Query(query) = query.map_err(|error| Problem::invalid_request(error.body_text()))?;
    let once_key = machine.caller.once_key(&query.key)?;
    let found = app.store.jobs_under_keys(&[once_key]).await.map_err(of_store)?;
    let found = found.first().ok_or_else(Problem::not_found)?;
    Ok(Json(app.store.job(found.id).await.map_err(of_store)?.into()))
}
