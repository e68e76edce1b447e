//! Stripe's events, as they came.

use std::collections::{BTreeSet, HashMap};

use berth_jobs::ids::StripeEventId;
use jiff::{SignedDuration, Timestamp};

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

impl Store {
    /// Until when Stripe's events are known whole; `None` when its list was never read.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn events_known_until(&self) -> Result<Option<Timestamp>, StoreError> {
        let until = sqlx::query_scalar!("select events_known_until from berth.reconciliation")
            .fetch_optional(&self.pool)
            .await?;
        Ok(until.map(|at| at.to_jiff()))
    }

    /// For how long an event is known, by the clock that it was stored by, which is the database's own.
    ///
    /// # Errors
    /// When there is none, or the database does not answer.
    pub async fn event_known_for(&self, id: &StripeEventId) -> Result<SignedDuration, StoreError> {
        let seconds = sqlx::query_scalar!(
            r#"select extract(epoch from now() - received_at)::int8 as "seconds!" from berth.stripe_events where id = $1"#,
            id.0,
        )
        .fetch_optional(&self.pool)
        .await?;
        seconds.map(SignedDuration::from_secs).ok_or_else(|| StoreError::Missing(format!("event {id}")))
    }

    /// Which of these events are stored.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn known_events(&self, ids: &[String]) -> Result<BTreeSet<String>, StoreError> {
        let known = sqlx::query_scalar!("select id from berth.stripe_events where id = any ($1)", ids)
            .fetch_all(&self.pool)
            .await?;
        Ok(known.into_iter().collect())
    }

    /// When the event happened, by Stripe's clock, that came last by the webhook.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn last_event_that_came(&self) -> Result<Option<Timestamp>, StoreError> {
        let at = sqlx::query_scalar!(
            r#"select to_timestamp((e.body ->> 'created')::float8) as "at: jiff_sqlx::Timestamp"
               from (
                   select convert_from(payload, 'UTF8')::jsonb as body
                   from berth.stripe_events
                   where found_at is null and outcome <> 'parked' and payload <> ''
                   order by received_at desc
                   limit 1
               ) e
               where jsonb_typeof(e.body -> 'created') = 'number'"#
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(at.flatten().map(|at| at.to_jiff()))
    }
}
