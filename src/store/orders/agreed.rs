//! Orders as a checkout looks for them: what was agreed before, and what is about to be written.

use berth_jobs::ids::{CustomerId, OrderId};

use super::{Order, OrderItem};
use crate::{
    domain::{
        money::Money,
        order::{OrderPhase, OrderState},
    },
    effects::{NewOrder, NewOrderItem},
    store::{Store, StoreError},
};

impl Store {
    /// The order that a customer has made under a key of their own, and the hash of what they asked.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn order_under_key(
        &self,
        customer: CustomerId,
        key: &str,
    ) -> Result<Option<(OrderId, Vec<u8>)>, StoreError> {
        let row = sqlx::query!(
            r#"select id, request_hash as "request_hash!"
               from berth.orders
               where customer_id = $1 and idempotency_key = $2"#,
            customer.0,
            key,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|row| (OrderId(row.id), row.request_hash)))
    }

    /// The order that stands for a customer's cart: one that was made from this version of it and whose payment is under
    /// way or held, or else the one that can be paid, whichever version it was made from.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn order_of_cart(&self, customer: CustomerId, version: i32) -> Result<Option<OrderId>, StoreError> {
        let id = sqlx::query_scalar!(
            "select id
             from berth.orders
             where customer_id = $1
               and cart_version is not null
               and (phase = 'pending' or (phase in ('awaiting_payment', 'held') and cart_version = $2))
             order by phase = 'pending', id desc
             limit 1",
            customer.0,
            version,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(id.map(OrderId))
    }

    /// The order that a customer has made by such a request without a key, and for which no page could be opened.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn unopened_order(
        &self,
        customer: CustomerId,
        request_hash: &[u8; 32],
    ) -> Result<Option<OrderId>, StoreError> {
        let id = sqlx::query_scalar!(
            "select id
             from berth.orders
             where customer_id = $1
               and phase = 'pending'
               and cart_version is null
               and idempotency_key is null
               and stripe_session_id is null
               and request_hash = $2
             order by id desc
             limit 1",
            customer.0,
            request_hash.as_slice(),
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(id.map(OrderId))
    }
}

impl From<&NewOrder> for Order {
    /// The order as it is read once it is written.
    fn from(new: &NewOrder) -> Self {
        let terms = &new.terms;
        Self {
            state: OrderState { id: new.id, phase: OrderPhase::Pending, version: 1 },
            customer: new.customer.clone(),
            subtotal: new.subtotal,
            discount: new.discount,
            tax: new.tax,
            total: new.total,
            stripe_session_id: None,
            checkout_url: None,
            is_renewal: false,
            credit: terms.credit.unwrap_or_else(|| Money::zero(new.total.currency())),
            renews: None,
            changes: terms.changes,
            coupon: terms.coupon.clone(),
            cart_version: terms.cart_version,
            customer_snapshot: terms.customer_snapshot.clone(),
            tax_note: terms.tax_note.clone(),
            session_version: 1,
            hold_reason: None,
            failure: None,
            client_ip: terms.client_ip.map(|ip| ip.to_string()),
            created_at: new.created_at,
            expires_at: new.expires_at,
            paid_at: None,
            completed_at: None,
            items: new.items.iter().map(OrderItem::from).collect(),
        }
    }
}

impl From<&NewOrderItem> for OrderItem {
    fn from(new: &NewOrderItem) -> Self {
        Self {
            id: new.id,
            service_id: new.service_id.clone(),
            name: new.name.clone(),
            service_type: new.service_type.to_owned(),
            plan_name: new.plan_name.clone(),
            billing_cycle: new.billing_cycle.to_string(),
            price: new.price,
            discount: new.discount,
            tax: new.tax,
            total: new.total,
            terms: new.terms.clone(),
            account_id: None,
            renews_at: None,
        }
    }
}
