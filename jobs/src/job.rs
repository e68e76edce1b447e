//! What every job says of itself: its name, its queue, how soon, how often and how long it is tried.

use std::{fmt, str::FromStr, time::Duration};

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

/// A step of work that may be run again at any time without harm.
///
/// The type is the payload; the constants say where and how it runs.
pub trait Job: Serialize + DeserializeOwned + JsonSchema + Send + Sync + 'static {
    /// The name on the wire and in the ledger, such as `provision_account`.
    const NAME: &'static str;
    /// The queue whose workers run it.
    const QUEUE: Queue;
    /// How soon it is taken among those that are due.
    const CLASS: Class = Class::Normal;
    /// Attempts that may fail before the job is dead. Snoozes are not attempts.
    const TRIES: u32;
    /// How long one attempt may take.
    const TIMEOUT: Duration;
    /// How long to wait after a failed attempt.
    const BACKOFF: Backoff;
    /// Whether other applications may enqueue it.
    const EXTERNAL: bool = false;

    /// While a job with this key exists, enqueueing it again changes nothing and answers the first one's id.
    fn once_key(&self) -> Option<String> {
        None
    }

    /// While a job with this key waits, enqueueing it again means that one, which does not begin before this is
    /// committed; during its run it means one more run.
    fn coalesce_key(&self) -> Option<String> {
        None
    }

    /// Of the jobs with this key one runs at a time.
    fn serial(&self) -> Option<String> {
        None
    }
}

/// The queues; each has a worker with a concurrency of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Queue {
    /// Stripe's events and charges.
    Payments,
    /// Work on panels.
    Provisioning,
    /// Mail to customers.
    Mail,
    /// Scheduled and operational work.
    Sweeps,
}

impl Queue {
    /// Every queue.
    pub const ALL: [Self; 4] = [Self::Payments, Self::Provisioning, Self::Mail, Self::Sweeps];

    /// The name in the ledger, on the command line and in Redis' keys.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Payments => "payments",
            Self::Provisioning => "provisioning",
            Self::Mail => "mail",
            Self::Sweeps => "sweeps",
        }
    }
}

impl fmt::Display for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// No queue has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownQueue(pub String);

impl fmt::Display for UnknownQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = Queue::ALL.map(Queue::as_str).join(", ");
        write!(f, "no queue is called `{}`; there are {names}", self.0)
    }
}

impl std::error::Error for UnknownQueue {}

impl FromStr for Queue {
    type Err = UnknownQueue;

    fn from_str(name: &str) -> Result<Self, UnknownQueue> {
        Self::ALL.into_iter().find(|queue| queue.as_str() == name).ok_or_else(|| UnknownQueue(name.to_owned()))
    }
}

/// How soon a due job is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Somebody waits for it.
    Urgent,
    /// The usual.
    Normal,
    /// One of many; may fill at most three quarters of a worker's slots.
    Bulk,
}

impl Class {
    /// Every class, the soonest first.
    pub const ALL: [Self; 3] = [Self::Urgent, Self::Normal, Self::Bulk];

    /// The number in the ledger: 0, 1 or 2.
    #[must_use]
    pub const fn number(self) -> i16 {
        match self {
            Self::Urgent => 0,
            Self::Normal => 1,
            Self::Bulk => 2,
        }
    }

    /// The class with that number in the ledger.
    #[must_use]
    pub const fn from_number(number: i16) -> Option<Self> {
        match number {
            0 => Some(Self::Urgent),
            1 => Some(Self::Normal),
            2 => Some(Self::Bulk),
            _ => None,
        }
    }
}

/// Waits between attempts: they double from `first` and stay at `most`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failed attempt.
    pub first: Duration,
    /// The longest wait.
    pub most: Duration,
}

impl Backoff {
    /// Waits from `first` seconds to `most` seconds.
    #[must_use]
    pub const fn seconds(first: u64, most: u64) -> Self {
        Self { first: Duration::from_secs(first), most: Duration::from_secs(most) }
    }

    /// The wait after attempt number `attempt` (1 is the first) failed, before jitter.
    #[must_use]
    pub fn after(self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.first.saturating_mul(1 << doublings).min(self.most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_end_at_the_longest() {
        let backoff = Backoff::seconds(5, 60);

        let waits: Vec<u64> = [1, 2, 3, 4, 5, 6, 4_000].map(|n| backoff.after(n).as_secs()).into();

        assert_eq!(waits, [5, 10, 20, 40, 60, 60, 60]);
    }

    #[test]
    fn an_unknown_queue_is_told_the_known_ones() {
        let error = "post".parse::<Queue>().unwrap_err().to_string();

        assert_eq!(error, "no queue is called `post`; there are payments, provisioning, mail, sweeps");
    }
}
