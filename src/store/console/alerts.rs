//! What a person has to look at.

use serde::Serialize;
use uuid::Uuid;

use super::{
    super::{
        Store, StoreError,
        effects::{UnitEffects, apply},
    },
    At,
};
use crate::effects::Effects;

/// An open alert.
#[derive(Clone, Debug, Serialize)]
pub struct AlertLine {
    /// Which.
    pub id: String,
    /// What sort, such as `job_dead`.
    pub kind: String,
    /// The row that it is about.
    pub subject: String,
    /// What happened and what to do.
    pub detail: String,
    /// Since when.
    pub created_at: At,
}

impl Store {
    /// The open alerts, the newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn console_alerts(&self, limit: i64) -> Result<Vec<AlertLine>, StoreError> {
        Ok(sqlx::query_as!(
            AlertLine,
            r#"select id::text as "id!", kind, subject, detail, created_at as "created_at: At"
               from berth.alerts
               where resolved_at is null
               order by alerts.id desc
               limit $1"#,
            limit,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// Takes an alert as seen to, and writes down who says so, in one commit. Answers whether it was open.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn resolve_alert(&self, id: Uuid, audit: Effects) -> Result<bool, StoreError> {
        let mut db = self.pool.begin().await?;
        let resolved =
            sqlx::query!("update berth.alerts set resolved_at = now() where id = $1 and resolved_at is null", id)
                .execute(&mut *db)
                .await?;
        if resolved.rows_affected() == 0 {
            return Ok(false);
        }
        apply(&mut db, &[UnitEffects { effects: &audit, job_id: None, trace: None }], &[]).await?;
        db.commit().await?;
        Ok(true)
    }
}
