//! Finding whatever a text names.

use serde::Serialize;

use super::{
    super::{Store, StoreError},
    jobs::like,
};

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// `order`, `account`, `customer`, `job`, `mail`, `event`, `invoice` or `server`.
    pub sort: String,
    /// Its id, as its page is found by.
    pub id: String,
    /// What it is.
    pub title: String,
    /// Why it was found.
    pub by: String,
}

impl Store {
    /// What is known under a text: Stripe's ids, invoice numbers, usernames, domains, addresses and names; whole first, then
    /// in part, at most 50. Berth's own ids need no search.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn console_search(&self, text: &str) -> Result<Vec<Found>, StoreError> {
        Ok(sqlx::query_file_as!(Found, "src/store/queries/console_search.sql", text, like(text))
            .fetch_all(&self.pool)
            .await?)
    }
}
