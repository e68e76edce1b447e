//! Asking for jobs within one's own transaction, by the function `berth.enqueue` of the shared database.

use sqlx::PgConnection;

use super::Options;
use crate::{Job, ids::JobId};

/// Asks for a job within the transaction that `db` is in: if that is rolled back, nothing was asked for. The role of the
/// connection must have been let (`select berth.allow_enqueue('role', array['kind'])`, by the owner of Berth's tables).
///
/// # Errors
/// With the database's own error: SQLSTATE 42501 where the role may not ask for the kind, 22023 where the payload, the key or the
/// time is refused, with the reason in its message.
pub async fn enqueue_in<J: Job>(db: &mut PgConnection, job: &J, options: &Options) -> Result<JobId, sqlx::Error> {
    let payload = serde_json::to_string(job).map_err(|error| sqlx::Error::Encode(Box::new(error)))?;
    let id: String = sqlx::query_scalar("select berth.enqueue($1, $2::jsonb, $3, $4::text::timestamptz)")
        .bind(J::NAME)
        .bind(payload)
        .bind(options.key.as_deref())
        .bind(options.run_at.as_deref())
        .fetch_one(db)
        .await?;
    id.parse().map_err(|error| sqlx::Error::Decode(Box::new(error)))
}
