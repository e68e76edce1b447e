//! Stripe's events, as they came.

use berth_jobs::ids::StripeEventId;

use super::{Store, StoreError};

impl Store {
    /// The body of an event, byte for byte.
    ///
    /// # Errors
    /// When there is none, or the database does not answer.
    pub async fn stripe_event(&self, id: &StripeEventId) -> Result<Vec<u8>, StoreError> {
        sqlx::query_scalar!("select payload from berth.stripe_events where id = $1", id.0)
            .fetch_optional(&self.pool)
            .await?
            .ok_or_else(|| StoreError::Missing(format!("event {id}")))
    }
}
