//! Mails, as they are read.

use berth_jobs::ids::MailId;
use jiff::Timestamp;

use std::collections::HashMap;

use uuid::Uuid;

use super::{Store, StoreError};
use crate::mail::Mail;

/// A mail to be sent once.
#[derive(Clone, Debug)]
pub struct MailRow {
    /// Which; also its Message-ID.
    pub id: MailId,
    /// What it says.
    pub mail: Mail,
    /// Where it goes.
    pub email: String,
    /// How to address its reader.
    pub name: Option<String>,
    /// When it was written; its date.
    pub created_at: Timestamp,
    /// When the mail server took it.
    pub accepted_at: Option<Timestamp>,
    /// When it was taken back: it is never sent.
    pub withdrawn_at: Option<Timestamp>,
    /// Its place in the queue of those that go to many at once, once it has one.
    pub turn_at: Option<Timestamp>,
    /// Whether a person had it sent once more, whatever it says.
    pub by_hand: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Row {
    id: Uuid,
    context: serde_json::Value,
    created_at: jiff_sqlx::Timestamp,
    accepted_at: Option<jiff_sqlx::Timestamp>,
    withdrawn_at: Option<jiff_sqlx::Timestamp>,
    turn_at: Option<jiff_sqlx::Timestamp>,
    by_hand: bool,
    email: String,
    name: Option<String>,
}

impl Store {
    /// A mail with its reader.
    ///
    /// # Errors
    /// When there is none, its context cannot be read, or the database does not answer.
    pub async fn mail(&self, id: MailId) -> Result<MailRow, StoreError> {
        let row = self.reads.mails.load(id.0, |ids| self.mail_rows(ids)).await?;
        let row = row.ok_or_else(|| StoreError::Missing(format!("mail {id}")))?;
        let mail =
            serde_json::from_value(row.context).map_err(|error| StoreError::unreadable(format!("mail {id}"), error))?;
        Ok(MailRow {
            id,
            mail,
            email: row.email,
            name: row.name,
            created_at: row.created_at.to_jiff(),
            accepted_at: row.accepted_at.map(|at| at.to_jiff()),
            withdrawn_at: row.withdrawn_at.map(|at| at.to_jiff()),
            turn_at: row.turn_at.map(|at| at.to_jiff()),
            by_hand: row.by_hand,
        })
    }

    /// Whether a mail with that key was written, sent or not.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn mail_was_written(&self, dedupe_key: &str) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar!(
            r#"select exists (select from berth.mails where dedupe_key = $1) as "written!""#,
            dedupe_key,
        )
        .fetch_one(&self.pool)
        .await?)
    }

    async fn mail_rows(&self, ids: Vec<Uuid>) -> Result<HashMap<Uuid, Row>, StoreError> {
        let rows = sqlx::query_as!(
            Row,
            r#"select m.id as "id!", m.context as "context!", m.created_at as "created_at!: jiff_sqlx::Timestamp",
                      m.accepted_at as "accepted_at?: jiff_sqlx::Timestamp",
                      m.withdrawn_at as "withdrawn_at?: jiff_sqlx::Timestamp",
                      m.turn_at as "turn_at?: jiff_sqlx::Timestamp", m.dedupe_key like '%:again:%' as "by_hand!", coalesce(m.recipient, c.email) as "email!",
                      c.name as "name?"
               from berth.mails m
               left join berth.customers c on c.id = m.customer_id
               where m.id = any ($1)"#,
            &ids,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| (row.id, row)).collect())
    }
}
