//! `steady`: whether memory or descriptors grow while purchases come at a steady rate.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sqlx::PgPool;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::{
    checkout_event::Teller,
    child::Child,
    cpu,
    program::Program,
    report::{Report, median, row},
    roles::sink,
    stack::Stack,
};

const DATABASE: &str = "steady";
const PURCHASES_A_SECOND: u64 = 20;
/// Every event is told so often, as Stripe may.
const TELLINGS: u64 = 2;
/// Before what is measured, as a share of it: pools and caches are filled, and the allocator has what it will have.
const WARM_UP: f64 = 0.3;
/// At most so much more at the end, in percent; and so many descriptors.
const GOAL_PERCENT: f64 = 5.0;
const GOAL_DESCRIPTORS: f64 = 0.0;
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Clone, Copy)]
struct Sample {
    resident: f64,
    own: f64,
    descriptors: f64,
}

pub(crate) async fn measure(time: Duration) -> Result<Report> {
    let stack = Stack::start().await?;
    let pool = stack.database(DATABASE).await?;
    let warm_up = time.mul_f64(WARM_UP);
    let orders = (time + warm_up).as_secs() * PURCHASES_A_SECOND;
    sqlx::query(include_str!("pgbench/orders.sql")).bind(i64::try_from(orders)?).execute(&pool).await?;
    let (sink, sink_at): (Child, sink::Ready) = Child::start(sink::ROLE, &()).await?;
    let (folder, smtp_url) = (tempfile::tempdir()?, format!("smtp://{}", sink_at.address));
    let settings = [("mail.smtp_url", smtp_url.as_str()), ("work.schedule", "true")];
    let berth = Program::start(&stack, DATABASE, folder.path(), &settings).await?;

    let buying = buy(&berth, orders);
    let (_, samples) = tokio::try_join!(buying, look(&berth, warm_up, time))?;
    until_done(&pool, orders).await?;
    berth.end().await?;
    sink.end().await?;
    report(time, orders, &samples)
}

/// Purchases at their rate, each told twice; with every one a look at the plans, and a webhook that nobody has signed.
async fn buy(berth: &Program, orders: u64) -> Result<()> {
    let teller = Teller::new(berth.address)?;
    let client = reqwest::Client::new();
    let of = |path: &str| format!("http://{}{path}", berth.address);
    let (plans, webhooks) = (of("/v1/plans"), of("/webhooks/stripe"));
    let mut ticks = interval(Duration::from_secs(1) / u32::try_from(PURCHASES_A_SECOND)?);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    for number in 0..orders {
        ticks.tick().await;
        for _ in 0..TELLINGS {
            teller.tell_paid(number).await?;
        }
        ensure!(client.get(&plans).send().await?.status() == 200, "the plans are not shown");
        ensure!(client.post(&webhooks).body("{}").send().await?.status() == 400, "an unsigned event was taken");
    }
    Ok(())
}

/// A sample a second, from when it is warm.
async fn look(berth: &Program, warm_up: Duration, time: Duration) -> Result<Vec<Sample>> {
    sleep(warm_up).await;
    let begun = Instant::now();
    let mut samples = Vec::new();
    while begun.elapsed() < time {
        let memory = |line| cpu::memory(berth.pid, line).context("Linux tells how much memory a process has");
        samples.push(Sample {
            resident: memory("VmRSS")? as f64 / 1e6,
            own: memory("RssAnon")? as f64 / 1e6,
            descriptors: cpu::descriptors(berth.pid).context("Linux tells what a process has open")? as f64,
        });
        sleep(Duration::from_secs(1)).await;
    }
    Ok(samples)
}

/// All that was bought is live, and all mails are sent.
async fn until_done(pool: &PgPool, orders: u64) -> Result<()> {
    let wanted = i64::try_from(orders)?;
    let begun = Instant::now();
    loop {
        let (live, told): (i64, i64) = sqlx::query_as(
            "select (select count(*) from berth.hosting_accounts where phase = 'active'),
                    (select count(*) from berth.mails where accepted_at is not null)",
        )
        .fetch_one(pool)
        .await?;
        if live == wanted && told == 2 * wanted {
            return Ok(());
        }
        ensure!(begun.elapsed() < PATIENCE, "{live} accounts are live and {told} mails sent of {orders} purchases");
        sleep(Duration::from_millis(250)).await;
    }
}

fn report(time: Duration, orders: u64, samples: &[Sample]) -> Result<Report> {
    // A tenth at each end, so that no single second decides.
    let tenth = samples.len() / 10;
    ensure!(tenth > 0, "it lasted too short a time");
    let (first, last) = (&samples[..tenth], &samples[samples.len() - tenth..]);
    let of = |samples: &[Sample], what: fn(&Sample) -> f64| median(samples.iter().map(what));
    let mut table = vec![row(["median of a tenth of the time", "first", "last", "growth", "goal"])];
    let mut report = Report::new("steady");
    let (resident, own) = (|sample: &Sample| sample.resident, |sample: &Sample| sample.own);
    let mut growth = f64::NAN;
    for (name, field, what) in
        [("resident, MB", "resident", resident as fn(&Sample) -> f64), ("of which not of files, MB", "own", own)]
    {
        let (begun, ended) = (of(first, what), of(last, what));
        let percent = (ended / begun - 1.0) * 100.0;
        growth = if field == "resident" { percent } else { growth };
        table.push(vec![
            name.to_owned(),
            format!("{begun:.1}"),
            format!("{ended:.1}"),
            format!("{percent:+.1} %"),
            if field == "resident" { format!("{GOAL_PERCENT:.0} %") } else { String::new() },
        ]);
        report.field(&format!("{field}_first_mb"), begun);
        report.field(&format!("{field}_last_mb"), ended);
    }
    let descriptors = |sample: &Sample| sample.descriptors;
    let (begun, ended) = (of(first, descriptors), of(last, descriptors));
    table.push(vec![
        "descriptors".to_owned(),
        format!("{begun:.0}"),
        format!("{ended:.0}"),
        format!("{:+.0}", ended - begun),
        format!("{GOAL_DESCRIPTORS:.0}"),
    ]);
    report.table(table);
    report.field("growth_percent", growth);
    report.field("descriptors_first", begun);
    report.field("descriptors_last", ended);
    report.note(format!(
        "`berth up` with a directory as its panel, {PURCHASES_A_SECOND} purchases a second for {:.1} minutes after {:.1} of \
         warming up, {orders} in all, each event told {TELLINGS} times. All were live and all mails sent at the end.",
        time.as_secs_f64() / 60.0,
        time.as_secs_f64() * WARM_UP / 60.0
    ));
    let is_met = growth <= GOAL_PERCENT && ended - begun <= GOAL_DESCRIPTORS;
    report.note(if is_met { "Goals met." } else { "A goal is missed." });
    Ok(report)
}
