//! What the operator's daily mail tells: numbers of one day, and what waits for a person.

use jiff::{Timestamp, civil::Date};
use jiff_sqlx::ToSqlx;

use super::{Store, StoreError};
use crate::{
    domain::money::{Currency, Money},
    mail::{Digest, DigestCount, DigestSum, digest_key},
};

/// So many kinds of alerts are named.
const MOST_KINDS: i64 = 30;

impl Store {
    /// Whether the digest of that day is written.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn digest_exists(&self, day: Date) -> Result<bool, StoreError> {
        Ok(sqlx::query_scalar!(
            r#"select exists (select from berth.mails where dedupe_key = $1) as "exists!""#,
            digest_key(day),
        )
        .fetch_one(&self.pool)
        .await?)
    }

    /// What happened on that day, from its beginning to its end, and what waits for a person now.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn digest(&self, day: Date, from: Timestamp, until: Timestamp) -> Result<Digest, StoreError> {
        let row = sqlx::query_file!("src/store/queries/digest.sql", from.to_sqlx(), until.to_sqlx())
            .fetch_one(&self.pool)
            .await?;
        Ok(Digest {
            day,
            orders_agreed: row.orders_agreed,
            orders_paid: row.orders_paid,
            renewals_issued: row.renewals_issued,
            renewals_paid: row.renewals_paid,
            renewals_ended: row.renewals_ended,
            charges_declined: row.charges_declined,
            changes_made: row.changes_made,
            suspended: row.suspended,
            removed: row.removed,
            mails_refused: row.mails_refused,
            mails_withdrawn: row.mails_withdrawn,
            events_found: row.events_found,
            dead_jobs: row.dead_jobs,
            money_in: self.money_in(from, until).await?,
            alerts: self.alerts_by_kind().await?,
            sweeps: self.last_runs().await?,
        })
    }

    async fn money_in(&self, from: Timestamp, until: Timestamp) -> Result<Vec<DigestSum>, StoreError> {
        let rows = sqlx::query!(
            r#"select currency as "currency!: String", sum(amount) as "amount!", count(*) as "payments!"
               from berth.payments
               where created_at >= $1 and created_at < $2 and state in ('succeeded', 'credited')
               group by currency
               order by currency"#,
            from.to_sqlx(),
            until.to_sqlx(),
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable("the money of a day", why);
                let currency: Currency = row.currency.parse().map_err(|error| unreadable(&error))?;
                let amount = Money::new(row.amount, currency).map_err(|error| unreadable(&error))?;
                Ok(DigestSum { amount: amount.amount_text(), currency: row.currency, payments: row.payments })
            })
            .collect()
    }

    async fn alerts_by_kind(&self) -> Result<Vec<DigestCount>, StoreError> {
        let rows = sqlx::query!(
            r#"select kind, count(*) as "count!"
               from berth.alerts
               where resolved_at is null
               group by kind
               order by count(*) desc, kind
               limit $1"#,
            MOST_KINDS,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| DigestCount { name: row.kind, count: row.count }).collect())
    }

    async fn last_runs(&self) -> Result<Vec<(String, Timestamp)>, StoreError> {
        let rows = sqlx::query!(
            r#"select name, max(due_at) as "last!: jiff_sqlx::Timestamp" from berth.ticks group by name order by name"#
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| (row.name, row.last.to_jiff())).collect())
    }
}
