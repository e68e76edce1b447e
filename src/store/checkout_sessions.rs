//! The pages that orders are or were paid on, as they are read.

use berth_jobs::ids::{CustomerId, OrderId};
use jiff::Timestamp;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::effects::SessionState;

/// A page at Stripe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSession {
    /// Stripe's id.
    pub id: String,
    /// The order that it is for.
    pub order_id: OrderId,
    /// The order's `session_version` that it was opened for.
    pub version: i32,
    /// The version of the cart that its order was made from.
    pub cart_version: Option<i32>,
    /// How it stands, as far as Stripe has told.
    pub state: SessionState,
    /// Where the customer pays.
    pub url: Option<String>,
    /// Until when.
    pub expires_at: Option<Timestamp>,
    /// When it was opened.
    pub opened_at: Timestamp,
}

struct SessionRow {
    id: String,
    order_id: Uuid,
    version: i32,
    cart_version: Option<i32>,
    state: String,
    url: Option<String>,
    expires_at: Option<jiff_sqlx::Timestamp>,
    opened_at: jiff_sqlx::Timestamp,
}

impl Store {
    /// All pages of an order, the first one first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sessions_of(&self, order: OrderId) -> Result<Vec<StoredSession>, StoreError> {
        let rows = sqlx::query_as!(
            SessionRow,
            "select s.id, s.order_id, s.version, o.cart_version, s.state, s.url, s.expires_at, s.opened_at
             from berth.checkout_sessions s
             join berth.orders o on o.id = s.order_id
             where s.order_id = $1
             order by s.version",
            order.0,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(session_from).collect()
    }

    /// The pages that a customer could still pay on, for whichever of their orders, the oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn open_sessions_of(&self, customer: CustomerId) -> Result<Vec<StoredSession>, StoreError> {
        let rows = sqlx::query_as!(
            SessionRow,
            "select s.id, s.order_id, s.version, o.cart_version, s.state, s.url, s.expires_at, s.opened_at
             from berth.orders o
             join berth.checkout_sessions s on s.order_id = o.id
             where o.customer_id = $1 and s.state = 'open'
             order by s.opened_at, s.id",
            customer.0,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(session_from).collect()
    }
}

fn session_from(row: SessionRow) -> Result<StoredSession, StoreError> {
    let states = [SessionState::Open, SessionState::Expired, SessionState::Paid];
    let state = states.into_iter().find(|state| state.as_str() == row.state);
    let state = state.ok_or_else(|| StoreError::unreadable(format!("session {}", row.id), &row.state))?;
    Ok(StoredSession {
        id: row.id,
        order_id: OrderId(row.order_id),
        version: row.version,
        cart_version: row.cart_version,
        state,
        url: row.url,
        expires_at: row.expires_at.map(|at| at.to_jiff()),
        opened_at: row.opened_at.to_jiff(),
    })
}
