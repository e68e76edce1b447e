//! The signals that ask a process to end.

use std::{io, process};

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::output::say;

/// What a shell calls the end by SIGINT; also ours for a second request to end.
pub(super) const STOPPED_AT_ONCE: u8 = 130;

/// SIGTERM and SIGINT, caught from now on.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Begins to catch them.
    ///
    /// # Errors
    /// When the system refuses.
    pub(super) fn catch() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Does the last work, unless another signal asks to end at once.
    pub(super) async fn unless_again<T>(&mut self, last_work: impl Future<Output = T>) -> T {
        tokio::select! {
            done = last_work => done,
            () = self.next() => {
                say("berth: stopped at once; what was running is taken up by others or at the next start");
                process::exit(i32::from(STOPPED_AT_ONCE))
            }
        }
    }
}
