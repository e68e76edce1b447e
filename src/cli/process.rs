//! The processes that stay: `up`, `serve` and `work`, from their checks to their graceful end. Also `migrate`.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Context;
use axum::Router;
use berth_jobs::{Queue, ids::JobId};
use tokio::{
    net::TcpListener,
    task::JoinHandle,
    time::{Instant, sleep, timeout, timeout_at},
};
use uuid::Uuid;

use super::{
    LAST_THREADS, checks,
    output::{print, say},
    settings,
    signals::Signals,
};
use crate::{
    app::App,
    config::{Config, Role},
    error::chain,
    http, schedule, service_manager, store,
    supervise::Supervisor,
    watchdog::Watchdog,
    worker,
};

pub(super) const STOPPING: &str = "Stops on SIGTERM or Ctrl-C: takes nothing new, lets requests and jobs end for \
    work.shutdown_grace_seconds at most, gives the rest back, exits 0. A second one ends it at once (130).";
/// Kept of the grace for giving jobs back and ending the lease.
const LAST_STEPS: Duration = Duration::from_secs(2);
/// A shorter grace leaves no time to give jobs back.
const LEAST_GRACE: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub(super) struct WorkArgs {
    /// Only jobs of these queues: payments, provisioning, mail, sweeps.
    #[arg(long, value_delimiter = ',', value_name = "QUEUE,…")]
    queues: Vec<Queue>,
    /// Run this one job, under a claim that the parent process holds.
    #[arg(long, hide = true, requires = "claim", conflicts_with = "queues")]
    one: Option<JobId>,
    #[arg(long, hide = true, requires = "one")]
    claim: Option<Uuid>,
}

pub(super) async fn up(file: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    stay(file, Role::Up, &Queue::ALL).await
}

pub(super) async fn serve(file: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    stay(file, Role::Serve, &[]).await
}

pub(super) async fn work(file: Option<PathBuf>, args: WorkArgs) -> anyhow::Result<ExitCode> {
    if let (Some(job), Some(claim)) = (args.one, args.claim) {
        return work_one(file, job, claim).await;
    }
    let queues = if args.queues.is_empty() { Queue::ALL.to_vec() } else { args.queues };
    stay(file, Role::Work, &queues).await
}

/// Begins sweeps and runs none.
pub(super) async fn schedule(file: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    stay(file, Role::Schedule, &[]).await
}

async fn stay(file: Option<PathBuf>, role: Role, queues: &[Queue]) -> anyhow::Result<ExitCode> {
    let serves = matches!(role, Role::Up | Role::Serve);
    let config = if serves { settings::load(file)? } else { settings::load_or_dev(file)? };
    settings::log(&config)?;
    config.require_for(role)?;
    let signals = Signals::catch(Some(config.work.shutdown_grace().max(LEAST_GRACE)))?;
    let listener = if serves { Some(listen(&config).await?) } else { None };
    let tasks = Supervisor::default();
    let app = App::new(config, role, &tasks)?;
    checks::may_start(&app).await?;
    if role == Role::Schedule {
        schedule::start(&app, &tasks);
    }
    // A process that runs jobs has one that also watches those.
    if queues.is_empty() {
        Watchdog::start(&tasks);
    }
    let mut running = Running::start(app, tasks, queues, listener, None).await?;
    let asked = running.until_asked(&signals).await;
    running.stop().await;
    asked.map(|()| ExitCode::SUCCESS)
}

/// Takes the address of `http.listen`.
///
/// # Errors
/// When somebody else has it.
async fn listen(config: &Config) -> anyhow::Result<TcpListener> {
    let address = config.http.listen;
    TcpListener::bind(address)
        .await
        .with_context(|| format!("{address} cannot be listened on: set http.listen (BERTH_HTTP__LISTEN) to a free one"))
}

/// Takes the address of `metrics.listen`, where one is set.
///
/// # Errors
/// When somebody else has it.
async fn metrics_listener(config: &Config) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = config.metrics.listen else { return Ok(None) };
    let bound = TcpListener::bind(address).await;
    bound.map(Some).with_context(|| {
        format!("{address} cannot be listened on: set metrics.listen (BERTH_METRICS__LISTEN) to a free one")
    })
}

/// A process at work.
pub(super) struct Running {
    pub(super) app: App,
    tasks: Supervisor,
    http: Option<JoinHandle<std::io::Result<()>>>,
    works: bool,
}

impl Running {
    /// Starts workers for `queues` and HTTP on `listener`.
    ///
    /// # Errors
    /// When the lease cannot be taken out, or somebody else has the address of `metrics.listen`.
    pub(super) async fn start(
        app: App,
        tasks: Supervisor,
        queues: &[Queue],
        listener: Option<TcpListener>,
        extra: Option<Router>,
    ) -> anyhow::Result<Self> {
        let works = !queues.is_empty();
        if works {
            worker::start(&app, queues, &tasks).await?;
        }
        // Whoever runs sweeps begins them: nothing else has to be set up.
        if queues.contains(&Queue::Sweeps) && app.config.work.schedule {
            schedule::start(&app, &tasks);
        }
        let mut status = Vec::new();
        let http = match listener {
            Some(listener) => {
                let address = listener.local_addr()?;
                tracing::info!(%address, "listening");
                status.push(format!("listening on {address}"));
                let (app, tasks_of_http) = (app.clone(), tasks.clone());
                Some(tasks.spawn(async move { http::serve(app, listener, extra, &tasks_of_http).await }))
            }
            None => None,
        };
        if let Some(listener) = metrics_listener(&app.config).await? {
            tracing::info!(address = %listener.local_addr()?, "metrics are listening");
            let (app, tasks_of_metrics) = (app.clone(), tasks.clone());
            tasks.spawn(async move { http::serve_metrics(app, listener, &tasks_of_metrics).await });
        }
        let names: Vec<&str> = queues.iter().map(|queue| queue.as_str()).collect();
        tracing::info!(version = env!("CARGO_PKG_VERSION"), queues = names.join(","), "started");
        if works {
            status.push(format!("working on {}", names.join(", ")));
        }
        if status.is_empty() {
            status.push("beginning sweeps at their times".to_owned());
        }
        service_manager::ready(&status.join("; "));
        Ok(Self { app, tasks, http, works })
    }

    /// Waits for a signal.
    ///
    /// # Errors
    /// When HTTP fails before one came.
    pub(super) async fn until_asked(&mut self, signals: &Signals) -> anyhow::Result<()> {
        tokio::select! {
            () = signals.asked() => Ok(()),
            error = http_fails(&mut self.http) => Err(error.context("HTTP cannot be served")),
        }
    }

    /// Takes nothing new, lets what was begun end within the grace, gives back the rest.
    pub(super) async fn stop(self) {
        let grace = self.app.config.work.shutdown_grace();
        tracing::info!(grace_seconds = grace.as_secs(), "stopping");
        service_manager::stopping(&format!("letting requests and jobs end, for {} s at most", grace.as_secs()));
        self.tasks.draining.cancel();
        self.wind_down(grace).await;
        tracing::info!("stopped");
    }

    /// Everything within the grace: whoever sent the signal kills what is there after it.
    async fn wind_down(&self, grace: Duration) {
        // The last threads of the runtime, and as much again to be sure.
        let grace = grace.max(LEAST_GRACE).saturating_sub(LAST_THREADS * 2);
        let last_steps = LAST_STEPS.min(grace / 2);
        let end = Instant::now() + grace;
        let runs_end = end - last_steps;
        let http = async {
            while self.http.as_ref().is_some_and(|http| !http.is_finished()) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        let jobs = async {
            if self.works && timeout_at(runs_end, worker::stop(&self.app)).await.is_err() {
                give_back(&self.app, runs_end + last_steps / 2).await;
            }
        };
        let (_in_time, ()) = tokio::join!(timeout_at(runs_end, http), jobs);
        self.tasks.stopped.cancel();
        if timeout_at(end, self.tasks.wait()).await.is_err() {
            tracing::warn!("some tasks did not end in time; the process ends without them");
        }
    }
}

/// Gives back the jobs that outlast the grace, so that nobody has to wait for the lease to run out.
async fn give_back(app: &App, until: Instant) {
    match timeout_at(until, app.store.give_back(app.lease.id)).await {
        Ok(Ok(jobs)) => tracing::warn!(jobs, "jobs outlast the grace and were given back"),
        Ok(Err(error)) => tracing::warn!(error = chain(&error), "jobs could not be given back; the lease runs out"),
        Err(_) => tracing::warn!("the database is too slow to give jobs back; the lease runs out"),
    }
}

/// Ends only when HTTP has ended by itself.
async fn http_fails(http: &mut Option<JoinHandle<std::io::Result<()>>>) -> anyhow::Error {
    let Some(task) = http else { return std::future::pending().await };
    let error = match task.await {
        Ok(Ok(())) => anyhow::anyhow!("the server ended by itself"),
        Ok(Err(error)) => error.into(),
        Err(panic) => panic.into(),
    };
    *http = None;
    error
}

/// The child of a worker: runs a job in which processes have died before, alone. Exits 0 when it is settled.
async fn work_one(file: Option<PathBuf>, job: JobId, claim: Uuid) -> anyhow::Result<ExitCode> {
    let config = settings::load_of_parent(file)?;
    settings::log(&config)?;
    let tasks = Supervisor::default();
    let app = App::new(config, Role::Work, &tasks)?;
    app.clock.set(app.store.now().await?);
    worker::run_one(&app, job, claim, &tasks).await?;
    tasks.draining.cancel();
    tasks.stopped.cancel();
    if timeout(LAST_STEPS, tasks.wait()).await.is_err() {
        tracing::debug!("some tasks did not end in time");
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn migrate(file: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let config = settings::load(file)?;
    settings::log_quietly(&config)?;
    config.require_for(Role::Migrate)?;
    let database = &config.database;
    let owner = database.migrate_url.as_ref().or(database.url.as_ref()).context("no database is set")?;
    let app = database.url.as_ref().unwrap_or(owner);
    store::migrations::migrate(owner, app)
        .await
        .with_context(|| format!("the database at {} was not migrated", owner.redacted()))?;
    print("the database is up to date")?;
    if database.migrate_url.is_none() {
        say("berth: database.migrate_url is not set, so the program runs as the owner of its tables; \
             for production let database.url name the role berth_app");
    }
    Ok(ExitCode::SUCCESS)
}
