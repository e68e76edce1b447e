//! Runs jobs: which handler is whose, and what its outcome means for the job.

use std::{
    os::unix::process::ExitStatusExt,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use apalis::prelude::{Monitor, WorkerBuilder};
use berth_jobs::{
    AnyJob, Backoff, JobKind, Queue,
    ids::{AccountId, JobId, MailId, OrderId, StripeEventId},
};
use nix::sys::signal::Signal;
use rand::Rng;
use serde_json::value::RawValue;
use tokio::{
    process::{Child, Command},
    sync::Semaphore,
};
use uuid::Uuid;

use crate::{
    app::{App, Ctx},
    effects::Effects,
    error::{JobError, chain},
    failpoint, handlers, inbox,
    metrics::{self, RunOutcome},
    queue::{
        backend::{LedgerBackend, RunnableJob},
        committer::{Claim, CommitError, Settlement},
        relay::Relay,
    },
    servers,
    store::{StoreError, jobs::ClaimedJob},
    supervise::{Supervisor, spawn},
    trace::{self, About, Span, SpanKind},
    watchdog::Watchdog,
};

/// After so many starts that ended with the death of the process, a job runs alone in a process of its own.
const STARTS_BEFORE_ALONE: u32 = 2;
/// How long a job of a kind that this version does not know waits for a newer one.
const UNKNOWN_KIND_WAIT: Duration = Duration::from_secs(60);
const UNKNOWN_KIND_BACKOFF: Backoff = Backoff::seconds(60, 3600);
const UNKNOWN_KIND_DEADLINE: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long a process of its own may outlive its job's timeout: a slow start on a busy machine, and longer than its own
/// watchdog takes.
const ALONE_GRACE: Duration = Duration::from_secs(60);
/// So many jobs run alone at once. Many neighbours of one bad job may come together, and processes that start in a
/// crowd take so long that they would be taken for bad ones themselves.
static ALONE_AT_ONCE: Semaphore = Semaphore::const_new(4);

/// The table: every job and its handler.
async fn run(job: &AnyJob, ctx: &Ctx) -> Result<Effects, JobError> {
    match job {
        AnyJob::CompleteCheckout(job) => handlers::checkout::complete_checkout::run(job, ctx).await,
        AnyJob::CloseCheckout(job) => handlers::checkout::close_checkout::run(job, ctx).await,
        AnyJob::SyncCheckout(job) => handlers::checkout::sync_checkout::run(job, ctx).await,
        AnyJob::ExpireCheckout(job) => handlers::checkout::expire_checkout::run(job, ctx).await,
        AnyJob::TracePayment(job) => handlers::payments::trace_payment::run(job, ctx).await,
        AnyJob::SyncRefunds(job) => handlers::payments::sync_refunds::run(job, ctx).await,
        AnyJob::SyncDispute(job) => handlers::payments::sync_dispute::run(job, ctx).await,
        AnyJob::ChargeRenewal(job) => handlers::renewals::charge_renewal::run(job, ctx).await,
        AnyJob::ResolveCharge(job) => handlers::renewals::resolve_charge::run(job, ctx).await,
        AnyJob::NoteChargeEvent(job) => handlers::renewals::note_charge_event::run(job, ctx).await,
        AnyJob::SyncCards(job) => handlers::renewals::sync_cards::run(job, ctx).await,
        AnyJob::NoteCardEvent(job) => handlers::renewals::note_card_event::run(job, ctx).await,
        AnyJob::DetachCard(job) => handlers::renewals::detach_card::run(job, ctx).await,
        AnyJob::ProvisionAccount(job) => handlers::hosting::provision_account::run(job, ctx).await,
        AnyJob::SuspendAccount(job) => handlers::hosting::suspend_account::run(job, ctx).await,
        AnyJob::UnsuspendAccount(job) => handlers::hosting::unsuspend_account::run(job, ctx).await,
        AnyJob::TerminateAccount(job) => handlers::hosting::terminate_account::run(job, ctx).await,
        AnyJob::PurgeAccount(job) => handlers::hosting::purge_account::run(job, ctx).await,
        AnyJob::ChangePackage(job) => handlers::hosting::change_package::run(job, ctx).await,
        AnyJob::ResetPassword(job) => handlers::hosting::reset_password::run(job, ctx).await,
        AnyJob::ReconcileAccount(job) => handlers::hosting::reconcile_account::run(job, ctx).await,
        AnyJob::ReconcileServer(job) => handlers::hosting::reconcile_server::run(job, ctx).await,
        AnyJob::ProbeServer(job) => handlers::hosting::probe_server::run(job, ctx).await,
        AnyJob::SendMail(job) => handlers::mail::send_mail::run(job, ctx).await,
        AnyJob::SweepUnpaidOrders(job) => handlers::sweeps::sweep_unpaid_orders::run(job, ctx).await,
        AnyJob::SweepCheckoutPages(job) => handlers::sweeps::sweep_checkout_pages::run(job, ctx).await,
        AnyJob::SweepStripeEvents(job) => handlers::sweeps::sweep_stripe_events::run(job, ctx).await,
        AnyJob::SweepSilentCharges(job) => handlers::sweeps::sweep_silent_charges::run(job, ctx).await,
        AnyJob::SweepPanels(job) => handlers::sweeps::sweep_panels::run(job, ctx).await,
        AnyJob::SweepDigest(job) => handlers::sweeps::sweep_digest::run(job, ctx).await,
        AnyJob::SweepCards(job) => handlers::sweeps::sweep_cards::run(job, ctx).await,
        AnyJob::SweepLeftovers(job) => handlers::sweeps::sweep_leftovers::run(job, ctx).await,
        AnyJob::SweepAccounts(job) => handlers::sweeps::sweep_accounts::run(job, ctx).await,
        AnyJob::RunPlan(job) => handlers::sweeps::run_plan::run(job, ctx).await,
        AnyJob::NoOp(job) => handlers::diagnosis::no_op::run(job, ctx).await,
    }
}

/// Starts the workers of `queues`, with lease and relay; they end when the process drains.
///
/// # Errors
/// When the lease cannot be taken out.
pub async fn start(app: &App, queues: &[Queue], tasks: &Supervisor) -> Result<(), StoreError> {
    app.store.configure_servers(&servers::configured(&app.panels)).await?;
    app.lease.works_on(queues);
    app.lease.begin().await?;
    let lease = app.lease.clone();
    let stopped = tasks.stopped.clone();
    tasks.run("lease", move || lease.clone().keep(stopped.clone()));
    let relay = Relay::new(app.store.clone(), app.redis.clone(), &app.config.work);
    let draining = tasks.draining.clone();
    tasks.run("relay", move || relay.clone().run(draining.clone()));
    if app.config.inbox.enabled {
        let (app, draining) = (app.clone(), tasks.draining.clone());
        tasks.run("inbox", move || inbox::run(app.clone(), draining.clone()));
    }
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

/// Runs a claimed job to its settlement, in the trace of what has caused it.
async fn run_claimed(app: &App, claimed: &ClaimedJob, watchdog: &Watchdog) {
    let span = span_of(claimed);
    let outcome = span.within(Box::pin(run_to_settlement(app, claimed, watchdog))).await;
    end(span, outcome);
}

/// The span of a job's run: it continues what has caused the job.
fn span_of(claimed: &ClaimedJob) -> Span {
    let kind = JobKind::named(&claimed.kind);
    let caused_by = claimed.traceparent.as_deref().and_then(|text| text.parse().ok());
    let name = kind.map_or("job of an unknown kind", |kind| kind.name);
    let mut span = Span::begin(caused_by, SpanKind::Consumer, name, About::Job(claimed.id))
        .scattering(kind.is_some_and(|kind| kind.queue == Queue::Sweeps));
    span.note("berth.job_id", claimed.id);
    span.count("berth.attempt", claimed.attempt);
    note_subject(&mut span, &claimed.payload);
    span
}

/// Which order, account or mail a job is about: ids, as its payload has them.
fn note_subject(span: &mut Span, payload: &RawValue) {
    #[derive(serde::Deserialize)]
    struct Subject {
        order_id: Option<OrderId>,
        account_id: Option<AccountId>,
        mail_id: Option<MailId>,
        event_id: Option<StripeEventId>,
    }

    if !span.is_collected() {
        return;
    }
    let Ok(subject) = serde_json::from_str::<Subject>(payload.get()) else { return };
    subject.order_id.into_iter().for_each(|id| span.note("berth.order_id", id));
    subject.account_id.into_iter().for_each(|id| span.note("berth.account_id", id));
    subject.mail_id.into_iter().for_each(|id| span.note("berth.mail_id", id));
    subject.event_id.into_iter().for_each(|id| span.note("stripe.event_id", id));
}

fn end(mut span: Span, outcome: Option<RunOutcome>) {
    span.note("outcome", outcome.map_or("elsewhere", RunOutcome::as_str));
    if matches!(outcome, Some(RunOutcome::Retry | RunOutcome::Dead | RunOutcome::Unsettled)) {
        span.fail();
    }
}

/// Answers how the run ended; `None` when it did so in a process of its own.
async fn run_to_settlement(app: &App, claimed: &ClaimedJob, watchdog: &Watchdog) -> Option<RunOutcome> {
    let began = Instant::now();
    let claim = claim_of(claimed);
    let (settlement, effects) = match AnyJob::decode(&claimed.kind, &claimed.payload) {
        Ok(job) if claimed.unsettled >= STARTS_BEFORE_ALONE => match run_alone(app, claimed, job.kind()).await {
            Alone::Settled => return None,
            // The claim is given back with the next renewals of the lease, and the job is as it was before.
            Alone::Undecided(why) => {
                tracing::warn!(job = %claimed.id, why, "a process of its own did not settle a job; it runs again");
                return None;
            }
            Alone::Deadly(why) => (Settlement::Dead { error: format!("quarantined: {why}") }, Effects::none()),
        },
        Ok(job) => attempt(app, claimed, job, watchdog).await,
        Err(error) if error.may_be_newer() => {
            let reason = format!("{error}; a newer version may know it");
            (
                Settlement::Snooze { after: UNKNOWN_KIND_WAIT, give_up_after: Some(UNKNOWN_KIND_DEADLINE), reason },
                Effects::none(),
            )
        }
        Err(error) => (Settlement::Dead { error: error.to_string() }, Effects::none()),
    };
    let took = began.elapsed();
    let outcome = settle(app, claim, settlement, effects).await;
    metrics::ran(&claimed.kind, outcome, took);
    Some(outcome)
}

/// Runs one job under a claim that the parent process holds: the child's side of `run_alone`.
///
/// # Errors
/// When the claim no longer holds.
pub async fn run_one(app: &App, id: JobId, claim_id: Uuid, tasks: &Supervisor) -> Result<(), StoreError> {
    let claimed = app.store.claimed(id, claim_id).await?;
    let watchdog = Watchdog::start(tasks);
    if let Ok(job) = AnyJob::decode(&claimed.kind, &claimed.payload) {
        let span = span_of(&claimed);
        let run = async {
            let (settlement, effects) = attempt(app, &claimed, job, &watchdog).await;
            settle(app, claim_of(&claimed), settlement, effects).await
        };
        let outcome = span.within(Box::pin(run)).await;
        end(span, Some(outcome));
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
    let timeout = failpoint::shortened(kind.name, kind.timeout);
    let _watched = watchdog.watch(id, timeout);
    let handler = spawn(trace::carried(async move {
        failpoint::hit("job.run");
        failpoint::hit_for("job.run", id);
        failpoint::hit_for("job.run", kind.name);
        tokio::time::timeout(timeout, run(&job, &ctx)).await
    }));
    let error = match handler.await {
        Ok(Ok(Ok(effects))) => return (Settlement::Done, effects),
        Ok(Ok(Err(error))) => error,
        Ok(Err(_)) => JobError::Retry(format!("no end within {} s", timeout.as_secs())),
        Err(panic) => JobError::Retry(format!("the handler panicked: {panic}")),
    };
    if matches!(error, JobError::InTurn { .. }) {
        tracing::debug!(job = %claimed.id, kind = kind.name, %error, "a job waits for its turn");
    } else {
        tracing::warn!(job = %claimed.id, kind = kind.name, attempt = claimed.attempt, %error, "an attempt did not finish");
    }
    let settlement = match error {
        JobError::Retry(error) if last_attempt => Settlement::Dead { error },
        JobError::Retry(error) => Settlement::Retry { after: with_jitter(kind.backoff.after(claimed.attempt)), error },
        JobError::Snooze { reason, after, give_up_after } => {
            Settlement::Snooze { after, give_up_after: Some(give_up_after), reason }
        }
        JobError::InTurn { reason, after } => Settlement::Snooze { after, give_up_after: None, reason },
        JobError::Cancel(reason) => Settlement::Cancel { reason },
    };
    (settlement, Effects::none())
}

/// Between half the wait and all of it, so that those that failed together do not come back together.
fn with_jitter(wait: Duration) -> Duration {
    let most = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(rand::rng().random_range(most / 2..=most))
}

async fn settle(app: &App, claim: Claim, settlement: Settlement, effects: Effects) -> RunOutcome {
    let job = claim.job_id;
    let wanted = match &settlement {
        Settlement::Done => RunOutcome::Done,
        Settlement::Retry { .. } => RunOutcome::Retry,
        Settlement::Snooze { .. } => RunOutcome::Snooze,
        Settlement::Cancel { .. } => RunOutcome::Cancel,
        Settlement::Dead { .. } => RunOutcome::Dead,
    };
    match app.committer.settle(claim, settlement, effects).await {
        Ok(()) => wanted,
        Err(error @ (CommitError::ClaimLost | CommitError::Refused(_))) => {
            tracing::info!(%job, error = chain(&error), "a run counts for nothing; the job runs again");
            RunOutcome::Refused
        }
        Err(error @ (CommitError::Unavailable(_) | CommitError::Failed(_))) => {
            tracing::error!(%job, error = chain(&error), "a run could not be settled");
            RunOutcome::Unsettled
        }
    }
}

/// How a job fared in a process of its own.
enum Alone {
    /// The process has settled it.
    Settled,
    /// The process ended for a reason that says nothing about the job: it could not start or reach the database, or
    /// was asked to stop together with its parent.
    Undecided(String),
    /// The job ends the process that runs it.
    Deadly(String),
}

/// Runs a job that has been there when processes died in a process of its own, so that its death is nobody else's.
async fn run_alone(app: &App, claimed: &ClaimedJob, kind: JobKind) -> Alone {
    let Ok(_turn) = ALONE_AT_ONCE.acquire().await else {
        return Alone::Undecided("nobody runs alone any more".to_owned());
    };
    let mut child = match spawn_alone(app, claimed) {
        Ok(child) => child,
        Err(error) => return Alone::Undecided(format!("a process of its own cannot be started: {error}")),
    };
    let patience = failpoint::shortened(kind.name, kind.timeout) + ALONE_GRACE;
    match tokio::time::timeout(patience, child.wait()).await {
        Ok(Ok(status)) => fared(status),
        Ok(Err(error)) => Alone::Undecided(format!("its process cannot be waited for: {error}")),
        Err(_) => Alone::Deadly(format!("its process did not end within {} s", patience.as_secs())),
    }
}

fn spawn_alone(app: &App, claimed: &ClaimedJob) -> std::io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    if let Some(file) = &app.config.file {
        command.arg("--config").arg(file);
    }
    command
        .args(["work", "--one", &claimed.id.to_string(), "--claim", &claimed.claim_id.to_string()])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .spawn()
}

fn fared(status: ExitStatus) -> Alone {
    match status.signal().map(Signal::try_from) {
        None if status.success() => Alone::Settled,
        // Service managers and terminals send these to parents and children alike.
        None | Some(Ok(Signal::SIGTERM | Signal::SIGINT | Signal::SIGHUP)) => {
            Alone::Undecided(format!("its process ended, {status}"))
        }
        Some(_) => Alone::Deadly(format!("the job kills its process, {status}")),
    }
}
