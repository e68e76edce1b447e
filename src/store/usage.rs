//! What accounts have used, day by day.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

use berth_jobs::ids::AccountId;
use jiff::{Timestamp, civil::Date};
use jiff_sqlx::ToSqlx;

use super::{Store, StoreError};

/// What an account used when its panel was last asked on a day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DayOfUsage {
    /// In UTC.
    pub day: Date,
    /// Bytes of its files.
    pub disk_bytes: i64,
    /// Files and directories, where its panel counts them.
    pub inodes: Option<i64>,
    /// Bytes sent in that calendar month until then, where its panel counts them.
    pub traffic_bytes: Option<i64>,
    /// When its panel was asked.
    pub at: Timestamp,
}

impl Store {
    /// An account's days, the latest first, before one of them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn usage(
        &self,
        account: AccountId,
        before: Option<Date>,
        limit: i64,
    ) -> Result<Vec<DayOfUsage>, StoreError> {
        let rows = sqlx::query!(
            r#"select day as "day: jiff_sqlx::Date", disk_bytes, inodes, traffic_bytes, at
               from berth.usage_samples
               where account_id = $1 and ($2::date is null or day < $2)
               order by day desc
               limit $3"#,
            account.0,
            before.map(ToSqlx::to_sqlx) as Option<jiff_sqlx::Date>,
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|row| DayOfUsage {
                day: row.day.to_jiff(),
                disk_bytes: row.disk_bytes,
                inodes: row.inodes,
                traffic_bytes: row.traffic_bytes,
                at: row.at.to_jiff(),
            })
            .collect())
    }
}
