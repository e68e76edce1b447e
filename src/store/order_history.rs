//! How orders came to stand where they stand.

use berth_jobs::ids::OrderId;
use jiff::Timestamp;

use super::{Store, StoreError};
use crate::domain::order::OrderPhase;

/// One step of an order's history.
#[derive(Clone, Debug)]
pub struct OrderStep {
    /// The phase that was left; `None` at the beginning.
    pub from: Option<OrderPhase>,
    /// The phase that was reached.
    pub to: OrderPhase,
    /// Why.
    pub reason: String,
    /// Who brought it about; `None` where that was not written down.
    pub actor: Option<String>,
    /// When.
    pub at: Timestamp,
}

impl Store {
    /// The order's history, oldest step first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn order_history(&self, id: OrderId) -> Result<Vec<OrderStep>, StoreError> {
        let rows = sqlx::query!(
            "select from_phase, to_phase, reason, actor, at
             from berth.order_history
             where order_id = $1
             order by version",
            id.0,
        )
        .fetch_all(&self.pool)
        .await?;
        let phase = |name: &str| {
            name.parse::<OrderPhase>().map_err(|error| StoreError::unreadable(format!("history of order {id}"), error))
        };
        let step = |from: Option<String>, to: String, reason, actor, at| {
            Ok(OrderStep { from: from.as_deref().map(phase).transpose()?, to: phase(&to)?, reason, actor, at })
        };
        rows.into_iter()
            .map(|row| step(row.from_phase, row.to_phase, row.reason, row.actor, row.at.to_jiff()))
            .collect()
    }
}
