//! The watchdog: a thread that ends the process when its runtime stalls or a job outlives its timeout, so that its
//! leases run out and others take over. While it does not, it tells the service manager that the process lives: should this
//! thread hang as well, that one ends the process.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use berth_jobs::ids::JobId;

use crate::{failpoint, service_manager, supervise::Supervisor};

/// How often the runtime shows that it lives, and the thread looks.
const BEAT: Duration = Duration::from_secs(1);
/// A runtime that has not shown itself for so long hangs.
const STALL: Duration = Duration::from_secs(30);
/// How long a job may outlive its timeout: the timeout ends a handler that waits, not one that computes.
const GRACE: Duration = Duration::from_secs(15);

/// A handle to the watchdog.
#[derive(Clone, Debug)]
pub(crate) struct Watchdog {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    last_beat: Instant,
    deadlines: HashMap<JobId, Instant>,
    stopped: bool,
}

/// A job that is being watched, until this is dropped.
#[derive(Debug)]
pub(crate) struct Watched {
    watchdog: Watchdog,
    job: JobId,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.watchdog.lock().deadlines.remove(&self.job);
    }
}

/// What beats for as long as the runtime is there. A runtime that is shut down does not hang.
struct Heart(Watchdog);

impl Drop for Heart {
    fn drop(&mut self) {
        self.0.lock().stopped = true;
    }
}

impl State {
    /// This thread has overslept, and so has the whole process: a container that was frozen, a machine that was suspended. What
    /// could not be done meanwhile was not left undone.
    fn forgive(&mut self, overslept: Duration) {
        if overslept > BEAT {
            self.last_beat += overslept;
            self.deadlines.values_mut().for_each(|deadline| *deadline += overslept);
        }
    }
}

impl Watchdog {
    /// Starts the thread and the task that it listens to.
    pub(crate) fn start(tasks: &Supervisor) -> Self {
        let state = State { last_beat: Instant::now(), deadlines: HashMap::new(), stopped: false };
        let watchdog = Self { state: Arc::new(Mutex::new(state)) };
        let beating = watchdog.clone();
        let stopped = tasks.stopped.clone();
        tasks.spawn(async move {
            let heart = Heart(beating);
            while !stopped.is_cancelled() {
                heart.0.lock().last_beat = Instant::now();
                tokio::select! {
                    () = tokio::time::sleep(BEAT) => {}
                    () = stopped.cancelled() => {}
                }
            }
        });
        let looking = watchdog.clone();
        std::thread::spawn(move || looking.look());
        watchdog
    }

    /// Watches a job until the answer is dropped.
    pub(crate) fn watch(&self, job: JobId, timeout: Duration) -> Watched {
        let grace = failpoint::shortened("watchdog.grace", GRACE);
        self.lock().deadlines.insert(job, Instant::now() + timeout + grace);
        Watched { watchdog: self.clone(), job }
    }

    fn look(&self) {
        // Half of what it waits for is customary; a beat may come late on a busy machine.
        let tell_every = service_manager::watchdog().map(|waits| waits / 2);
        let mut told: Option<Instant> = None;
        loop {
            let beat = tell_every.map_or(BEAT, |every| every.min(BEAT));
            let slept_at = Instant::now();
            std::thread::sleep(beat);
            let mut state = self.lock();
            if state.stopped {
                return;
            }
            let now = Instant::now();
            state.forgive(now.duration_since(slept_at).saturating_sub(beat));
            if now.duration_since(state.last_beat) > failpoint::shortened("watchdog.stall", STALL) {
                tracing::error!("the runtime stalls; the process ends so that others take over");
                std::process::abort();
            }
            if let Some((job, _)) = state.deadlines.iter().find(|(_, deadline)| **deadline < now) {
                tracing::error!(%job, "a job outlives its timeout and cannot be stopped; the process ends");
                std::process::abort();
            }
            // Whoever told of a runtime that has not shown itself would speak for a dead one.
            let lives = now.duration_since(state.last_beat) <= BEAT * 3;
            drop(state);
            if lives && tell_every.is_some_and(|every| told.is_none_or(|told| now.duration_since(told) + beat >= every))
            {
                service_manager::alive();
                told = Some(now);
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
