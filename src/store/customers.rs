//! Customers, as they are read.

use berth_jobs::ids::CustomerId;
use jiff::Timestamp;

use super::{Store, StoreError};
use crate::domain::{address::Address, invoice::Buyer};

/// Who a customer is, as far as they have said.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The subject of their token.
    pub id: CustomerId,
    /// Where mail goes.
    pub email: String,
    /// How to address them.
    pub name: Option<String>,
    /// On whose behalf they buy.
    pub company: Option<String>,
    /// ISO 3166-1 alpha-2, in capitals.
    pub country: Option<String>,
    /// Where.
    pub address: Option<Address>,
    /// By which their company is known to the tax office.
    pub vat_id: Option<String>,
    /// When they were first seen.
    pub created_at: Timestamp,
    /// When they were anonymised.
    pub deleted_at: Option<Timestamp>,
}

impl Profile {
    /// Who buys: what an order keeps as its `customer_snapshot`.
    #[must_use]
    pub fn buyer(&self) -> Buyer {
        Buyer {
            email: self.email.clone(),
            name: self.name.clone(),
            company: self.company.clone(),
            country: self.country.clone(),
            address: self.address.clone(),
            vat_id: self.vat_id.clone(),
        }
    }
}

impl Store {
    /// Who a customer is; `None` for somebody who has done nothing here yet.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn profile(&self, id: CustomerId) -> Result<Option<Profile>, StoreError> {
        let row = sqlx::query!(
            r#"select email, name, company, country as "country: String", address, vat_id, created_at, deleted_at
               from berth.customers
               where id = $1"#,
            id.0,
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let address = row.address.map(serde_json::from_value::<Address>).transpose();
        Ok(Some(Profile {
            id,
            email: row.email,
            name: row.name,
            company: row.company,
            country: row.country,
            address: address.map_err(|error| StoreError::unreadable(format!("customer {id}"), &error))?,
            vat_id: row.vat_id,
            created_at: row.created_at.to_jiff(),
            deleted_at: row.deleted_at.map(|at| at.to_jiff()),
        }))
    }

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
