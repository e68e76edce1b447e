//! Tasks that live as long as the process: restarted when they panic, counted, and waited for at the end.

use std::{future::Future, time::Duration};

use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The first wait before a task that panicked starts again; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// The process' tasks and the two signals that end them.
#[derive(Clone, Debug, Default)]
pub struct Supervisor {
    /// Take nothing new: requests, jobs, ticks.
    pub draining: CancellationToken,
    /// Everything that was begun has ended: committer, pushes and lease may go.
    pub stopped: CancellationToken,
    tasks: TaskTracker,
}

impl Supervisor {
    /// Runs the task until it returns; starts it again when it panics.
    pub fn run<F>(&self, name: &'static str, task: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let stopped = self.stopped.clone();
        self.spawn(async move {
            let mut wait = FIRST_WAIT;
            loop {
                let Err(error) = spawn(task()).await else { return };
                tracing::error!(task = name, %error, "a task died; it starts again");
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = stopped.cancelled() => return,
                }
                wait = (wait * 2).min(LONGEST_WAIT);
            }
        });
    }

    /// Runs a task once; it is waited for at the end.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        spawn(self.tasks.track_future(task))
    }

    /// Waits until every task has ended.
    pub async fn wait(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// Runs a future by itself, so that its panic is its own.
#[expect(clippy::disallowed_methods, reason = "the one place that spawns; its callers wait for what they started")]
pub(crate) fn spawn<F>(task: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    tokio::spawn(task)
}
