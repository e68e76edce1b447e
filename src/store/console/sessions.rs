//! Who is signed in to the console. By real time, as tokens are.

use uuid::Uuid;

use super::super::{Store, StoreError};

/// A member of staff, as a session knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staff {
    /// The subject of their token.
    pub id: Uuid,
    /// How to name them.
    pub name: String,
}

/// A browser that was sent to sign in elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SentAway {
    /// The page of the console that it wanted.
    pub next: Option<String>,
}

impl Store {
    /// Opens a session under the hash of its secret, and keeps how its owner is called. Sessions that are over are forgotten.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn open_console_session(&self, hash: &[u8; 32], staff: &Staff) -> Result<(), StoreError> {
        sqlx::query!(
            "with over as (
                 delete from berth.console_sessions
                 where opened_at < now() - interval '8 hours' or seen_at < now() - interval '1 hour'
             ),
             named as (
                 insert into berth.console_staff (id, name) values ($2, $3)
                 on conflict (id) do update set name = excluded.name
             )
             insert into berth.console_sessions (hash, staff_id, staff_name) values ($1, $2, $3)",
            hash,
            staff.id,
            staff.name,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Whose session it is; `None` when there is none, it is older than 8 hours, or it was not used for an hour. `used` says
    /// that a person uses it now, which is kept to the minute.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn console_session(&self, hash: &[u8; 32], used: bool) -> Result<Option<Staff>, StoreError> {
        let row = sqlx::query!(
            r#"with held as (
                   select hash, staff_id, staff_name, seen_at
                   from berth.console_sessions
                   where hash = $1 and opened_at > now() - interval '8 hours' and seen_at > now() - interval '1 hour'
               ),
               touched as (
                   update berth.console_sessions s
                   set seen_at = now()
                   from held
                   where s.hash = held.hash and $2 and held.seen_at < now() - interval '1 minute'
               )
               select staff_id as "staff_id!", staff_name as "staff_name!" from held"#,
            hash,
            used,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| Staff { id: row.staff_id, name: row.staff_name }))
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn close_console_session(&self, hash: &[u8; 32]) -> Result<(), StoreError> {
        sqlx::query!("delete from berth.console_sessions where hash = $1", hash).execute(&self.pool).await?;
        Ok(())
    }

    /// Keeps for ten minutes that a browser was sent to sign in elsewhere, under the hash of its secret, and the page that it
    /// wanted (of at most 2,000 characters).
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn keep_console_sign_in(&self, hash: &[u8; 32], next: Option<&str>) -> Result<(), StoreError> {
        sqlx::query!(
            "with over as (
                 delete from berth.console_sign_ins where expires_at < now()
             )
             insert into berth.console_sign_ins (hash, next, expires_at)
             values ($1, $2, now() + interval '10 minutes')",
            hash,
            next,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Takes what was kept of a browser that comes back; `None` when nothing was, it has come back before, or its ten minutes
    /// are over.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn take_console_sign_in(&self, hash: &[u8; 32]) -> Result<Option<SentAway>, StoreError> {
        let row = sqlx::query!(
            r#"delete from berth.console_sign_ins
               where hash = $1
               returning next, expires_at > now() as "holds!""#,
            hash,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.filter(|row| row.holds).map(|row| SentAway { next: row.next }))
    }

    /// Keeps the right to open one session, for a minute, under the hash of its ticket.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn keep_console_ticket(&self, hash: &[u8; 32], staff: &Staff) -> Result<(), StoreError> {
        sqlx::query!(
            "with over as (
                 delete from berth.console_tickets where expires_at < now()
             )
             insert into berth.console_tickets (hash, staff_id, staff_name, expires_at)
             values ($1, $2, $3, now() + interval '1 minute')",
            hash,
            staff.id,
            staff.name,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Takes a ticket by its hash; `None` when there is none, it was taken before, or its minute is over.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn take_console_ticket(&self, hash: &[u8; 32]) -> Result<Option<Staff>, StoreError> {
        let row = sqlx::query!(
            r#"delete from berth.console_tickets
               where hash = $1
               returning staff_id, staff_name, expires_at > now() as "holds!""#,
            hash,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.filter(|row| row.holds).map(|row| Staff { id: row.staff_id, name: row.staff_name }))
    }
}
