//! What the service manager (systemd) is told: when the process is ready, how it fares, that it lives, and that it stops.
//! Without one that listens (`NOTIFY_SOCKET`), nothing is told.

use std::time::Duration;

use sd_notify::NotifyState;

/// Everything is set up and requests are welcome. Told once.
pub(crate) fn ready(how: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(how)]);
}

/// Nothing new is taken; what was begun ends.
pub(crate) fn stopping(how: &str) {
    tell(&[NotifyState::Stopping, NotifyState::Status(how)]);
}

/// The process lives: it is killed and started again where this is not told for as long as [`watchdog`] says.
pub(crate) fn alive() {
    tell(&[NotifyState::Watchdog]);
}

/// How often it must be told that the process lives; none where nobody listens, or another process is meant.
pub(crate) fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager could not be told");
    }
}
