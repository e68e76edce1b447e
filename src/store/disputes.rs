//! Disputes, as they are read.

use berth_jobs::ids::{AccountId, CustomerId, OrderId, PaymentId, StripeDisputeId};
use uuid::Uuid;

use super::{Store, StoreError};
use crate::domain::dispute::DisputeStanding;

/// A payment that its customer's bank wants back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispute {
    /// Stripe's id.
    pub id: StripeDisputeId,
    /// The payment.
    pub payment_id: PaymentId,
    /// The order that it was for.
    pub order_id: OrderId,
    /// Whose.
    pub customer_id: CustomerId,
    /// Stripe's word.
    pub status: String,
    /// Whether it is decided.
    pub is_closed: bool,
    /// How it stood when the accounts were last made to follow it.
    pub followed: Option<DisputeStanding>,
}

impl Store {
    /// A dispute, if it is known.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn dispute(&self, id: &StripeDisputeId) -> Result<Option<Dispute>, StoreError> {
        let row = sqlx::query!(
            r#"select payment_id, order_id, customer_id, status, closed_at is not null as "is_closed!", followed
               from berth.disputes
               where id = $1"#,
            id.0,
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable(format!("dispute {id}"), why);
        Ok(Some(Dispute {
            id: id.clone(),
            payment_id: PaymentId(row.payment_id),
            order_id: OrderId(row.order_id),
            customer_id: CustomerId(row.customer_id),
            status: row.status,
            is_closed: row.is_closed,
            followed: row.followed.as_deref().map(str::parse).transpose().map_err(|error| unreadable(&error))?,
        }))
    }

    /// Those of the accounts that another dispute holds: one that is open, or was lost.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn held_by_other_disputes(
        &self,
        accounts: &[AccountId],
        than: &StripeDisputeId,
    ) -> Result<Vec<AccountId>, StoreError> {
        let ids: Vec<Uuid> = accounts.iter().map(|id| id.0).collect();
        let held = sqlx::query_scalar!(
            "select a.id
             from berth.hosting_accounts a
             where a.id = any ($1)
               and exists (
                   select
                   from berth.disputes d
                   join berth.orders o on o.id = d.order_id
                   where (o.id = a.order_id or o.renewal_of_hosting_id = a.id)
                     and d.id <> $2
                     and (d.closed_at is null or d.status = 'lost')
               )",
            &ids,
            than.0,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(held.into_iter().map(AccountId).collect())
    }
}
