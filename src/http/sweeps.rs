//! `POST /v1/sweeps/{name}`: staff, or an application, runs a sweep before its time, or looks at what it would do.

use std::time::Duration;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use berth_jobs::{ids::FusePlanId, sweeps::RunPlan};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    auth::StaffOrMachine,
    orders::of_store,
    problem::{ApiJson, Problem, ProblemJson, Refuses, RefusesBody, RefusesStaff},
    reason::Reason,
    segments::Segments,
};
use crate::{
    app::App,
    domain::fuse::may_confirm,
    effects::{Effects, NewAudit, NewJob},
    error::chain,
    sweeps::{self, Plan, Sources, Sweep, SweepError},
};

/// How soon to try again when Stripe is away.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// So many steps are shown; all of them are summed up.
const MOST_STEPS: usize = 1_000;

/// How a sweep is to be run, and why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SweepRequest {
    reason: Reason,
    /// Only show what would be done.
    #[serde(default)]
    dry_run: bool,
    /// What was due at that time; a dry run may look ten years ahead. Without it, what is due now.
    #[serde(default)]
    #[schema(value_type = Option<String>, format = DateTime)]
    as_of: Option<Timestamp>,
    /// A plan of the sweep `accounts` that was stopped, because it was far more than usual: `plan_…`. What of it is still due
    /// is done.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    confirm: Option<FusePlanId>,
}

/// A sweep that was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct SweepStarted {
    /// The job that does it: `job_…`.
    job_id: String,
}

/// Runs a sweep now, or shows what it would do: to which rows, of whom, with sums. For staff, and for applications whose key
/// may ask for the sweep's job, such as `sweep_accounts`. It is written down.
///
/// A sweep that is run twice does nothing twice. With `dry_run` nothing is changed.
#[utoipa::path(post, path = "/v1/sweeps/{name}", tag = "staff", operation_id = "run_sweep",
    security(("bearer" = []), ("key" = [])),
    params(("name" = String, Path, description = "`unpaid_orders`, `checkout_pages`, `accounts`, `cards`, `stripe_events`, \
        `silent_charges`, `panels`, `digest` or `leftovers`")),
    request_body = SweepRequest,
    responses(
        (status = 200, description = "With `dry_run`: what would be done, at most 1,000 steps of it.", body = Plan),
        (status = 202, description = "The sweep's job is in the ledger, or waited there already.", body = SweepStarted),
        (status = 404, description = "There is no such sweep, or no such plan.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 422, description = "`as-of-refused`: a sweep runs as of now or a time before; a dry run looks ten years \
                                      ahead at most. `plan-refused`: the plan is older than a day, or of no sweep of that \
                                      name.",
            body = ProblemJson, content_type = "application/problem+json"),
        RefusesBody,
        RefusesStaff,
        Refuses,
    ),
)]
pub async fn run(
    who: StaffOrMachine,
    State(app): State<App>,
    Segments(name): Segments<String>,
    ApiJson(request): ApiJson<SweepRequest>,
) -> Result<Response, Problem> {
    let sweep: Sweep = name.parse().map_err(|_| Problem::not_found())?;
    let actor = actor(&who, sweep, &request)?;
    let now = app.store.now().await.map_err(of_store)?;
    let as_of = request.as_of.unwrap_or(now);
    sweeps::check_as_of(as_of, now, request.dry_run)
        .map_err(|error| Problem::unprocessable("as-of-refused", format!("Choose another `as_of`: {error}.")))?;
    let audit = audit(sweep, &actor, &request, now);
    if request.dry_run {
        let plan = sweeps::plan(&Sources::of(&app, now), sweep, as_of, MOST_STEPS).await.map_err(of_sweep)?;
        write(&app, Effects::none().audit(audit)).await?;
        return Ok(Json(plan).into_response());
    }
    let (new, confirmed) = match request.confirm {
        Some(plan) => confirmation(&app, sweep, plan, &actor, now).await?,
        None => (NewJob::now(sweep.job(request.as_of)), Effects::none()),
    };
    let (id, coalesce_key) = (new.id, new.job.coalesce_key());
    write(&app, Effects { jobs: vec![new], ..confirmed }.audit(audit)).await?;
    // Ours, or the one that waited already; should that have ended just now, another one is asked for.
    let known = app.store.enqueued_job(id, None, coalesce_key.as_deref()).await.map_err(of_store)?;
    let known = known.ok_or_else(Problem::database_away)?;
    let started = SweepStarted { job_id: known.to_string() };
    Ok((StatusCode::ACCEPTED, Json(started)).into_response())
}

/// Who asks, as it is written down. A plan that was stopped is a person's to confirm.
fn actor(who: &StaffOrMachine, sweep: Sweep, request: &SweepRequest) -> Result<String, Problem> {
    let machine = match who {
        StaffOrMachine::Staff(staff) => return Ok(staff.id.to_string()),
        StaffOrMachine::Machine(machine) => machine,
    };
    let kind = sweep.job(None).kind().name;
    if !machine.caller.kinds.iter().any(|allowed| allowed == kind) {
        let refusal = format!("{} may not ask for {kind}.", machine.caller.application);
        return Err(Problem::forbidden(refusal));
    }
    if request.confirm.is_some() {
        return Err(Problem::forbidden("Only staff confirms what was stopped because it was far more than usual."));
    }
    Ok(format!("app:{}", machine.caller.application))
}

/// The job that does what a person confirms, and that they do.
async fn confirmation(
    app: &App,
    sweep: Sweep,
    plan: FusePlanId,
    actor: &str,
    now: Timestamp,
) -> Result<(NewJob, Effects), Problem> {
    let kept = app.store.fuse_plan(plan).await.map_err(of_store)?;
    if sweep != Sweep::Accounts || !may_confirm(kept.planned_at, now) {
        let detail = "Plans of the sweep `accounts` are confirmed within a day: what is due now is planned anew by the next run.";
        return Err(Problem::unprocessable("plan-refused", detail));
    }
    let confirmed = Effects::none().confirm_plan(plan, actor, now);
    Ok((NewJob::now(RunPlan { plan_id: plan }.into()), confirmed))
}

/// What a plan that cannot be told means to the caller.
fn of_sweep(error: SweepError) -> Problem {
    match error {
        SweepError::Store(error) => of_store(error),
        SweepError::Stripe(_) | SweepError::NotSetUp(_) | SweepError::Time(_) => {
            tracing::error!(error = chain(&error), "a sweep could not be shown");
            Problem::unavailable(RETRY_AFTER)
        }
    }
}

fn audit(sweep: Sweep, actor: &str, request: &SweepRequest, now: Timestamp) -> NewAudit {
    NewAudit {
        actor: actor.to_owned(),
        action: if request.dry_run { "sweep.dry_run" } else { "sweep.run" },
        subject: sweep.to_string(),
        reason: Some(request.reason.clone().into()),
        before: None,
        after: Some(json!({ "as_of": request.as_of, "confirm": request.confirm })),
        at: now,
    }
}

async fn write(app: &App, effects: Effects) -> Result<(), Problem> {
    app.committer.write(effects).await.map_err(|error| {
        tracing::error!(error = chain(&error), "a sweep could not be asked for");
        Problem::database_away()
    })
}
