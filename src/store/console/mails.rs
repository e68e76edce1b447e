//! Mails, as operators look for them and send them again.

use berth_jobs::{
    Queue,
    ids::{CustomerId, MailId},
};
use serde::Serialize;

use super::{
    super::{
        Store, StoreError,
        effects::{UnitEffects, apply},
    },
    At,
};
use crate::effects::Effects;

/// A mail among others.
#[derive(Clone, Debug, Serialize)]
pub struct MailLine {
    /// Which.
    pub id: String,
    /// Such as `welcome`.
    pub kind: String,
    /// `sent`, `waiting`, `refused` or `withdrawn`.
    pub state: String,
    /// Whose.
    pub customer_id: Option<String>,
    /// Where it goes.
    pub email: Option<String>,
    /// The order or account that it is about.
    pub about: Option<String>,
    /// How often it was tried.
    pub attempts: i32,
    /// When it was written.
    pub created_at: At,
    /// When the mail server took it.
    pub accepted_at: Option<At>,
    /// What the mail server said, or why it was withdrawn.
    pub response: Option<String>,
}

/// One mail, besides what it says.
#[derive(Clone, Debug, Serialize)]
pub struct MailPage {
    /// Which.
    pub id: String,
    /// Such as `welcome`.
    pub kind: String,
    /// `sent`, `waiting`, `refused` or `withdrawn`.
    pub state: String,
    /// Whose.
    pub customer_id: Option<String>,
    /// Where it goes.
    pub email: Option<String>,
    /// The order or account that it is about.
    pub about: Option<String>,
    /// How often it was tried.
    pub attempts: i32,
    /// When it was written.
    pub created_at: At,
    /// When it was tried last.
    pub attempted_at: Option<At>,
    /// When the mail server took it.
    pub accepted_at: Option<At>,
    /// When the mail server refused it for good.
    pub refused_at: Option<At>,
    /// What the mail server said.
    pub response: Option<String>,
    /// When it was withdrawn: what it says was no longer true.
    pub withdrawn_at: Option<At>,
    /// Why.
    pub withdrawn_because: Option<String>,
    /// When what it said was forgotten.
    pub emptied_at: Option<At>,
    /// The job that sends it.
    pub job: Option<String>,
    /// Where that stands.
    pub job_state: Option<String>,
}

impl Store {
    /// Mails, the newest first, older than one: all, those that no mail server has taken, or one customer's.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn console_mails(
        &self,
        unsent: bool,
        customer: Option<CustomerId>,
        before: Option<MailId>,
        limit: i64,
    ) -> Result<Vec<MailLine>, StoreError> {
        Ok(sqlx::query_file_as!(
            MailLine,
            "src/store/queries/console_mails.sql",
            unsent,
            customer.map(|id| id.0),
            before.map(|id| id.0),
            limit,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// One mail.
    ///
    /// # Errors
    /// When there is none, or the database does not answer.
    pub async fn console_mail(&self, id: MailId) -> Result<MailPage, StoreError> {
        sqlx::query_as!(
            MailPage,
            r#"select berth.show_id('mail_', m.id) as "id!", m.kind,
                   case when m.accepted_at is not null then 'sent' when m.refused_at is not null then 'refused'
                        when m.withdrawn_at is not null then 'withdrawn' else 'waiting' end as "state!",
                   c.id::text as customer_id, coalesce(m.recipient, c.email) as email,
                   case
                       when exists (select from berth.orders o where o.id = m.about) then berth.show_id('ord_', m.about)
                       when exists (select from berth.hosting_accounts a where a.id = m.about)
                           then berth.show_id('acc_', m.about)
                   end as about,
                   m.attempts, m.created_at as "created_at: At", m.attempted_at as "attempted_at: At",
                   m.accepted_at as "accepted_at: At", m.refused_at as "refused_at: At", m.response,
                   m.withdrawn_at as "withdrawn_at: At", m.withdrawn_because,
                   m.emptied_at as "emptied_at: At", berth.show_id('job_', j.id) as job, j.state as "job_state?"
               from berth.mails m
               left join berth.customers c on c.id = m.customer_id
               left join berth.jobs j on j.once_key = 'mail:' || berth.show_id('mail_', m.id)
               where m.id = $1"#,
            id.0,
        )
        .fetch_optional(&self.pool)
        .await?
        .ok_or_else(|| StoreError::Missing(format!("mail {id}")))
    }

    /// Writes a mail once more, as `copy`, with what goes with it (its job, and who wants it), in one commit. Answers whether
    /// what it said is still known; where it is not, nothing is written.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn copy_mail(&self, id: MailId, copy: MailId, with: Effects) -> Result<bool, StoreError> {
        let mut db = self.pool.begin().await?;
        let copied = sqlx::query_scalar!(
            r#"insert into berth.mails (id, dedupe_key, kind, about, customer_id, context, recipient)
               select $2, dedupe_key || ':again:' || berth.show_id('mail_', $2), kind, about, customer_id, context, recipient
               from berth.mails
               where id = $1 and emptied_at is null
               returning id"#,
            id.0,
            copy.0,
        )
        .fetch_optional(&mut *db)
        .await?;
        if copied.is_none() {
            return Ok(false);
        }
        // What it enqueues is given to Redis by the relay.
        let by_relay = Queue::ALL.map(|queue| queue.as_str().to_owned());
        apply(&mut db, &[UnitEffects { effects: &with, job_id: None, trace: None }], &by_relay).await?;
        db.commit().await?;
        Ok(true)
    }
}
