//! Payments, as they are read.

use berth_jobs::ids::{OrderId, PaymentId};
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::domain::money::{Currency, Money};

/// Money that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Its id.
    pub id: PaymentId,
    /// The order that it came for.
    pub order_id: OrderId,
    /// What became of it.
    pub state: PaymentState,
    /// How much.
    pub amount: Money,
    /// Through which page.
    pub session: Option<String>,
    /// By which intent.
    pub intent: Option<String>,
}

/// What became of a payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaymentState {
    /// It has paid its order.
    Succeeded,
    /// It is not owed, and will go back.
    Surplus,
    /// It has gone back.
    Refunded,
    /// It came for what could not be done, and is its customer's credit.
    Credited,
    /// It never came, or nobody knows.
    Other,
}

impl PaymentState {
    fn of(name: &str) -> Self {
        match name {
            "succeeded" => Self::Succeeded,
            "surplus" => Self::Surplus,
            "refunded" => Self::Refunded,
            "credited" => Self::Credited,
            _ => Self::Other,
        }
    }
}

struct PaymentRow {
    id: Uuid,
    order_id: Uuid,
    state: String,
    currency: String,
    amount: Decimal,
    stripe_session_id: Option<String>,
    stripe_payment_intent_id: Option<String>,
}

impl Store {
    /// A payment.
    ///
    /// # Errors
    /// When there is none, or the database does not answer.
    pub async fn payment(&self, id: PaymentId) -> Result<Payment, StoreError> {
        let row = sqlx::query_as!(
            PaymentRow,
            r#"select id, order_id, state, currency as "currency!: String", amount, stripe_session_id,
                      stripe_payment_intent_id
               from berth.payments
               where id = $1"#,
            id.0,
        )
        .fetch_optional(&self.pool)
        .await?;
        payment_from(row.ok_or_else(|| StoreError::Missing(format!("payment {id}")))?)
    }

    /// What has paid an order.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn payment_of(&self, order: OrderId) -> Result<Option<Payment>, StoreError> {
        let payments = self.payments_of(order).await?;
        Ok(payments.into_iter().find(|payment| payment.state == PaymentState::Succeeded))
    }

    /// The payment that an intent has made, if it is one of ours.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn payment_by_intent(&self, intent: &str) -> Result<Option<Payment>, StoreError> {
        let row = sqlx::query_as!(
            PaymentRow,
            r#"select id, order_id, state, currency as "currency!: String", amount, stripe_session_id,
                      stripe_payment_intent_id
               from berth.payments
               where stripe_payment_intent_id = $1"#,
            intent,
        )
        .fetch_optional(&self.pool)
        .await?;
        row.map(payment_from).transpose()
    }

    /// Everything that came for an order, the first one first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn payments_of(&self, order: OrderId) -> Result<Vec<Payment>, StoreError> {
        let rows = sqlx::query_as!(
            PaymentRow,
            r#"select id, order_id, state, currency as "currency!: String", amount, stripe_session_id,
                      stripe_payment_intent_id
               from berth.payments
               where order_id = $1
               order by created_at, id"#,
            order.0,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(payment_from).collect()
    }
}

fn payment_from(row: PaymentRow) -> Result<Payment, StoreError> {
    let id = PaymentId(row.id);
    let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable(format!("payment {id}"), why);
    let currency: Currency = row.currency.parse().map_err(|error| unreadable(&error))?;
    Ok(Payment {
        id,
        order_id: OrderId(row.order_id),
        state: PaymentState::of(&row.state),
        amount: Money::new(row.amount, currency).map_err(|error| unreadable(&error))?,
        session: row.stripe_session_id,
        intent: row.stripe_payment_intent_id,
    })
}
