//! The ledger as a backend of apalis: a fetcher pops ids from Redis, claims their jobs, and hands them to the worker.
//!
//! The fetcher is a task of its own, never gated on the worker being polled, and no error of Redis or Postgres leaves
//! it: apalis would take that for a reason to cancel running handlers.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use apalis_core::{
    backend::{Backend, BackendConfig, finalize::Ephemeral},
    task::{Task, builder::TaskBuilder, task_id::TaskId},
    worker::context::WorkerContext,
};
use berth_jobs::{Class, JobKind, Queue};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::Instant,
};
use tokio_util::sync::CancellationToken;
use tower::layer::util::Identity;
use uuid::Uuid;

use super::{
    lease::{Held, Lease},
    redis::{Popper, RedisQueues},
};
use crate::{
    error::chain,
    failpoint, metrics,
    store::{Store, jobs::ClaimedJob},
    supervise::Supervisor,
};

/// The longest wait after an error of Redis or Postgres.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// For so long after an urgent job bulk ones have less room: where one buys, others do.
const SOMEBODY_WAITS: Duration = Duration::from_secs(10);
/// The most ids that are popped at once.
const MOST_AT_ONCE: usize = 256;

/// A claimed job in its slot; the slot is free again when this is dropped.
#[derive(Debug)]
pub struct RunnableJob {
    /// The job.
    pub claimed: ClaimedJob,
    _slot: OwnedSemaphorePermit,
    _bulk: Option<BulkSlot>,
    _held: Held,
}

/// Counts a bulk job while it is in a slot.
#[derive(Debug)]
struct BulkSlot(Arc<AtomicUsize>);

impl BulkSlot {
    fn take(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for BulkSlot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One queue's backend.
#[derive(Debug)]
pub struct LedgerBackend {
    fetcher: Option<Fetcher>,
    jobs: mpsc::Receiver<RunnableJob>,
    tasks: Supervisor,
}

impl LedgerBackend {
    /// A backend for `queue` with `slots` slots, whose claims belong to `lease`.
    #[must_use]
    pub fn new(store: Store, redis: RedisQueues, tasks: Supervisor, queue: Queue, lease: Lease, slots: usize) -> Self {
        let slots = slots.max(1);
        let (sender, jobs) = mpsc::channel(slots);
        let fetcher = Fetcher {
            store,
            redis,
            queue,
            lease,
            slots,
            free: Arc::new(Semaphore::new(slots)),
            bulk: Arc::default(),
            jobs: sender,
            draining: tasks.draining.clone(),
        };
        Self { fetcher: Some(fetcher), jobs, tasks }
    }
}

impl Backend for LedgerBackend {
    type Task = Task<RunnableJob>;
    type Error = Infallible;

    fn poll_ready(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        if let Some(fetcher) = self.fetcher.take() {
            self.tasks.run("fetcher", move || fetcher.clone().run());
        }
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        _: &WorkerContext,
    ) -> Poll<Option<Result<Task<RunnableJob>, Infallible>>> {
        self.jobs.poll_recv(cx).map(|job| {
            job.map(|job| {
                let id = TaskId::from_string(job.claimed.id.to_string());
                Ok(TaskBuilder::new(job).task_id(id).build())
            })
        })
    }

    fn poll_close(&mut self, _: &mut Context<'_>, _: &WorkerContext) -> Poll<Result<(), Infallible>> {
        // What was claimed and not started is given back with everything else that this process still holds.
        self.jobs.close();
        while self.jobs.try_recv().is_ok() {}
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for LedgerBackend {
    type Args = RunnableJob;
    type Id = Uuid;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}

#[derive(Clone, Debug)]
struct Fetcher {
    store: Store,
    redis: RedisQueues,
    queue: Queue,
    lease: Lease,
    slots: usize,
    free: Arc<Semaphore>,
    bulk: Arc<AtomicUsize>,
    jobs: mpsc::Sender<RunnableJob>,
    draining: CancellationToken,
}

impl Fetcher {
    async fn run(self) {
        let mut popper = self.redis.popper(self.queue);
        let mut wait = Duration::from_millis(20);
        let mut last_urgent: Option<Instant> = None;
        loop {
            let Some(mut slots) = self.free_slots().await else { return };
            // Begun before anybody looks whether the process drains: whoever stops it waits for what is claimed now.
            let _fetching = self.lease.fetching();
            let somebody_waits = last_urgent.is_some_and(|at| at.elapsed() < SOMEBODY_WAITS);
            match self.pop(&mut popper, slots.len(), somebody_waits).await {
                Ok(ids) if ids.is_empty() => wait = Duration::from_millis(20),
                Ok(ids) if self.draining.is_cancelled() => return self.leave_to_others(&ids).await,
                Ok(ids) => {
                    failpoint::hit("claim.before");
                    for claimed in self.claim(&ids).await {
                        let Some(slot) = slots.pop() else { break };
                        if class_of(&claimed) == Some(Class::Urgent) {
                            last_urgent = Some(Instant::now());
                        }
                        self.hand_over(claimed, slot).await;
                    }
                    wait = Duration::from_millis(20);
                }
                Err(error) => {
                    tracing::warn!(queue = %self.queue, error = chain(&error), "Redis is away");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    /// Waits for a free slot and takes all that are free; `None` when the process is draining.
    async fn free_slots(&self) -> Option<Vec<OwnedSemaphorePermit>> {
        let first = tokio::select! {
            slot = Arc::clone(&self.free).acquire_owned() => slot.ok()?,
            () = self.draining.cancelled() => return None,
        };
        let mut slots = vec![first];
        while slots.len() < MOST_AT_ONCE {
            let Ok(slot) = Arc::clone(&self.free).try_acquire_owned() else { break };
            slots.push(slot);
        }
        (!self.draining.is_cancelled()).then_some(slots)
    }

    async fn pop(&self, popper: &mut Popper, free: usize, somebody_waits: bool) -> redis::RedisResult<Vec<Uuid>> {
        let bulk_room = bulk_slots(self.slots, somebody_waits).saturating_sub(self.bulk.load(Ordering::Relaxed));
        let count = if bulk_room == 0 { free } else { free.min(bulk_room) };
        popper.pop(count, bulk_room > 0).await
    }

    /// What was popped while the process began to drain is given to Redis again by whoever relays next.
    async fn leave_to_others(&self, ids: &[Uuid]) {
        if let Err(error) = self.store.forget_dispatches_of(ids).await {
            // Then the relay finds out by itself that Redis has lost them.
            tracing::warn!(queue = %self.queue, error = chain(&error), "popped ids could not be left to others");
        }
    }

    /// Claims, however long the database is away: the ids are in no other place than here.
    async fn claim(&self, ids: &[Uuid]) -> Vec<ClaimedJob> {
        let mut wait = Duration::from_millis(20);
        loop {
            match self.store.claim(self.queue, ids, self.lease.id).await {
                Ok(claimed) => {
                    if !claimed.is_empty() {
                        failpoint::hit("claim.after");
                    }
                    return claimed;
                }
                Err(error) => {
                    tracing::warn!(queue = %self.queue, error = chain(&error), "jobs could not be claimed");
                    if self.draining.is_cancelled() {
                        return Vec::new();
                    }
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    async fn hand_over(&self, claimed: ClaimedJob, slot: OwnedSemaphorePermit) {
        // A kind of a newer version waits as the usual ones do.
        let class = class_of(&claimed).unwrap_or(Class::Normal);
        let late = claimed.claimed_at.duration_since(claimed.due_at);
        metrics::picked_up(self.queue, class, Duration::try_from(late).unwrap_or_default());
        let job = RunnableJob {
            _held: self.lease.hold((claimed.id, claimed.claim_id)),
            claimed,
            _slot: slot,
            _bulk: (class == Class::Bulk).then(|| BulkSlot::take(&self.bulk)),
        };
        // When the worker has closed, the job is given back with all others of this process.
        let _ = self.jobs.send(job).await;
    }
}

fn class_of(claimed: &ClaimedJob) -> Option<Class> {
    JobKind::named(&claimed.kind).map(|kind| kind.class)
}

/// So many slots bulk jobs may fill. The rest always has somewhere to run; and while somebody waits, the machine is not to be
/// busy with bulk jobs alone.
fn bulk_slots(slots: usize, somebody_waits: bool) -> usize {
    if somebody_waits { slots.div_ceil(4) } else { (slots * 3).div_ceil(4) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bulk_jobs_have_three_quarters_of_the_slots_or_one_while_somebody_waits() {
        let slots = [1, 2, 16, 64].map(|slots| (bulk_slots(slots, false), bulk_slots(slots, true)));

        assert_eq!(slots, [(1, 1), (2, 1), (12, 4), (48, 16)]);
    }
}
