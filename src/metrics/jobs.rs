//! What is counted of every job that is picked up and run. The series of all kinds are there from the start, so that the
//! first failure of a kind is seen as one.

use std::{collections::HashMap, sync::LazyLock, time::Duration};

use berth_jobs::{AnyJob, Class, Queue};
use metrics::{Counter, Histogram};

use super::{counter, histogram};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunOutcome {
    /// Its effects are true.
    Done,
    /// It failed and is tried again.
    Retry,
    /// It waits for something.
    Snooze,
    /// There was nothing to be done any more.
    Cancel,
    /// It was given to a person.
    Dead,
    /// What it relied upon has changed, or another run has taken its place.
    Refused,
    /// Its outcome could not be stored.
    Unsettled,
}

impl RunOutcome {
    const ALL: [Self; 7] =
        [Self::Done, Self::Retry, Self::Snooze, Self::Cancel, Self::Dead, Self::Refused, Self::Unsettled];

    /// The value of the label `outcome`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Retry => "retry",
            Self::Snooze => "snooze",
            Self::Cancel => "cancel",
            Self::Dead => "dead",
            Self::Refused => "refused",
            Self::Unsettled => "unsettled",
        }
    }
}

/// What is known under this name is none of this version's.
const UNKNOWN: &str = "unknown";

struct OfKind {
    outcomes: [Counter; RunOutcome::ALL.len()],
    duration: Histogram,
}

impl OfKind {
    fn new(kind: &'static str) -> Self {
        let outcomes = RunOutcome::ALL
            .map(|outcome| counter("berth_job_runs_total", &[("kind", kind), ("outcome", outcome.as_str())]));
        Self { outcomes, duration: histogram("berth_job_duration_seconds", &[("kind", kind)]) }
    }

    fn add(&self, outcome: RunOutcome, took: Duration) {
        let place = RunOutcome::ALL.iter().position(|known| *known == outcome);
        if let Some(counter) = place.and_then(|place| self.outcomes.get(place)) {
            counter.increment(1);
        }
        self.duration.record(took);
    }
}

static KINDS: LazyLock<HashMap<&'static str, OfKind>> = LazyLock::new(|| {
    let names = AnyJob::KINDS.iter().map(|kind| kind.name);
    names.chain([UNKNOWN]).map(|name| (name, OfKind::new(name))).collect()
});

static PICKUPS: LazyLock<Vec<(Queue, Class, Histogram)>> = LazyLock::new(|| {
    let pairs = Queue::ALL.into_iter().flat_map(|queue| Class::ALL.map(|class| (queue, class)));
    let series = |(queue, class): (Queue, Class)| {
        let labels = [("queue", queue.as_str()), ("class", class_name(class))];
        (queue, class, histogram("berth_job_pickup_seconds", &labels))
    };
    pairs.map(series).collect()
});

const fn class_name(class: Class) -> &'static str {
    match class {
        Class::Urgent => "urgent",
        Class::Normal => "normal",
        Class::Bulk => "bulk",
    }
}

/// Makes the series, should nothing have been counted yet.
pub(super) fn register() {
    LazyLock::force(&KINDS);
    LazyLock::force(&PICKUPS);
}

/// Counts a run that has ended.
pub fn ran(kind: &str, outcome: RunOutcome, took: Duration) {
    if let Some(of_kind) = KINDS.get(kind).or_else(|| KINDS.get(UNKNOWN)) {
        of_kind.add(outcome, took);
    }
}

/// Notes how long after a job was due it was picked up.
pub fn picked_up(queue: Queue, class: Class, late: Duration) {
    let series = PICKUPS.iter().find(|(of_queue, of_class, _)| (*of_queue, *of_class) == (queue, class));
    if let Some((_, _, series)) = series {
        series.record(late);
    }
}
