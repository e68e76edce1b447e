//! Servers: how they fare, what they hold, and who talks to them.

use std::collections::BTreeMap;

use berth_jobs::ids::JobId;
use jiff::Timestamp;
use sqlx::PgConnection;
use uuid::Uuid;

use super::{Store, StoreError};

/// A server, as a configuration has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredServer {
    /// Its name.
    pub name: String,
    /// What drives it, such as `site`.
    pub driver: String,
    /// The pools whose accounts it takes; `None` takes all.
    pub pools: Option<Vec<String>>,
    /// How many accounts it may hold; `None` is any number.
    pub capacity: Option<u32>,
    /// At least 1.
    pub weight: u32,
    /// `active`, `draining` or `disabled`.
    pub state: &'static str,
    /// How many jobs may talk to it at once; `None` is any number.
    pub at_once: Option<u32>,
}

/// A server, as the last worker to start has configured it, and how it fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name in the configuration.
    pub name: String,
    /// What drives it, such as `site`.
    pub driver: String,
    /// What the configuration has it do: `active`, `draining` or `disabled`.
    pub state: String,
    /// Since when an operator wants no new accounts on it.
    pub drained_at: Option<Timestamp>,
    /// Whether it has said of late that it is full.
    pub is_full: bool,
    /// How often in a row it has failed within a minute.
    pub failures: u32,
    /// What it said the last time.
    pub last_failure: Option<String>,
    /// Since when it is left alone but for probes.
    pub broken_since: Option<Timestamp>,
}

impl Server {
    /// Whether new accounts may come to it.
    #[must_use]
    pub fn takes_accounts(&self) -> bool {
        self.state == "active" && self.drained_at.is_none() && !self.is_full && self.broken_since.is_none()
    }
}

impl Store {
    /// Writes down the servers that this process is configured with.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn configure_servers(&self, servers: &[ConfiguredServer]) -> Result<(), StoreError> {
        let mut db = self.pool.begin().await?;
        for server in servers {
            let most = |number: Option<u32>| number.map(|number| i32::try_from(number).unwrap_or(i32::MAX));
            sqlx::query!(
                "insert into berth.servers
                     (name, driver, pools, capacity, weight, state, at_once, configured_at)
                 values ($1, $2, $3, $4, $5, $6, $7, now())
                 on conflict (name) do update
                 set driver = excluded.driver, pools = excluded.pools, capacity = excluded.capacity,
                     weight = excluded.weight, state = excluded.state, at_once = excluded.at_once,
                     configured_at = excluded.configured_at",
                server.name,
                server.driver,
                server.pools.as_deref(),
                most(server.capacity),
                most(Some(server.weight.max(1))),
                server.state,
                most(server.at_once),
            )
            .execute(&mut *db)
            .await?;
            sqlx::query!(
                "insert into berth.server_slots (server, slot)
                 select $1, slot from generate_series(1, $2::int) slot
                 on conflict do nothing",
                server.name,
                most(server.at_once).unwrap_or(0),
            )
            .execute(&mut *db)
            .await?;
        }
        db.commit().await?;
        Ok(())
    }

    /// All servers that were ever configured, by name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn servers(&self) -> Result<Vec<Server>, StoreError> {
        let rows = sqlx::query!(
            r#"select name, driver, state, drained_at as "drained_at: jiff_sqlx::Timestamp",
                   coalesce(full_until > now(), false) as "is_full!", failures, last_failure,
                   broken_since as "broken_since: jiff_sqlx::Timestamp"
               from berth.servers order by name"#
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| Server {
                name: row.name,
                driver: row.driver,
                state: row.state,
                drained_at: row.drained_at.map(|at| at.to_jiff()),
                is_full: row.is_full,
                failures: u32::try_from(row.failures).unwrap_or_default(),
                last_failure: row.last_failure,
                broken_since: row.broken_since.map(|at| at.to_jiff()),
            })
            .collect())
    }

    /// How many accounts each server holds that has any.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn placed_accounts(&self) -> Result<BTreeMap<String, u32>, StoreError> {
        let rows = sqlx::query!(
            r#"select server as "server!", count(*) as "placed!"
               from berth.hosting_accounts where phase <> 'terminated' and server is not null group by server"#
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| (row.server, u32::try_from(row.placed).unwrap_or(u32::MAX))).collect())
    }

    /// Takes a place among the jobs that may talk to a server at once, for as long as the run lasts. Answers whether there was
    /// one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn take_server_slot(
        &self,
        server: &str,
        at_once: u32,
        job: JobId,
        claim: Uuid,
    ) -> Result<bool, StoreError> {
        let taken = sqlx::query_scalar!(
            r#"update berth.server_slots
               set job_id = $3, claim_id = $4, taken_at = clock_timestamp()
               where (server, slot) = (
                   select s.server, s.slot
                   from berth.server_slots s
                   where s.server = $1 and s.slot <= $2
                     and (
                         s.job_id = $3
                         -- Of who came while this statement began it cannot know whether they run.
                         or coalesce(s.taken_at < clock_timestamp() - interval '200 ms', true)
                             and not exists (
                                 select from berth.jobs j
                                 where j.id = s.job_id and j.claim_id = s.claim_id and j.state = 'running'
                             )
                     )
                   order by s.job_id is distinct from $3, s.slot
                   limit 1
                   for no key update skip locked
               )
               returning slot"#,
            server,
            i32::try_from(at_once).unwrap_or(i32::MAX),
            job.0,
            claim,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(taken.is_some())
    }

    /// Has new accounts go elsewhere from now on, or come again. Answers whether there is such a server.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn drain_server(&self, name: &str, do_drain: bool) -> Result<bool, StoreError> {
        let mut db = self.pool.begin().await?;
        let is_there = drain(&mut db, name, do_drain).await?;
        db.commit().await?;
        Ok(is_there)
    }
}

/// As [`Store::drain_server`], within the transaction that `db` is in.
pub(super) async fn drain(db: &mut PgConnection, name: &str, drain: bool) -> Result<bool, sqlx::Error> {
    let done = sqlx::query!(
        "update berth.servers
             set drained_at = case when $2 then coalesce(drained_at, now()) end
             where name = $1",
        name,
        drain,
    )
    .execute(db)
    .await?;
    Ok(done.rows_affected() > 0)
}
