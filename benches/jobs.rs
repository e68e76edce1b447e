//! `jobs`: no-op jobs from durable enqueue to durable done, through ledger, Redis, apalis and committer.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sqlx::{Executor, PgPool};

use crate::{
    child::Child,
    cpu::{Cpu, us_per_item},
    report::{Report, median, row},
    roles::berth::{self, Command, Enqueue, Enqueued, Ready},
    stack::Stack,
};

const CLIENTS: usize = 8;
/// What one client enqueues at once: like a client of a batch route, and like one of a route that takes a single job.
const BATCHES: [usize; 2] = [50, 1];
const MOST_WAITING: u64 = 5_000;
/// Slots of the no-op's queue. The default is for sweeps, which are few and long.
const SLOTS: &str = "256";
const GOAL: f64 = 10_000.0;
const FLOOR: f64 = 4_000.0;
const FILLED: &str = "filled";

struct Round {
    per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    done: u64,
    cpu: Cpu,
    table_mb: f64,
    dead_rows: i64,
}

pub(crate) async fn measure(length: Duration, rounds: usize, rows: u64) -> Result<Report> {
    let stack = Stack::start().await?;
    fill(&stack, rows).await?;
    let mut report = Report::new("jobs");
    let mut table = vec![row([
        "jobs a write",
        "round",
        "done/s",
        "p50 ms",
        "p99 ms",
        "berth µs/job",
        "postgres µs/job",
        "redis µs/job",
        "table MB after",
        "dead rows",
    ])];
    for batch in BATCHES {
        let mut of_batch = Vec::new();
        for number in 1..=rounds {
            let round = self::round(&stack, batch, length).await?;
            table.push(round.cells(batch, number));
            of_batch.push(round);
        }
        let of = |value: fn(&Round) -> f64| median(of_batch.iter().map(value));
        let suffix = if batch == 1 { "_single" } else { "" };
        report.field(&format!("per_second{suffix}"), of(|r| r.per_second));
        report.field(&format!("p50_ms{suffix}"), of(|r| r.p50_ms));
        report.field(&format!("p99_ms{suffix}"), of(|r| r.p99_ms));
        report.field(&format!("cpu_us_per_item{suffix}"), of(|r| us_per_item(r.cpu.berth, r.done)));
        if batch != 1 {
            report.field("table_mb_after", of(|r| r.table_mb));
        }
        let rate = of(|r| r.per_second);
        let verdict = if rate >= GOAL {
            "goal met"
        } else if rate >= FLOOR {
            "above the floor, goal missed"
        } else {
            "below the floor"
        };
        report.note(format!(
            "{batch} jobs a write: median {rate:.0} done a second: {verdict} ({GOAL:.0}, floor {FLOOR:.0})."
        ));
    }
    report.table(table);
    report.note(format!(
        "{CLIENTS} clients, {} s a round, onto {rows} finished jobs; work.concurrency.sweeps = {SLOTS}, clients wait while \
         more than {MOST_WAITING} ids lie in Redis; p50 and p99 are from enqueued to done behind that backlog.",
        length.as_secs()
    ));
    Ok(report)
}

impl Round {
    fn cells(&self, batch: usize, number: usize) -> Vec<String> {
        vec![
            batch.to_string(),
            number.to_string(),
            format!("{:.0}", self.per_second),
            format!("{:.0}", self.p50_ms),
            format!("{:.0}", self.p99_ms),
            format!("{:.0}", us_per_item(self.cpu.berth, self.done)),
            format!("{:.0}", us_per_item(self.cpu.postgres, self.done)),
            format!("{:.0}", us_per_item(self.cpu.redis, self.done)),
            format!("{:.0}", self.table_mb),
            self.dead_rows.to_string(),
        ]
    }
}

/// A database with finished jobs of the last six days, which retention keeps.
async fn fill(stack: &Stack, rows: u64) -> Result<()> {
    let pool = stack.database(FILLED).await?;
    sqlx::query(include_str!("fill_jobs.sql")).bind(i64::try_from(rows)?).execute(&pool).await?;
    pool.execute("vacuum analyze berth.jobs").await?;
    pool.close().await;
    Ok(())
}

async fn round(stack: &Stack, batch: usize, length: Duration) -> Result<Round> {
    const NAME: &str = "round";
    let pool = stack.copy(FILLED, NAME).await?;
    stack.redis.flushall().await?;
    let settings = stack.settings(NAME, &[("work.concurrency.sweeps", SLOTS)])?;
    let (mut berth, _): (Child, Ready) = Child::start(berth::ROLE, &berth::Spec::working(settings)).await?;
    // The first seconds fill caches and the backlog.
    let _: Enqueued = berth.ask(&clients(batch, Duration::from_secs(2))).await?;
    let before = stack.cpu(&berth);
    let begun: jiff_sqlx::Timestamp = sqlx::query_scalar("select clock_timestamp()").fetch_one(&pool).await?;
    let _: Enqueued = berth.ask(&clients(batch, length)).await?;
    let ended: jiff_sqlx::Timestamp = sqlx::query_scalar("select clock_timestamp()").fetch_one(&pool).await?;
    let cpu = stack.cpu(&berth).since(before);
    let round = result(&pool, begun, ended, cpu).await?;
    berth.end().await?;
    pool.close().await;
    stack.drop_database(NAME).await?;
    Ok(round)
}

fn clients(batch: usize, length: Duration) -> Command {
    let millis = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
    Command::Enqueue(Enqueue { clients: CLIENTS, batch, millis, most_waiting: MOST_WAITING })
}

async fn result(pool: &PgPool, begun: jiff_sqlx::Timestamp, ended: jiff_sqlx::Timestamp, cpu: Cpu) -> Result<Round> {
    let (done, p50_ms, p99_ms): (i64, Option<f64>, Option<f64>) =
        sqlx::query_as(include_str!("count_jobs.sql")).bind(begun).bind(ended).fetch_one(pool).await?;
    let (table, dead_rows): (i64, i64) = sqlx::query_as(
        "select pg_total_relation_size('berth.jobs'), n_dead_tup from pg_stat_user_tables where relid = 'berth.jobs'::regclass",
    )
    .fetch_one(pool)
    .await?;
    let seconds = ended.to_jiff().duration_since(begun.to_jiff()).as_secs_f64();
    ensure!(done > 0, "no job was done");
    Ok(Round {
        per_second: done as f64 / seconds,
        p50_ms: p50_ms.context("jobs were done")?,
        p99_ms: p99_ms.context("jobs were done")?,
        done: done.unsigned_abs(),
        cpu,
        table_mb: table as f64 / 1e6,
        dead_rows,
    })
}
