//! `e2e`: signed events become paid orders, active accounts and sent mails, against PostgreSQL doing the same statements.

use std::{path::PathBuf, time::Duration};

use ::berth::dev::servers::find_postgres;
use anyhow::{Context, Result, ensure};
use sqlx::{Executor, PgPool};
use tokio::process::Command as Process;

use crate::{
    child::Child,
    cpu::{self, Cpu, us_per_item},
    report::{Report, median, row},
    roles::{
        berth::{self, Ready},
        load::{self, Command, Sent},
        sink::{self, Accepted, Expect},
    },
    stack::{Stack, WEBHOOK_SECRET},
};

const CONNECTIONS: usize = 64;
const CLIENTS: u64 = 8;
const GROUP: u64 = 50;
const MAILS_AN_EVENT: u64 = 2;
/// At least so many times the rate of one transaction a job.
const GOAL: f64 = 2.0;
const PREPARED: &str = "prepared";
/// How long all of it may take at the very most.
const PATIENCE: Duration = Duration::from_secs(900);

struct Round {
    per_second: f64,
    ingested_per_second: f64,
    cpu: Cpu,
    sink: Duration,
    load: Duration,
    most_memory: u64,
}

/// The same statements by pgbench.
struct Reference {
    per_second: f64,
    /// PostgreSQL's, an event.
    cpu_us: f64,
}

/// `slots` are those of each queue.
pub(crate) async fn measure(rounds: usize, events: u64, slots: u32) -> Result<Report> {
    let stack = Stack::start().await?;
    let pool = stack.database(PREPARED).await?;
    sqlx::query(include_str!("pgbench/orders.sql")).bind(i64::try_from(events)?).execute(&pool).await?;
    pool.execute(include_str!("pgbench/prepare.sql")).await?;
    let template = crate::checkout_event::TEMPLATE;
    sqlx::query("insert into bench.body values ($1)").bind(template).execute(&pool).await?;
    // The other tables are empty and unknown to the planner, as after an installation.
    pool.execute("vacuum analyze berth.customers, berth.orders, berth.order_items, berth.order_history").await?;
    pool.close().await;

    let (mut ours, mut singly, mut grouped) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        ours.push(round(&stack, events, slots).await?);
        singly.push(pgbench(&stack, "single.sql", include_str!("pgbench/single.sql"), events, 1).await?);
        grouped.push(pgbench(&stack, "group.sql", include_str!("pgbench/group.sql"), events, GROUP).await?);
    }
    Ok(report(events, slots, &ours, &singly, &grouped))
}

async fn round(stack: &Stack, events: u64, slots: u32) -> Result<Round> {
    const NAME: &str = "e2e";
    let pool = stack.copy(PREPARED, NAME).await?;
    stack.redis.flushall().await?;
    let (mut sink, sink_at): (Child, sink::Ready) = Child::start(sink::ROLE, &()).await?;
    let smtp_url = format!("smtp://{}", sink_at.address);
    let (queues, slots) =
        (["payments", "provisioning", "mail"].map(|q| format!("work.concurrency.{q}")), slots.to_string());
    let mut settings = vec![("mail.smtp_url", smtp_url.as_str())];
    settings.extend(queues.iter().map(|key| (key.as_str(), slots.as_str())));
    let settings = stack.settings(NAME, &settings)?;
    let (berth, at): (Child, Ready) = Child::start(berth::ROLE, &berth::Spec::working(settings)).await?;
    let load_spec = load::Spec { secret: WEBHOOK_SECRET.to_owned(), connections: CONNECTIONS };
    let (mut load, ()) = Child::start(load::ROLE, &load_spec).await?;
    let () = load.ask(&Command::Prepare { first: 0, count: usize::try_from(events)? }).await?;

    let others = |sink: &Child, load: &Child| (of(sink), of(load));
    let (before, before_others) = (stack.cpu(&berth), others(&sink, &load));
    let all = async { tokio::try_join!(sent(&mut load, &at), accepted(&mut sink, events * MAILS_AN_EVENT)) };
    let (sent, accepted) = tokio::time::timeout(PATIENCE, all).await.context("events became no mails in time")??;
    let (cpu, after_others) = (stack.cpu(&berth).since(before), others(&sink, &load));
    ensure!(sent.refused == 0, "{} of {events} events were not answered 200", sent.refused);
    let most_memory = berth.pid().and_then(|pid| cpu::memory(pid, "VmHWM")).unwrap_or_default();
    load.end().await?;
    // What was sent last is settled before Berth ends.
    berth.end().await?;
    sink.end().await?;
    check(&pool, events).await?;
    pool.close().await;
    stack.drop_database(NAME).await?;
    let micros = accepted.at_us - sent.begun_us;
    Ok(Round {
        per_second: events as f64 / (micros as f64 / 1e6),
        ingested_per_second: events as f64 / sent.seconds,
        cpu,
        sink: after_others.0.saturating_sub(before_others.0),
        load: after_others.1.saturating_sub(before_others.1),
        most_memory,
    })
}

fn of(child: &Child) -> Duration {
    child.pid().map(cpu::of_process).unwrap_or_default()
}

async fn sent(load: &mut Child, at: &Ready) -> Result<Sent> {
    load.ask(&Command::Send { to: at.address }).await
}

async fn accepted(sink: &mut Child, mails: u64) -> Result<Accepted> {
    sink.ask(&Expect { mails }).await
}

/// All that was to happen has happened, once.
async fn check(pool: &PgPool, events: u64) -> Result<()> {
    let counts: (i64, i64, i64, i64, i64) = sqlx::query_as(
        "select (select count(*) from berth.orders where phase = 'completed'),
                (select count(*) from berth.hosting_accounts where phase = 'active'),
                (select count(*) from berth.mails where accepted_at is not null),
                (select count(*) from berth.stripe_events where outcome = 'applied'),
                (select count(*) from berth.jobs where state = 'done')",
    )
    .fetch_one(pool)
    .await?;
    let n = i64::try_from(events)?;
    ensure!(
        counts == (n, n, 2 * n, n, 4 * n),
        "orders completed, accounts active, mails accepted, events applied, jobs done: {counts:?} of {n} events"
    );
    Ok(())
}

async fn pgbench(stack: &Stack, name: &str, script: &str, events: u64, group: u64) -> Result<Reference> {
    const NAME: &str = "reference";
    let pool = stack.copy(PREPARED, NAME).await?;
    let folder = tempfile::tempdir()?;
    let path = folder.path().join(name);
    std::fs::write(&path, script)?;
    let per_client = events / CLIENTS / group;
    let before = Cpu::read(None, stack.postgres.pid(), None);
    let output = Process::new(program()?)
        .args(["-n", "-M", if group == 1 { "prepared" } else { "extended" }])
        .args(["-c", &CLIENTS.to_string(), "-j", "2", "-t", &per_client.to_string()])
        .arg("-f")
        .arg(&path)
        .arg(stack.postgres.url(NAME))
        .output()
        .await?;
    let cpu = Cpu::read(None, stack.postgres.pid(), None).since(before);
    let (text, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    ensure!(output.status.success(), "pgbench failed: {errors}");
    let tps = text.lines().find_map(|line| line.strip_prefix("tps = ")).context("pgbench tells a rate")?;
    let tps: f64 = tps.split(' ').next().unwrap_or_default().parse()?;
    let completed: i64 =
        sqlx::query_scalar("select count(*) from berth.orders where phase = 'completed'").fetch_one(&pool).await?;
    ensure!(completed == i64::try_from(per_client * CLIENTS * group)?, "pgbench completed {completed} orders");
    pool.close().await;
    stack.drop_database(NAME).await?;
    let cpu_us = us_per_item(cpu.postgres, per_client * CLIENTS * group);
    Ok(Reference { per_second: tps * group as f64, cpu_us })
}

/// Beside the server, else wherever the shell finds it.
fn program() -> Result<PathBuf> {
    let server = find_postgres()?.program;
    let beside = std::fs::canonicalize(server)?.with_file_name("pgbench");
    Ok(if beside.exists() { beside } else { PathBuf::from("pgbench") })
}

fn report(events: u64, slots: u32, ours: &[Round], singly: &[Reference], grouped: &[Reference]) -> Report {
    let mut report = Report::new("e2e");
    let mut table = vec![row(["", "round", "events/s"])];
    for (name, rates) in [
        ("berth, first POST to last mail", ours.iter().map(|r| r.per_second).collect()),
        ("berth, the POSTs alone", ours.iter().map(|r| r.ingested_per_second).collect()),
        ("pgbench, one transaction a job", singly.iter().map(|r| r.per_second).collect()),
        ("pgbench, groups of 50", grouped.iter().map(|r| r.per_second).collect()),
    ] {
        let rates: Vec<f64> = rates;
        for (at, rate) in rates.iter().enumerate() {
            table.push(vec![name.to_owned(), (at + 1).to_string(), format!("{rate:.0}")]);
        }
    }
    report.table(table);
    let seconds = |time: Duration| us_per_item(time, events) / 1e3;
    let mut table =
        vec![row(["CPU s per 1,000 events", "berth", "postgres", "redis", "sink", "load", "berth VmHWM MB"])];
    for (at, round) in ours.iter().enumerate() {
        let times = [round.cpu.berth, round.cpu.postgres, round.cpu.redis, round.sink, round.load];
        let mut cells = vec![format!("round {}", at + 1)];
        cells.extend(times.map(|time| format!("{:.2}", seconds(time))));
        cells.push(format!("{:.0}", round.most_memory as f64 / 1e6));
        table.push(cells);
    }
    for (name, references) in [("one transaction a job", singly), ("groups of 50", grouped)] {
        let cpu = median(references.iter().map(|r| r.cpu_us)) / 1e3;
        let cells = [&format!("pgbench, {name}, median"), "", &format!("{cpu:.2}"), "", "", "", ""];
        table.push(row(cells));
    }
    report.table(table);
    let rate = median(ours.iter().map(|r| r.per_second));
    let ratio = median(ours.iter().zip(singly).map(|(ours, single)| ours.per_second / single.per_second));
    report.field("per_second", rate);
    report.field("cpu_us_per_item", median(ours.iter().map(|r| us_per_item(r.cpu.berth, events))));
    report.field("ratio_to_reference", ratio);
    report.field("reference_per_second", median(singly.iter().map(|r| r.per_second)));
    report.field("reference_in_groups_per_second", median(grouped.iter().map(|r| r.per_second)));
    report.field("most_memory_mb", median(ours.iter().map(|r| r.most_memory as f64 / 1e6)));
    let verdict = if ratio >= GOAL { "goal met" } else { "goal missed" };
    report.note(format!(
        "{events} events: Berth does {rate:.0} a second, {ratio:.2} times one transaction a job (goal: {GOAL}): {verdict}. \
         pgbench does only the SQL, at {CLIENTS} clients: ingest and four jobs, five transactions an event. \
         Berth has {slots} slots a queue."
    ));
    report
}
