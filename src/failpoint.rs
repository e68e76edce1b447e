//! Named points at which a test may kill or trip the process, and parts that a test may break on purpose.
//! A release build has none of it.
//!
//! `BERTH_FAILPOINTS="panel.created=kill@3;job.run(no_op)=abort"` — at the third hit, or at every hit for one argument.
//! Actions: `kill` (SIGKILL to ourselves), `abort`, `panic`, `hang` (never returns), `sleep:MILLISECONDS`,
//! `stop` (SIGSTOP: the whole process freezes until somebody sends SIGCONT).
//! `BERTH_BREAK="claim_fence,push_after_commit"` — turns named safeguards off, to prove that the tests notice.
//! `BERTH_SHORTEN="watchdog.grace=500;no_op=1000"` — makes named waits shorter, in milliseconds.

use std::time::Duration;

#[cfg(debug_assertions)]
mod armed {
    use std::{
        collections::HashMap,
        sync::{
            LazyLock,
            atomic::{AtomicU64, Ordering},
        },
        time::Duration,
    };

    struct Point {
        action: Action,
        at: Option<u64>,
        hits: AtomicU64,
    }

    #[derive(Clone, Copy)]
    enum Action {
        Kill,
        Abort,
        Panic,
        Hang,
        Stop,
        Sleep(Duration),
    }

    static POINTS: LazyLock<HashMap<String, Point>> = LazyLock::new(|| {
        let text = variable("BERTH_FAILPOINTS");
        text.split(';').filter(|part| !part.trim().is_empty()).map(parse).collect()
    });

    static SHORTENED: LazyLock<HashMap<String, Duration>> = LazyLock::new(|| {
        let text = variable("BERTH_SHORTEN");
        text.split(';').filter(|part| !part.trim().is_empty()).map(parse_shortened).collect()
    });

    static BROKEN: LazyLock<Vec<String>> =
        LazyLock::new(|| variable("BERTH_BREAK").split(',').map(|name| name.trim().to_owned()).collect());

    #[expect(clippy::disallowed_methods, reason = "tests arm the points before any configuration is read")]
    fn variable(name: &str) -> String {
        std::env::var(name).unwrap_or_default()
    }

    #[expect(clippy::panic, reason = "a test that arms a point wrongly must not pass by accident")]
    fn parse(part: &str) -> (String, Point) {
        let Some((name, rest)) = part.trim().split_once('=') else {
            panic!("BERTH_FAILPOINTS: `{part}` is not `name=action`");
        };
        let (action, at) = match rest.split_once('@') {
            Some((action, at)) => (action, at.parse().ok()),
            None => (rest, None),
        };
        let action = match action.split_once(':') {
            None if action == "kill" => Action::Kill,
            None if action == "abort" => Action::Abort,
            None if action == "panic" => Action::Panic,
            None if action == "hang" => Action::Hang,
            None if action == "stop" => Action::Stop,
            Some(("sleep", ms)) => Action::Sleep(Duration::from_millis(ms.parse().unwrap_or(100))),
            _ => panic!("BERTH_FAILPOINTS: `{action}` is no action"),
        };
        (name.to_owned(), Point { action, at, hits: AtomicU64::new(0) })
    }

    #[expect(clippy::panic, reason = "a test that shortens a wait wrongly must not pass by accident")]
    fn parse_shortened(part: &str) -> (String, Duration) {
        match part.trim().split_once('=').map(|(name, ms)| (name, ms.parse())) {
            Some((name, Ok(ms))) => (name.to_owned(), Duration::from_millis(ms)),
            _ => panic!("BERTH_SHORTEN: `{part}` is not `name=milliseconds`"),
        }
    }

    #[expect(clippy::panic, reason = "this is what the point is for")]
    pub(super) fn hit(name: &str) {
        let Some(point) = POINTS.get(name) else { return };
        let hits = point.hits.fetch_add(1, Ordering::Relaxed) + 1;
        if point.at.is_some_and(|at| at != hits) {
            return;
        }
        match point.action {
            Action::Kill => {
                let killed = nix::sys::signal::kill(nix::unistd::getpid(), nix::sys::signal::Signal::SIGKILL);
                tracing::error!(?killed, "could not kill ourselves");
                std::process::abort();
            }
            Action::Abort => std::process::abort(),
            Action::Stop => {
                // To this thread: another one would take it when it next runs, and this one would go on until then.
                let stopped = nix::sys::signal::raise(nix::sys::signal::Signal::SIGSTOP);
                tracing::warn!(?stopped, "frozen at {name}, and thawed");
            }
            Action::Panic => panic!("failpoint {name}"),
            Action::Hang => loop {
                std::thread::sleep(Duration::from_secs(3600));
            },
            Action::Sleep(time) => std::thread::sleep(time),
        }
    }

    pub(super) fn is_armed() -> bool {
        !POINTS.is_empty()
    }

    pub(super) fn shortened(name: &str) -> Option<Duration> {
        SHORTENED.get(name).copied()
    }

    pub(super) fn broken(name: &str) -> bool {
        BROKEN.iter().any(|broken| broken == name)
    }
}

/// Does what a test has asked to happen here; nothing otherwise.
#[cfg_attr(not(debug_assertions), expect(unused_variables, reason = "release builds have no failpoints"))]
pub(crate) fn hit(name: &str) {
    #[cfg(debug_assertions)]
    armed::hit(name);
}

/// As [`hit`], for one argument only: the point is called `name(argument)`.
#[cfg_attr(not(debug_assertions), expect(unused_variables, reason = "release builds have no failpoints"))]
pub(crate) fn hit_for(name: &str, argument: impl std::fmt::Display) {
    #[cfg(debug_assertions)]
    if armed::is_armed() {
        armed::hit(&format!("{name}({argument})"));
    }
}

/// The wait that is `usual`, unless a test has asked for a shorter one.
#[cfg_attr(not(debug_assertions), expect(unused_variables, reason = "release builds shorten nothing"))]
pub(crate) fn shortened(name: &str, usual: Duration) -> Duration {
    #[cfg(debug_assertions)]
    return armed::shortened(name).unwrap_or(usual);
    #[cfg(not(debug_assertions))]
    usual
}

/// Whether a test has asked for this safeguard to be off.
#[cfg_attr(not(debug_assertions), expect(unused_variables, reason = "release builds cannot be broken"))]
pub(crate) fn broken(name: &str) -> bool {
    #[cfg(debug_assertions)]
    return armed::broken(name);
    #[cfg(not(debug_assertions))]
    false
}
