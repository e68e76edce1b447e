//! Saved cards, as they are read.

use berth_jobs::ids::CustomerId;
use jiff::Timestamp;

use super::{Store, StoreError};

/// A card that a customer has saved at Stripe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SavedCard {
    /// Stripe's id: `pm_…`.
    pub id: String,
    /// Whose.
    pub customer_id: CustomerId,
    /// `visa` …
    pub brand: Option<String>,
    /// The last four digits.
    pub last4: Option<String>,
    /// 1 to 12.
    pub exp_month: Option<i16>,
    /// Four digits.
    pub exp_year: Option<i16>,
    /// The end of its last month.
    pub expires_at: Timestamp,
    /// When it was saved.
    pub saved_at: Timestamp,
    /// Since when it is the one that is charged; `None` where another one is.
    pub default_since: Option<Timestamp>,
}

impl Store {
    /// A customer's cards, the one that is charged first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn cards_of(&self, customer: CustomerId) -> Result<Vec<SavedCard>, StoreError> {
        let rows = sqlx::query!(
            "select id, brand, last4, exp_month, exp_year, expires_at, saved_at, default_since
             from berth.cards
             where customer_id = $1 and removed_at is null
             order by default_since nulls last, saved_at desc, id",
            customer.0,
        )
        .fetch_all(&self.pool)
        .await?;
        let read = rows.into_iter().map(|row| SavedCard {
            id: row.id,
            customer_id: customer,
            brand: row.brand,
            last4: row.last4,
            exp_month: row.exp_month,
            exp_year: row.exp_year,
            expires_at: row.expires_at.to_jiff(),
            saved_at: row.saved_at.to_jiff(),
            default_since: row.default_since.map(|at| at.to_jiff()),
        });
        Ok(read.collect())
    }

    /// The card that is charged for a customer.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn card_to_charge(&self, customer: CustomerId) -> Result<Option<SavedCard>, StoreError> {
        Ok(self.cards_of(customer).await?.into_iter().find(|card| card.default_since.is_some()))
    }
}
