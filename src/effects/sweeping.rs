//! What the schedule and the sweeps bring about beside moves and jobs.

use berth_jobs::AnyJob;
use jiff::{Timestamp, civil::Date};

use super::{Effects, NewJob};

/// A run of a sweep that the schedule wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTick {
    /// The sweep.
    pub name: &'static str,
    /// When it is due.
    pub due_at: Timestamp,
}

/// What nobody needs any more, by when it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leftovers {
    /// Tickets to listen with that could be taken until then.
    pub tickets: Timestamp,
    /// Jobs that were done or cancelled by then, by the database's own clock.
    pub jobs: Timestamp,
    /// Ticks that were due by then, but for the last of each sweep.
    pub ticks: Timestamp,
    /// Mails that were accepted by then lose what they said.
    pub mails: Timestamp,
    /// Events that came by then, and that nobody waits for, lose their body; by the database's own clock.
    pub events: Timestamp,
    /// Passwords that came into force by then, or were to be set and are not, are forgotten.
    pub passwords: Timestamp,
    /// Samples of usage of that day and before.
    pub usage: Date,
    /// At most so many rows of each kind.
    pub most: i64,
}

impl Effects {
    /// Begins a run of a sweep. Refused with `AlreadyThere` when it, or a later one, has begun.
    #[must_use]
    pub fn tick(mut self, tick: NewTick) -> Self {
        self.ticks.push(tick);
        self
    }

    /// Has Stripe asked about a page not before `at`. Ignored when the page is open no longer.
    #[must_use]
    pub fn ask_again(mut self, session_id: String, at: Timestamp) -> Self {
        self.page_asks.push((session_id, at));
        self
    }

    /// Adds a job, due at once, under a key instead of its own: it is asked for once, as long as its row is kept.
    #[must_use]
    pub fn enqueue_once(mut self, job: impl Into<AnyJob>, key: String) -> Self {
        self.jobs.push(NewJob { once_key: Some(key), ..NewJob::now(job.into()) });
        self
    }

    /// Deletes what is left over.
    #[must_use]
    pub fn delete(mut self, leftovers: Leftovers) -> Self {
        self.leftovers.push(leftovers);
        self
    }
}
