//! `checkout`: how soon a customer is sent to the page to pay on, with all well and with SMTP and the panel away.

use std::time::Duration;

use anyhow::Result;
use tokio::net::TcpListener;

use crate::{
    child::Child,
    customers::Customers,
    report::{Report, median, percentile, row},
    roles::{
        berth::{self, Ready},
        sink, stripe,
    },
    stack::{STRIPE_KEY, Stack, WEBHOOK_SECRET},
};

/// How many customers check out at once.
const AT_ONCE: usize = 4;
/// One order of so many is paid at once: its account and mails are on their way meanwhile.
const PAID_ONE_OF: usize = 4;
/// How long Stripe takes to answer.
const STRIPE_MILLIS: u64 = 5;
/// How long a panel that is away keeps its callers waiting.
const AWAY: Duration = Duration::from_secs(60);

/// The goal: the p99 with SMTP and the panel away, in milliseconds, from the p99 with all well.
fn goal(well: f64) -> f64 {
    1.2 * well + 5.0
}

pub(crate) async fn measure(rounds: usize, requests: usize) -> Result<Report> {
    let stack = Stack::start().await?;
    let (mut well, mut away) = (Vec::new(), Vec::new());
    for number in 0..rounds {
        well.push(round(&stack, &format!("well_{number}"), true, requests).await?);
        away.push(round(&stack, &format!("away_{number}"), false, requests).await?);
    }
    let mut report = Report::new("checkout");
    let middle = |rounds: &[Percentiles], of: fn(&Percentiles) -> f64| median(rounds.iter().map(of));
    let cells = |name: &str, rounds: &[Percentiles]| {
        let cell = |of: fn(&Percentiles) -> f64| format!("{:.1}", middle(rounds, of));
        vec![name.to_owned(), requests.to_string(), cell(|p| p.p50), cell(|p| p.p99), cell(|p| p.most)]
    };
    report.table(vec![
        row(["SMTP and the panel", "checkouts", "p50 ms", "p99 ms", "longest ms"]),
        cells("well", &well),
        cells("away", &away),
    ]);
    let (p99, p99_away) = (middle(&well, |p| p.p99), middle(&away, |p| p.p99));
    report.field("p50_ms", middle(&well, |p| p.p50));
    report.field("p99_ms", p99);
    report.field("p99_away_ms", p99_away);
    report.field("ratio_to_reference", p99_away / p99);
    let met = p99_away <= goal(p99);
    report.note(format!(
        "{}: with both away, at most 1.2 times as long and 5 ms, here {:.1} ms. {AT_ONCE} customers at a time, each of \
         them new to Stripe, which answers each of two calls after {STRIPE_MILLIS} ms; one order of {PAID_ONE_OF} is \
         paid at once.",
        if met { "Goal met" } else { "The goal is missed" },
        goal(p99),
    ));
    Ok(report)
}

struct Percentiles {
    p50: f64,
    p99: f64,
    most: f64,
}

async fn round(stack: &Stack, database: &str, well: bool, requests: usize) -> Result<Percentiles> {
    stack.database(database).await?.close().await;
    let spec = stripe::Spec { api_key: STRIPE_KEY.to_owned(), webhook_secret: WEBHOOK_SECRET.to_owned() };
    let (sim, sim_at): (Child, stripe::Ready) = Child::start(stripe::ROLE, &spec).await?;
    let (mails, mails_at): (Child, sink::Ready) = Child::start(sink::ROLE, &()).await?;
    // It takes connections and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").await?;
    let smtp = if well { mails_at.address } else { silent.local_addr()? };
    let settings = stack.settings(
        database,
        &[("stripe.api_base", &format!("http://{}", sim_at.address)), ("mail.smtp_url", &format!("smtp://{smtp}"))],
    )?;
    let panel_latency = if well { Duration::ZERO } else { AWAY };
    let spec = berth::Spec { panel_latency, ..berth::Spec::working(settings.clone()) };
    let (berth, at): (Child, Ready) = Child::start(berth::ROLE, &spec).await?;
    let customers = Customers::new(&settings, format!("http://{}", at.address), format!("http://{}", sim_at.address))?;
    customers.set_up_stripe(STRIPE_MILLIS).await?;
    let mut millis = customers.check_out_all(requests, AT_ONCE, PAID_ONE_OF).await?;
    // What waits for a panel that is away is not waited for.
    if well {
        berth.end().await?;
    } else {
        drop(berth);
    }
    mails.end().await?;
    sim.end().await?;
    stack.drop_database(database).await?;
    Ok(Percentiles {
        p50: percentile(&mut millis, 0.5),
        p99: percentile(&mut millis, 0.99),
        most: percentile(&mut millis, 1.0),
    })
}
