//! Who is measured: the program's sweep, and the statements.

use std::{
    collections::{BTreeMap, HashSet},
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use berth_jobs::{Queue, ids::JobId};
use sqlx::{Executor, PgPool};
use tokio::process::{Child as Process, Command};

use super::{set_clock, written};
use crate::{
    cpu::{self, Cpu},
    stack::Stack,
};

/// How many ids are taken out of Redis at once, as workers of those queues would.
const TAKEN_AT_ONCE: usize = 500;
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// How long a run may take at the very most.
const PATIENCE: Duration = Duration::from_secs(600);
/// After so many days invoices of a week before are to be charged.
const CHARGED_AFTER_DAYS: i32 = 4;

/// How long it took, in seconds, and what is there afterwards.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) issued: f64,
    pub(super) charged: f64,
    /// A run right after the invoices: all of these accounts are looked at, and nothing is due.
    pub(super) in_vain: Option<f64>,
    /// The most that was ever resident, in bytes.
    pub(super) memory: u64,
    pub(super) cpu: Cpu,
    pub(super) written: BTreeMap<String, i64>,
}

impl Outcome {
    pub(super) fn seconds(&self) -> f64 {
        self.issued + self.charged
    }
}

/// The sweep of a program of its own, which runs nothing else.
pub(super) async fn berth(stack: &Stack, database: &str, pool: &PgPool) -> Result<Outcome> {
    stack.redis.flushall().await?;
    set_clock(pool, 0).await?;
    let due: i64 =
        sqlx::query_scalar("select count(*) from berth.agenda where look_at <= berth.now()").fetch_one(pool).await?;
    let due = usize::try_from(due)?;
    let mut outcome = Outcome::default();

    let sweeper = Sweeper::start(stack, database, pool).await?;
    let before = sweeper.cpu(stack);
    outcome.issued = sweeper.sweep(due).await?;
    outcome.cpu = sweeper.cpu(stack).since(before);
    outcome.in_vain = Some(sweeper.sweep(0).await?);
    outcome.memory = sweeper.end().await?;

    set_clock(pool, CHARGED_AFTER_DAYS).await?;
    let sweeper = Sweeper::start(stack, database, pool).await?;
    let before = sweeper.cpu(stack);
    outcome.charged = sweeper.sweep(due).await?;
    let cpu = sweeper.cpu(stack).since(before);
    outcome.cpu.berth += cpu.berth;
    outcome.cpu.postgres += cpu.postgres;
    outcome.memory = outcome.memory.max(sweeper.end().await?);
    outcome.written = written(pool).await?;
    Ok(outcome)
}

/// The statements, each in one transaction, as a superuser, whom no policy of rows concerns.
pub(super) async fn statements(stack: &Stack, pool: &PgPool) -> Result<Outcome> {
    let cpu = || Cpu::read(None, stack.postgres.pid(), None);
    let mut outcome = Outcome::default();
    set_clock(pool, 0).await?;
    let before = cpu();
    outcome.issued = statement(pool, include_str!("issue.sql")).await?;
    outcome.cpu = cpu().since(before);
    set_clock(pool, CHARGED_AFTER_DAYS).await?;
    let before = cpu();
    outcome.charged = statement(pool, include_str!("charge.sql")).await?;
    outcome.cpu.postgres += cpu().since(before).postgres;
    outcome.written = written(pool).await?;
    Ok(outcome)
}

async fn statement(pool: &PgPool, sql: &'static str) -> Result<f64> {
    let mut db = pool.acquire().await?;
    db.execute(sqlx::raw_sql("set timezone = 'UTC'; set jit = off; set work_mem = '64MB'")).await?;
    let begun = Instant::now();
    db.execute(sqlx::raw_sql(sql)).await?;
    Ok(begun.elapsed().as_secs_f64())
}

/// `berth work --queues sweeps`, and what takes the ids that it hands over.
struct Sweeper {
    folder: tempfile::TempDir,
    settings: Vec<(String, String)>,
    berth: Process,
    pool: PgPool,
    taken: Taken,
}

impl Sweeper {
    async fn start(stack: &Stack, database: &str, pool: &PgPool) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let sites = folder.path().join("sites");
        let more = [
            // Far more than usual is what is measured.
            ("fuse.number", "1000000"),
            ("stripe.api_base", "http://127.0.0.1:9"),
            ("http.public_url", "http://127.0.0.1:8080"),
            ("hosting.sites_dir", sites.to_str().context("a temporary folder's name is text")?),
            // Who takes the ids here does not say so in the ledger, as workers do.
            ("work.redispatch_after_seconds", "3600"),
        ];
        let settings = stack.settings(database, &more)?;
        let begun: jiff_sqlx::Timestamp = sqlx::query_scalar("select clock_timestamp()").fetch_one(pool).await?;
        let mut berth =
            program(&settings, &folder).args(["work", "--queues", "sweeps"]).stdout(Stdio::null()).spawn()?;
        let patience = Instant::now();
        while !sqlx::query_scalar::<_, bool>("select exists (select from berth.workers where started_at > $1)")
            .bind(begun)
            .fetch_one(pool)
            .await?
        {
            if let Some(status) = berth.try_wait()? {
                bail!("berth work ended with {status}");
            }
            ensure!(patience.elapsed() < PATIENCE, "berth work does not begin");
            tokio::time::sleep(LOOK_EVERY).await;
        }
        let taken = Taken::watch(&stack.redis.url()).await?;
        Ok(Self { folder, settings, berth, pool: pool.clone(), taken })
    }

    /// Sweeps, until so many ids have been handed over and the job is done; how long that took.
    async fn sweep(&self, ids: usize) -> Result<f64> {
        let before = self.taken.ids();
        let begun = Instant::now();
        let asked = program(&self.settings, &self.folder).args(["sweep", "accounts"]).output().await?;
        ensure!(asked.status.success(), "berth sweep: {}", String::from_utf8_lossy(&asked.stderr));
        let job: JobId = String::from_utf8(asked.stdout)?.trim().parse()?;
        while !self.is_done(job).await? || self.taken.ids() < before + ids {
            ensure!(begun.elapsed() < PATIENCE, "{} of {ids} ids were handed over", self.taken.ids() - before);
            tokio::time::sleep(LOOK_EVERY).await;
        }
        ensure!(self.taken.ids() == before + ids, "{} ids were handed over, not {ids}", self.taken.ids() - before);
        Ok(begun.elapsed().as_secs_f64())
    }

    async fn is_done(&self, job: JobId) -> Result<bool> {
        let (state, error): (String, Option<String>) =
            sqlx::query_as("select state, last_error from berth.jobs where id = $1")
                .bind(job.0)
                .fetch_one(&self.pool)
                .await?;
        ensure!(matches!(state.as_str(), "queued" | "running" | "done"), "the sweep is {state}: {error:?}");
        Ok(state == "done")
    }

    fn cpu(&self, stack: &Stack) -> Cpu {
        Cpu::read(self.berth.id(), stack.postgres.pid(), stack.redis.pid())
    }

    /// Ends it; the most memory that it held.
    async fn end(mut self) -> Result<u64> {
        let pid = self.berth.id().context("it runs")?;
        let memory = cpu::memory(pid, "VmHWM").unwrap_or_default();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(i32::try_from(pid)?), nix::sys::signal::Signal::SIGTERM)?;
        self.berth.wait().await?;
        Ok(memory)
    }
}

fn program(settings: &[(String, String)], folder: &tempfile::TempDir) -> Command {
    let variable = |key: &str| format!("BERTH_{}", key.to_uppercase().replace('.', "__"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_berth"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(settings.iter().map(|(key, value)| (variable(key), value)))
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Ids that were taken out of Redis: a queue holds only so many at once, and nobody else works here.
#[derive(Clone, Default)]
struct Taken(Arc<Mutex<HashSet<String>>>);

impl Taken {
    /// Takes until nobody asks any more.
    async fn watch(redis_url: &str) -> Result<Self> {
        let mut connection = redis::Client::open(redis_url)?.get_multiplexed_async_connection().await?;
        let keys = [Queue::Payments, Queue::Mail].into_iter().flat_map(|queue| (0..3).map(move |class| (queue, class)));
        let keys: Vec<String> = keys.map(|(queue, class)| format!("berth:{{{queue}}}:{class}")).collect();
        let taken = Self::default();
        let all = Arc::downgrade(&taken.0);
        tokio::spawn(async move {
            while let Some(all) = all.upgrade() {
                let mut pipeline = redis::pipe();
                for key in &keys {
                    pipeline.cmd("ZPOPMIN").arg(key).arg(TAKEN_AT_ONCE);
                }
                let found: redis::RedisResult<Vec<Vec<(String, f64)>>> = pipeline.query_async(&mut connection).await;
                let ids = found.into_iter().flatten().flatten().map(|(id, _)| id);
                all.lock().unwrap_or_else(PoisonError::into_inner).extend(ids);
                drop(all);
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        Ok(taken)
    }

    fn ids(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}
