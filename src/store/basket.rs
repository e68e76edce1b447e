//! What is known of things that somebody wants to buy.

use std::collections::BTreeSet;

use berth_jobs::ids::CustomerId;

use super::{Store, StoreError};

impl Store {
    /// Those of these domains, in lower case, at which an account lives.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn taken_domains(&self, domains: &[String]) -> Result<BTreeSet<String>, StoreError> {
        if domains.is_empty() {
            return Ok(BTreeSet::new());
        }
        let taken = sqlx::query_scalar!(
            r#"select lower(domain) as "domain!"
               from berth.hosting_accounts
               where lower(domain) = any ($1) and domain is not null and phase <> 'terminated'"#,
            domains,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(taken.into_iter().collect())
    }

    /// Those of these services which the customer has bought: ordered, and not without paying.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn services_bought(
        &self,
        customer: CustomerId,
        services: &[String],
    ) -> Result<BTreeSet<String>, StoreError> {
        if services.is_empty() {
            return Ok(BTreeSet::new());
        }
        let bought = sqlx::query_scalar!(
            "select distinct i.service_id
             from berth.orders o
             join berth.order_items i on i.order_id = o.id
             where o.customer_id = $1
               and o.phase not in ('pending', 'failed', 'cancelled', 'withdrawn', 'rejected')
               and i.service_id = any ($2)",
            customer.0,
            services,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(bought.into_iter().collect())
    }
}
