//! What the next period of accounts is priced by, and who pays for it.

use std::collections::HashMap;

use berth_jobs::ids::{AccountId, CouponId};
use rust_decimal::Decimal;
use serde_json::Value;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::domain::{
    address::Address,
    catalogue::ServiceType,
    money::{Currency, Money},
};

/// What the next period of an account is priced by.
#[derive(Clone, Debug)]
pub struct RenewalTerms {
    /// The currency that it was sold in.
    pub currency: Currency,
    /// The options that it has: an object.
    pub configuration: Value,
    /// The add-ons that it has, each an object of id, name and price.
    pub addons: Value,
    /// shared, vps, cloud or wordpress.
    pub service_type: ServiceType,
    /// The tier.
    pub plan_name: String,
    /// The panel's package.
    pub package: String,
    /// The pool of servers it belongs to.
    pub pool: String,
    /// What it was sold at for each period, where that is locked.
    pub locked: Option<Money>,
    /// What the tax rates called it at the time of the sale.
    pub tax_category: Option<String>,
    /// The coupon that it was bought with.
    pub coupon: Option<(CouponId, String)>,
    /// Which cycle the next one is; the first one was bought.
    pub cycle: u32,
    /// On whose behalf its customer buys.
    pub company: Option<String>,
    /// Where its customer lives.
    pub country: Option<String>,
    /// Their address.
    pub address: Option<Address>,
    /// By which their company is known to the tax office.
    pub vat_id: Option<String>,
}

struct Row {
    id: Uuid,
    currency: String,
    configuration: Value,
    addons: Value,
    service_type: String,
    plan_name: String,
    package: String,
    pool: String,
    renewal_price: Option<Decimal>,
    tax_category: Option<String>,
    coupon_id: Option<Uuid>,
    coupon_code: Option<String>,
    renewals: i64,
    company: Option<String>,
    country: Option<String>,
    address: Option<Value>,
    vat_id: Option<String>,
}

impl Row {
    fn read(self) -> Result<(AccountId, RenewalTerms), StoreError> {
        let id = AccountId(self.id);
        let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable(format!("the terms of {id}"), why);
        let currency: Currency = self.currency.parse().map_err(|error| unreadable(&error))?;
        let locked = self.renewal_price.map(|price| Money::new(price, currency)).transpose();
        let terms = RenewalTerms {
            currency,
            configuration: self.configuration,
            addons: self.addons,
            service_type: self.service_type.parse().map_err(|error| unreadable(&error))?,
            plan_name: self.plan_name,
            package: self.package,
            pool: self.pool,
            locked: locked.map_err(|error| unreadable(&error))?,
            tax_category: self.tax_category,
            coupon: self.coupon_id.map(CouponId).zip(self.coupon_code),
            cycle: u32::try_from(self.renewals).unwrap_or(u32::MAX).saturating_add(2),
            company: self.company,
            country: self.country,
            address: self.address.map(serde_json::from_value).transpose().map_err(|error| unreadable(&error))?,
            vat_id: self.vat_id,
        };
        Ok((id, terms))
    }
}

impl Store {
    /// What the next period of these accounts is priced by.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn renewal_terms(&self, accounts: &[AccountId]) -> Result<HashMap<AccountId, RenewalTerms>, StoreError> {
        if accounts.is_empty() {
            return Ok(HashMap::new());
        }
        let ids: Vec<Uuid> = accounts.iter().map(|id| id.0).collect();
        let mut db = self.pool.begin_by_index().await?;
        let rows = sqlx::query_file_as!(Row, "src/store/queries/renewal_terms.sql", &ids).fetch_all(&mut *db).await?;
        db.commit().await?;
        rows.into_iter().map(Row::read).collect()
    }
}
