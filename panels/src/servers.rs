//! The servers that an installation sells on: their panels, and what comes to them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use serde::Deserialize;

use super::Panel;

/// The servers that this installation sells on, by name.
#[derive(Clone, Default)]
pub struct Panels {
    servers: BTreeMap<String, Server>,
    without_backup: BTreeSet<String>,
}

#[derive(Clone)]
struct Server {
    driver: &'static str,
    panel: Arc<dyn Panel>,
    placement: Placement,
}

/// What comes to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The pools whose accounts it takes; `None` takes all.
    pub pools: Option<Vec<String>>,
    /// How many accounts it may hold; `None` is any number.
    pub capacity: Option<u32>,
    /// How many times as many accounts it takes as one of weight 1; at least 1.
    pub weight: u32,
    /// Whether it takes new accounts, or any orders at all.
    pub state: ServerState,
    /// How many jobs may talk to it at once; `None` is any number.
    pub at_once: Option<u32>,
}

impl Default for Placement {
    /// Takes all that comes.
    fn default() -> Self {
        Self { pools: None, capacity: None, weight: 1, state: ServerState::Active, at_once: None }
    }
}

/// What an operator has a server do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerState {
    /// It takes new accounts.
    Active,
    /// It keeps those that it has.
    Draining,
    /// It is left alone; its accounts' jobs wait.
    Disabled,
}

impl ServerState {
    /// As configuration and database call it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Draining => "draining",
            Self::Disabled => "disabled",
        }
    }
}

impl Panels {
    /// A registry without servers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same registry with `server`, run by `driver` (such as `site`), which takes all that comes. A server named twice
    /// keeps the later one.
    #[must_use]
    pub fn with(self, server: impl Into<String>, driver: &'static str, panel: Arc<dyn Panel>) -> Self {
        self.with_placement(server, driver, panel, Placement::default())
    }

    /// As [`with`](Self::with), with what comes to it.
    #[must_use]
    pub fn with_placement(
        mut self,
        server: impl Into<String>,
        driver: &'static str,
        panel: Arc<dyn Panel>,
        placement: Placement,
    ) -> Self {
        self.servers.insert(server.into(), Server { driver, panel, placement });
        self
    }

    /// The same registry, where accounts of `pool` are removed at their end also from servers that make no backups.
    #[must_use]
    pub fn ending_without_backup(mut self, pool: impl Into<String>) -> Self {
        self.without_backup.insert(pool.into());
        self
    }

    /// Whether accounts of a pool are removed at their end although their server makes no backups.
    #[must_use]
    pub fn ends_without_backup(&self, pool: &str) -> bool {
        self.without_backup.contains(pool)
    }

    /// The same registry, with something around each server's panel.
    #[must_use]
    pub fn around(mut self, wrap: impl Fn(&str, Arc<dyn Panel>) -> Arc<dyn Panel>) -> Self {
        for (name, server) in &mut self.servers {
            server.panel = wrap(name, Arc::clone(&server.panel));
        }
        self
    }

    /// The panel of a server, by the server's name.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn of(&self, server: &str) -> Result<Arc<dyn Panel>, UnknownServer> {
        self.server(server).map(|found| Arc::clone(&found.panel))
    }

    /// The name of the driver that runs a server.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn driver(&self, server: &str) -> Result<&'static str, UnknownServer> {
        self.server(server).map(|found| found.driver)
    }

    /// What comes to a server.
    ///
    /// # Errors
    /// When there is none of that name.
    pub fn placement(&self, server: &str) -> Result<&Placement, UnknownServer> {
        self.server(server).map(|found| &found.placement)
    }

    /// Every server's name, driver and what comes to it, by name.
    pub fn servers(&self) -> impl Iterator<Item = (&str, &'static str, &Placement)> {
        self.servers.iter().map(|(name, server)| (name.as_str(), server.driver, &server.placement))
    }

    fn server(&self, name: &str) -> Result<&Server, UnknownServer> {
        self.servers.get(name).ok_or_else(|| UnknownServer(name.to_owned()))
    }
}

impl fmt::Debug for Panels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.servers().map(|(name, driver, _)| (name, driver))).finish()
    }
}

/// A server that the configuration does not (or no longer) name: its accounts' jobs are parked, not failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no server is called {0:?} in the configuration")]
pub struct UnknownServer(pub String);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::MemoryPanel;

    #[test]
    fn a_server_that_is_not_configured_is_named_in_the_refusal() {
        let panels = Panels::new().with("web1", "memory", Arc::new(MemoryPanel::new()));

        assert!(panels.of("web1").is_ok());
        assert_eq!(panels.driver("web1"), Ok("memory"));
        assert_eq!(panels.of("web2").err(), Some(UnknownServer("web2".to_owned())));
    }
}
