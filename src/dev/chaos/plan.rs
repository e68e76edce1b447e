//! What goes wrong when, drawn from a seed.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use serde::Serialize;

use super::world::{LEASE, SITES, WORKERS};

/// Every strike comes as often as it stands here before any comes again.
const DECK: [Strike; 13] = [
    Strike::KillWorker,
    Strike::KillWorker,
    Strike::KillWorker,
    Strike::KillServer,
    Strike::KillServer,
    Strike::FreezeWorker,
    Strike::FlushRedis,
    Strike::RestartRedis,
    Strike::RestartPostgres,
    Strike::DeadPanel,
    Strike::RefuseMail,
    Strike::LoseMailAnswers,
    Strike::LoseStripeAnswers,
];
/// Between two strikes, where there is time for more than one deck.
const BETWEEN: Duration = Duration::from_millis(1_500);
/// For the first purchases.
const BEFORE_THE_FIRST: Duration = Duration::from_millis(500);

/// Something that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Strike {
    /// A worker gets SIGKILL.
    KillWorker,
    /// The server of HTTP gets SIGKILL.
    KillServer,
    /// A worker is stopped (SIGSTOP) for longer than its lease, and goes on.
    FreezeWorker,
    /// Redis forgets everything.
    FlushRedis,
    /// Redis is killed, and comes back empty.
    RestartRedis,
    /// PostgreSQL is stopped as by a crash, and recovers.
    RestartPostgres,
    /// The disk of one panel is away for a while.
    DeadPanel,
    /// The mail server refuses for a while, as a greylist does.
    RefuseMail,
    /// The mail server accepts for a while, and its answers are lost.
    LoseMailAnswers,
    /// Stripe does what it is asked, and some of its answers are lost or cut.
    LoseStripeAnswers,
}

impl Strike {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::KillWorker,
        Self::KillServer,
        Self::FreezeWorker,
        Self::FlushRedis,
        Self::RestartRedis,
        Self::RestartPostgres,
        Self::DeadPanel,
        Self::RefuseMail,
        Self::LoseMailAnswers,
        Self::LoseStripeAnswers,
    ];

    /// What was done, after a number.
    #[must_use]
    pub fn told(self) -> &'static str {
        match self {
            Self::KillWorker => "times kill -9 of a worker",
            Self::KillServer => "times kill -9 of the server",
            Self::FreezeWorker => "workers stopped past their lease",
            Self::FlushRedis => "times FLUSHALL of Redis",
            Self::RestartRedis => "times Redis killed, back empty",
            Self::RestartPostgres => "times PostgreSQL stopped (immediate)",
            Self::DeadPanel => "times one panel of three dead",
            Self::RefuseMail => "times the mail server refused",
            Self::LoseMailAnswers => "times the mail server's answers lost",
            Self::LoseStripeAnswers => "times Stripe's answers lost",
        }
    }
}

/// A strike of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Planned {
    /// After the beginning.
    pub(super) at: Duration,
    pub(super) strike: Strike,
    /// Which worker or panel.
    pub(super) target: usize,
    /// For how long, where it lasts.
    pub(super) lasting: Duration,
}

/// The strikes of a run of that length, in their order. Each comes once at least, however short it is.
pub(super) fn plan(seed: u64, length: Duration) -> Vec<Planned> {
    let mut random = StdRng::seed_from_u64(seed);
    let time = length.saturating_sub(BEFORE_THE_FIRST);
    let fitting = usize::try_from(time.as_millis() / BETWEEN.as_millis()).unwrap_or(DECK.len());
    let strikes = fitting.max(DECK.len());
    let between = milliseconds(time) / u64::try_from(strikes).unwrap_or(1);
    let mut strike_at = BEFORE_THE_FIRST;
    let mut planned = Vec::with_capacity(strikes);
    let mut deck: Vec<Strike> = Vec::new();
    for _ in 0..strikes {
        if deck.is_empty() {
            deck = DECK.to_vec();
            deck.shuffle(&mut random);
        }
        let Some(strike) = deck.pop() else { break };
        let target = match strike {
            Strike::DeadPanel => random.random_range(0..SITES.len()),
            Strike::KillWorker
            | Strike::KillServer
            | Strike::FreezeWorker
            | Strike::FlushRedis
            | Strike::RestartRedis
            | Strike::RestartPostgres
            | Strike::RefuseMail
            | Strike::LoseMailAnswers
            | Strike::LoseStripeAnswers => random.random_range(0..WORKERS),
        };
        let jitter = Duration::from_millis(random.random_range(0..=between / 2));
        planned.push(Planned { at: strike_at + jitter, strike, target, lasting: lasting(strike, length, &mut random) });
        strike_at += Duration::from_millis(between);
    }
    planned
}

fn lasting(strike: Strike, length: Duration, random: &mut StdRng) -> Duration {
    let third = milliseconds(length) / 3;
    let mut up_to = |most: u64| random.random_range(500..=most.min(third).max(501));
    match strike {
        Strike::FreezeWorker => LEASE + Duration::from_millis(500 + up_to(2_000)),
        Strike::DeadPanel => Duration::from_millis(up_to(8_000)),
        Strike::RefuseMail => Duration::from_millis(up_to(4_000)),
        Strike::LoseMailAnswers => Duration::from_millis(up_to(1_500)),
        Strike::KillWorker
        | Strike::KillServer
        | Strike::FlushRedis
        | Strike::RestartRedis
        | Strike::RestartPostgres
        | Strike::LoseStripeAnswers => Duration::ZERO,
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_is_one_plan_and_every_strike_comes_in_the_shortest_one() {
        for seconds in [1, 8, 60, 600] {
            let length = Duration::from_secs(seconds);
            let planned = plan(7, length);

            let strikes: BTreeSet<Strike> = planned.iter().map(|planned| planned.strike).collect();
            assert_eq!(strikes, Strike::ALL.into(), "{seconds} s");
            assert!(planned.iter().all(|planned| planned.at <= length), "{planned:?}");
            assert_eq!(planned, plan(7, length));
            assert_ne!(planned, plan(8, length));
        }
        assert_eq!(plan(7, Duration::from_secs(60)).len(), 39);
    }
}
