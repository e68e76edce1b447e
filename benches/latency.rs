//! `latency`: how soon a job runs on an idle system, enqueued by HTTP and by a plain insert.

use std::time::Duration;

use ::berth::{
    clock::Clock,
    gateways::{
        http_client::{self, Timeouts},
        stripe::webhook,
    },
};
use anyhow::{Context, Result, ensure};
use secrecy::SecretString;
use sqlx::PgPool;

use crate::{
    checkout_event::checkout_event,
    child::Child,
    report::{Report, percentile, row},
    roles::berth::{self, Ready},
    stack::{Stack, WEBHOOK_SECRET},
};

const DATABASE: &str = "latency";
const BY_HTTP: u64 = 500;
const BY_SQL: u64 = 100;
/// Between samples, and some more that differs, so that no sample meets the relay at the same point of its interval.
const HTTP_PAUSE: Duration = Duration::from_millis(40);
const SQL_PAUSE: Duration = Duration::from_millis(350);
const PATIENCE: Duration = Duration::from_secs(10);
/// Goals, in milliseconds.
const HTTP_P50: f64 = 20.0;
const HTTP_P99: f64 = 100.0;
const SQL_P99: f64 = 400.0;

pub(crate) async fn measure() -> Result<Report> {
    let stack = Stack::start().await?;
    let pool = stack.database(DATABASE).await?;
    let settings = stack.settings(DATABASE, &[])?;
    let (berth, at): (Child, Ready) = Child::start(berth::ROLE, &berth::Spec::working(settings)).await?;
    let mut by_http = by_http(&at, &pool).await?;
    let mut by_sql = by_sql(&pool).await?;
    berth.end().await?;

    let mut report = Report::new("latency");
    let (http_p50, http_p99) = (percentile(&mut by_http, 0.5), percentile(&mut by_http, 0.99));
    let (sql_p50, sql_p99) = (percentile(&mut by_sql, 0.5), percentile(&mut by_sql, 0.99));
    let cell = |millis: f64| format!("{millis:.1}");
    report.table(vec![
        row(["enqueued by", "samples", "p50 ms", "p99 ms", "goals"]),
        vec![
            "HTTP (an event)".to_owned(),
            BY_HTTP.to_string(),
            cell(http_p50),
            cell(http_p99),
            "20 and 100".to_owned(),
        ],
        vec!["SQL (plain insert)".to_owned(), BY_SQL.to_string(), cell(sql_p50), cell(sql_p99), "p99 400".to_owned()],
    ]);
    report.field("p50_ms", http_p50);
    report.field("p99_ms", http_p99);
    report.field("sql_p50_ms", sql_p50);
    report.field("sql_p99_ms", sql_p99);
    let met = http_p50 <= HTTP_P50 && http_p99 <= HTTP_P99 && sql_p99 <= SQL_P99;
    report.note(format!(
        "{}. From before the POST, or the insert, to the job's settlement: its start lies before that.",
        if met { "Goals met" } else { "A goal is missed" }
    ));
    Ok(report)
}

/// Milliseconds from before each POST to the settlement of its job.
async fn by_http(at: &Ready, pool: &PgPool) -> Result<Vec<f64>> {
    let client = http_client::build(Timeouts { connect: PATIENCE, total: PATIENCE })?;
    let secret = SecretString::from(WEBHOOK_SECRET);
    let mut begun = Vec::new();
    for number in 0..BY_HTTP {
        // Of another shop's: it is looked at, and nothing is to be done.
        let body = checkout_event(number).replace("ord_", "cart_");
        let signature = webhook::sign(body.as_bytes(), &secret, Clock::machine().as_second());
        let request = client
            .post(format!("http://{}/webhooks/stripe", at.address))
            .header("Stripe-Signature", signature)
            .body(body);
        begun.push(Clock::machine().as_microsecond());
        ensure!(request.send().await?.status().is_success(), "an event was not taken");
        pause(HTTP_PAUSE).await;
    }
    let ended: Vec<Option<i64>> = sqlx::query_scalar(
        "select (extract(epoch from j.finished_at) * 1000000)::bigint
         from berth.jobs j
         where kind = 'complete_checkout'
         order by payload ->> 'event_id'",
    )
    .fetch_all(pool)
    .await?;
    ensure!(ended.len() == begun.len(), "{} jobs for {} events", ended.len(), begun.len());
    let ended = ended.into_iter().zip(begun);
    ended.map(|(ended, begun)| Ok((ended.context("a job is not done")? - begun) as f64 / 1e3)).collect()
}

/// Milliseconds from each insert to the settlement of its job.
async fn by_sql(pool: &PgPool) -> Result<Vec<f64>> {
    for _ in 0..BY_SQL {
        sqlx::query(
            "insert into berth.jobs (id, kind, queue, class, payload, run_at)
             values (gen_random_uuid(), 'no_op', 'sweeps', 1, '{}', berth.now())",
        )
        .execute(pool)
        .await?;
        pause(SQL_PAUSE).await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let waits: Vec<Option<f64>> = sqlx::query_scalar(
        "select (extract(epoch from finished_at - created_at) * 1000)::float8 from berth.jobs where kind = 'no_op'",
    )
    .fetch_all(pool)
    .await?;
    waits.into_iter().map(|wait| wait.context("a job is not done")).collect()
}

async fn pause(least: Duration) {
    tokio::time::sleep(least.mul_f64(1.0 + rand::random::<f64>())).await;
}
