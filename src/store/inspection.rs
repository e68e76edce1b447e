//! What operators and developers look at: the course of an order, and what the program may do to its tables.

use berth_jobs::ids::OrderId;
use jiff::Timestamp;
use sqlx::{ConnectOptions, Connection};

use super::{ACQUIRE_TIMEOUT, Store, StoreError, connect_options};
use crate::config::Database;

/// The course of an order, by the database's own clock: when each step was written.
#[derive(Clone, Debug)]
pub struct OrderCourse {
    /// Where the order stands.
    pub phase: String,
    /// Stripe's event that told of the payment: its id, and when it came.
    pub event: Option<(String, Timestamp)>,
    /// When the order was paid.
    pub paid_at: Option<Timestamp>,
    /// Its accounts.
    pub accounts: Vec<AccountCourse>,
    /// The mails about it and its accounts.
    pub mails: Vec<MailCourse>,
    /// The jobs of its accounts and mails that have ended badly or failed so far: `kind state: last error`.
    pub troubles: Vec<String>,
}

/// The course of one account of an order.
#[derive(Clone, Debug)]
pub struct AccountCourse {
    /// Its login; `None` until it was chosen.
    pub username: Option<String>,
    /// Where it stands.
    pub phase: String,
    /// Where its site answers.
    pub site_url: Option<String>,
    /// When it became active.
    pub active_at: Option<Timestamp>,
}

/// The course of one mail of an order.
#[derive(Clone, Debug)]
pub struct MailCourse {
    /// Such as `welcome`.
    pub kind: String,
    /// When the mail server had taken it.
    pub accepted_at: Option<Timestamp>,
}

/// Connects once without a pool, whose own error would only say that it waited in vain.
///
/// # Errors
/// With the reason why there is no connection.
pub async fn reach(database: &Database) -> Result<(), StoreError> {
    let url = database.url.as_ref().ok_or_else(|| StoreError::Missing("database.url".to_owned()))?;
    let connecting = connect_options(url, database.prepared)?;
    match tokio::time::timeout(ACQUIRE_TIMEOUT, connecting.connect()).await {
        Ok(connected) => Ok(connected?.close().await?),
        Err(_) => Err(sqlx::Error::PoolTimedOut.into()),
    }
}

impl Store {
    /// The course of an order. Times are those at which the jobs that did the steps were settled.
    ///
    /// # Errors
    /// When there is no such order, or the database does not answer.
    pub async fn order_course(&self, id: OrderId) -> Result<OrderCourse, StoreError> {
        let order = sqlx::query!(
            r#"select o.phase, j.finished_at as "paid_at?", e.id as "event_id?", e.received_at as "received_at?"
               from berth.orders o
               left join berth.order_history h on h.order_id = o.id and h.to_phase = 'processing'
               left join berth.jobs j on j.id = h.job_id
               left join berth.stripe_events e on e.id = j.payload ->> 'event_id'
               where o.id = $1"#,
            id.0,
        )
        .fetch_optional(&self.pool)
        .await?
        .ok_or_else(|| StoreError::Missing(format!("order {id}")))?;
        Ok(OrderCourse {
            phase: order.phase,
            event: order.event_id.zip(order.received_at.map(|at| at.to_jiff())),
            paid_at: order.paid_at.map(|at| at.to_jiff()),
            accounts: self.accounts_course(id).await?,
            mails: self.mails_course(id).await?,
            troubles: self.troubles_of(id).await?,
        })
    }

    async fn accounts_course(&self, id: OrderId) -> Result<Vec<AccountCourse>, StoreError> {
        let rows = sqlx::query!(
            r#"select a.username, a.phase, a.site_url, j.finished_at as "active_at?"
               from berth.hosting_accounts a
               left join berth.account_history h on h.account_id = a.id and h.to_phase = 'active'
               left join berth.jobs j on j.id = h.job_id
               where a.order_id = $1
               order by a.id"#,
            id.0,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| AccountCourse {
                username: row.username,
                phase: row.phase,
                site_url: row.site_url,
                active_at: row.active_at.map(|at| at.to_jiff()),
            })
            .collect())
    }

    async fn mails_course(&self, id: OrderId) -> Result<Vec<MailCourse>, StoreError> {
        let rows = sqlx::query!(
            r#"select m.kind, case when m.accepted_at is not null then j.finished_at end as "accepted_at?"
               from berth.mails m
               left join berth.jobs j on j.once_key = 'mail:' || berth.show_id('mail_', m.id)
               where m.about = $1 or m.about in (select id from berth.hosting_accounts where order_id = $1)
               order by m.id"#,
            id.0,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| MailCourse { kind: row.kind, accepted_at: row.accepted_at.map(|at| at.to_jiff()) })
            .collect())
    }

    async fn troubles_of(&self, id: OrderId) -> Result<Vec<String>, StoreError> {
        Ok(sqlx::query_scalar!(
            r#"select j.kind || ' ' || j.state || ': ' || j.last_error as "line!"
               from berth.jobs j
               where j.state in ('queued', 'running', 'dead', 'cancelled') and j.last_error is not null
                 and (
                     j.serial in (
                         select 'account:' || berth.show_id('acc_', a.id)
                         from berth.hosting_accounts a
                         where a.order_id = $1
                     )
                     or j.once_key in (
                         select 'mail:' || berth.show_id('mail_', m.id)
                         from berth.mails m
                         where m.about = $1 or m.about in (select id from berth.hosting_accounts where order_id = $1)
                     )
                 )
               order by j.id
               limit 20"#,
            id.0,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// Whether the role that the program runs as could change tables: it owns one, or may make one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn may_change_tables(&self) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar!(
            r#"select has_schema_privilege('berth', 'create') or exists (
                   select
                   from pg_class c
                   join pg_namespace n on n.oid = c.relnamespace
                   where n.nspname = 'berth' and pg_has_role(c.relowner, 'usage')
               ) as "may!""#,
        )
        .fetch_one(&self.pool)
        .await?)
    }

    /// The server's version, such as `16.4`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn server_version(&self) -> Result<String, StoreError> {
        Ok(sqlx::query_scalar!(r#"select current_setting('server_version') as "version!""#)
            .fetch_one(&self.pool)
            .await?)
    }
}
