//! Berth's time outside of the database: this machine's clock, corrected by what the database said last.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use jiff::{SignedDuration, Timestamp};

/// A clock that follows `berth.now()`, the database's clock and the offset of the time machine.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Microseconds between this machine's clock and `berth.now()`.
    offset_us: Arc<AtomicI64>,
}

impl Clock {
    /// Berth's time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let offset = SignedDuration::from_micros(self.offset_us.load(Ordering::Relaxed));
        Self::machine().checked_add(offset).unwrap_or(Timestamp::MAX)
    }

    /// Follows what the database has just said.
    pub fn set(&self, database_now: Timestamp) {
        let offset = database_now.duration_since(Self::machine());
        self.offset_us.store(i64::try_from(offset.as_micros()).unwrap_or(0), Ordering::Relaxed);
    }

    /// The machine's own clock: for TLS, signatures of others and the dates of outside calls.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that asks the machine")]
    #[must_use]
    pub fn machine() -> Timestamp {
        Timestamp::now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_follows_the_database() {
        let clock = Clock::default();
        let in_a_month = Clock::machine() + SignedDuration::from_hours(24 * 30);

        clock.set(in_a_month);

        assert!(clock.now().duration_since(in_a_month) < SignedDuration::from_secs(5));
        assert!(clock.now() >= in_a_month);
    }
}
