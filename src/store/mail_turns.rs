//! Whose turn it is to be sent, where mails are sent no faster than so many a minute.

use std::collections::HashMap;

use berth_jobs::ids::MailId;
use jiff_sqlx::ToSqlx;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::domain::pace::{Asking, Pace, Turn};

impl Store {
    /// Whether a mail may go, at `per_minute` by all processes together. A place in the queue is kept with the mail.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn mail_turn(&self, id: MailId, asking: Asking, per_minute: u32) -> Result<Turn, StoreError> {
        let answer = |asked| self.answer(asked, per_minute);
        let turn = self.reads.turns.load((id.0, asking), answer).await?;
        Ok(turn.unwrap_or(Turn::Now))
    }

    /// All who ask meanwhile are answered together, under the lock of the one row.
    async fn answer(
        &self,
        asked: Vec<(Uuid, Asking)>,
        per_minute: u32,
    ) -> Result<HashMap<(Uuid, Asking), Turn>, StoreError> {
        let mut db = self.pool.begin().await?;
        let row = sqlx::query!(
            r#"select free_at, tail_at, berth.now() as "now!: jiff_sqlx::Timestamp" from berth.mail_pace for update"#
        )
        .fetch_one(&mut *db)
        .await?;
        let mut pace = Pace { free_at: row.free_at.to_jiff(), tail_at: row.tail_at.to_jiff() };
        let kinds: Vec<Asking> = asked.iter().map(|(_, asking)| *asking).collect();
        let turns = pace.answer(row.now.to_jiff(), per_minute, &kinds);
        let places = asked.iter().zip(&turns).filter_map(|((id, _), turn)| match turn {
            Turn::At(at) => Some((*id, at.to_sqlx())),
            Turn::Now | Turn::Later(_) => None,
        });
        let (ids, at): (Vec<_>, Vec<_>) = places.unzip();
        sqlx::query!(
            "with paced as (update berth.mail_pace set free_at = $1, tail_at = $2)
             update berth.mails m
             set turn_at = p.at
             from unnest($3::uuid[], $4::timestamptz[]) p (id, at)
             where m.id = p.id",
            pace.free_at.to_sqlx(),
            pace.tail_at.to_sqlx(),
            &ids,
            &at,
        )
        .execute(&mut *db)
        .await?;
        db.commit().await?;
        Ok(asked.into_iter().zip(turns).collect())
    }
}
