//! Invoices, as they were issued.

use std::collections::HashMap;

use berth_jobs::ids::{CustomerId, InvoiceId, OrderId};
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::domain::money::{Currency, Money};

/// An invoice. Nothing of it ever changes.
#[derive(Clone, Debug)]
pub struct Invoice {
    /// Its id.
    pub id: InvoiceId,
    /// By which everybody calls it.
    pub number: String,
    /// The order that was paid.
    pub order_id: OrderId,
    /// Who bought.
    pub customer_id: CustomerId,
    /// The sum before discount and tax.
    pub subtotal: Money,
    /// What was taken off.
    pub discount: Money,
    /// What was added.
    pub tax: Money,
    /// What was paid.
    pub total: Money,
    /// Who sold, as they were then.
    pub seller: Value,
    /// Who bought, as they were then.
    pub buyer: Value,
    /// What was sold.
    pub lines: Value,
    /// When.
    pub issued_at: Timestamp,
}

impl Store {
    /// The invoice of an order, if it has one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn invoice_of(&self, order: OrderId) -> Result<Option<Invoice>, StoreError> {
        let row = sqlx::query!(
            r#"select id, number, customer_id, currency as "currency!: String", subtotal, discount, tax, total,
                      seller, buyer, lines, issued_at
               from berth.invoices
               where order_id = $1"#,
            order.0,
        )
        .fetch_optional(&self.pool)
        .await?;
        let Some(row) = row else { return Ok(None) };
        let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable(format!("invoice {}", row.number), why);
        let currency: Currency = row.currency.parse().map_err(|error| unreadable(&error))?;
        let money = |amount| Money::new(amount, currency).map_err(|error| unreadable(&error));
        let (subtotal, discount) = (money(row.subtotal)?, money(row.discount)?);
        let (tax, total) = (money(row.tax)?, money(row.total)?);
        Ok(Some(Invoice {
            id: InvoiceId(row.id),
            number: row.number,
            order_id: order,
            customer_id: CustomerId(row.customer_id),
            subtotal,
            discount,
            tax,
            total,
            seller: row.seller,
            buyer: row.buyer,
            lines: row.lines,
            issued_at: row.issued_at.to_jiff(),
        }))
    }

    /// The numbers of these orders' invoices, for those that have one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn invoice_numbers(&self, orders: &[OrderId]) -> Result<HashMap<OrderId, String>, StoreError> {
        let ids: Vec<Uuid> = orders.iter().map(|id| id.0).collect();
        let rows = sqlx::query!("select order_id, number from berth.invoices where order_id = any ($1)", &ids)
            .fetch_all(&self.pool)
            .await?;
        Ok(rows.into_iter().map(|row| (OrderId(row.order_id), row.number)).collect())
    }
}
