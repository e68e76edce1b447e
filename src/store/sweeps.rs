//! What is due to the sweeps, in pages by the time since when, and by id.

use berth_jobs::ids::{AccountId, ChargeId, CustomerId, OrderId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::domain::{
    money::{Currency, Money},
    order::{OrderPhase, OrderState},
};

/// The end of a page: the next one begins after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Since when the last row is due.
    pub at: Timestamp,
    /// Its order's id.
    pub id: Uuid,
    /// The last one of a page of Stripe's.
    pub event: Option<String>,
}

impl Cursor {
    /// Before every row.
    #[must_use]
    pub fn start() -> Self {
        Self::after(Timestamp::UNIX_EPOCH, Uuid::nil())
    }

    /// After a row.
    #[must_use]
    pub fn after(at: Timestamp, id: Uuid) -> Self {
        Self { at, id, event: None }
    }
}

/// An order that a sweep looks at.
#[derive(Clone, Debug)]
pub struct DueOrder {
    /// Which, where it stands, and at which version.
    pub state: OrderState,
    /// Whose.
    pub customer_id: CustomerId,
    /// Their address.
    pub email: String,
    /// What is to be paid.
    pub total: Money,
    /// How much of that is paid from the customer's credit.
    pub credit: Money,
    /// The account that it changes.
    pub changes: Option<AccountId>,
    /// Since when it is due.
    pub due_at: Timestamp,
    /// Whether a use of a coupon is reserved for it.
    pub has_coupon: bool,
    /// Whether there may be a page at Stripe that it can be paid on, known or not.
    pub may_have_page: bool,
}

/// An open page that Stripe is to be asked about.
#[derive(Clone, Debug)]
pub struct DuePage {
    /// Stripe's id.
    pub session_id: String,
    /// The order that is paid on it.
    pub order: DueOrder,
    /// When it was opened.
    pub opened_at: Timestamp,
}

/// A charge that nobody waits for any more.
#[derive(Clone, Debug)]
pub struct SilentCharge {
    /// Which.
    pub id: ChargeId,
    /// The renewal's order.
    pub order_id: OrderId,
    /// Whose.
    pub customer_id: CustomerId,
    /// Their address.
    pub email: String,
    /// How much may have been charged.
    pub amount: Money,
    /// When it was sent.
    pub sent_at: Timestamp,
}

/// An account that is compared with its panel.
#[derive(Clone, Debug)]
pub struct AccountOnPanel {
    /// Which.
    pub id: AccountId,
    /// Whose.
    pub customer_id: CustomerId,
    /// Their address.
    pub email: String,
}

struct OrderRow {
    id: Uuid,
    phase: String,
    version: i32,
    customer_id: Uuid,
    email: String,
    currency: String,
    total: Decimal,
    credit: Decimal,
    changes: Option<Uuid>,
    due_at: jiff_sqlx::Timestamp,
    has_coupon: bool,
    may_have_page: bool,
}

impl OrderRow {
    fn read(self) -> Result<DueOrder, StoreError> {
        let id = OrderId(self.id);
        let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable(format!("order {id}"), why);
        let phase: OrderPhase = self.phase.parse().map_err(|error| unreadable(&error))?;
        let currency: Currency = self.currency.parse().map_err(|error| unreadable(&error))?;
        Ok(DueOrder {
            state: OrderState { id, phase, version: self.version },
            customer_id: CustomerId(self.customer_id),
            email: self.email,
            total: Money::new(self.total, currency).map_err(|error| unreadable(&error))?,
            credit: Money::new(self.credit, currency).map_err(|error| unreadable(&error))?,
            changes: self.changes.map(AccountId),
            due_at: self.due_at.to_jiff(),
            has_coupon: self.has_coupon,
            may_have_page: self.may_have_page,
        })
    }
}

impl Store {
    /// Orders that could be paid until `expired_by` or shorter and are not, but for those that were looked at before: the
    /// job that does has the order's id in its key.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unpaid_orders(
        &self,
        expired_by: Timestamp,
        after: Cursor,
        limit: i64,
    ) -> Result<Vec<DueOrder>, StoreError> {
        let rows = sqlx::query_as!(
            OrderRow,
            r#"select o.id, o.phase, o.version, o.customer_id, c.email, o.currency, o.total, o.credit,
                      o.changes_account_id as changes, o.expires_at as due_at,
                      o.coupon_id is not null as "has_coupon!",
                      o.stripe_session_id is not null or c.stripe_customer_id is not null as "may_have_page!"
               from berth.orders o
               join berth.customers c on c.id = o.customer_id
               where o.phase = 'pending' and not o.is_renewal
                 and o.expires_at <= $1 and (o.expires_at, o.id) > ($2, $3)
                 and not exists (select from berth.jobs j where j.once_key = 'unpaid_order:' || o.id)
               order by o.expires_at, o.id
               limit $4"#,
            expired_by.to_sqlx(),
            after.at.to_sqlx(),
            after.id,
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(OrderRow::read).collect()
    }

    /// Pages that are open as far as is known and whose turn to be asked about has come. Those of orders that could be
    /// paid until `expired_by` or shorter are the sweep's of unpaid orders.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn pages_to_ask(
        &self,
        as_of: Timestamp,
        expired_by: Timestamp,
        after: Cursor,
        limit: i64,
    ) -> Result<Vec<DuePage>, StoreError> {
        let rows = sqlx::query!(
            r#"select s.id as session_id, s.ask_at, s.opened_at, o.id, o.phase, o.version, o.customer_id, c.email,
                      o.currency, o.total, o.credit, o.changes_account_id,
                      o.coupon_id is not null as "has_coupon!"
               from berth.checkout_sessions s
               join berth.orders o on o.id = s.order_id
               join berth.customers c on c.id = o.customer_id
               where s.state = 'open' and s.ask_at <= $1 and (s.ask_at, s.order_id) > ($3, $4)
                 and not (o.phase = 'pending' and not o.is_renewal and o.expires_at <= $2)
               order by s.ask_at, s.order_id
               limit $5"#,
            as_of.to_sqlx(),
            expired_by.to_sqlx(),
            after.at.to_sqlx(),
            after.id,
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        let read = rows.into_iter().map(|row| {
            let due = OrderRow {
                id: row.id,
                phase: row.phase,
                version: row.version,
                customer_id: row.customer_id,
                email: row.email,
                currency: row.currency,
                total: row.total,
                credit: row.credit,
                changes: row.changes_account_id,
                due_at: row.ask_at,
                has_coupon: row.has_coupon,
                may_have_page: true,
            };
            Ok(DuePage { session_id: row.session_id, order: due.read()?, opened_at: row.opened_at.to_jiff() })
        });
        read.collect()
    }

    /// Charges that were sent until `sent_by` or earlier, whose outcome is not known and which no job waits for.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn silent_charges(
        &self,
        sent_by: Timestamp,
        after: Cursor,
        limit: i64,
    ) -> Result<Vec<SilentCharge>, StoreError> {
        let rows = sqlx::query!(
            r#"select h.id, h.order_id, o.customer_id, c.email, h.currency as "currency!: String", h.amount, h.sent_at
               from berth.charges h
               join berth.orders o on o.id = h.order_id
               join berth.customers c on c.id = o.customer_id
               where h.state in ('sent', 'in_doubt') and h.sent_at <= $1 and (h.sent_at, h.id) > ($2, $3)
                 -- One by one: queued and running jobs have an index each, and both together have none.
                 and not exists (
                     select
                     from berth.jobs j
                     where j.serial = 'renewal:' || berth.show_id('ord_', h.order_id) and j.state = 'queued'
                 )
                 and not exists (
                     select
                     from berth.jobs j
                     where j.serial = 'renewal:' || berth.show_id('ord_', h.order_id) and j.state = 'running'
                 )
               order by h.sent_at, h.id
               limit $4"#,
            sent_by.to_sqlx(),
            after.at.to_sqlx(),
            after.id,
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        let read = rows.into_iter().map(|row| {
            let id = ChargeId(row.id);
            let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable(format!("charge {id}"), why);
            let currency: Currency = row.currency.parse().map_err(|error| unreadable(&error))?;
            Ok(SilentCharge {
                id,
                order_id: OrderId(row.order_id),
                customer_id: CustomerId(row.customer_id),
                email: row.email,
                amount: Money::new(row.amount, currency).map_err(|error| unreadable(&error))?,
                sent_at: row.sent_at.to_jiff(),
            })
        });
        read.collect()
    }

    /// Accounts that are on a panel, or should be, after one of them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn accounts_on_panels(&self, after: Uuid, limit: i64) -> Result<Vec<AccountOnPanel>, StoreError> {
        let rows = sqlx::query!(
            "select a.id, a.customer_id, c.email
             from berth.hosting_accounts a
             join berth.customers c on c.id = a.customer_id
             where a.id > $1
               and a.server is not null
               and a.phase in ('active', 'grace', 'suspending', 'suspended', 'unsuspending', 'changing')
             order by a.id
             limit $2",
            after,
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        let read = rows.into_iter().map(|row| AccountOnPanel {
            id: AccountId(row.id),
            customer_id: CustomerId(row.customer_id),
            email: row.email,
        });
        Ok(read.collect())
    }

    /// Berth's time, and since when each sweep's last tick was due.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn last_ticks(&self, names: &[String]) -> Result<(Timestamp, Vec<Option<Timestamp>>), StoreError> {
        let rows = sqlx::query!(
            r#"select berth.now() as "now!", (select max(t.due_at) from berth.ticks t where t.name = n.name) as last
               from unnest($1::text[]) with ordinality n (name, place)
               order by n.place"#,
            names,
        )
        .fetch_all(&self.pool)
        .await?;
        let now = rows.first().map(|row| row.now.to_jiff());
        let now = now.ok_or_else(|| StoreError::Missing("name of a sweep".to_owned()))?;
        Ok((now, rows.into_iter().map(|row| row.last.map(|at| at.to_jiff())).collect()))
    }

    /// Berth's time, and that of the database's own clock.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn times(&self) -> Result<(Timestamp, Timestamp), StoreError> {
        let row = sqlx::query!(r#"select berth.now() as "ours!", now() as "own!""#).fetch_one(&self.pool).await?;
        Ok((row.ours.to_jiff(), row.own.to_jiff()))
    }
}

/// Ids begin with the time at which they were made: nothing that has a later one is older than that.
pub(super) fn youngest_id_of(before: Timestamp) -> Uuid {
    let seconds = u64::try_from(before.as_second()).unwrap_or_default();
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, 0))
}
