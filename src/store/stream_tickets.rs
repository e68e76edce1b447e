//! Tickets to listen to an order with: each opens one stream, once.

use berth_jobs::ids::{CustomerId, OrderId};

use super::{Store, StoreError};

impl Store {
    /// Takes a ticket by its hash; `None` when there is none, it was taken before, or its time is over.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn take_stream_ticket(&self, hash: &[u8; 32]) -> Result<Option<(CustomerId, OrderId)>, StoreError> {
        let taken = sqlx::query!(
            r#"delete from berth.stream_tickets
               where hash = $1
               returning customer_id, order_id, expires_at > berth.now() as "holds!""#,
            hash,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(taken.filter(|row| row.holds).map(|row| (CustomerId(row.customer_id), OrderId(row.order_id))))
    }
}
