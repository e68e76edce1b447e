//! The keys that applications ask for jobs with.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

use berth_jobs::ids::ApiKeyId;
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use serde::Serialize;
use uuid::Uuid;

use super::{Store, StoreError};

/// A key that is to be made.
pub struct NewApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose.
    pub application: String,
    /// SHA-256 of its token.
    pub token_hash: [u8; 32],
    /// What may be asked for with it.
    pub kinds: Vec<String>,
    /// What inbox entries are signed with, sealed; `None`: it may send none.
    pub sealed_signing_key: Option<String>,
    /// When it ends, by real time.
    pub expires_at: Option<Timestamp>,
}

/// A key as operators see it.
#[derive(Clone, Debug, Serialize)]
pub struct ApiKeyRow {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose.
    pub application: String,
    /// What may be asked for with it.
    pub kinds: Vec<String>,
    /// Whether the Redis inbox takes what it has signed.
    pub inbox: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// When it was ended by hand.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
}

/// A key that holds, and what it allows.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// Whose.
    pub application: String,
    /// What may be asked for with it.
    pub kinds: Vec<String>,
}

/// A key that holds, for what it has signed.
#[derive(Clone)]
pub struct SigningKey {
    /// Whose, and what it allows.
    pub key: ApiKey,
    /// `v1.<key id>.<nonce>.<ciphertext>`.
    pub sealed: String,
}

impl Store {
    /// Stores a key.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn add_api_key(&self, new: &NewApiKey) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into berth.api_keys (id, application, token_hash, kinds, sealed_signing_key, expires_at)
             values ($1, $2, $3, $4, $5, $6)",
            new.id.0,
            new.application,
            new.token_hash.as_slice(),
            &new.kinds,
            new.sealed_signing_key,
            new.expires_at.map(ToSqlx::to_sqlx) as Option<jiff_sqlx::Timestamp>,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// All keys, also those that hold no more, the newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn api_keys(&self) -> Result<Vec<ApiKeyRow>, StoreError> {
        let rows = sqlx::query!(
            r#"select id, application, kinds, sealed_signing_key is not null as "inbox!", created_at, expires_at, revoked_at,
                      last_used_at
               from berth.api_keys
               order by id desc"#,
        )
        .fetch_all(&self.pool)
        .await?;
        let read = rows.into_iter().map(|row| ApiKeyRow {
            id: ApiKeyId(row.id),
            application: row.application,
            kinds: row.kinds,
            inbox: row.inbox,
            created_at: row.created_at.to_jiff(),
            expires_at: row.expires_at.map(|at| at.to_jiff()),
            revoked_at: row.revoked_at.map(|at| at.to_jiff()),
            last_used_at: row.last_used_at.map(|at| at.to_jiff()),
        });
        Ok(read.collect())
    }

    /// Ends a key; answers whether it held.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn revoke_api_key(&self, id: ApiKeyId) -> Result<bool, StoreError> {
        let ended = sqlx::query!(
            "update berth.api_keys set revoked_at = now(), sealed_signing_key = null where id = $1 and revoked_at is null",
            id.0,
        )
        .execute(&self.pool)
        .await?;
        Ok(ended.rows_affected() > 0)
    }

    /// The key with this token, if it holds; that it was used is noted once a minute.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn api_key_of(&self, token_hash: &[u8; 32]) -> Result<Option<ApiKey>, StoreError> {
        let row = sqlx::query!(
            "with k as (
                 select id, application, kinds, last_used_at
                 from berth.api_keys
                 where token_hash = $1 and revoked_at is null and (expires_at is null or expires_at > now())
             ),
             used as (
                 update berth.api_keys a
                 set last_used_at = date_trunc('minute', now())
                 from k
                 where a.id = k.id and (k.last_used_at is null or k.last_used_at < date_trunc('minute', now()))
             )
             select id, application, kinds from k",
            token_hash.as_slice(),
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| ApiKey { id: ApiKeyId(row.id), application: row.application, kinds: row.kinds }))
    }

    /// Of these keys those that hold and may sign.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn signing_keys(&self, ids: &[ApiKeyId]) -> Result<Vec<SigningKey>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let rows = sqlx::query!(
            r#"select id, application, kinds, sealed_signing_key as "sealed!"
               from berth.api_keys
               where id = any ($1) and sealed_signing_key is not null and revoked_at is null
                 and (expires_at is null or expires_at > now())"#,
            &ids,
        )
        .fetch_all(&self.pool)
        .await?;
        let read = rows.into_iter().map(|row| SigningKey {
            key: ApiKey { id: ApiKeyId(row.id), application: row.application, kinds: row.kinds },
            sealed: row.sealed,
        });
        Ok(read.collect())
    }
}
