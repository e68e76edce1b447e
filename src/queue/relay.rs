//! The relay: gives Redis the ids that it should hold and does not, for whatever reason.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::redis::RedisQueues;
use crate::{config::Work, error::chain, failpoint, metrics::counter, store::Store};

/// How many due jobs are given at once.
const PAGE: i64 = 500;
/// How many dispatches are forgotten in one statement when Redis was emptied.
const EPOCH_PAGE: i64 = 5_000;
/// How often Redis is asked whether it is still the Redis that was filled.
const EPOCH_EVERY: Duration = Duration::from_secs(1);

const IDS: &str = "berth_relay_ids_total";

fn given(reason: &'static str, ids: usize) {
    counter(IDS, &[("reason", reason)]).increment(u64::try_from(ids).unwrap_or_default());
}

/// What the relay works with.
#[derive(Clone, Debug)]
pub(crate) struct Relay {
    pub(crate) store: Store,
    pub(crate) redis: RedisQueues,
    pub(crate) interval: Duration,
    pub(crate) redispatch_after: Duration,
}

impl Relay {
    pub(crate) fn new(store: Store, redis: RedisQueues, work: &Work) -> Self {
        Self { store, redis, interval: work.relay_interval(), redispatch_after: work.redispatch_after() }
    }

    /// Looks every interval, and at once again while there is more, until `stop`.
    pub(crate) async fn run(self, stop: CancellationToken) {
        let mut next_epoch = Instant::now();
        let mut next_recheck = Instant::now() + self.redispatch_after;
        while !stop.is_cancelled() {
            let now = Instant::now();
            if now >= next_epoch {
                report("epoch", self.check_epoch().await);
                next_epoch = now + EPOCH_EVERY;
            }
            let more = report("relay", self.relay().await).unwrap_or(false);
            if now >= next_recheck {
                report("recheck", self.recheck().await);
                next_recheck = now + self.redispatch_after;
            }
            if !more {
                tokio::select! {
                    () = tokio::time::sleep(self.interval) => {}
                    () = stop.cancelled() => {}
                }
            }
        }
    }

    /// Gives Redis one page of what it was not given yet; answers whether there may be more.
    async fn relay(&self) -> Result<bool, RelayError> {
        self.redis.measure().await?;
        let due = self.store.undispatched(&self.redis.roomy(), PAGE).await?;
        if due.is_empty() {
            return Ok(false);
        }
        failpoint::hit("relay.before_push");
        self.redis.push(&due).await?;
        given("due", due.len());
        Ok(due.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX))
    }

    /// Looks whether what Redis was given a while ago is still there, and gives it again.
    async fn recheck(&self) -> Result<(), RelayError> {
        let mut after = Uuid::nil();
        loop {
            let page = self.store.dispatched_long_ago(self.redispatch_after.as_secs_f64(), after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = last.id.0;
            let missing = self.redis.missing(&page).await?;
            if !missing.is_empty() {
                tracing::info!(ids = missing.len(), "ids that Redis had lost are given again");
                self.redis.push(&missing).await?;
                given("lost", missing.len());
            }
        }
    }

    /// Compares the epoch in Redis with the ledger's. When Redis was emptied, replaced or restarted, all that it was
    /// given is given again.
    async fn check_epoch(&self) -> Result<(), RelayError> {
        let (epoch, run_id) = self.redis.epoch().await?;
        let (known_epoch, known_run_id) = self.store.redis_epoch().await?;
        if failpoint::broken("epoch") {
            return Ok(());
        }
        if epoch.is_some() && epoch == known_epoch && known_run_id.as_deref() == Some(run_id.as_str()) {
            return Ok(());
        }
        let new = Uuid::new_v4();
        // Redis is marked first: if it is emptied from here on, the mark goes too and is missed at the next look.
        self.redis.set_epoch(new).await?;
        // Of several relays one begins the epoch; the marks of the others are missed at the next look.
        if self.store.begin_epoch(known_epoch, new, &run_id).await? {
            let forgotten = self.forget(self.store.real_now().await?).await?;
            if forgotten > 0 {
                counter(IDS, &[("reason", "emptied")]).increment(forgotten);
                tracing::warn!(ids = forgotten, "Redis was emptied, replaced or restarted: its ids are given again");
            }
        }
        Ok(())
    }

    async fn forget(&self, before: Timestamp) -> Result<u64, RelayError> {
        let mut all = 0;
        loop {
            let forgotten = self.store.forget_dispatches(before, EPOCH_PAGE).await?;
            all += forgotten;
            if forgotten == 0 {
                return Ok(all);
            }
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum RelayError {
    #[error("the ledger could not be asked")]
    Store(#[from] crate::store::StoreError),
    #[error("Redis could not be asked")]
    Redis(#[from] ::redis::RedisError),
}

/// The relay never gives up: what failed now is looked at again in a moment.
fn report<T>(what: &'static str, result: Result<T, RelayError>) -> Option<T> {
    result.inspect_err(|error| tracing::warn!(what, error = chain(error), "the relay could not do its work")).ok()
}
