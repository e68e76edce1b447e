//! Renewals that are not settled.

use berth_jobs::ids::{AccountId, OrderId};
use serde::Serialize;

use super::{
    super::{Store, StoreError},
    At,
};

/// A renewal.
#[derive(Clone, Debug, Serialize)]
pub struct RenewalLine {
    /// Its order.
    pub order: String,
    /// The account that it renews.
    pub account: String,
    /// Where it stands.
    pub phase: String,
    /// Whose.
    pub customer_id: String,
    /// Their address.
    pub email: String,
    /// What is to be paid, or was.
    pub total: String,
    /// How much of it is paid from credit.
    pub credit: String,
    /// In which currency.
    pub currency: String,
    /// Charges that were begun.
    pub attempts: i32,
    /// When it is or was due.
    pub period_start: At,
    /// Until when it renews.
    pub period_end: At,
    /// When it was invoiced.
    pub issued_at: At,
    /// When it was settled.
    pub settled_at: Option<At>,
    /// Why the last charge was declined.
    pub declined: Option<String>,
}

impl Store {
    /// Renewals that are to be paid, the earliest due first: those that are late, or those that are not due yet. After one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn console_renewals(
        &self,
        late: bool,
        after: Option<OrderId>,
        limit: i64,
    ) -> Result<Vec<RenewalLine>, StoreError> {
        Ok(sqlx::query_as!(
            RenewalLine,
            r#"select berth.show_id('ord_', r.order_id) as "order!", berth.show_id('acc_', r.account_id) as "account!",
                   r.phase, c.id::text as "customer_id!", c.email, o.total::text as "total!", o.credit::text as "credit!",
                   o.currency::text as "currency!", r.attempts, r.period_start as "period_start: At",
                   r.period_end as "period_end: At", r.issued_at as "issued_at: At", r.settled_at as "settled_at: At",
                   (
                       select coalesce(h.decline_code, h.code) from berth.charges h
                       where h.order_id = r.order_id and h.state in ('declined', 'needs_customer')
                       order by h.attempt desc
                       limit 1
                   ) as declined
               from berth.renewals r
               join berth.orders o on o.id = r.order_id
               join berth.customers c on c.id = r.customer_id
               where r.settled_at is null
                 and (r.period_start <= berth.now()) = $1
                 and (
                     $2::uuid is null
                     or (r.period_start, r.order_id) > (select l.period_start, l.order_id from berth.renewals l where l.order_id = $2)
                 )
               order by r.period_start, r.order_id
               limit $3"#,
            late,
            after.map(|id| id.0),
            limit,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// An account's renewals, the latest period first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn console_renewals_of(&self, account: AccountId) -> Result<Vec<RenewalLine>, StoreError> {
        Ok(sqlx::query_as!(
            RenewalLine,
            r#"select berth.show_id('ord_', r.order_id) as "order!", berth.show_id('acc_', r.account_id) as "account!",
                   r.phase, c.id::text as "customer_id!", c.email, o.total::text as "total!", o.credit::text as "credit!",
                   o.currency::text as "currency!", r.attempts, r.period_start as "period_start: At",
                   r.period_end as "period_end: At", r.issued_at as "issued_at: At", r.settled_at as "settled_at: At",
                   (
                       select coalesce(h.decline_code, h.code) from berth.charges h
                       where h.order_id = r.order_id and h.state in ('declined', 'needs_customer')
                       order by h.attempt desc
                       limit 1
                   ) as declined
               from berth.renewals r
               join berth.orders o on o.id = r.order_id
               join berth.customers c on c.id = r.customer_id
               where r.account_id = $1
               order by r.period_start desc
               limit 24"#,
            account.0,
        )
        .fetch_all(&self.pool)
        .await?)
    }
}
