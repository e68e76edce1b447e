//! Refunds, as they are read.

use berth_jobs::ids::{OrderId, PaymentId, RefundId};
use jiff::Timestamp;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::domain::{
    money::{Currency, Money},
    refund::RefundState,
};

/// Money that goes back, or has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// Its id.
    pub id: RefundId,
    /// Of which payment.
    pub payment_id: PaymentId,
    /// The order that the payment came for.
    pub order_id: OrderId,
    /// How much.
    pub amount: Money,
    /// How it stands.
    pub state: RefundState,
    /// Stripe's id.
    pub stripe_refund_id: Option<String>,
    /// Why it goes back, for staff.
    pub reason: String,
    /// A member of staff, `berth` or `stripe`.
    pub requested_by: String,
    /// When it was asked for.
    pub requested_at: Timestamp,
    /// When it arrived, or it was known that it will not.
    pub settled_at: Option<Timestamp>,
    /// Why it failed.
    pub failure: Option<String>,
    /// The number of its credit note, also of one that was cancelled.
    pub credit_note: Option<String>,
}

/// What of a payment can still go back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    /// How much.
    pub amount: Money,
    /// Whether a dispute over it is open.
    pub is_disputed: bool,
}

struct Row {
    id: Uuid,
    payment_id: Uuid,
    order_id: Uuid,
    currency: String,
    amount: Decimal,
    state: String,
    stripe_refund_id: Option<String>,
    reason: String,
    requested_by: String,
    requested_at: jiff_sqlx::Timestamp,
    settled_at: Option<jiff_sqlx::Timestamp>,
    failure: Option<String>,
    credit_note: Option<String>,
}

impl Row {
    fn read(self) -> Result<Refund, StoreError> {
        let id = RefundId(self.id);
        let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable(format!("refund {id}"), why);
        let currency: Currency = self.currency.parse().map_err(|error| unreadable(&error))?;
        Ok(Refund {
            id,
            payment_id: PaymentId(self.payment_id),
            order_id: OrderId(self.order_id),
            amount: Money::new(self.amount, currency).map_err(|error| unreadable(&error))?,
            state: self.state.parse().map_err(|error| unreadable(&error))?,
            stripe_refund_id: self.stripe_refund_id,
            reason: self.reason,
            requested_by: self.requested_by,
            requested_at: self.requested_at.to_jiff(),
            settled_at: self.settled_at.map(|at| at.to_jiff()),
            failure: self.failure,
            credit_note: self.credit_note,
        })
    }
}

impl Store {
    /// A payment's refunds, the first one first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn refunds_of_payment(&self, payment: PaymentId) -> Result<Vec<Refund>, StoreError> {
        self.refunds_where(Some(payment.0), None).await
    }

    /// An order's refunds, of all that came for it, the first one first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn refunds_of_order(&self, order: OrderId) -> Result<Vec<Refund>, StoreError> {
        self.refunds_where(None, Some(order.0)).await
    }

    async fn refunds_where(&self, payment: Option<Uuid>, order: Option<Uuid>) -> Result<Vec<Refund>, StoreError> {
        let rows = sqlx::query_as!(
            Row,
            r#"select r.id, r.payment_id, r.order_id, r.currency as "currency!: String", r.amount, r.state,
                      r.stripe_refund_id, r.reason, r.requested_by, r.requested_at, r.settled_at, r.failure,
                      c.number as "credit_note?"
               from berth.refunds r
               left join berth.credit_notes c on c.refund_id = r.id
               where r.payment_id = $1 or r.order_id = $2
               order by r.requested_at, r.id"#,
            payment,
            order,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(Row::read).collect()
    }

    /// The refund that somebody has asked for under a key of theirs, and a hash of what they asked.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn refund_under_key(
        &self,
        requested_by: &str,
        key: &str,
    ) -> Result<Option<(RefundId, OrderId, Vec<u8>)>, StoreError> {
        let row = sqlx::query!(
            r#"select id, order_id, request_hash as "request_hash!"
               from berth.refunds
               where requested_by = $1 and idempotency_key = $2"#,
            requested_by,
            key,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| (RefundId(row.id), OrderId(row.order_id), row.request_hash)))
    }

    /// What of a payment has neither gone back, nor is to, nor was lost in a dispute.
    ///
    /// # Errors
    /// When there is no such payment, or the database does not answer.
    pub async fn rest_of(&self, payment: PaymentId) -> Result<Rest, StoreError> {
        let row = sqlx::query!(
            r#"select
                   p.currency as "currency!: String",
                   greatest(0, p.amount
                       - coalesce((
                           select sum(r.amount) from berth.refunds r
                           where r.payment_id = p.id and r.state not in ('failed', 'cancelled')
                       ), 0)
                       - coalesce((
                           select sum(d.amount) from berth.disputes d where d.payment_id = p.id and d.status = 'lost'
                       ), 0)) as "rest!",
                   exists (
                       select from berth.disputes d where d.payment_id = p.id and d.closed_at is null
                   ) as "disputed!"
               from berth.payments p
               where p.id = $1"#,
            payment.0,
        )
        .fetch_optional(&self.pool)
        .await?;
        let row = row.ok_or_else(|| StoreError::Missing(format!("payment {payment}")))?;
        let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable(format!("payment {payment}"), why);
        let currency: Currency = row.currency.parse().map_err(|error| unreadable(&error))?;
        let amount = Money::new(row.rest, currency).map_err(|error| unreadable(&error))?;
        Ok(Rest { amount, is_disputed: row.disputed })
    }
}
