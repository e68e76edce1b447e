//! How the servers fare, as this process last read it, and which of them a new account is placed on.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{sync::Mutex, time::Instant};

use crate::{
    domain::placement::{self, Candidate},
    effects::Alert,
    gateways::panels::Panels,
    store::{
        Store, StoreError,
        accounts::Account,
        servers::{ConfiguredServer, Server},
    },
};

/// How old what is known of the servers' health may be.
const HEALTH_AGE: Duration = Duration::from_secs(1);
/// How old what is known of the servers' load may be; what this process places itself is counted at once. Whether there is
/// room is decided by the commit.
const LOAD_AGE: Duration = Duration::from_secs(10);

/// What this process knows of the servers.
#[derive(Debug, Default)]
pub struct Servers {
    health: Mutex<Option<(Instant, Arc<Vec<Server>>)>>,
    load: Mutex<Option<(Instant, BTreeMap<String, u32>)>>,
}

impl Servers {
    /// How a server fares; `None` when no worker has started with it yet.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn health(&self, store: &Store, name: &str) -> Result<Option<Server>, StoreError> {
        Ok(self.all(store).await?.iter().find(|server| server.name == name).cloned())
    }

    async fn all(&self, store: &Store) -> Result<Arc<Vec<Server>>, StoreError> {
        let mut health = self.health.lock().await;
        if let Some((read_at, servers)) = &*health
            && read_at.elapsed() < HEALTH_AGE
        {
            return Ok(Arc::clone(servers));
        }
        let servers = Arc::new(store.servers().await?);
        *health = Some((Instant::now(), Arc::clone(&servers)));
        Ok(servers)
    }

    /// Has everything read anew: something was learnt that is not what is known here.
    pub async fn forget(&self) {
        *self.health.lock().await = None;
        *self.load.lock().await = None;
    }

    /// The server of its pool on which a new account is placed, but for those of `except`; `None` when none takes it. It is
    /// counted there at once.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn choose(
        &self,
        store: &Store,
        panels: &Panels,
        account: &Account,
        except: &[String],
    ) -> Result<Option<String>, StoreError> {
        let servers = self.all(store).await?;
        let mut load = self.load.lock().await;
        let placed = match &mut *load {
            Some((read_at, placed)) if read_at.elapsed() < LOAD_AGE => placed,
            _ => &mut load.insert((Instant::now(), store.placed_accounts().await?)).1,
        };
        let takes = |name: &str| servers.iter().any(|server| server.name == name && server.takes_accounts());
        let candidates = panels.servers().filter(|(name, _, placement)| {
            let of_pool = placement.pools.as_ref().is_none_or(|pools| pools.contains(&account.pool));
            of_pool && !except.iter().any(|passed| passed == name) && takes(name)
        });
        let chosen = placement::choose(candidates.map(|(name, _, placement)| Candidate {
            name,
            placed: placed.get(name).copied().unwrap_or_default(),
            capacity: placement.capacity,
            weight: placement.weight,
        }))
        .map(str::to_owned);
        if let Some(name) = &chosen {
            *placed.entry(name.clone()).or_default() += 1;
        }
        Ok(chosen)
    }

    /// That none takes an account.
    #[must_use]
    pub fn none_for(&self, account: &Account) -> NoServer {
        NoServer { pool: account.pool.clone() }
    }

    /// The account that was to go there goes elsewhere.
    pub async fn not_placed(&self, name: &str) {
        if let Some((_, placed)) = &mut *self.load.lock().await
            && let Some(count) = placed.get_mut(name)
        {
            *count = count.saturating_sub(1);
        }
    }
}

/// No server takes new accounts of a pool now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no server of the pool {pool} takes new accounts")]
pub struct NoServer {
    /// The pool.
    pub pool: String,
}

impl NoServer {
    /// What a person is told: the accounts wait for them.
    #[must_use]
    pub fn alert(&self) -> Alert {
        Alert {
            kind: "no_server",
            subject: self.pool.clone(),
            detail: format!(
                "No server of the pool {} takes new accounts: each is full, drained, disabled or broken. Add one, or give \
                 one more capacity. Nothing is lost: its accounts wait.",
                self.pool
            ),
        }
    }
}

/// The servers of a configuration, as the database is told of them.
#[must_use]
pub fn configured(panels: &Panels) -> Vec<ConfiguredServer> {
    panels
        .servers()
        .map(|(name, driver, placement)| ConfiguredServer {
            name: name.to_owned(),
            driver: driver.to_owned(),
            pools: placement.pools.clone(),
            capacity: placement.capacity,
            weight: placement.weight,
            state: placement.state.as_str(),
            at_once: placement.at_once,
        })
        .collect()
}
