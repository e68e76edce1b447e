//! The process' lease: while it is renewed, its claims hold. Also ends the claims of processes that died.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use berth_jobs::{Queue, ids::JobId};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{clock::Clock, config::Work, error::chain, metrics::counter, store::Store};

/// Who this process is to the ledger; new at every start.
#[derive(Clone, Debug)]
pub struct Lease {
    /// The id in `workers` and in the claims.
    pub id: Uuid,
    name: String,
    /// A pool of one connection: a lease is renewed however busy the others are.
    store: Store,
    clock: Clock,
    lasts: Duration,
    renew_every: Duration,
    held: Arc<Mutex<HashSet<(JobId, Uuid)>>>,
    fetching: Arc<AtomicUsize>,
    queues: Arc<OnceLock<Vec<String>>>,
}

/// A fetch of jobs that is under way, until this is dropped: claims may be about to be made.
#[derive(Debug)]
pub(crate) struct Fetching(Arc<AtomicUsize>);

impl Drop for Fetching {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A claimed job that this process knows of, until this is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    held: Arc<Mutex<HashSet<(JobId, Uuid)>>>,
    claim: (JobId, Uuid),
}

impl Drop for Held {
    fn drop(&mut self) {
        lock(&self.held).remove(&self.claim);
    }
}

fn lock(held: &Mutex<HashSet<(JobId, Uuid)>>) -> MutexGuard<'_, HashSet<(JobId, Uuid)>> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lease {
    pub(crate) fn new(store: Store, clock: Clock, work: &Work) -> Self {
        let id = Uuid::now_v7();
        let name = format!("{}-{}-{id}", host(), std::process::id());
        Self {
            id,
            name,
            store,
            clock,
            lasts: work.lease(),
            renew_every: work.lease_renew(),
            held: Arc::default(),
            fetching: Arc::default(),
            queues: Arc::default(),
        }
    }

    /// Says which queues the process works on, for who looks at its lease. The first word counts.
    pub(crate) fn works_on(&self, queues: &[Queue]) {
        self.queues.get_or_init(|| queues.iter().map(|queue| queue.as_str().to_owned()).collect());
    }

    /// Takes the lease out.
    pub(crate) async fn begin(&self) -> Result<(), crate::store::StoreError> {
        let queues = self.queues.get().map_or(&[][..], Vec::as_slice);
        self.store.renew_lease(self.id, &self.name, queues, self.lasts.as_secs_f64()).await?;
        self.clock.set(self.store.now().await?);
        Ok(())
    }

    /// Notes a claim until the answer is dropped.
    pub(crate) fn hold(&self, claim: (JobId, Uuid)) -> Held {
        lock(&self.held).insert(claim);
        Held { held: Arc::clone(&self.held), claim }
    }

    /// Notes that claims may be made, until the answer is dropped.
    pub(crate) fn fetching(&self) -> Fetching {
        self.fetching.fetch_add(1, Ordering::SeqCst);
        Fetching(Arc::clone(&self.fetching))
    }

    /// Whether this process knows of no claim and is not about to make one.
    pub(crate) fn is_idle(&self) -> bool {
        self.fetching.load(Ordering::SeqCst) == 0 && lock(&self.held).is_empty()
    }

    /// Renews it until `stop`, and ends the claims of the dead and of nobody.
    pub(crate) async fn keep(self, stop: CancellationToken) {
        let mut unknown = Vec::new();
        let mut renewing_since = Instant::now();
        let mut renewed = Instant::now();
        while !stop.is_cancelled() {
            // While the database was away nobody could renew: those that live get their time to do so.
            let may_reap = renewing_since.elapsed() >= self.lasts;
            let result = self.renew(&mut unknown, may_reap).await;
            counter("berth_lease_renewals_total", &[("outcome", self.outcome(result.is_ok(), renewed))]).increment(1);
            match result {
                Ok(()) => renewed = Instant::now(),
                Err(error) => {
                    renewing_since = Instant::now();
                    tracing::warn!(error = chain(&error), "the lease could not be renewed");
                }
            }
            tokio::select! {
                () = tokio::time::sleep(self.renew_every) => {}
                () = stop.cancelled() => {}
            }
        }
        if let Err(error) = self.store.end_lease(self.id).await {
            tracing::warn!(error = chain(&error), "the lease could not be ended; it runs out by itself");
        }
    }

    /// How a renewal went, for who counts them.
    fn outcome(&self, is_renewed: bool, before: Instant) -> &'static str {
        match is_renewed {
            false => "failed",
            true if before.elapsed() > (self.lasts / 2).max(self.renew_every * 3 / 2) => "late",
            true => "in_time",
        }
    }

    async fn renew(&self, unknown: &mut Vec<(JobId, Uuid)>, may_reap: bool) -> Result<(), crate::store::StoreError> {
        self.begin().await?;
        self.give_back_unknown(unknown).await?;
        if !may_reap {
            return Ok(());
        }
        let reaped = self.store.reap().await? + self.store.reap_strays().await?;
        if reaped > 0 {
            tracing::warn!(jobs = reaped, "jobs of processes that died are queued again");
        }
        Ok(())
    }
}

impl Lease {
    /// Gives back claims of this process that it does not know of, twice in a row: the answer to the claim was lost.
    async fn give_back_unknown(&self, unknown: &mut Vec<(JobId, Uuid)>) -> Result<(), crate::store::StoreError> {
        let claims = self.store.claims_of(self.id).await?;
        let before = std::mem::take(unknown);
        {
            let held = lock(&self.held);
            unknown.extend(claims.into_iter().filter(|claim| !held.contains(claim)));
        }
        let lost: Vec<(JobId, Uuid)> = unknown.iter().filter(|claim| before.contains(claim)).copied().collect();
        if !lost.is_empty() {
            tracing::warn!(jobs = lost.len(), "claims whose answer was lost are given back");
            self.store.give_back_claims(&lost).await?;
        }
        Ok(())
    }
}

fn host() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_else(|| "host".to_owned())
}
