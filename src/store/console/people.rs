//! Customers, and what they have with the shop.

use berth_jobs::ids::CustomerId;
use serde::Serialize;
use uuid::Uuid;

use super::{
    super::{Store, StoreError},
    At, OrderLine,
    jobs::like,
};

/// A customer among others.
#[derive(Clone, Debug, Serialize)]
pub struct CustomerLine {
    /// Which.
    pub id: String,
    /// Their address.
    pub email: String,
    /// Their name.
    pub name: Option<String>,
    /// Stripe's id of them.
    pub stripe_id: Option<String>,
    /// How many accounts of theirs are not removed.
    pub accounts: i64,
    /// Since when they are known.
    pub created_at: At,
}

/// One customer.
#[derive(Clone, Debug, Serialize)]
pub struct CustomerPage {
    /// Which.
    pub id: String,
    /// Their address.
    pub email: String,
    /// Their name.
    pub name: Option<String>,
    /// Their company.
    pub company: Option<String>,
    /// Their country.
    pub country: Option<String>,
    /// Their VAT number.
    pub vat_id: Option<String>,
    /// Stripe's id of them.
    pub stripe_id: Option<String>,
    /// Since when they are known.
    pub created_at: At,
    /// When they deleted themselves.
    pub deleted_at: Option<At>,
    /// The card that is charged, as people name it.
    pub card: Option<String>,
}

/// A movement of credit.
#[derive(Clone, Debug, Serialize)]
pub struct CreditLine {
    /// Whose.
    pub customer_id: String,
    /// Their address.
    pub email: String,
    /// Positive is given, negative is used; or the balance.
    pub amount: String,
    /// In which currency.
    pub currency: String,
    /// used, restored, proration, overpayment, granted or `taken_back`; nothing of a balance.
    pub kind: Option<String>,
    /// The order that it belongs to.
    pub order: Option<String>,
    /// The member of staff who granted it or took it back.
    pub actor: Option<String>,
    /// What was said of it.
    pub note: Option<String>,
    /// When; nothing of a balance.
    pub at: Option<At>,
}

/// An invoice.
#[derive(Clone, Debug, Serialize)]
pub struct InvoiceLine {
    /// Its number.
    pub number: String,
    /// Its order.
    pub order: String,
    /// What it is about.
    pub total: String,
    /// In which currency.
    pub currency: String,
    /// When it was issued.
    pub issued_at: At,
}

impl Store {
    /// Customers with a text in their address, name or company, the newest first, older than one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn console_customers(
        &self,
        text: Option<&str>,
        before: Option<Uuid>,
        limit: i64,
    ) -> Result<Vec<CustomerLine>, StoreError> {
        Ok(sqlx::query_as!(
            CustomerLine,
            r#"select c.id::text as "id!", c.email, c.name, c.stripe_customer_id as stripe_id,
                   (
                       select count(*) from berth.hosting_accounts a where a.customer_id = c.id and a.phase <> 'terminated'
                   ) as "accounts!",
                   c.created_at as "created_at: At"
               from berth.customers c
               where ($1::text is null or c.email ilike $1 or c.name ilike $1 or c.company ilike $1)
                 and (
                     $2::uuid is null
                     or (c.created_at, c.id) < (select l.created_at, l.id from berth.customers l where l.id = $2)
                 )
               order by c.created_at desc, c.id desc
               limit $3"#,
            text.map(like),
            before,
            limit,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// One customer.
    ///
    /// # Errors
    /// When there is none, or the database does not answer.
    pub async fn console_customer(&self, id: CustomerId) -> Result<CustomerPage, StoreError> {
        sqlx::query_as!(
            CustomerPage,
            r#"select c.id::text as "id!", c.email, c.name, c.company, c.country::text as country, c.vat_id,
                   c.stripe_customer_id as stripe_id, c.created_at as "created_at: At", c.deleted_at as "deleted_at: At",
                   (
                       select concat_ws(' ', d.brand, '··' || d.last4, d.exp_month || '/' || d.exp_year)
                       from berth.cards d
                       where d.customer_id = c.id and d.default_since is not null
                   ) as card
               from berth.customers c
               where c.id = $1"#,
            id.0,
        )
        .fetch_optional(&self.pool)
        .await?
        .ok_or_else(|| StoreError::Missing(format!("customer {id}")))
    }

    /// A customer's orders, the newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn console_orders_of(&self, customer: CustomerId) -> Result<Vec<OrderLine>, StoreError> {
        Ok(sqlx::query_as!(
            OrderLine,
            r#"select berth.show_id('ord_', o.id) as "id!", o.phase, c.id::text as "customer_id!", c.email,
                   (select string_agg(i.name, ', ' order by i.position) from berth.order_items i where i.order_id = o.id)
                       as what,
                   o.total::text as "total!", o.currency::text as "currency!", o.is_renewal,
                   o.created_at as "created_at: At", o.paid_at as "paid_at: At", o.completed_at as "completed_at: At"
               from berth.orders o
               join berth.customers c on c.id = o.customer_id
               where o.customer_id = $1
               order by o.id desc
               limit 100"#,
            customer.0,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// A customer's invoices, the newest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn console_invoices_of(&self, customer: CustomerId) -> Result<Vec<InvoiceLine>, StoreError> {
        Ok(sqlx::query_as!(
            InvoiceLine,
            r#"select number, berth.show_id('ord_', order_id) as "order!", total::text as "total!",
                   currency::text as "currency!", issued_at as "issued_at: At"
               from berth.invoices
               where customer_id = $1
               order by sequence desc
               limit 50"#,
            customer.0,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// Every balance of credit that is not nothing, the largest first; or one customer's.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn console_balances(&self, customer: Option<CustomerId>) -> Result<Vec<CreditLine>, StoreError> {
        Ok(sqlx::query_as!(
            CreditLine,
            r#"select c.id::text as "customer_id!", c.email, b.balance::text as "amount!", b.currency::text as "currency!",
                   null::text as kind, null::text as "order", null::text as actor, null::text as note, null::timestamptz as "at: At"
               from berth.credit_balances b
               join berth.customers c on c.id = b.customer_id
               where b.balance > 0 and ($1::uuid is null or b.customer_id = $1)
               order by b.balance desc, c.id
               limit 100"#,
            customer.map(|id| id.0),
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// The latest movements of credit; or one customer's.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn console_credit(&self, customer: Option<CustomerId>) -> Result<Vec<CreditLine>, StoreError> {
        Ok(sqlx::query_as!(
            CreditLine,
            r#"select c.id::text as "customer_id!", c.email, e.amount::text as "amount!", e.currency::text as "currency!",
                   e.kind as "kind?", berth.show_id('ord_', e.order_id) as "order", e.actor, e.note, e.at as "at?: At"
               from berth.credit_entries e
               join berth.customers c on c.id = e.customer_id
               where $1::uuid is null or e.customer_id = $1
               order by e.at desc, e.id desc
               limit 100"#,
            customer.map(|id| id.0),
        )
        .fetch_all(&self.pool)
        .await?)
    }
}
