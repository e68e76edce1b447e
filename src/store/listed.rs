//! What the database knows of accounts that a server has listed.

use berth_jobs::ids::AccountId;
use jiff::Timestamp;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::domain::account::AccountPhase;

/// An account, as far as it is held against a server's list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownAccount {
    /// Which.
    pub id: AccountId,
    /// The server that it is placed on.
    pub server: Option<String>,
    /// Its login there.
    pub username: Option<String>,
    /// The panel's own id.
    pub remote_id: Option<String>,
    /// Since when it is gone from its panel, if it has ended.
    pub ended_at: Option<Timestamp>,
}

/// An account that is placed on a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedAccount {
    /// Which.
    pub id: AccountId,
    /// Its login there.
    pub username: String,
    /// Where it stands.
    pub phase: AccountPhase,
}

struct KnownRow {
    id: Uuid,
    server: Option<String>,
    username: Option<String>,
    remote_id: Option<String>,
    ended_at: Option<jiff_sqlx::Timestamp>,
}

impl From<KnownRow> for KnownAccount {
    fn from(row: KnownRow) -> Self {
        Self {
            id: AccountId(row.id),
            server: row.server,
            username: row.username,
            remote_id: row.remote_id,
            ended_at: row.ended_at.map(|at| at.to_jiff()),
        }
    }
}

impl Store {
    /// Those of these accounts that there are, in every state.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn accounts_by_id(&self, ids: &[AccountId]) -> Result<Vec<KnownAccount>, StoreError> {
        let rows = sqlx::query_as!(
            KnownRow,
            r#"select id, server, username, remote_id,
                   case when phase = 'terminated' then coalesce(terminated_at, created_at) end
                       as "ended_at: jiff_sqlx::Timestamp"
               from berth.hosting_accounts
               where id = any ($1)"#,
            &ids.iter().map(|id| id.0).collect::<Vec<_>>(),
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(KnownAccount::from).collect())
    }

    /// The accounts that are placed on a server and have not ended, by name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn accounts_placed_on(&self, server: &str) -> Result<Vec<PlacedAccount>, StoreError> {
        let rows = sqlx::query!(
            r#"select id, username as "username!", phase
               from berth.hosting_accounts
               where server = $1 and username is not null and phase not in ('terminated', 'failed')
               order by username"#,
            server,
        )
        .fetch_all(&self.pool)
        .await?;
        let read = rows.into_iter().map(|row| {
            let id = AccountId(row.id);
            let phase = row.phase.parse().map_err(|error| StoreError::unreadable(format!("account {id}"), &error))?;
            Ok(PlacedAccount { id, username: row.username, phase })
        });
        read.collect()
    }

    /// The accounts with these names, on whichever servers and in every state. Reads all accounts: names are found by their
    /// servers elsewhere.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn accounts_by_name(&self, usernames: &[String]) -> Result<Vec<KnownAccount>, StoreError> {
        if usernames.is_empty() {
            return Ok(Vec::new());
        }
        let rows = sqlx::query_as!(
            KnownRow,
            r#"select id, server, username, remote_id,
                   case when phase = 'terminated' then coalesce(terminated_at, created_at) end
                       as "ended_at: jiff_sqlx::Timestamp"
               from berth.hosting_accounts
               where username = any ($1)"#,
            usernames,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(KnownAccount::from).collect())
    }
}
