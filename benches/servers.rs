//! `servers`: how orders that wait spread over three servers, and how soon a purchase is live while one of the three is dead,
//! against the same three alive.

use std::{collections::HashMap, path::Path, time::Duration};

use ::berth::clock::Clock;
use anyhow::{Result, ensure};
use sqlx::PgPool;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    checkout_event::{Teller, order_id},
    child::Child,
    report::{Report, percentile, row},
    roles::{
        berth::{self, Command, Ready},
        sink,
        switched::{Fares, Server},
    },
    stack::Stack,
};

const PREPARED: &str = "prepared";
const NAMES: [&str; 3] = ["web1", "web2", "web3"];
/// The one that dies.
const DEAD: &str = "web2";
/// Orders that wait.
const WAITING: u64 = 200;
/// Purchases in a phase, and those before the first one.
const PURCHASES: u64 = 300;
const WARM_UP: u64 = 50;
/// Jobs that may talk to a server at once, as the documented example has it.
const AT_ONCE: u32 = 8;
/// Between two purchases, and some more that differs.
const PAUSE: Duration = Duration::from_millis(50);
const LOOK_EVERY: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(300);

const NOTE: &str = "Three servers with `site` panels. The orders wait as Stripe's events, with the workers stopped; the time is \
                    from the start of Berth's process. The purchases come one after another, some 13 a second, 300 a phase, \
                    and are timed from before the POST of Stripe's event to the commit that makes the account active; goal: \
                    at most twice as long as with three alive. A panel that hangs is waited for 20 s, as a driver waits that \
                    speaks HTTP. Each server bears 8 jobs at once, but where it says otherwise. What waits for the dead one \
                    goes on when the probe, every 15 s, finds it.";

pub(crate) async fn measure() -> Result<Report> {
    let stack = Stack::start().await?;
    let pool = stack.database(PREPARED).await?;
    let orders = WARM_UP + PURCHASES * 3;
    sqlx::query(include_str!("pgbench/orders.sql")).bind(i64::try_from(orders)?).execute(&pool).await?;
    pool.close().await;
    let mut report = Report::new("servers");
    add_spreads(&stack, &mut report).await?;
    add_phases(&stack, &mut report).await?;
    report.note(NOTE);
    Ok(report)
}

async fn add_spreads(stack: &Stack, report: &mut Report) -> Result<()> {
    let mut table = vec![row(["200 orders that wait", "web1", "web2", "web3", "due shares", "all live after s"])];
    for (name, field, weights, capacities, due) in [
        ("one server", "one", &[1][..], [None; 3], "200"),
        ("equal weights", "equal", &[1, 1, 1][..], [None; 3], "67 67 67"),
        ("weights 1, 2, 3", "weighted", &[1, 2, 3][..], [None; 3], "33 67 100"),
        ("room for 50, 50, 100", "limited", &[1, 1, 1][..], [Some(50), Some(50), Some(100)], "50 50 100"),
    ] {
        let spread = spread(stack, weights, capacities).await?;
        let mut cells = vec![name.to_owned()];
        for server in NAMES {
            let placed = spread.placed.get(server).copied().unwrap_or_default();
            cells.push(placed.to_string());
            report.field(&format!("{field}_{server}"), placed as f64);
        }
        report.field(&format!("{field}_seconds"), spread.seconds);
        cells.extend([due.to_owned(), format!("{:.2}", spread.seconds)]);
        table.push(cells);
    }
    report.table(table);
    Ok(())
}

async fn add_phases(stack: &Stack, report: &mut Report) -> Result<()> {
    let mut table = vec![row([
        "purchases",
        "on living servers",
        "p50 ms",
        "p95 ms",
        "times three alive",
        "wait for the dead one",
        "of them without an attempt",
        "its jobs' calls until left alone",
        "after that",
        "all live after its return, s",
    ])];
    let limited = [("three alive", Fares::Well), ("one refuses", Fares::Refuses), ("one hangs", Fares::Hangs)];
    let unlimited = [("three alive, no at_once", Fares::Well), ("one hangs, no at_once", Fares::Hangs)];
    for (at_once, phases) in [(Some(AT_ONCE), &limited[..]), (None, &unlimited[..])] {
        let mut alive = f64::NAN;
        for (name, mut phase) in phases_of(stack, at_once, phases).await? {
            let (p50, p95) = (percentile(&mut phase.millis, 0.5), percentile(&mut phase.millis, 0.95));
            let field = name.replace(", ", "_").replace(' ', "_");
            report.field(&format!("{field}_p50_ms"), p50);
            report.field(&format!("{field}_p95_ms"), p95);
            let mut cells = vec![name.to_owned(), phase.millis.len().to_string(), cell(p50), cell(p95)];
            match phase.dead {
                None => {
                    alive = p95;
                    cells.extend(["1", "", "", "", "", ""].map(str::to_owned));
                }
                Some(dead) => {
                    report.field(&format!("{field}_ratio"), p95 / alive);
                    report.field(&format!("{field}_calls_after_it_was_left_alone"), dead.calls_after as f64);
                    cells.push(format!("{:.2}", p95 / alive));
                    cells.extend([dead.waiting, dead.without_attempt].map(|count| count.to_string()));
                    cells.extend([dead.calls_until, dead.calls_after].map(|count| count.to_string()));
                    cells.push(format!("{:.1}", dead.back_after_seconds));
                }
            }
            table.push(cells);
        }
    }
    report.table(table);
    Ok(())
}

/// Every job that waits for a dead server is worth a warning, and here there are hundreds.
fn settings(stack: &Stack, database: &str, mails: &sink::Ready) -> Result<Vec<(String, String)>> {
    let smtp_url = format!("smtp://{}", mails.address);
    stack.settings(database, &[("mail.smtp_url", smtp_url.as_str()), ("log.level", "error")])
}

fn cell(millis: f64) -> String {
    format!("{millis:.1}")
}

fn servers(below: &Path, weights: &[u32], capacities: [Option<u32>; 3], at_once: Option<u32>) -> Vec<Server> {
    let all = NAMES.into_iter().zip(weights).zip(capacities);
    all.map(|((name, weight), capacity)| Server {
        name: name.to_owned(),
        weight: *weight,
        capacity,
        at_once,
        dir: below.join(name),
    })
    .collect()
}

struct Spread {
    placed: HashMap<String, i64>,
    seconds: f64,
}

/// Where orders go that have waited for workers, and how long these take.
async fn spread(stack: &Stack, weights: &[u32], capacities: [Option<u32>; 3]) -> Result<Spread> {
    const NAME: &str = "spread";
    let (pool, folder) = (stack.copy(PREPARED, NAME).await?, tempfile::tempdir()?);
    stack.redis.flushall().await?;
    let (mails, mails_at): (Child, sink::Ready) = Child::start(sink::ROLE, &()).await?;
    let settings = settings(stack, NAME, &mails_at)?;
    let servers = servers(folder.path(), weights, capacities, None);
    let spec = berth::Spec { servers, ..berth::Spec::working(settings) };

    let (shop, at): (Child, Ready) = Child::start(berth::ROLE, &berth::Spec { works: false, ..spec.clone() }).await?;
    let stripe = Teller::new(at.address)?;
    for number in 0..WAITING {
        stripe.tell_paid(number).await?;
    }
    shop.end().await?;
    let begun = Clock::machine().as_microsecond();
    let (berth, _): (Child, Ready) = Child::start(berth::ROLE, &spec).await?;
    until(&pool, LIVE, i64::try_from(WAITING)?).await?;
    let last = live(&pool).await?.values().map(|(_, at)| *at).max().unwrap_or_default();
    berth.end().await?;
    mails.end().await?;
    let placed: Vec<(String, i64)> =
        sqlx::query_as("select server, count(*) from berth.hosting_accounts where phase = 'active' group by server")
            .fetch_all(&pool)
            .await?;
    pool.close().await;
    stack.drop_database(NAME).await?;
    Ok(Spread { placed: placed.into_iter().collect(), seconds: (last - begun) as f64 / 1e6 })
}

struct Phase {
    /// Milliseconds of the purchases on servers that live.
    millis: Vec<f64>,
    dead: Option<Dead>,
}

/// What came to the dead server.
struct Dead {
    /// Accounts on it that are not live at the end of the purchases.
    waiting: i64,
    /// Those of them whose jobs have used no attempt.
    without_attempt: i64,
    /// How often a job asked its panel for something, until it was left alone and after that.
    calls_until: usize,
    calls_after: usize,
    back_after_seconds: f64,
}

async fn phases_of<'a>(
    stack: &Stack,
    at_once: Option<u32>,
    phases: &[(&'a str, Fares)],
) -> Result<Vec<(&'a str, Phase)>> {
    const NAME: &str = "dying";
    let (pool, folder) = (stack.copy(PREPARED, NAME).await?, tempfile::tempdir()?);
    stack.redis.flushall().await?;
    let (mails, mails_at): (Child, sink::Ready) = Child::start(sink::ROLE, &()).await?;
    let settings = settings(stack, NAME, &mails_at)?;
    let servers = servers(folder.path(), &[1, 1, 1], [None; 3], at_once);
    let spec = berth::Spec { servers, ..berth::Spec::working(settings) };
    let (mut berth, at): (Child, Ready) = Child::start(berth::ROLE, &spec).await?;
    let stripe = Teller::new(at.address)?;
    let mut next = 0;
    buy(&stripe, &mut next, WARM_UP).await?;
    until(&pool, LIVE, i64::try_from(next)?).await?;
    let mut measured = Vec::new();
    for (name, fares) in phases {
        measured.push((*name, phase(&pool, &mut berth, &stripe, &mut next, *fares).await?));
    }
    berth.end().await?;
    mails.end().await?;
    pool.close().await;
    stack.drop_database(NAME).await?;
    Ok(measured)
}

async fn phase(pool: &PgPool, berth: &mut Child, stripe: &Teller, next: &mut u64, fares: Fares) -> Result<Phase> {
    let fare = |fares| Command::Fare { server: DEAD.to_owned(), fares };
    let () = berth.ask(&fare(fares)).await?;
    let bought = buy(stripe, next, PURCHASES);
    if fares == Fares::Well {
        let bought = bought.await?;
        until(pool, LIVE, i64::try_from(*next)?).await?;
        return Ok(Phase { millis: millis(&bought, &live(pool).await?), dead: None });
    }
    let (bought, left_alone) = tokio::try_join!(bought, left_alone(pool))?;
    until(pool, LIVE_OR_ON_THE_DEAD, i64::try_from(*next)?).await?;
    let living = millis(&bought, &live(pool).await?);
    let asked: Vec<i64> = berth.ask(&Command::Asked { server: DEAD.to_owned() }).await?;
    let calls_after = asked.iter().filter(|at| **at > left_alone).count();
    let (waiting, without_attempt): (i64, i64) = sqlx::query_as(WAIT_FOR_THE_DEAD).fetch_one(pool).await?;
    let () = berth.ask(&fare(Fares::Well)).await?;
    let begun = Instant::now();
    until(pool, LIVE, i64::try_from(*next)?).await?;
    let dead = Dead {
        waiting,
        without_attempt,
        calls_until: asked.len() - calls_after,
        calls_after,
        back_after_seconds: begun.elapsed().as_secs_f64(),
    };
    Ok(Phase { millis: living, dead: Some(dead) })
}

const LIVE: &str = "select count(*) from berth.hosting_accounts where phase = 'active'";
const LIVE_OR_ON_THE_DEAD: &str =
    "select count(*) from berth.hosting_accounts where phase = 'active' or server = 'web2'";
const WAIT_FOR_THE_DEAD: &str = "select count(*), count(*) filter (where j.attempt = 0)
     from berth.hosting_accounts a
     join berth.jobs j on j.kind = 'provision_account' and j.payload ->> 'account_id' = berth.show_id('acc_', a.id)
     where a.server = 'web2' and a.phase <> 'active'";

async fn until(pool: &PgPool, count: &'static str, wanted: i64) -> Result<()> {
    let begun = Instant::now();
    loop {
        let found: i64 = sqlx::query_scalar(count).fetch_one(pool).await?;
        if found >= wanted {
            return Ok(());
        }
        ensure!(begun.elapsed() < PATIENCE, "{found} of {wanted}: {count}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// When the dead server's breaker opened, in microseconds of the database's clock.
async fn left_alone(pool: &PgPool) -> Result<i64> {
    let begun = Instant::now();
    loop {
        let since: Option<Option<i64>> = sqlx::query_scalar(
            "select (extract(epoch from broken_since) * 1000000)::bigint from berth.servers where name = $1",
        )
        .bind(DEAD)
        .fetch_optional(pool)
        .await?;
        if let Some(since) = since.flatten() {
            return Ok(since);
        }
        ensure!(begun.elapsed() < PATIENCE, "the dead server is never left alone");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// The server of each order that is live, and since when, in microseconds of the database's clock.
async fn live(pool: &PgPool) -> Result<HashMap<Uuid, (String, i64)>> {
    let rows: Vec<(Uuid, String, i64)> = sqlx::query_as(
        "select a.order_id, a.server, min((extract(epoch from j.finished_at) * 1000000)::bigint)
         from berth.hosting_accounts a
         join berth.jobs j on j.kind = 'provision_account' and j.state = 'done'
              and j.payload ->> 'account_id' = berth.show_id('acc_', a.id)
         where a.phase = 'active'
         group by a.order_id, a.server",
    )
    .fetch_all(pool)
    .await?;
    Ok(rows.into_iter().map(|(order, server, at)| (order, (server, at))).collect())
}

/// Of those purchases that are live.
fn millis(bought: &[(u64, i64)], live: &HashMap<Uuid, (String, i64)>) -> Vec<f64> {
    let of = |(number, begun): &(u64, i64)| {
        let (_, at) = live.get(&order_id(*number).0)?;
        Some((at - begun) as f64 / 1e3)
    };
    bought.iter().filter_map(of).collect()
}

/// So many purchases, one after another: the orders' numbers, and when Stripe's events were sent, in microseconds.
async fn buy(stripe: &Teller, next: &mut u64, purchases: u64) -> Result<Vec<(u64, i64)>> {
    let mut bought = Vec::new();
    for number in *next..*next + purchases {
        tokio::time::sleep(PAUSE.mul_f64(1.0 + rand::random::<f64>())).await;
        bought.push((number, Clock::machine().as_microsecond()));
        stripe.tell_paid(number).await?;
    }
    *next += purchases;
    Ok(bought)
}
