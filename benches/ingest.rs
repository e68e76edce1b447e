//! `ingest`: signed webhooks, each committed with its job before it is answered, against the least an endpoint can do.

use anyhow::{Result, ensure};

use crate::{
    child::Child,
    cpu::{Cpu, us_per_item},
    report::{Report, median, row},
    roles::{
        bare,
        berth::{self, Ready},
        load::{self, Command, Sent},
    },
    stack::{Stack, WEBHOOK_SECRET},
};

const CONNECTIONS: usize = 64;
/// Not more than so many times the CPU of the least.
const GOAL: f64 = 2.0;
const DATABASE: &str = "ingest";

struct Round {
    sent: Sent,
    cpu: Cpu,
}

pub(crate) async fn measure(rounds: usize, requests: usize) -> Result<Report> {
    let stack = Stack::start().await?;
    let pool = stack.database(DATABASE).await?;
    let settings = stack.settings(DATABASE, &[])?;
    let (berth, berth_at): (Child, Ready) =
        Child::start(berth::ROLE, &berth::Spec { works: false, ..berth::Spec::working(settings) }).await?;
    let bare_spec = bare::Spec { redis_url: stack.redis.url(), secret: WEBHOOK_SECRET.to_owned() };
    let (bare, bare_at): (Child, Ready) = Child::start(bare::ROLE, &bare_spec).await?;
    let load_spec = load::Spec { secret: WEBHOOK_SECRET.to_owned(), connections: CONNECTIONS };
    let (mut load, ()) = Child::start(load::ROLE, &load_spec).await?;

    let mut first = 0;
    let (mut of_bare, mut of_berth) = (Vec::new(), Vec::new());
    // The first round of each warms it up and does not count.
    for number in 0..=rounds {
        for (server, at, results) in [(&bare, &bare_at, &mut of_bare), (&berth, &berth_at, &mut of_berth)] {
            let round = self::round(&stack, server, at, &mut load, first, requests).await?;
            first += requests as u64;
            if number > 0 {
                results.push(round);
            }
        }
        stack.redis.flushall().await?;
    }
    let stored: i64 = sqlx::query_scalar(
        "select count(*) from berth.stripe_events e
         join berth.jobs j on j.payload ->> 'event_id' = e.id and j.kind = 'complete_checkout'",
    )
    .fetch_one(&pool)
    .await?;
    ensure!(stored == i64::try_from((rounds + 1) * requests)?, "{stored} events are there with their jobs");
    load.end().await?;
    bare.end().await?;
    berth.end().await?;
    Ok(report(rounds, requests, &of_bare, &of_berth))
}

async fn round(stack: &Stack, server: &Child, at: &Ready, load: &mut Child, first: u64, count: usize) -> Result<Round> {
    let () = load.ask(&Command::Prepare { first, count }).await?;
    let before = stack.cpu(server);
    let sent: Sent = load.ask(&Command::Send { to: at.address }).await?;
    let cpu = stack.cpu(server).since(before);
    ensure!(sent.refused == 0, "{} of {count} requests were not answered 200", sent.refused);
    Ok(Round { sent, cpu })
}

fn report(rounds: usize, requests: usize, of_bare: &[Round], of_berth: &[Round]) -> Report {
    let mut report = Report::new("ingest");
    let mut table = vec![row([
        "endpoint",
        "round",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "server µs/request",
        "postgres µs/request",
        "redis µs/request",
    ])];
    let cpu = |round: &Round| us_per_item(round.cpu.berth, requests as u64);
    for (name, results) in [("bare: verify, XADD", of_bare), ("berth: verify, commit", of_berth)] {
        for (at, round) in results.iter().enumerate() {
            table.push(vec![
                name.to_owned(),
                (at + 1).to_string(),
                format!("{:.0}", requests as f64 / round.sent.seconds),
                format!("{:.1}", round.sent.p50_ms),
                format!("{:.1}", round.sent.p99_ms),
                format!("{:.1}", cpu(round)),
                format!("{:.1}", us_per_item(round.cpu.postgres, requests as u64)),
                format!("{:.1}", us_per_item(round.cpu.redis, requests as u64)),
            ]);
        }
    }
    report.table(table);
    let ratio = median(of_berth.iter().zip(of_bare).map(|(berth, bare)| cpu(berth) / cpu(bare)));
    report.field("per_second", median(of_berth.iter().map(|r| requests as f64 / r.sent.seconds)));
    report.field("p50_ms", median(of_berth.iter().map(|r| r.sent.p50_ms)));
    report.field("p99_ms", median(of_berth.iter().map(|r| r.sent.p99_ms)));
    report.field("cpu_us_per_item", median(of_berth.iter().map(cpu)));
    report.field("ratio_to_reference", ratio);
    report.field("reference_per_second", median(of_bare.iter().map(|r| requests as f64 / r.sent.seconds)));
    report.field("reference_cpu_us_per_item", median(of_bare.iter().map(cpu)));
    let verdict = if ratio <= GOAL { "goal met" } else { "goal missed" };
    report.note(format!(
        "Berth's process uses {ratio:.2} times the CPU of the bare endpoint a request (goal: at most {GOAL}): {verdict}. \
         {rounds} rounds of {requests} requests each over {CONNECTIONS} connections, alternating; medians; the ratio is the \
         median of the rounds' ratios."
    ));
    report
}
