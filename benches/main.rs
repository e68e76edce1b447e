//! Measures Berth on private servers: `cargo bench --bench berth -- NAME [--json]`.
//!
//! What is measured runs in a process of its own, and so do its clients and what it is compared with: this program
//! starts itself again in one of the roles of [`roles`]. CPU is therefore told apart by process.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line program: its tables are its output")]
#![expect(clippy::float_arithmetic, clippy::as_conversions, reason = "rates and percentiles of a measurement")]
#![expect(clippy::disallowed_methods, reason = "its tasks end with the round that they measure")]

mod busy;
mod checkout;
mod checkout_event;
mod child;
mod cpu;
mod customers;
mod e2e;
mod idle;
mod ingest;
mod jobs;
mod latency;
mod program;
mod report;
mod roles;
mod servers;
mod stack;
mod steady;
mod sweep;

use std::time::Duration;

use anyhow::Result;
use clap::{Parser, ValueEnum};

use report::Report;

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Name {
    /// No-op jobs, from durable enqueue to durable done, onto a million finished ones.
    Jobs,
    /// Signed webhooks, committed before they are answered, against an endpoint that only gives them to Redis.
    Ingest,
    /// Signed events to paid orders, active accounts and sent mails, against pgbench doing the same statements.
    E2e,
    /// How soon a job runs on an idle system, enqueued by HTTP and by SQL.
    Latency,
    /// How soon a customer is sent to the payment page, with all well and with SMTP and the panel away.
    Checkout,
    /// How soon a paid checkout is a live account, on an idle system and while thousands of renewals are charged.
    Busy,
    /// How soon `berth up` is ready, and the memory that it holds while idle.
    Idle,
    /// How orders that wait spread over three servers, and what one that is dead does to purchases on the others.
    Servers,
    /// Whether memory or descriptors grow while purchases come at a steady rate.
    Steady,
    /// How soon many accounts that are due are invoiced, and then handed over to be charged, against one statement each.
    Sweep,
}

/// Measures Berth on private PostgreSQL and Redis servers, in release.
#[derive(Debug, Parser)]
#[command(name = "bin/bench")]
struct Options {
    /// What to measure.
    name: Option<Name>,
    /// Only one line of JSON on standard output; the tables go to standard error.
    #[arg(long)]
    json: bool,
    /// How often each thing is measured; the median counts.
    #[arg(long)]
    rounds: Option<usize>,
    /// How long a round of `jobs` lasts, and how long `idle` is idle.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How long `steady` lasts, after a warm-up of three tenths of that.
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// How many jobs `jobs` finds finished already.
    #[arg(long, default_value_t = 1_000_000)]
    rows: u64,
    /// How many webhooks a round of `ingest` sends.
    #[arg(long, default_value_t = 60_000)]
    requests: usize,
    /// How many events `e2e` handles.
    #[arg(long, default_value_t = 20_000)]
    events: u64,
    /// How many jobs of a queue `e2e` runs at once. Berth's defaults (64, 32, 32) are for panels and mail servers that
    /// answer slowly and want few at once.
    #[arg(long, default_value_t = 128)]
    slots: u32,
    /// How many customers a round of `checkout` has.
    #[arg(long, default_value_t = 2_000)]
    checkouts: usize,
    /// How many accounts `sweep` has.
    #[arg(long, default_value_t = 200_000)]
    accounts: u64,
    /// How many of them are due, and how many renewals `busy` charges.
    #[arg(long, default_value_t = 20_000)]
    due: u64,
    /// `sweep` leaves out ten times as many accounts, of which as many are due.
    #[arg(long)]
    quick: bool,
    /// A setting of the private PostgreSQL besides its own, such as `wal_compression=lz4`; as often as you like.
    #[arg(long, value_name = "NAME=VALUE")]
    postgres: Vec<String>,
    /// What `cargo bench` says to every bench.
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(child::ROLE_FLAG) {
        return roles::run(&arguments.next().unwrap_or_default(), &arguments.next().unwrap_or_default());
    }
    let options = Options::parse();
    let Some(name) = options.name else {
        for name in Name::value_variants() {
            if let Some(value) = name.to_possible_value() {
                println!("{:8} {}", value.get_name(), value.get_help().map(ToString::to_string).unwrap_or_default());
            }
        }
        println!("{:8} What an account takes in time and memory, of each driver (a bench of berth-panels)", "panels");
        return Ok(());
    };
    stack::set_up_postgres(&options.postgres)?;
    let report = tokio::runtime::Runtime::new()?.block_on(measure(name, &options))?;
    report.print(options.json)
}

async fn measure(name: Name, options: &Options) -> Result<Report> {
    let seconds = Duration::from_secs(options.seconds.max(1));
    match name {
        Name::Jobs => jobs::measure(seconds, options.rounds.unwrap_or(3), options.rows).await,
        Name::Ingest => ingest::measure(options.rounds.unwrap_or(5), options.requests).await,
        Name::E2e => e2e::measure(options.rounds.unwrap_or(3), options.events, options.slots).await,
        Name::Latency => latency::measure().await,
        Name::Checkout => checkout::measure(options.rounds.unwrap_or(3), options.checkouts).await,
        Name::Busy => busy::measure(options.due).await,
        Name::Servers => servers::measure().await,
        Name::Idle => idle::measure(options.rounds.unwrap_or(10), seconds).await,
        Name::Steady => steady::measure(Duration::from_secs(60 * options.minutes.max(1))).await,
        Name::Sweep => {
            let size = sweep::Size { accounts: options.accounts, due: options.due, scattered: false };
            sweep::measure(options.rounds.unwrap_or(3), size, options.quick).await
        }
    }
}
