//! Customers, as they are read.

use berth_jobs::ids::CustomerId;

use super::{Store, StoreError};

impl Store {
    /// The id under which Stripe knows the customer, if it does.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn stripe_customer_id(&self, id: CustomerId) -> Result<Option<String>, StoreError> {
        let known = sqlx::query_scalar!("select stripe_customer_id from berth.customers where id = $1", id.0)
            .fetch_optional(&self.pool)
            .await?;
        Ok(known.flatten())
    }
}
