//! Orders, as operators look for them.

use berth_jobs::ids::OrderId;
use serde::Serialize;

use super::{
    super::{Store, StoreError},
    At,
};

/// An order among others.
#[derive(Clone, Debug, Serialize)]
pub struct OrderLine {
    /// Which.
    pub id: String,
    /// Where it stands.
    pub phase: String,
    /// Whose.
    pub customer_id: String,
    /// Their address.
    pub email: String,
    /// What was bought, in a few words.
    pub what: Option<String>,
    /// What is to be paid, or was.
    pub total: String,
    /// In which currency.
    pub currency: String,
    /// Whether it renews an account.
    pub is_renewal: bool,
    /// When it was agreed.
    pub created_at: At,
    /// When it was paid.
    pub paid_at: Option<At>,
    /// When all of it worked.
    pub completed_at: Option<At>,
}

/// One order, besides its story.
#[derive(Clone, Debug, Serialize)]
pub struct OrderPage {
    /// Which.
    pub id: String,
    /// Where it stands.
    pub phase: String,
    /// Whose.
    pub customer_id: String,
    /// Their address.
    pub email: String,
    /// Their name.
    pub customer_name: Option<String>,
    /// Before discount and tax.
    pub subtotal: String,
    /// What is taken off.
    pub discount: String,
    /// What is added.
    pub tax: String,
    /// What is to be paid, or was.
    pub total: String,
    /// How much of it was paid from credit.
    pub credit: String,
    /// In which currency.
    pub currency: String,
    /// The coupon.
    pub coupon: Option<String>,
    /// The account that it renews or changes.
    pub account: Option<String>,
    /// Whether it renews it.
    pub is_renewal: bool,
    /// When it was agreed.
    pub created_at: At,
    /// Until when it can be paid.
    pub expires_at: At,
    /// When it was paid.
    pub paid_at: Option<At>,
    /// When all of it worked.
    pub completed_at: Option<At>,
    /// Its page at Stripe.
    pub session: Option<String>,
    /// Its invoice's number.
    pub invoice: Option<String>,
}

/// One unit of an order, and the account that was made of it.
#[derive(Clone, Debug, Serialize)]
pub struct UnitLine {
    /// What it is called.
    pub name: String,
    /// The site's name.
    pub domain: Option<String>,
    /// What it costs.
    pub total: String,
    /// Its account.
    pub account: Option<String>,
    /// Where that stands.
    pub phase: Option<String>,
    /// Its login.
    pub username: Option<String>,
    /// Its server.
    pub server: Option<String>,
    /// Where its site answers.
    pub site_url: Option<String>,
}

/// A payment of an order.
#[derive(Clone, Debug, Serialize)]
pub struct PaymentLine {
    /// Which.
    pub id: String,
    /// Where it stands.
    pub state: String,
    /// How much.
    pub amount: String,
    /// In which currency.
    pub currency: String,
    /// Stripe's id of it.
    pub intent: Option<String>,
    /// When it was learnt of.
    pub created_at: At,
    /// How much of it went back, or is to.
    pub refunded: String,
}

impl Store {
    /// Orders in a phase or in any, the newest first, older than one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn console_orders(
        &self,
        phase: Option<&str>,
        before: Option<OrderId>,
        limit: i64,
    ) -> Result<Vec<OrderLine>, StoreError> {
        Ok(
            sqlx::query_file_as!(
                OrderLine,
                "src/store/queries/console_orders.sql",
                phase,
                before.map(|id| id.0),
                limit,
            )
            .fetch_all(&self.pool)
            .await?,
        )
    }

    /// The orders that are paid, or said to be, and not delivered; the oldest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn console_undelivered(&self, limit: i64) -> Result<Vec<OrderLine>, StoreError> {
        Ok(sqlx::query_file_as!(OrderLine, "src/store/queries/console_undelivered.sql", limit)
            .fetch_all(&self.pool)
            .await?)
    }

    /// The orders that are not paid and for which a card was declined within a day; the newest decline first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn console_declined(&self, limit: i64) -> Result<Vec<OrderLine>, StoreError> {
        Ok(sqlx::query_file_as!(OrderLine, "src/store/queries/console_declined.sql", limit)
            .fetch_all(&self.pool)
            .await?)
    }

    /// One order.
    ///
    /// # Errors
    /// When there is none, or the database does not answer.
    pub async fn console_order(&self, id: OrderId) -> Result<OrderPage, StoreError> {
        sqlx::query_as!(
            OrderPage,
            r#"select berth.show_id('ord_', o.id) as "id!", o.phase, c.id::text as "customer_id!", c.email,
                   c.name as customer_name, o.subtotal::text as "subtotal!", o.discount::text as "discount!",
                   o.tax::text as "tax!", o.total::text as "total!", o.credit::text as "credit!",
                   o.currency::text as "currency!", o.coupon_code as coupon,
                   berth.show_id('acc_', coalesce(o.renewal_of_hosting_id, o.changes_account_id)) as account,
                   o.is_renewal, o.created_at as "created_at: At", o.expires_at as "expires_at: At",
                   o.paid_at as "paid_at: At", o.completed_at as "completed_at: At", o.stripe_session_id as session,
                   (select i.number from berth.invoices i where i.order_id = o.id) as invoice
               from berth.orders o
               join berth.customers c on c.id = o.customer_id
               where o.id = $1"#,
            id.0,
        )
        .fetch_optional(&self.pool)
        .await?
        .ok_or_else(|| StoreError::Missing(format!("order {id}")))
    }

    /// What was bought with an order, in its order.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn console_units(&self, id: OrderId) -> Result<Vec<UnitLine>, StoreError> {
        Ok(sqlx::query_as!(
            UnitLine,
            r#"select i.name, coalesce(a.domain, i.domain) as domain, i.total::text as "total!",
                   berth.show_id('acc_', a.id) as account, a.phase as "phase?", a.username, a.server, a.site_url
               from berth.order_items i
               join berth.orders o on o.id = i.order_id
               left join berth.hosting_accounts a
                   on a.order_item_id = i.id or a.id = coalesce(o.renewal_of_hosting_id, o.changes_account_id)
               where i.order_id = $1
               order by i.position
               limit 200"#,
            id.0,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// What was paid for an order.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn console_payments(&self, id: OrderId) -> Result<Vec<PaymentLine>, StoreError> {
        Ok(sqlx::query_as!(
            PaymentLine,
            r#"select berth.show_id('pay_', p.id) as "id!", p.state, p.amount::text as "amount!",
                   p.currency::text as "currency!", p.stripe_payment_intent_id as intent,
                   p.created_at as "created_at: At",
                   coalesce((
                       select sum(r.amount) from berth.refunds r
                       where r.payment_id = p.id and r.state not in ('failed', 'cancelled')
                   ), 0)::text as "refunded!"
               from berth.payments p
               where p.order_id = $1
               order by p.id"#,
            id.0,
        )
        .fetch_all(&self.pool)
        .await?)
    }
}
