//! Carts, as they are read.

use berth_jobs::ids::{CartItemId, CustomerId};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::Value;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::{
    domain::money::{Currency, Money},
    effects::{CartLine, PriceOverride},
};

/// A customer's cart, at one version.
#[derive(Clone, Debug)]
pub struct Cart {
    /// Whose.
    pub customer_id: CustomerId,
    /// What a write must name.
    pub version: i32,
    /// What it is priced in.
    pub currency: Currency,
    /// What it is priced with.
    pub coupon_code: Option<String>,
    /// When it was last written.
    pub updated_at: Timestamp,
    /// The newest first.
    pub lines: Vec<StoredLine>,
}

/// A line, and when it was put into the cart.
#[derive(Clone, Debug)]
pub struct StoredLine {
    /// What it holds. A price of staff's is here even when its time is over.
    pub line: CartLine,
    /// When it was added.
    pub added_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

struct CartRow {
    version: i32,
    currency: String,
    coupon_code: Option<String>,
    updated_at: jiff_sqlx::Timestamp,
    id: Option<Uuid>,
    line_key: Option<String>,
    service_id: Option<String>,
    quantity: Option<i32>,
    addon_ids: Option<Vec<String>>,
    configuration: Option<Value>,
    domain: Option<String>,
    price_override: Option<Decimal>,
    override_currency: Option<String>,
    override_by: Option<String>,
    override_reason: Option<String>,
    override_until: Option<jiff_sqlx::Timestamp>,
    added_at: Option<jiff_sqlx::Timestamp>,
    line_updated_at: Option<jiff_sqlx::Timestamp>,
}

impl Store {
    /// A customer's cart with its lines, as they were at one moment; `None` where they never had one, which a write
    /// calls version 0.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn cart(&self, customer: CustomerId) -> Result<Option<Cart>, StoreError> {
        let rows =
            sqlx::query_file_as!(CartRow, "src/store/queries/cart.sql", customer.0).fetch_all(&self.pool).await?;
        let Some(first) = rows.first() else { return Ok(None) };
        let cart = Cart {
            customer_id: customer,
            version: first.version,
            currency: first.currency.parse().map_err(|error| unreadable(customer, &error))?,
            coupon_code: first.coupon_code.clone(),
            updated_at: first.updated_at.to_jiff(),
            lines: Vec::new(),
        };
        let lines = rows.into_iter().filter_map(|row| line_from(customer, row).transpose());
        Ok(Some(Cart { lines: lines.collect::<Result<_, _>>()?, ..cart }))
    }
}

fn unreadable(customer: CustomerId, why: &dyn std::fmt::Display) -> StoreError {
    StoreError::unreadable(format!("the cart of {customer}"), why)
}

/// The line of a row; an empty cart is a row without one.
fn line_from(customer: CustomerId, row: CartRow) -> Result<Option<StoredLine>, StoreError> {
    let (Some(id), Some(line_key), Some(service_id), Some(added_at), Some(updated_at)) =
        (row.id, row.line_key, row.service_id, row.added_at, row.line_updated_at)
    else {
        return Ok(None);
    };
    let price_override =
        match (row.price_override, row.override_currency, row.override_by, row.override_reason, row.override_until) {
            (Some(amount), Some(currency), Some(by), Some(reason), Some(until)) => {
                let currency: Currency = currency.parse().map_err(|error| unreadable(customer, &error))?;
                let price = Money::new(amount, currency).map_err(|error| unreadable(customer, &error))?;
                Some(PriceOverride { price, by, reason, until: until.to_jiff() })
            }
            _ => None,
        };
    Ok(Some(StoredLine {
        line: CartLine {
            id: CartItemId(id),
            line_key,
            service_id,
            quantity: row.quantity.and_then(|quantity| u32::try_from(quantity).ok()).unwrap_or(0),
            addon_ids: row.addon_ids.unwrap_or_default(),
            configuration: row.configuration.unwrap_or_default(),
            domain: row.domain,
            price_override,
        },
        added_at: added_at.to_jiff(),
        updated_at: updated_at.to_jiff(),
    }))
}
