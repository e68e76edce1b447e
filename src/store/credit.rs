//! Credit, as it is read.

use berth_jobs::ids::CustomerId;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::domain::money::{Currency, Money};

impl Store {
    /// What customers have of credit, where that is anything.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn credit_of(&self, customers: &[CustomerId]) -> Result<Vec<(CustomerId, Money)>, StoreError> {
        let ids: Vec<Uuid> = customers.iter().map(|id| id.0).collect();
        let rows = sqlx::query!(
            r#"select customer_id, currency as "currency!: String", balance
               from berth.credit_balances
               where customer_id = any ($1) and balance > 0"#,
            &ids,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let customer = CustomerId(row.customer_id);
                let unreadable =
                    |why: &dyn std::fmt::Display| StoreError::unreadable(format!("the credit of {customer}"), why);
                let currency: Currency = row.currency.parse().map_err(|error| unreadable(&error))?;
                Ok((customer, Money::new(row.balance, currency).map_err(|error| unreadable(&error))?))
            })
            .collect()
    }
}
