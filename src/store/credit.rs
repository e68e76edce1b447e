//! Credit, as it is read.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

use berth_jobs::ids::{AccountId, CreditEntryId, CustomerId, OrderId};
use jiff::Timestamp;
use rust_decimal::Decimal;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::domain::money::{Currency, Money};

/// What a customer has of credit in one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreditBalance {
    /// All of it.
    pub balance: Money,
    /// What of it staff has granted, which can be taken back.
    pub goodwill: Money,
}

/// A movement of credit.
#[derive(Clone, Debug)]
pub struct CreditEntry {
    /// Its id.
    pub id: CreditEntryId,
    /// Whether the balance fell by it.
    pub takes: bool,
    /// How much.
    pub amount: Money,
    /// How much of that is goodwill.
    pub goodwill: Money,
    /// Why: used, restored, proration, overpayment, granted or `taken_back`.
    pub kind: String,
    /// The order that it was used for, or came from.
    pub order_id: Option<OrderId>,
    /// The number of that order's invoice.
    pub invoice: Option<String>,
    /// Of what came back because its order was called off: the number of the note that takes the invoice back.
    pub credit_note: Option<String>,
    /// The account that it is about.
    pub account_id: Option<AccountId>,
    /// The member of staff who moved it by hand.
    pub actor: Option<String>,
    /// Why they did.
    pub reason: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// A movement that was asked for under a key.
#[derive(Clone, Debug)]
pub struct KeyedCredit {
    /// Its id.
    pub id: CreditEntryId,
    /// Whose credit.
    pub customer_id: CustomerId,
    /// SHA-256 of what was asked for.
    pub request_hash: Vec<u8>,
}

fn money(what: &str, amount: Decimal, currency: &str) -> Result<Money, StoreError> {
    let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable(what, why);
    let currency: Currency = currency.parse().map_err(|error| unreadable(&error))?;
    Money::new(amount, currency).map_err(|error| unreadable(&error))
}

impl Store {
    /// What customers have of credit, where that is anything.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn credit_of(&self, customers: &[CustomerId]) -> Result<Vec<(CustomerId, Money)>, StoreError> {
        let ids: Vec<Uuid> = customers.iter().map(|id| id.0).collect();
        let rows = sqlx::query!(
            r#"select customer_id, currency as "currency!: String", balance
               from berth.credit_balances
               where customer_id = any ($1) and balance > 0"#,
            &ids,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let customer = CustomerId(row.customer_id);
                Ok((customer, money(&format!("the credit of {customer}"), row.balance, &row.currency)?))
            })
            .collect()
    }

    /// A customer's balances, by currency, those that are used up as well.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn credit_balances(&self, customer: CustomerId) -> Result<Vec<CreditBalance>, StoreError> {
        let rows = sqlx::query!(
            r#"select currency as "currency!: String", balance, goodwill
               from berth.credit_balances
               where customer_id = $1
               order by currency"#,
            customer.0,
        )
        .fetch_all(&self.pool)
        .await?;
        let what = format!("the credit of {customer}");
        rows.into_iter()
            .map(|row| {
                let balance = money(&what, row.balance, &row.currency)?;
                Ok(CreditBalance { balance, goodwill: money(&what, row.goodwill, &row.currency)? })
            })
            .collect()
    }

    /// How a customer's credit moved, the latest first, what was before `before`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn credit_entries(
        &self,
        customer: CustomerId,
        before: Option<CreditEntryId>,
        limit: i64,
    ) -> Result<Vec<CreditEntry>, StoreError> {
        self.credit_entries_where(customer, None, before, limit).await
    }

    /// One movement of a customer's credit.
    ///
    /// # Errors
    /// When there is none, or the database does not answer.
    pub async fn credit_entry(&self, customer: CustomerId, id: CreditEntryId) -> Result<CreditEntry, StoreError> {
        let found = self.credit_entries_where(customer, Some(id), None, 1).await?.pop();
        found.ok_or_else(|| StoreError::Missing(format!("movement {id} of credit")))
    }

    async fn credit_entries_where(
        &self,
        customer: CustomerId,
        id: Option<CreditEntryId>,
        before: Option<CreditEntryId>,
        limit: i64,
    ) -> Result<Vec<CreditEntry>, StoreError> {
        let rows = sqlx::query_file!(
            "src/store/queries/credit_entries.sql",
            customer.0,
            id.map(|id| id.0) as Option<Uuid>,
            before.map(|id| id.0) as Option<Uuid>,
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        rows.into_iter()
            .map(|row| {
                let id = CreditEntryId(row.id);
                let what = format!("movement {id} of credit");
                Ok(CreditEntry {
                    id,
                    takes: row.amount.is_sign_negative(),
                    amount: money(&what, row.amount.abs(), &row.currency)?,
                    goodwill: money(&what, row.goodwill.abs(), &row.currency)?,
                    kind: row.kind,
                    order_id: row.order_id.map(OrderId),
                    invoice: row.invoice,
                    credit_note: row.credit_note,
                    account_id: row.account_id.map(AccountId),
                    actor: row.actor,
                    reason: row.note,
                    at: row.at.to_jiff(),
                })
            })
            .collect()
    }

    /// What a member of staff has done to credit under a key of theirs.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn credit_under_key(&self, actor: &str, key: &str) -> Result<Option<KeyedCredit>, StoreError> {
        let row = sqlx::query!(
            r#"select id, customer_id, request_hash as "request_hash!"
               from berth.credit_entries
               where actor = $1 and idempotency_key = $2"#,
            actor,
            key,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| KeyedCredit {
            id: CreditEntryId(row.id),
            customer_id: CustomerId(row.customer_id),
            request_hash: row.request_hash,
        }))
    }
}
