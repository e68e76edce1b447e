//! Credit notes, as they were issued.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

use berth_jobs::ids::{CreditNoteId, CustomerId, InvoiceId, OrderId, RefundId};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::Value;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::domain::{
    invoice::{Buyer, Seller},
    money::{Currency, Money},
    refund::CreditLine,
};

/// A credit note: what takes back an invoice, or a part of it.
#[derive(Clone, Debug)]
pub struct CreditNote {
    /// Its id.
    pub id: CreditNoteId,
    /// By which everybody calls it.
    pub number: String,
    /// The invoice that it takes back.
    pub invoice_id: InvoiceId,
    /// The invoice's number.
    pub invoice_number: String,
    /// The order of the invoice.
    pub order_id: OrderId,
    /// Whose.
    pub customer_id: CustomerId,
    /// The refund that it is for; `None` where the invoice was never paid.
    pub refund_id: Option<RefundId>,
    /// Why, in words that the customer may read.
    pub reason: String,
    /// Without tax, the discount taken off.
    pub subtotal: Money,
    /// The tax on it.
    pub tax: Money,
    /// Both together.
    pub total: Money,
    /// Who sold, as they were then.
    pub seller: Seller,
    /// Who bought, as they were then.
    pub buyer: Buyer,
    /// What of which lines.
    pub lines: Vec<CreditLine>,
    /// When.
    pub issued_at: Timestamp,
    /// When it was known that its money has come back.
    pub cancelled_at: Option<Timestamp>,
}

struct Row {
    id: Uuid,
    number: String,
    invoice_id: Uuid,
    invoice_number: String,
    order_id: Uuid,
    customer_id: Uuid,
    refund_id: Option<Uuid>,
    currency: String,
    reason: String,
    subtotal: Decimal,
    tax: Decimal,
    total: Decimal,
    seller: Value,
    buyer: Value,
    lines: Value,
    issued_at: jiff_sqlx::Timestamp,
    cancelled_at: Option<jiff_sqlx::Timestamp>,
}

impl Row {
    fn read(self) -> Result<CreditNote, StoreError> {
        let what = format!("credit note {}", self.number);
        let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable(&what, why);
        let currency: Currency = self.currency.parse().map_err(|error| unreadable(&error))?;
        let money = |amount| Money::new(amount, currency).map_err(|error| unreadable(&error));
        Ok(CreditNote {
            id: CreditNoteId(self.id),
            invoice_id: InvoiceId(self.invoice_id),
            invoice_number: self.invoice_number,
            order_id: OrderId(self.order_id),
            customer_id: CustomerId(self.customer_id),
            refund_id: self.refund_id.map(RefundId),
            reason: self.reason,
            subtotal: money(self.subtotal)?,
            tax: money(self.tax)?,
            total: money(self.total)?,
            seller: serde_json::from_value(self.seller).map_err(|error| unreadable(&error))?,
            buyer: serde_json::from_value(self.buyer).map_err(|error| unreadable(&error))?,
            lines: serde_json::from_value(self.lines).map_err(|error| unreadable(&error))?,
            issued_at: self.issued_at.to_jiff(),
            cancelled_at: self.cancelled_at.map(|at| at.to_jiff()),
            number: self.number,
        })
    }
}

impl Store {
    /// A credit note.
    ///
    /// # Errors
    /// When there is none, or the database does not answer.
    pub async fn credit_note(&self, id: CreditNoteId) -> Result<CreditNote, StoreError> {
        let found = self.credit_notes_where(Some(id), None, None, None, 1).await?.pop();
        found.ok_or_else(|| StoreError::Missing(format!("credit note {id}")))
    }

    /// A customer's credit notes, the newest first, those before `before`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn credit_notes_of(
        &self,
        customer: CustomerId,
        before: Option<CreditNoteId>,
        limit: i64,
    ) -> Result<Vec<CreditNote>, StoreError> {
        self.credit_notes_where(None, Some(customer), None, before, limit).await
    }

    /// An invoice's credit notes that stand, at most so many, the newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn credit_notes_on(&self, invoice: InvoiceId, most: i64) -> Result<Vec<CreditNote>, StoreError> {
        let notes = self.credit_notes_where(None, None, Some(invoice), None, most).await?;
        Ok(notes.into_iter().filter(|note| note.cancelled_at.is_none()).collect())
    }

    async fn credit_notes_where(
        &self,
        id: Option<CreditNoteId>,
        customer: Option<CustomerId>,
        invoice: Option<InvoiceId>,
        before: Option<CreditNoteId>,
        limit: i64,
    ) -> Result<Vec<CreditNote>, StoreError> {
        let rows = sqlx::query_as!(
            Row,
            r#"select c.id, c.number, c.invoice_id, i.number as invoice_number, c.order_id, c.customer_id, c.refund_id,
                      c.currency as "currency!: String", c.reason, c.subtotal, c.tax, c.total, c.seller, c.buyer,
                      c.lines, c.issued_at, c.cancelled_at
               from berth.credit_notes c
               join berth.invoices i on i.id = c.invoice_id
               where (c.id = $1 or c.customer_id = $2 or c.invoice_id = $3)
                 and ($4::uuid is null
                      or c.sequence < (select b.sequence from berth.credit_notes b where b.id = $4))
               order by c.sequence desc
               limit $5"#,
            id.map(|id| id.0) as Option<Uuid>,
            customer.map(|id| id.0) as Option<Uuid>,
            invoice.map(|id| id.0) as Option<Uuid>,
            before.map(|id| id.0) as Option<Uuid>,
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter().map(Row::read).collect()
    }
}
