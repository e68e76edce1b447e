//! What is sealed: read, counted by its keys, and sealed anew. Today that is one column; another one has its functions here.

use std::collections::BTreeMap;

use berth_jobs::ids::AccountId;
use uuid::Uuid;

use super::{Store, StoreError};

/// An account's password as it is stored.
#[derive(Clone)]
pub struct SealedPassword {
    /// Whose.
    pub account_id: AccountId,
    /// `v1.<key id>.<nonce>.<ciphertext>`.
    pub sealed: String,
}

/// A password that was sealed anew.
pub struct Resealed {
    /// Whose.
    pub account_id: AccountId,
    /// As it was read.
    pub was: String,
    /// As it is to be stored.
    pub sealed: String,
}

impl Store {
    /// Sealed passwords by account, after one of them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sealed_passwords(&self, after: AccountId, limit: i64) -> Result<Vec<SealedPassword>, StoreError> {
        let rows = sqlx::query!(
            r#"select id, sealed_password as "sealed!"
               from berth.hosting_accounts
               where sealed_password is not null and id > $1
               order by id
               limit $2"#,
            after.0,
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        let read = rows.into_iter().map(|row| SealedPassword { account_id: AccountId(row.id), sealed: row.sealed });
        Ok(read.collect())
    }

    /// How many values are sealed with each key, by the key's id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sealed_by_key(&self) -> Result<BTreeMap<String, i64>, StoreError> {
        let rows = sqlx::query!(
            r#"select split_part(sealed_password, '.', 2) as "key_id!", count(*) as "values!"
               from berth.hosting_accounts
               where sealed_password is not null
               group by 1"#,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| (row.key_id, row.values)).collect())
    }

    /// Stores what was sealed anew, all in one commit; what was revealed, forgotten or replaced since it was read stays as it is.
    /// Answers how many were stored.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reseal(&self, values: &[Resealed]) -> Result<u64, StoreError> {
        let stored = sqlx::query!(
            "with n as materialized (
                 select * from unnest($1::uuid[], $2::text[], $3::text[]) n (id, was, sealed)
             ),
             held as materialized (
                 select id from berth.hosting_accounts where id = any ($1) order by id for no key update
             )
             update berth.hosting_accounts a
             set sealed_password = n.sealed
             from n, held
             where a.id = n.id and held.id = a.id and a.sealed_password = n.was",
            &values.iter().map(|value| value.account_id.0).collect::<Vec<Uuid>>(),
            &values.iter().map(|value| value.was.clone()).collect::<Vec<_>>(),
            &values.iter().map(|value| value.sealed.clone()).collect::<Vec<_>>(),
        )
        .execute(&self.pool)
        .await?;
        Ok(stored.rows_affected())
    }
}
