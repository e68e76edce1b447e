//! The simulator's clock: real time plus an offset that a test may move.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

/// Real time plus an offset; shared by every part of the simulator.
#[derive(Debug, Default)]
pub(super) struct SimClock {
    offset_seconds: AtomicI64,
    moves_signatures: AtomicBool,
}

impl SimClock {
    /// The simulated instant, in Unix seconds: what `created` and `expires_at` are measured by.
    pub(super) fn now(&self) -> i64 {
        real_milliseconds() / 1000 + self.offset_seconds.load(Ordering::Relaxed)
    }

    /// The instant a webhook signature carries, in Unix seconds. Real time unless told otherwise:
    /// receivers judge a signature's age by the wall clock.
    pub(super) fn signature_time(&self) -> i64 {
        if self.moves_signatures.load(Ordering::Relaxed) { self.now() } else { real_milliseconds() / 1000 }
    }

    pub(super) fn offset_seconds(&self) -> i64 {
        self.offset_seconds.load(Ordering::Relaxed)
    }

    pub(super) fn set(&self, offset_seconds: i64, moves_signatures: bool) {
        self.offset_seconds.store(offset_seconds, Ordering::Relaxed);
        self.moves_signatures.store(moves_signatures, Ordering::Relaxed);
    }
}

/// The wall clock in Unix milliseconds, for logs of what happened when.
#[expect(
    clippy::disallowed_methods,
    reason = "the simulator stands for the outside world and keeps a clock of its own"
)]
pub(super) fn real_milliseconds() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
