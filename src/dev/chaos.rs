//! `berth chaos`: customers buy while everything is killed, emptied, stopped and cut off; then every ledger is read.
//!
//! All of it is private and lies in one folder: PostgreSQL with its disk writes on, Redis, a simulated Stripe, a mailbox, three
//! panels, and Berth as processes of its own. What goes wrong when is drawn from a seed; what the processes make of it is not.

mod facts;
mod judge;
mod plan;
mod shoppers;
mod strikes;
mod world;

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use facts::{gather, settle};
pub use judge::Question;
use judge::{Facts, judge};
pub use plan::Strike;
use shoppers::Sold;
use strikes::Struck;
use world::World;

/// After the last fault, for everything to be done.
const SETTLED_WITHIN: Duration = Duration::from_secs(60);
/// After the traffic's end, for whoever is in the middle of buying.
const CUSTOMERS_WAIT: Duration = Duration::from_secs(20);

/// How to run.
#[derive(Clone, Debug)]
pub struct ChaosOptions {
    /// For how long there is traffic, and things go wrong.
    pub length: Duration,
    /// What the plan is drawn from.
    pub seed: u64,
    /// The program of Berth.
    pub program: PathBuf,
}

/// What a run came to.
#[derive(Clone, Debug, Serialize)]
pub struct ChaosReport {
    /// What the plan was drawn from.
    pub seed: u64,
    /// For how long there was traffic.
    pub seconds: u64,
    /// What was done: how often, and what.
    pub done: Vec<(u64, &'static str)>,
    /// The longest that Berth was not ready, after which strike.
    pub slowest_recovery: Option<(Duration, Strike)>,
    /// From the last fault's end until all was done; `None` when it was not.
    pub settled_after: Option<Duration>,
    /// The longest from a payment to its last welcome.
    pub slowest_purchase: Duration,
    /// What was asked at the end, and the answers.
    pub questions: Vec<Question>,
    /// Where logs and data lie; `None` when all was well, and they were removed.
    pub kept: Option<PathBuf>,
}

impl ChaosReport {
    /// How much was lost, and how much happened twice.
    #[must_use]
    pub fn lost_and_double(&self) -> (usize, usize) {
        let lost = self.questions.iter().map(|question| question.lost.len()).sum();
        (lost, self.questions.iter().map(|question| question.double.len()).sum())
    }
}

/// Runs until it is over, or until `stop`; then `None`. Whatever happens, nothing that was started is left running.
///
/// # Errors
/// When something other than Berth fails: a server that does not start, a strike that cannot be carried out.
pub async fn run(
    options: &ChaosOptions,
    stop: &CancellationToken,
    say: impl Fn(&str),
) -> anyhow::Result<Option<ChaosReport>> {
    let home = world::new_home();
    say(&format!("starting private servers in {}", home.display()));
    let starting = Box::pin(World::start(&home, &options.program));
    let world = tokio::select! {
        started = starting => started.with_context(|| format!("see {}", home.display()))?,
        () = stop.cancelled() => {
            // What had been started went with its value.
            forget(&home)?;
            return Ok(None);
        }
    };
    let outcome = tokio::select! {
        outcome = Box::pin(go(&world, options, &say)) => Some(outcome),
        () = stop.cancelled() => None,
    };
    let is_over = matches!(outcome, Some(Ok(_)));
    let ended = world.end(!is_over).await;
    let Some(outcome) = outcome else {
        ended?;
        forget(&home)?;
        return Ok(None);
    };
    let mut report =
        outcome.with_context(|| format!("seed {}; logs and data are in {}", options.seed, home.display()))?;
    ended.context("not everything could be ended")?;
    if report.lost_and_double() == (0, 0) {
        forget(&home)?;
    } else {
        report.kept = Some(home);
    }
    Ok(Some(report))
}

async fn go(world: &World, options: &ChaosOptions, say: &impl Fn(&str)) -> anyhow::Result<ChaosReport> {
    let planned = plan::plan(options.seed, options.length);
    say(&format!("{} s of purchases and {} strikes, seed {}", options.length.as_secs(), planned.len(), options.seed));
    let begun = Instant::now();
    let (sold, struck) = tokio::try_join!(
        shoppers::buy(world, options.seed, options.length, CUSTOMERS_WAIT),
        strikes::carry_out(world, &planned, begun),
    )?;
    strikes::end_all(world).await?;
    say("the faults have ended; Stripe tells everything once more, and all that is left is waited for");
    let ended = Instant::now();
    shoppers::tell_again(world, options.seed).await?;
    let settled = settle(world, SETTLED_WITHIN).await.map(|_| ended.elapsed());
    say("reading the ledgers");
    let facts = gather(world, &sold, &struck).await?;
    Ok(ChaosReport {
        seed: options.seed,
        seconds: options.length.as_secs(),
        done: done(world, &sold, &struck).await?,
        slowest_recovery: slowest_recovery(&struck),
        settled_after: settled,
        slowest_purchase: slowest_purchase(&sold, &facts),
        questions: judge(&facts),
        kept: None,
    })
}

async fn done(world: &World, sold: &Sold, struck: &[Struck]) -> anyhow::Result<Vec<(u64, &'static str)>> {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let deliveries = world.sim_get("deliveries").await?;
    let posts = deliveries["deliveries"].as_array().map(Vec::len).unwrap_or_default();
    let health: Value = world.sim_get("healthz").await?;
    let mut done = vec![
        (count(sold.paid.len()), "purchases paid"),
        (sold.repeated, "requests of customers that failed and were made again"),
        (sold.given_up, "purchases given up before they were paid"),
        (sold.refunded, "refunds"),
        (health["events"].as_u64().unwrap_or_default(), "events of Stripe's"),
        (count(posts), "times an event was posted"),
    ];
    for strike in Strike::ALL {
        done.push((count(struck.iter().filter(|struck| struck.strike == strike).count()), strike.told()));
    }
    done.push((count(world.server.starts() + world.workers.starts()), "starts of Berth's processes"));
    Ok(done)
}

fn slowest_recovery(struck: &[Struck]) -> Option<(Duration, Strike)> {
    struck.iter().filter_map(|struck| Some((struck.recovered?, struck.strike))).max()
}

/// From the payment, by the customer's clock, until the mailbox had accepted the welcome of the last account for the first time.
fn slowest_purchase(sold: &Sold, facts: &Facts) -> Duration {
    let orders = facts.accounts.iter().map(|account| (account.id.0, account.order)).collect::<BTreeMap<_, _>>();
    let waited = facts.mails.iter().filter_map(|mail| {
        let paid = sold.paid.get(orders.get(&mail.about)?)?;
        let accepted = facts.acceptances.get(&mail.id)?.iter().min()?;
        Duration::try_from(accepted.at.duration_since(paid.at)).ok()
    });
    waited.max().unwrap_or_default()
}

fn forget(home: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(home) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("{} cannot be removed", home.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
