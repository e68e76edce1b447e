//! Runs jobs: which handler is whose, and what its outcome means for the job.

use std::{process::Stdio, sync::Arc, time::Duration};

use apalis::prelude::{Monitor, WorkerBuilder};
use berth_jobs::{AnyJob, Backoff, DecodeError, JobKind, Queue, ids::JobId};
use rand::Rng;
use uuid::Uuid;

use crate::{
    app::{App, Ctx},
    effects::Effects,
    error::{JobError, chain},
    failpoint, handlers,
    queue::{
        backend::{LedgerBackend, RunnableJob},
        committer::{Claim, CommitError, Settlement},
        relay::Relay,
    },
    store::{StoreError, jobs::ClaimedJob},
    supervise::{Supervisor, spawn},
    watchdog::Watchdog,
};

/// After so many starts that ended with the death of the process, a job runs alone in a process of its own.
const STARTS_BEFORE_ALONE: u32 = 2;
/// How long a job of a kind that this version does not know waits for a newer one.
const UNKNOWN_KIND_WAIT: Duration = Duration::from_secs(60);
const UNKNOWN_KIND_BACKOFF: Backoff = Backoff::seconds(60, 3600);
const UNKNOWN_KIND_DEADLINE: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long a process of its own may outlive its job's timeout.
const ALONE_GRACE: Duration = Duration::from_secs(15);

/// The table: every job and its handler.
async fn run(job: &AnyJob, ctx: &Ctx) -> Result<Effects, JobError> {
    match job {
        AnyJob::CompleteCheckout(job) => handlers::checkout::complete_checkout::run(job, ctx).await,
        AnyJob::CloseCheckout(job) => handlers::checkout::close_checkout::run(job, ctx).await,
        AnyJob::SyncCheckout(job) => handlers::checkout::sync_checkout::run(job, ctx).await,
        AnyJob::ProvisionAccount(job) => handlers::hosting::provision_account::run(job, ctx).await,
        AnyJob::ReconcileAccount(job) => handlers::hosting::reconcile_account::run(job, ctx).await,
        AnyJob::SendMail(job) => handlers::mail::send_mail::run(job, ctx).await,
        AnyJob::NoOp(job) => handlers::diagnosis::no_op::run(job, ctx).await,
    }
}

/// Starts the workers of `queues`, with lease and relay; they end when the process drains.
///
/// # Errors
/// When the lease cannot be taken out.
pub async fn start(app: &App, queues: &[Queue], tasks: &Supervisor) -> Result<(), StoreError> {
    app.lease.begin().await?;
    let lease = app.lease.clone();
    let stopped = tasks.stopped.clone();
    tasks.run("lease", move || lease.clone().keep(stopped.clone()));
    let relay = Relay::new(app.store.clone(), app.redis.clone(), &app.config.work);
    let draining = tasks.draining.clone();
    tasks.run("relay", move || relay.clone().run(draining.clone()));
    let watchdog = Watchdog::start(tasks);
    for queue in queues {
        let (app, queue, tasks_of_worker, watchdog) = (app.clone(), *queue, tasks.clone(), watchdog.clone());
        tasks.run("worker", move || work(app.clone(), queue, tasks_of_worker.clone(), watchdog.clone()));
    }
    Ok(())
}

/// Waits until the runs that were begun have ended, at most for the grace; then gives back what is left.
pub async fn stop(app: &App) {
    let grace = app.config.work.shutdown_grace();
    let ended = tokio::time::timeout(grace, async {
        while !app.lease.is_idle() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    if ended.await.is_err() {
        tracing::warn!(grace_seconds = grace.as_secs(), "runs outlast the grace; their jobs are given back");
    }
    match app.store.give_back(app.lease.id).await {
        Ok(0) => {}
        Ok(jobs) => tracing::info!(jobs, "jobs were given back"),
        Err(error) => tracing::warn!(error = chain(&error), "jobs could not be given back; the lease runs out"),
    }
}

/// One queue's worker, by apalis; should it end before the process drains, it begins again.
async fn work(app: App, queue: Queue, tasks: Supervisor, watchdog: Watchdog) {
    while !tasks.draining.is_cancelled() {
        work_once(app.clone(), queue, tasks.clone(), watchdog.clone()).await;
    }
}

async fn work_once(app: App, queue: Queue, tasks: Supervisor, watchdog: Watchdog) {
    let slots = app.config.work.concurrency.of(queue);
    let draining = tasks.draining.clone();
    let monitor = Monitor::new().register(move |_| {
        let backend =
            LedgerBackend::new(app.store.clone(), app.redis.clone(), tasks.clone(), queue, app.lease.clone(), slots);
        let (app, watchdog) = (app.clone(), watchdog.clone());
        WorkerBuilder::new(format!("{queue}-{}", app.lease.id)).backend(backend).build(move |job: RunnableJob| {
            let (app, watchdog) = (app.clone(), watchdog.clone());
            // A task of its own: handlers run on all cores, and a panic is the handler's own.
            async move {
                if let Err(error) = spawn(run_in_slot(app, job, watchdog)).await {
                    tracing::error!(%error, "a run died outside of its handler; its lease will end it");
                }
            }
        })
    });
    let stopping = async move {
        draining.cancelled().await;
        Ok(())
    };
    if let Err(error) = monitor.run_with_signal(stopping).await {
        tracing::error!(%queue, %error, "the worker ended with an error");
    }
}

async fn run_in_slot(app: App, job: RunnableJob, watchdog: Watchdog) {
    run_claimed(&app, &job.claimed, &watchdog).await;
    // Only now is the slot free.
    drop(job);
}

/// Runs a claimed job to its settlement.
async fn run_claimed(app: &App, claimed: &ClaimedJob, watchdog: &Watchdog) {
    let claim = claim_of(claimed);
    let (settlement, effects) = match AnyJob::decode(&claimed.kind, &claimed.payload) {
        Ok(job) if claimed.unsettled >= STARTS_BEFORE_ALONE => match run_alone(claimed, job.kind()).await {
            // The child has settled it.
            Ok(()) => return,
            Err(error) => (Settlement::Dead { error: format!("quarantined: {error}") }, Effects::none()),
        },
        Ok(job) => attempt(app, claimed, job, watchdog).await,
        Err(error @ DecodeError::UnknownKind(_)) => {
            let reason = format!("{error}; a newer version may know it");
            (
                Settlement::Snooze { after: UNKNOWN_KIND_WAIT, give_up_after: UNKNOWN_KIND_DEADLINE, reason },
                Effects::none(),
            )
        }
        Err(error @ DecodeError::Payload(_)) => (Settlement::Dead { error: error.to_string() }, Effects::none()),
    };
    settle(app, claim, settlement, effects).await;
}

/// Runs one job under a claim that the parent process holds: the child's side of `run_alone`.
///
/// # Errors
/// When the claim no longer holds.
pub async fn run_one(app: &App, id: JobId, claim_id: Uuid, tasks: &Supervisor) -> Result<(), StoreError> {
    let claimed = app.store.claimed(id, claim_id).await?;
    let watchdog = Watchdog::start(tasks);
    if let Ok(job) = AnyJob::decode(&claimed.kind, &claimed.payload) {
        let (settlement, effects) = attempt(app, &claimed, job, &watchdog).await;
        settle(app, claim_of(&claimed), settlement, effects).await;
    }
    Ok(())
}

fn claim_of(claimed: &ClaimedJob) -> Claim {
    let kind = JobKind::named(&claimed.kind);
    Claim {
        backoff: kind.map_or(UNKNOWN_KIND_BACKOFF, |kind| kind.backoff),
        tries: kind.map_or(1, |kind| kind.tries),
        job_id: claimed.id,
        claim_id: claimed.claim_id,
        serial: claimed.serial.clone(),
        attempt: claimed.attempt,
    }
}

/// Runs the handler under its timeout and decides what its outcome means.
async fn attempt(app: &App, claimed: &ClaimedJob, job: AnyJob, watchdog: &Watchdog) -> (Settlement, Effects) {
    let kind = job.kind();
    let last_attempt = claimed.attempt >= kind.tries;
    let ctx = Ctx::new(app.clone(), claim_of(claimed), claimed.claimed_at, last_attempt);
    let id = claimed.id;
    let _watched = watchdog.watch(id, kind.timeout);
    let handler = spawn(async move {
        failpoint::hit("job.run");
        failpoint::hit_for("job.run", id);
        failpoint::hit_for("job.run", kind.name);
        tokio::time::timeout(kind.timeout, run(&job, &ctx)).await
    });
    let error = match handler.await {
        Ok(Ok(Ok(effects))) => return (Settlement::Done, effects),
        Ok(Ok(Err(error))) => error,
        Ok(Err(_)) => JobError::Retry(format!("no end within {} s", kind.timeout.as_secs())),
        Err(panic) => JobError::Retry(format!("the handler panicked: {panic}")),
    };
    tracing::warn!(job = %claimed.id, kind = kind.name, attempt = claimed.attempt, %error, "an attempt did not finish");
    let settlement = match error {
        JobError::Retry(error) if last_attempt => Settlement::Dead { error },
        JobError::Retry(error) => Settlement::Retry { after: with_jitter(kind.backoff.after(claimed.attempt)), error },
        JobError::Snooze { reason, after, give_up_after } => Settlement::Snooze { after, give_up_after, reason },
        JobError::Cancel(reason) => Settlement::Cancel { reason },
    };
    (settlement, Effects::none())
}

/// Between half the wait and all of it, so that those that failed together do not come back together.
fn with_jitter(wait: Duration) -> Duration {
    let most = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(rand::rng().random_range(most / 2..=most))
}

async fn settle(app: &App, claim: Claim, settlement: Settlement, effects: Effects) {
    let job = claim.job_id;
    match app.committer.settle(claim, settlement, effects).await {
        Ok(()) => {}
        Err(error @ (CommitError::ClaimLost | CommitError::Refused(_))) => {
            tracing::info!(%job, error = chain(&error), "a run counts for nothing; the job runs again");
        }
        Err(error @ (CommitError::Unavailable(_) | CommitError::Failed(_))) => {
            tracing::error!(%job, error = chain(&error), "a run could not be settled");
        }
    }
}

/// Runs a job that has been there when processes died in a process of its own, so that its death is nobody else's.
async fn run_alone(claimed: &ClaimedJob, kind: JobKind) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| format!("this program cannot be found: {error}"))?;
    let mut child = tokio::process::Command::new(program)
        .args(["work", "--one", &claimed.id.to_string(), "--claim", &claimed.claim_id.to_string()])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("a process of its own cannot be started: {error}"))?;
    match tokio::time::timeout(kind.timeout + ALONE_GRACE, child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(format!("the job kills its process, {status}")),
        Ok(Err(error)) => Err(format!("its process cannot be waited for: {error}")),
        Err(_) => Err(format!("its process did not end within {} s", kind.timeout.as_secs())),
    }
}

/// The queues by name, for `--queues`; all when none is named.
///
/// # Errors
/// When a name is no queue's.
pub fn queues_named(names: &[String]) -> Result<Arc<[Queue]>, berth_jobs::UnknownQueue> {
    if names.is_empty() {
        return Ok(Queue::ALL.into());
    }
    names.iter().map(|name| name.parse()).collect()
}
