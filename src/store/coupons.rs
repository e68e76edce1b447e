//! Coupons, as they are read. What they are worth is decided elsewhere.

use berth_jobs::ids::{CouponId, CustomerId};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::Value;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::{
    domain::{
        coupon::{Coupon, CouponDiscount},
        money::{Currency, Money},
        percent::Percent,
    },
    effects::{CouponAmount, CouponTerms},
};

/// A coupon as it stands.
#[derive(Clone, Debug)]
pub struct StoredCoupon {
    /// Its id.
    pub id: CouponId,
    /// Its code, in capitals.
    pub code: String,
    /// What it grants, to whom and when.
    pub terms: CouponTerms,
    /// How often it is used in all: reserved or committed.
    pub uses: u32,
    /// How often by the customer who asks; 0 where nobody is named.
    pub uses_by_customer: u32,
    /// How many of these by orders that are not paid yet.
    pub reserved_by_customer: u32,
    /// Who made it.
    pub created_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

impl StoredCoupon {
    /// The coupon, for whoever decides what it is worth.
    ///
    /// # Errors
    /// When its row says what no coupon can be.
    pub fn coupon(&self) -> Result<Coupon, StoreError> {
        let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable(format!("coupon {}", self.id), why);
        let by_currency = |amounts: &[Money]| amounts.iter().map(|amount| (amount.currency(), *amount)).collect();
        Ok(Coupon {
            id: self.id,
            code: self.code.parse().map_err(|error| unreadable(&error))?,
            discount: match &self.terms.amount {
                CouponAmount::Percentage(percent) => {
                    CouponDiscount::Percentage(Percent::new(*percent).map_err(|error| unreadable(&error))?)
                }
                CouponAmount::Fixed(amounts) => CouponDiscount::Fixed(by_currency(amounts)),
            },
            starts_at: self.terms.starts_at,
            ends_at: self.terms.ends_at,
            max_uses: self.terms.max_uses,
            max_uses_per_customer: self.terms.max_uses_per_customer,
            minimum_spend: by_currency(&self.terms.minimum_spend),
            services: self.terms.services.iter().cloned().collect(),
            cycles: self.terms.cycles,
            active: self.terms.active,
        })
    }
}

struct CouponRow {
    id: Uuid,
    code: String,
    discount_type: String,
    percentage: Option<Decimal>,
    fixed: Option<Value>,
    starts_at: Option<jiff_sqlx::Timestamp>,
    ends_at: Option<jiff_sqlx::Timestamp>,
    max_uses: Option<i32>,
    max_uses_per_customer: Option<i32>,
    minimum_spend: Value,
    services: Vec<String>,
    cycles: Option<i32>,
    active: bool,
    uses: i32,
    uses_by_customer: i64,
    reserved_by_customer: i64,
    created_by: String,
    created_at: jiff_sqlx::Timestamp,
    updated_at: jiff_sqlx::Timestamp,
}

impl Store {
    /// The coupon with this code, however it is spelt, and how often the customer has used it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn coupon_by_code(
        &self,
        code: &str,
        customer: Option<CustomerId>,
    ) -> Result<Option<StoredCoupon>, StoreError> {
        self.find_coupon(None, Some(code.trim().to_uppercase()), customer).await
    }

    /// A coupon.
    ///
    /// # Errors
    /// When there is none, or the database does not answer.
    pub async fn coupon(&self, id: CouponId) -> Result<StoredCoupon, StoreError> {
        self.find_coupon(Some(id), None, None).await?.ok_or_else(|| StoreError::Missing(format!("coupon {id}")))
    }

    async fn find_coupon(
        &self,
        id: Option<CouponId>,
        code: Option<String>,
        customer: Option<CustomerId>,
    ) -> Result<Option<StoredCoupon>, StoreError> {
        let row = sqlx::query_file_as!(
            CouponRow,
            "src/store/queries/coupon.sql",
            id.map(|id| id.0),
            code,
            customer.map(|customer| customer.0),
        )
        .fetch_optional(&self.pool)
        .await?;
        row.map(coupon_from).transpose()
    }

    /// All coupons for staff, newest first, after a cursor.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn coupons(&self, before: Option<CouponId>, limit: i64) -> Result<Vec<StoredCoupon>, StoreError> {
        let rows = sqlx::query_file_as!(CouponRow, "src/store/queries/coupons.sql", before.map(|id| id.0), limit)
            .fetch_all(&self.pool)
            .await?;
        rows.into_iter().map(coupon_from).collect()
    }
}

fn coupon_from(row: CouponRow) -> Result<StoredCoupon, StoreError> {
    let id = CouponId(row.id);
    let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable(format!("coupon {id}"), why);
    let count = |number: i32| u32::try_from(number).map_err(|error| unreadable(&error));
    let amount = match (row.percentage, &row.fixed) {
        (Some(percentage), None) => CouponAmount::Percentage(percentage),
        (None, Some(fixed)) => CouponAmount::Fixed(amounts_from(id, fixed)?),
        _ => return Err(unreadable(&format!("a discount of type {}", row.discount_type))),
    };
    Ok(StoredCoupon {
        id,
        code: row.code,
        terms: CouponTerms {
            amount,
            starts_at: row.starts_at.map(|at| at.to_jiff()),
            ends_at: row.ends_at.map(|at| at.to_jiff()),
            max_uses: row.max_uses.map(count).transpose()?,
            max_uses_per_customer: row.max_uses_per_customer.map(count).transpose()?,
            minimum_spend: amounts_from(id, &row.minimum_spend)?,
            services: row.services,
            cycles: row.cycles.map(count).transpose()?,
            active: row.active,
        },
        uses: count(row.uses)?,
        uses_by_customer: u32::try_from(row.uses_by_customer).map_err(|error| unreadable(&error))?,
        reserved_by_customer: u32::try_from(row.reserved_by_customer).map_err(|error| unreadable(&error))?,
        created_by: row.created_by,
        created_at: row.created_at.to_jiff(),
        updated_at: row.updated_at.to_jiff(),
    })
}

/// The amounts of an object of decimal texts by currency.
fn amounts_from(id: CouponId, amounts: &Value) -> Result<Vec<Money>, StoreError> {
    let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable(format!("coupon {id}"), why);
    let entries = amounts.as_object().ok_or_else(|| unreadable(&"its amounts are no object"))?;
    entries
        .iter()
        .map(|(currency, amount)| {
            let currency: Currency = currency.parse().map_err(|error| unreadable(&error))?;
            Money::parse(amount.as_str().unwrap_or_default(), currency).map_err(|error| unreadable(&error))
        })
        .collect()
}
