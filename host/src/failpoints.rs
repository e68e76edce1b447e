//! Places where a test may have the command die, as by `kill -9`. In a release build they are nothing.

/// Dies here, if a test asked for it.
#[cfg(debug_assertions)]
pub(crate) fn pass(place: &str) {
    if std::env::var_os("BERTH_HOST_DIES_AT").is_some_and(|at| at == place) {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::this(), nix::sys::signal::Signal::SIGKILL);
    }
}

/// Nothing.
#[cfg(not(debug_assertions))]
pub(crate) fn pass(_: &str) {}
