//! Servers, as operators see them.

use serde::Serialize;

use super::{
    super::{
        Store, StoreError,
        effects::{UnitEffects, apply},
    },
    At,
};
use crate::effects::Effects;

/// A server.
#[derive(Clone, Debug, Serialize)]
pub struct ServerLine {
    /// Its name.
    pub name: String,
    /// What drives it.
    pub driver: String,
    /// What the configuration has it do: active, draining or disabled.
    pub state: String,
    /// The pools whose accounts it takes; nothing takes all.
    pub pools: Option<Vec<String>>,
    /// Accounts on it.
    pub accounts: i64,
    /// How many it may hold.
    pub capacity: Option<i32>,
    /// How many jobs may talk to it at once.
    pub at_once: Option<i32>,
    /// Its share of new accounts.
    pub weight: i32,
    /// Since when an operator wants no new accounts on it.
    pub drained_at: Option<At>,
    /// Until when it counts as full.
    pub full_until: Option<At>,
    /// Failures in a row.
    pub failures: i32,
    /// Since when it is left alone.
    pub broken_since: Option<At>,
    /// What it said the last time that it failed.
    pub last_failure: Option<String>,
    /// When its next probe is, while it is broken.
    pub probe_at: Option<At>,
    /// Jobs of accounts on it that wait.
    pub waiting: i64,
}

impl Store {
    /// All servers that were ever configured, by name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn console_servers(&self) -> Result<Vec<ServerLine>, StoreError> {
        Ok(sqlx::query_as!(
            ServerLine,
            r#"select s.name, s.driver, s.state, s.pools,
                   (
                       select count(*) from berth.hosting_accounts a where a.server = s.name and a.phase <> 'terminated'
                   ) as "accounts!",
                   s.capacity, s.at_once, s.weight, s.drained_at as "drained_at: At",
                   case when s.full_until > now() then s.full_until end as "full_until: At", s.failures,
                   s.broken_since as "broken_since: At", s.last_failure,
                   (
                       select min(j.run_at) from berth.jobs j
                       where j.state = 'queued' and j.coalesce_key = 'probe_server:' || s.name
                   ) as "probe_at: At",
                   (
                       select count(*)
                       from berth.jobs j
                       join berth.hosting_accounts a on j.serial = 'account:' || berth.show_id('acc_', a.id)
                       where j.state = 'queued' and a.server = s.name and s.broken_since is not null
                         and a.phase not in ('terminated', 'active')
                   ) as "waiting!"
               from berth.servers s
               order by s.name"#,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// As [`drain_server`](Self::drain_server), and writes down who wants it and why, in one commit.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn drain_server_audited(&self, name: &str, drain: bool, audit: Effects) -> Result<bool, StoreError> {
        let mut db = self.pool.begin().await?;
        if !super::super::servers::drain(&mut db, name, drain).await? {
            return Ok(false);
        }
        apply(&mut db, &[UnitEffects { effects: &audit, job_id: None, trace: None }], &[]).await?;
        db.commit().await?;
        Ok(true)
    }
}
