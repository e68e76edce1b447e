//! What is sealed: read, counted by its keys, and sealed anew. Another column that holds such values is another
//! [`SealedColumn`], and the compiler says what else it needs.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{Store, StoreError};

/// Where sealed values are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealedColumn {
    /// Accounts' passwords.
    Password,
    /// What applications sign entries of the inbox with.
    SigningKey,
}

impl SealedColumn {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Password, Self::SigningKey];
}

/// A value as it is stored.
#[derive(Clone)]
pub struct SealedValue {
    /// In which row.
    pub row: Uuid,
    /// `v1.<key id>.<nonce>.<ciphertext>`.
    pub sealed: String,
}

/// A value that was sealed anew.
pub struct Resealed {
    /// In which row.
    pub row: Uuid,
    /// As it was read.
    pub was: String,
    /// As it is to be stored.
    pub sealed: String,
}

impl Store {
    /// A column's sealed values by row, after one of them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sealed_values(
        &self,
        column: SealedColumn,
        after: Uuid,
        limit: i64,
    ) -> Result<Vec<SealedValue>, StoreError> {
        Ok(match column {
            SealedColumn::Password => {
                sqlx::query_as!(
                    SealedValue,
                    r#"select id as row, sealed_password as "sealed!"
                       from berth.hosting_accounts
                       where sealed_password is not null and id > $1
                       order by id
                       limit $2"#,
                    after,
                    limit,
                )
                .fetch_all(&self.pool)
                .await?
            }
            SealedColumn::SigningKey => {
                sqlx::query_as!(
                    SealedValue,
                    r#"select id as row, sealed_signing_key as "sealed!"
                       from berth.api_keys
                       where sealed_signing_key is not null and id > $1
                       order by id
                       limit $2"#,
                    after,
                    limit,
                )
                .fetch_all(&self.pool)
                .await?
            }
        })
    }

    /// How many values are sealed with each key, by the key's id.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sealed_by_key(&self) -> Result<BTreeMap<String, i64>, StoreError> {
        let rows = sqlx::query!(
            r#"select split_part(sealed, '.', 2) as "key_id!", count(*) as "values!"
               from (
                   select sealed_password as sealed from berth.hosting_accounts where sealed_password is not null
                   union all
                   select sealed_signing_key from berth.api_keys where sealed_signing_key is not null
               ) v
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
    pub async fn reseal(&self, column: SealedColumn, values: &[Resealed]) -> Result<u64, StoreError> {
        let rows: Vec<Uuid> = values.iter().map(|value| value.row).collect();
        let was: Vec<String> = values.iter().map(|value| value.was.clone()).collect();
        let sealed: Vec<String> = values.iter().map(|value| value.sealed.clone()).collect();
        let stored = match column {
            SealedColumn::Password => {
                sqlx::query!(
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
                    &rows,
                    &was,
                    &sealed,
                )
                .execute(&self.pool)
                .await?
            }
            SealedColumn::SigningKey => {
                sqlx::query!(
                    "update berth.api_keys a
                     set sealed_signing_key = n.sealed
                     from unnest($1::uuid[], $2::text[], $3::text[]) n (id, was, sealed)
                     where a.id = n.id and a.sealed_signing_key = n.was",
                    &rows,
                    &was,
                    &sealed,
                )
                .execute(&self.pool)
                .await?
            }
        };
        Ok(stored.rows_affected())
    }
}
