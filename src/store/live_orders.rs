//! Orders that somebody listens to: how each stands now, and its accounts.

use std::collections::BTreeMap;

use berth_jobs::ids::{AccountId, OrderId};
use uuid::Uuid;

use super::{Store, StoreError};
use crate::domain::{account::AccountPhase, order::OrderPhase};

/// How an order stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LiveOrder {
    /// Which.
    pub id: OrderId,
    /// Where it stands.
    pub phase: OrderPhase,
    /// Counts its steps and those of its accounts: raised by each of them, and never taken back.
    pub change: i64,
    /// Where its accounts stand, in the order in which they were made.
    pub accounts: Vec<(AccountId, AccountPhase)>,
}

impl Store {
    /// How these orders stand; those that do not exist are left out.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn live_orders(&self, ids: &[OrderId]) -> Result<Vec<LiveOrder>, StoreError> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let rows = sqlx::query!(
            r#"select o.id, o.phase, o.version, a.id as "account_id?", a.phase as "account_phase?",
                      a.version as "account_version?"
               from berth.orders o
               left join berth.hosting_accounts a on a.order_id = o.id
               where o.id = any ($1)
               order by o.id, a.id"#,
            &ids,
        )
        .fetch_all(&self.pool)
        .await?;
        let mut orders: BTreeMap<Uuid, LiveOrder> = BTreeMap::new();
        for row in rows {
            let id = OrderId(row.id);
            let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable(format!("order {id}"), why);
            let phase: OrderPhase = row.phase.parse().map_err(|error| unreadable(&error))?;
            let order = orders.entry(row.id).or_insert_with(|| LiveOrder {
                id,
                phase,
                change: i64::from(row.version),
                accounts: Vec::new(),
            });
            let account = (row.account_id, row.account_phase, row.account_version);
            if let (Some(account), Some(phase), Some(version)) = account {
                let phase: AccountPhase = phase.parse().map_err(|error| unreadable(&error))?;
                order.accounts.push((AccountId(account), phase));
                order.change = order.change.saturating_add(i64::from(version));
            }
        }
        Ok(orders.into_values().collect())
    }
}
