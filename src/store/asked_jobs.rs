//! What became of jobs that were asked for from outside.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

use berth_jobs::ids::JobId;
use serde_json::Value;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::effects::NewJob;

/// A job under a key.
#[derive(Clone, Debug)]
pub struct KeyedJob {
    /// Which.
    pub id: JobId,
    /// Its key.
    pub once_key: String,
    /// Its name.
    pub kind: String,
    /// Its payload.
    pub payload: Value,
}

impl Store {
    /// The jobs that are in the ledger under these keys.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn jobs_under_keys(&self, once_keys: &[String]) -> Result<Vec<KeyedJob>, StoreError> {
        let rows = sqlx::query!(
            r#"select id, once_key as "once_key!", kind, payload from berth.jobs where once_key = any ($1)"#,
            once_keys,
        )
        .fetch_all(&self.pool)
        .await?;
        let read = rows.into_iter().map(|row| KeyedJob {
            id: JobId(row.id),
            once_key: row.once_key,
            kind: row.kind,
            payload: row.payload,
        });
        Ok(read.collect())
    }

    /// What jobs that were enqueued have become, in their order, each with its state: itself, the one that had its key already,
    /// or the one that waited already. `None` where that one has ended since.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn became(&self, new: &[NewJob]) -> Result<Vec<Option<(JobId, String)>>, StoreError> {
        let rows = sqlx::query!(
            r#"select found.id as "id?", found.state as "state?"
               from unnest($1::uuid[], $2::text[], $3::text[]) with ordinality n (id, once_key, coalesce_key, at)
               left join lateral (
                   select j.id, j.state, 1 as rank from berth.jobs j where j.id = n.id
                   union all
                   select j.id, j.state, 2 from berth.jobs j where j.once_key = n.once_key
                   union all
                   select j.id, j.state, 3 from berth.jobs j where j.coalesce_key = n.coalesce_key and j.state = 'queued'
                   order by rank
                   limit 1
               ) found on true
               order by n.at"#,
            &new.iter().map(|new| new.id.0).collect::<Vec<Uuid>>(),
            &new.iter().map(|new| new.once_key.clone()).collect::<Vec<_>>() as &[Option<String>],
            &new.iter().map(|new| new.job.coalesce_key()).collect::<Vec<_>>() as &[Option<String>],
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| row.id.map(JobId).zip(row.state)).collect())
    }
}
