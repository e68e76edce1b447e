//! Stripe's events, as they came.

use std::collections::HashMap;

use berth_jobs::ids::StripeEventId;

use super::{Store, StoreError};

impl Store {
    /// The body of an event, byte for byte.
    ///
    /// # Errors
    /// When there is none, or the database does not answer.
    pub async fn stripe_event(&self, id: &StripeEventId) -> Result<Vec<u8>, StoreError> {
        let body = self.reads.events.load(id.0.clone(), |ids| self.event_bodies(ids)).await?;
        body.ok_or_else(|| StoreError::Missing(format!("event {id}")))
    }

    async fn event_bodies(&self, ids: Vec<String>) -> Result<HashMap<String, Vec<u8>>, StoreError> {
        let rows = sqlx::query!("select id, payload from berth.stripe_events where id = any ($1)", &ids)
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.into_iter().map(|row| (row.id, row.payload)).collect())
    }
}
