//! What `/metrics` shows of the ledger and the shop: one statement of many small questions, each answered by an index that
//! holds few rows.

use berth_jobs::Queue;
use rust_decimal::Decimal;

use super::{Store, StoreError};

/// A number of the database's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Which family it is of, such as `berth_jobs_due`.
    pub family: String,
    /// The value of the family's first label, where it has one.
    pub one: Option<String>,
    /// The value of the second.
    pub other: Option<String>,
    /// The number.
    pub value: Decimal,
}

impl Store {
    /// How the queues, the shop and the servers stand now.
    ///
    /// # Errors
    /// When the database does not answer within a second and a half.
    pub async fn observe(&self) -> Result<Vec<Sample>, StoreError> {
        let mut db = self.pool.begin_to_look().await?;
        let queues = Queue::ALL.map(|queue| queue.to_string());
        let rows = sqlx::query_file!("src/store/queries/observe.sql", &queues).fetch_all(&mut *db).await?;
        db.commit().await?;
        let sample = |(family, one, other, value)| Sample { family, one, other, value };
        Ok(rows.into_iter().map(|row| sample((row.family, row.one, row.other, row.value))).collect())
    }

    /// How many accounts each server holds. It counts them all, so nobody should ask often.
    ///
    /// # Errors
    /// As [`observe`](Self::observe).
    pub async fn observe_servers(&self) -> Result<Vec<Sample>, StoreError> {
        let mut db = self.pool.begin_to_look().await?;
        let rows = sqlx::query!(
            r#"select s.name, coalesce(p.placed, 0)::numeric as "placed!"
               from berth.servers s
               left join (
                   select server, count(*) as placed from berth.hosting_accounts where phase <> 'terminated' group by server
               ) p on p.server = s.name"#
        )
        .fetch_all(&mut *db)
        .await?;
        db.commit().await?;
        let family = || "berth_server_accounts".to_owned();
        let samples = rows.into_iter().map(|row| (family(), Some(row.name), None, row.placed));
        Ok(samples.map(|(family, one, other, value)| Sample { family, one, other, value }).collect())
    }
}
