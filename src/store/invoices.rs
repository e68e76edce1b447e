//! Invoices: as they were issued, and what one says when it is.

use std::collections::HashMap;

use berth_jobs::ids::{CustomerId, InvoiceId, OrderId};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use super::{
    Store, StoreError,
    orders::{Order, OrderItem},
};
use crate::{
    domain::{
        catalogue::Catalogue,
        configuration::Configuration,
        invoice::{self, Agreement, Buyer, InvoiceLine, InvoicePeriod, NUMBER_PREFIX, Seller, SoldUnit},
        money::{Currency, Money, MoneyError},
    },
    effects::NewInvoice,
};

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
    pub seller: Seller,
    /// Who bought, as they were then.
    pub buyer: Buyer,
    /// What was sold.
    pub lines: Vec<InvoiceLine>,
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
        let what = format!("invoice {}", row.number);
        let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable(&what, why);
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
            seller: serde_json::from_value(row.seller).map_err(|error| unreadable(&error))?,
            buyer: serde_json::from_value(row.buyer).map_err(|error| unreadable(&error))?,
            lines: serde_json::from_value(row.lines).map_err(|error| unreadable(&error))?,
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

impl Order {
    /// The invoice that this order gets when it is paid: none, when it was agreed without saying who buys.
    ///
    /// # Errors
    /// When what it keeps of its units or its customer cannot be read.
    pub fn invoice(
        &self,
        seller: &Seller,
        catalogue: &Catalogue,
        issued_at: Timestamp,
    ) -> Result<Option<NewInvoice>, StoreError> {
        self.invoice_for(None, seller, catalogue, issued_at)
    }

    /// As [`invoice`](Self::invoice), for a renewal of a period.
    ///
    /// # Errors
    /// As [`invoice`](Self::invoice).
    pub fn invoice_for(
        &self,
        period: Option<InvoicePeriod>,
        seller: &Seller,
        catalogue: &Catalogue,
        issued_at: Timestamp,
    ) -> Result<Option<NewInvoice>, StoreError> {
        let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable(format!("order {}", self.state.id), why);
        let Some(snapshot) = &self.customer_snapshot else { return Ok(None) };
        let buyer = Buyer::deserialize(snapshot).map_err(|error| unreadable(&error))?;
        let units =
            self.items.iter().map(sold_unit).collect::<Result<Vec<_>, _>>().map_err(|error| unreadable(&error))?;
        let agreement = Agreement {
            coupon: self.coupon.as_ref().map(|(_, code)| code.as_str()),
            tax_note: self.tax_note.as_deref(),
            period,
        };
        let lines = invoice::lines(&units, agreement, catalogue).map_err(|error| unreadable(&error))?;
        Ok(Some(NewInvoice {
            id: InvoiceId::new(),
            order_id: self.state.id,
            customer_id: self.customer.id,
            prefix: NUMBER_PREFIX.to_owned(),
            subtotal: self.subtotal,
            discount: self.discount,
            tax: self.tax,
            total: self.total,
            seller: json!(seller),
            buyer: json!(buyer),
            lines: json!(lines),
            issued_at,
        }))
    }
}

/// Why a unit does not read as it was written.
#[derive(Debug, thiserror::Error)]
enum BadUnit {
    #[error("a unit's options or add-ons cannot be read")]
    Json(#[from] serde_json::Error),
    #[error("a unit's set-up fee cannot be read")]
    Money(#[from] MoneyError),
}

fn sold_unit(item: &OrderItem) -> Result<SoldUnit<'_>, BadUnit> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
    }
    // Units that were agreed without options or add-ons may say null.
    let configuration: Option<Configuration> = Option::deserialize(&item.terms.configuration)?;
    let addons: Option<Vec<Named>> = Option::deserialize(&item.terms.addons)?;
    Ok(SoldUnit {
        service_id: &item.service_id,
        name: &item.name,
        plan_name: &item.plan_name,
        billing_cycle: &item.billing_cycle,
        price: item.price,
        setup_fee: Money::new(item.terms.setup_fee, item.price.currency())?,
        discount: item.discount,
        tax: item.tax,
        tax_rate: item.terms.tax_rate,
        total: item.total,
        configuration: configuration.unwrap_or_default(),
        addons: addons.unwrap_or_default().into_iter().map(|addon| addon.name).collect(),
        domain: item.terms.domain.as_deref(),
        trial_days: item.terms.trial_days,
    })
}
