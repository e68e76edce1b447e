//! What people did by hand, and why. (`audit` holds the questions that the program asks of itself.)

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::{Store, StoreError};

/// One thing that somebody did.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// Its id; a cursor.
    pub id: Uuid,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// How they are called, if they have ever signed in to the console.
    pub actor_name: Option<String>,
    /// What, such as `coupon.end`.
    pub action: String,
    /// To which row, as the API shows its id.
    pub subject: String,
    /// Why.
    pub reason: Option<String>,
    /// What was.
    pub before: Option<Value>,
    /// What is.
    pub after: Option<Value>,
}

impl Store {
    /// What was done, to one row or to any, the newest first, after a cursor.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn audit_entries(
        &self,
        subject: Option<&str>,
        before: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let rows = sqlx::query!(
            "select id, at, actor, (select s.name from berth.console_staff s where s.id::text = actor) as actor_name, action,
                 subject, reason, before, after
             from berth.audit
             where ($1::text is null or subject = $1) and ($2::uuid is null or id < $2)
             order by id desc
             limit $3",
            subject,
            before,
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| AuditEntry {
                id: row.id,
                at: row.at.to_jiff(),
                actor: row.actor,
                actor_name: row.actor_name,
                action: row.action,
                subject: row.subject,
                reason: row.reason,
                before: row.before,
                after: row.after,
            })
            .collect())
    }
}
