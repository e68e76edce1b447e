//! The process' lease: while it is renewed, its claims hold. Also ends the claims of processes that died.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{clock::Clock, config::Work, error::chain, store::Store};

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
}

impl Lease {
    pub(crate) fn new(store: Store, clock: Clock, work: &Work) -> Self {
        let id = Uuid::now_v7();
        let name = format!("{}-{}-{id}", host(), std::process::id());
        Self { id, name, store, clock, lasts: work.lease(), renew_every: work.lease_renew() }
    }

    /// Takes the lease out.
    pub(crate) async fn begin(&self) -> Result<(), crate::store::StoreError> {
        self.store.renew_lease(self.id, &self.name, self.lasts.as_secs_f64()).await?;
        self.clock.set(self.store.now().await?);
        Ok(())
    }

    /// Renews it until `stop`, and reaps the claims of the dead.
    pub(crate) async fn keep(self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.renew().await {
                tracing::warn!(error = chain(&error), "the lease could not be renewed");
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

    async fn renew(&self) -> Result<(), crate::store::StoreError> {
        self.begin().await?;
        let reaped = self.store.reap().await? + self.store.reap_strays().await?;
        if reaped > 0 {
            tracing::warn!(jobs = reaped, "jobs of processes that died are queued again");
        }
        Ok(())
    }
}

fn host() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_else(|| "host".to_owned())
}
