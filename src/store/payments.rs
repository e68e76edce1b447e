//! Money that came, as it is read.

use berth_jobs::ids::OrderId;

use super::{Store, StoreError};
use crate::domain::money::{Currency, Money};

/// Money that came for an order.
#[derive(Clone, Debug)]
pub struct Payment {
    /// How much.
    pub amount: Money,
    /// Stripe's page that it was paid on.
    pub session: Option<String>,
    /// Stripe's payment.
    pub intent: Option<String>,
}

impl Store {
    /// What has come for an order: by which of Stripe's payments, and how much.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn payment_of(&self, order: OrderId) -> Result<Option<Payment>, StoreError> {
        let row = sqlx::query!(
            r#"select currency as "currency!: String", amount, stripe_session_id, stripe_payment_intent_id
               from berth.payments
               where order_id = $1 and state = 'succeeded'"#,
            order.0,
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable(format!("payment of order {order}"), why);
        let currency: Currency = row.currency.parse().map_err(|error| unreadable(&error))?;
        let amount = Money::new(row.amount, currency).map_err(|error| unreadable(&error))?;
        Ok(Some(Payment { amount, session: row.stripe_session_id, intent: row.stripe_payment_intent_id }))
    }
}
