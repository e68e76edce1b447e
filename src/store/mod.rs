//! Everything that is asked of Postgres or told to it. All SQL is here.

pub mod accounts;
pub mod agenda;
pub mod api_keys;
pub mod asked_jobs;
pub mod audit;
pub mod audit_log;
mod basket;
pub mod cards;
pub mod carts;
pub mod checkout_sessions;
pub mod console;
pub mod coupons;
pub mod credit;
pub mod credit_notes;
pub mod customers;
pub mod diagnosis;
mod digest;
pub mod disputes;
pub(crate) mod effects;
pub mod events;
pub mod fuse;
pub mod inspection;
pub mod invoices;
mod job_kinds;
pub mod jobs;
pub mod leases;
pub mod leftovers;
pub mod listed;
pub mod live_orders;
mod loader;
pub mod mail_turns;
pub mod mails;
pub mod migrations;
pub mod observation;
pub mod order_history;
pub mod orders;
pub mod payments;
pub mod plan_changes;
mod pool;
pub mod refunds;
pub mod renewal_terms;
pub mod renewals;
pub mod sealed;
pub mod servers;
pub mod stream_tickets;
pub mod sweeps;
pub mod usage;

use std::{fmt, str::FromStr, sync::Arc, time::Duration};

use berth_jobs::ids::InvalidId;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use uuid::Uuid;

use crate::{
    config::{self, SecretUrl},
    domain::{
        outdated::DeclinedCharge,
        pace::{Asking, Turn},
    },
};
use loader::Loader;
use pool::Pool;

/// How long a request or a handler waits for a connection.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// The database, as the rest of the program sees it.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) pool: Pool,
    /// What handlers that run side by side ask for one row at a time.
    reads: Arc<Reads>,
}

#[derive(Debug, Default)]
struct Reads {
    accounts: Loader<Uuid, accounts::AccountRow>,
    agenda: Loader<Uuid, agenda::AgendaEntry>,
    declines: Loader<Uuid, DeclinedCharge>,
    events: Loader<String, Vec<u8>>,
    mails: Loader<Uuid, mails::Row>,
    orders: Loader<Uuid, orders::OrderRows>,
    turns: Loader<(Uuid, Asking), Turn>,
    usernames: Loader<(String, String), Uuid>,
}

/// Why a question to the database has no answer.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such row.
    #[error("there is no {0}")]
    Missing(String),
    /// The row holds something that this version cannot read.
    #[error("{what} cannot be read: {why}")]
    Unreadable {
        /// Which row.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The database is away, busy or refuses.
    #[error("the database did not answer")]
    Database(#[source] Arc<sqlx::Error>),
}

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(Arc::new(error))
    }
}

impl StoreError {
    pub(crate) fn unreadable(what: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self::Unreadable { what: what.to_string(), why: why.to_string() }
    }
}

impl From<InvalidId> for StoreError {
    fn from(error: InvalidId) -> Self {
        Self::Missing(error.to_string())
    }
}

impl Store {
    /// Opens a pool; connections are made when they are needed.
    ///
    /// # Errors
    /// When the URL cannot be read.
    pub fn new(database: &config::Database) -> Result<Self, StoreError> {
        let url = database.url.as_ref().ok_or_else(|| StoreError::Missing("database.url".to_owned()))?;
        let options = connect_options(url, database.prepared)?;
        let pool = PgPoolOptions::new()
            .max_connections(database.max_connections)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            // A connection that died is noticed by its next statement, which is retried: no ping before each use.
            .test_before_acquire(false)
            .connect_lazy_with(options);
        Ok(Self { pool: Pool::new(pool, database.prepared), reads: Arc::default() })
    }

    /// A store on an existing pool.
    #[must_use]
    pub fn on(pool: PgPool) -> Self {
        Self { pool: Pool::new(pool, true), reads: Arc::default() }
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<(), StoreError> {
        sqlx::query_scalar!("select 1 as \"one!\"").fetch_one(&self.pool).await?;
        Ok(())
    }

    /// Berth's time: the database's clock plus the offset of the time machine.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn now(&self) -> Result<jiff::Timestamp, StoreError> {
        let now = sqlx::query_scalar!("select berth.now() as \"now!\"").fetch_one(&self.pool).await?;
        Ok(now.to_jiff())
    }

    /// The database's own clock.
    pub(crate) async fn real_now(&self) -> Result<jiff::Timestamp, StoreError> {
        let now = sqlx::query_scalar!("select now() as \"now!\"").fetch_one(&self.pool).await?;
        Ok(now.to_jiff())
    }
}

/// Reads a database URL into options. Without `prepared`, statements are not kept for another use.
pub(crate) fn connect_options(url: &SecretUrl, prepared: bool) -> Result<PgConnectOptions, sqlx::Error> {
    let options = PgConnectOptions::from_str(url.expose().as_str())?.application_name("berth");
    Ok(if prepared { options } else { options.statement_cache_capacity(0) })
}
