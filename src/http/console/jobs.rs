//! Jobs: what waits, runs, has failed and was given up; and having one run again, or never.

use axum::{extract::State, response::Response};
use berth_jobs::{AnyJob, Queue, ids::JobId};
use serde::Deserialize;
use serde_json::json;

use super::{
    answer::{Trouble, done, page},
    forms::{Asked, Because, Done, Named, Posted, audit, reason, said},
    session::Signed,
};
use crate::{
    app::App,
    store::{console::JobFilter, jobs::JobOrder},
};

const MOST: i64 = 50;
const STATES: [&str; 5] = ["queued", "running", "dead", "done", "cancelled"];

#[derive(Debug, Deserialize)]
pub(super) struct JobsQuery {
    state: Option<String>,
    kind: Option<String>,
    queue: Option<String>,
    q: Option<String>,
    before: Option<String>,
}

/// Jobs by a filter.
pub(super) async fn list(
    signed: Signed,
    State(app): State<App>,
    Asked(query): Asked<JobsQuery>,
) -> Result<Response, Trouble> {
    let text = |field: &Option<String>| said(field.as_deref()).map(str::to_owned);
    let filter = JobFilter {
        state: text(&query.state).filter(|state| STATES.contains(&state.as_str())),
        kind: text(&query.kind),
        queue: text(&query.queue),
        text: text(&query.q),
        before: said(query.before.as_deref()).and_then(|id| id.parse().ok()),
    };
    let jobs = app.store.console_jobs(&filter, MOST).await?;
    let full = i64::try_from(jobs.len()).is_ok_and(|shown| shown == MOST);
    let older = jobs.last().filter(|_| full).map(|job| job.id.clone());
    let values = json!({
        "jobs": jobs,
        "older": older,
        "states": STATES,
        "kinds": AnyJob::KINDS.iter().map(|kind| kind.name).collect::<Vec<_>>(),
        "queues": Queue::ALL.map(Queue::as_str),
        "state": filter.state,
        "kind": filter.kind,
        "queue": filter.queue,
        "q": filter.text,
        "before": filter.before.map(|id| id.to_string()),
    });
    page(&app, &signed, ("jobs", "jobs.html"), values)
}

/// One job: what it was to do, why it failed, what caused it and what it caused.
pub(super) async fn show(
    signed: Signed,
    State(app): State<App>,
    Named(id): Named<JobId>,
    Asked(Done { done }): Asked<Done>,
) -> Result<Response, Trouble> {
    let job = app.store.console_job(id).await?;
    let tries = AnyJob::KINDS.iter().find(|kind| kind.name == job.kind).map(|kind| kind.tries);
    let values = json!({
        "payload": serde_json::to_string_pretty(&job.payload).unwrap_or_default(),
        "may_retry": matches!(job.state.as_str(), "queued" | "dead" | "cancelled"),
        "may_cancel": matches!(job.state.as_str(), "queued" | "dead"),
        "tries": tries,
        "job": job,
        "causes": app.store.console_causes(id).await?,
        "caused": app.store.console_caused(id).await?,
        "done": done,
    });
    page(&app, &signed, ("jobs", "job.html"), values)
}

/// Has a job run again, at once and with all its attempts.
pub(super) async fn retry(
    State(app): State<App>,
    Named(id): Named<JobId>,
    posted: Posted<Because>,
) -> Result<Response, Trouble> {
    order(&app, id, posted, JobOrder::Retry).await
}

/// Has a job never run.
pub(super) async fn cancel(
    State(app): State<App>,
    Named(id): Named<JobId>,
    posted: Posted<Because>,
) -> Result<Response, Trouble> {
    order(&app, id, posted, JobOrder::Cancel).await
}

async fn order(
    app: &App,
    id: JobId,
    Posted { signed, form }: Posted<Because>,
    order: JobOrder,
) -> Result<Response, Trouble> {
    let (action, what) = match order {
        JobOrder::Retry => ("job.retry", "retried"),
        JobOrder::Cancel => ("job.cancel", "cancelled"),
    };
    let before = app.store.console_job(id).await?;
    let seen = json!({ "state": before.state, "attempt": before.attempt, "last_error": before.last_error });
    let audit = audit(app, &signed, action, &id.to_string(), reason(&form.reason)?, seen);
    if !app.store.order_job_audited(id, order, audit).await? {
        let detail = format!("Job {id} cannot be {what} now: it runs or is done, or the same job waits already.");
        return Err(Trouble::Refused(detail));
    }
    Ok(done(&format!("/console/jobs/{id}"), what))
}
