//! What the fuse counts, and the plans that it has kept.

use berth_jobs::ids::{AccountId, FusePlanId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::domain::fuse::Fused;

/// A plan that a fuse has kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FusePlan {
    /// Its id.
    pub id: FusePlanId,
    /// What was about to be done to too many.
    pub what: Fused,
    /// When.
    pub planned_at: Timestamp,
    /// When a person confirmed it.
    pub confirmed_at: Option<Timestamp>,
}

/// How much was done in a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FuseCounts {
    invoices: u64,
    charges: u64,
    suspensions: u64,
    terminations: u64,
}

impl FuseCounts {
    /// How much of one sort.
    #[must_use]
    pub const fn of(&self, what: Fused) -> u64 {
        match what {
            Fused::Invoices => self.invoices,
            Fused::Charges => self.charges,
            Fused::Suspensions => self.suspensions,
            Fused::Terminations => self.terminations,
        }
    }
}

impl Store {
    /// What was done since a time, without what a person has confirmed.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn fuse_done(&self, since: Timestamp) -> Result<FuseCounts, StoreError> {
        let row = sqlx::query_file!("src/store/queries/fuse_done.sql", since.to_sqlx()).fetch_one(&self.pool).await?;
        let count = |rows: i64| u64::try_from(rows).unwrap_or_default();
        Ok(FuseCounts {
            invoices: count(row.invoices),
            charges: count(row.charges),
            suspensions: count(row.suspensions),
            terminations: count(row.terminations),
        })
    }

    /// How many accounts there are that could be concerned.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn live_accounts(&self) -> Result<u64, StoreError> {
        let rows = sqlx::query_scalar!(
            r#"select count(*) as "rows!"
               from berth.hosting_accounts
               where phase in ('active', 'grace', 'suspending', 'suspended', 'unsuspending', 'changing')"#
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(u64::try_from(rows).unwrap_or_default())
    }

    /// A plan that was kept.
    ///
    /// # Errors
    /// When there is none, or the database does not answer.
    pub async fn fuse_plan(&self, id: FusePlanId) -> Result<FusePlan, StoreError> {
        let row = sqlx::query!("select what, planned_at, confirmed_at from berth.fuse_plans where id = $1", id.0)
            .fetch_optional(&self.pool)
            .await?
            .ok_or_else(|| StoreError::Missing(format!("plan {id}")))?;
        let what = Fused::ALL.into_iter().find(|what| what.as_str() == row.what);
        Ok(FusePlan {
            id,
            what: what.ok_or_else(|| StoreError::unreadable(format!("plan {id}"), &row.what))?,
            planned_at: row.planned_at.to_jiff(),
            confirmed_at: row.confirmed_at.map(|at| at.to_jiff()),
        })
    }

    /// The accounts of a plan, after one of them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn fuse_plan_accounts(
        &self,
        plan: FusePlanId,
        after: Uuid,
        limit: i64,
    ) -> Result<Vec<AccountId>, StoreError> {
        let ids = sqlx::query_scalar!(
            "select account_id from berth.fuse_plan_rows where plan_id = $1 and account_id > $2 order by account_id limit $3",
            plan.0,
            after,
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(ids.into_iter().map(AccountId).collect())
    }
}
