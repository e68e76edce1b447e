//! How much there is that nobody needs any more.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

use jiff_sqlx::ToSqlx;

use super::{Store, StoreError, sweeps::youngest_id_of};
use crate::effects::Leftovers;

impl Store {
    /// How many rows of each kind are left over, counted up to `most`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn leftovers(&self, before: &Leftovers, most: i64) -> Result<[(&'static str, u64); 7], StoreError> {
        let row = sqlx::query!(
            r#"select
                   (select count(*) from (
                       select from berth.stream_tickets where expires_at < $1 limit $5
                   ) t) as "tickets!",
                   (select count(*) from (
                       select from berth.jobs
                       where id < $2 and state in ('done', 'cancelled') and finished_at < $3
                       limit $5
                   ) j) as "jobs!",
                   (select count(*) from (
                       select from berth.ticks t
                       where t.due_at < $4
                         and t.due_at < (select max(l.due_at) from berth.ticks l where l.name = t.name)
                       limit $5
                   ) k) as "ticks!",
                   (select count(*) from (
                       (select from berth.mails where accepted_at < $6 and emptied_at is null limit $5)
                       union all
                       (select from berth.mails where withdrawn_at < $6 and emptied_at is null limit $5)
                   ) m) as "mails!",
                   (select count(*) from (
                       select from berth.stripe_events
                       where received_at < $7 and emptied_at is null and outcome in ('applied', 'ignored')
                       limit $5
                   ) e) as "events!",
                   (select count(*) from (
                       select from berth.hosting_accounts
                       where sealed_password is not null
                         and coalesce(password_asked_at, password_set_at, activated_at) < $8
                       limit $5
                   ) p) as "passwords!",
                   (select count(*) from (
                       select from berth.usage_samples where day <= $9 limit $5
                   ) u) as "usage!""#,
            before.tickets.to_sqlx(),
            youngest_id_of(before.jobs),
            before.jobs.to_sqlx(),
            before.ticks.to_sqlx(),
            most,
            before.mails.to_sqlx(),
            before.events.to_sqlx(),
            before.passwords.to_sqlx(),
            before.usage.to_sqlx() as jiff_sqlx::Date,
        )
        .fetch_one(&self.pool)
        .await?;
        let count = |rows: i64| u64::try_from(rows).unwrap_or_default();
        Ok([
            ("stream tickets", count(row.tickets)),
            ("jobs", count(row.jobs)),
            ("ticks", count(row.ticks)),
            ("contents of mails", count(row.mails)),
            ("bodies of Stripe's events", count(row.events)),
            ("passwords that nobody has looked at", count(row.passwords)),
            ("samples of usage", count(row.usage)),
        ])
    }
}
