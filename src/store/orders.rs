//! Orders, as they are read.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

mod agreed;

use std::collections::HashMap;

use berth_jobs::ids::{AccountId, CouponId, CustomerId, OrderId, OrderItemId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use rust_decimal::Decimal;
use serde_json::Value;
use uuid::Uuid;

use super::{Store, StoreError};
use crate::{
    domain::{
        money::{Currency, Money},
        order::{OrderPhase, OrderState},
    },
    effects::{CustomerContact, ItemTerms},
};

/// An order with its units.
#[derive(Clone, Debug)]
pub struct Order {
    /// Which, where it stands, and at which version.
    pub state: OrderState,
    /// Who bought.
    pub customer: CustomerContact,
    /// The sum before discount and tax.
    pub subtotal: Money,
    /// What was taken off.
    pub discount: Money,
    /// What was added.
    pub tax: Money,
    /// What is to be paid.
    pub total: Money,
    /// Stripe's session to pay it with.
    pub stripe_session_id: Option<String>,
    /// Where the customer pays.
    pub checkout_url: Option<String>,
    /// Whether it renews an account.
    pub is_renewal: bool,
    /// How much of the total is paid from the customer's credit.
    pub credit: Money,
    /// The account that it renews.
    pub renews: Option<AccountId>,
    /// The account that it changes.
    pub changes: Option<AccountId>,
    /// The coupon, and its code as it was spelt.
    pub coupon: Option<(CouponId, String)>,
    /// The version of the cart that it was made from.
    pub cart_version: Option<i32>,
    /// Who bought, as they were when they agreed.
    pub customer_snapshot: Option<Value>,
    /// Why the tax is what it is.
    pub tax_note: Option<String>,
    /// Which page it is paid on.
    pub session_version: i32,
    /// Why it was held.
    pub hold_reason: Option<String>,
    /// Why it failed.
    pub failure: Option<String>,
    /// From where it was agreed.
    pub client_ip: Option<String>,
    /// When it was agreed.
    pub created_at: Timestamp,
    /// Until when it can be paid.
    pub expires_at: Timestamp,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
    /// When its last account became active.
    pub completed_at: Option<Timestamp>,
    /// One a unit, as they were asked for.
    pub items: Vec<OrderItem>,
}

/// One unit of an order.
#[derive(Clone, Debug)]
pub struct OrderItem {
    /// Its id.
    pub id: OrderItemId,
    /// The catalogue's id of the service.
    pub service_id: String,
    /// The name at the time of the sale.
    pub name: String,
    /// shared, vps, cloud or wordpress.
    pub service_type: String,
    /// The tier.
    pub plan_name: String,
    /// monthly or annual.
    pub billing_cycle: String,
    /// Before discount and tax, set-up fee included.
    pub price: Money,
    /// This unit's share of the discount.
    pub discount: Money,
    /// This unit's tax.
    pub tax: Money,
    /// What this unit costs.
    pub total: Money,
    /// What it was sold with.
    pub terms: ItemTerms,
    /// The account made for it.
    pub account_id: Option<AccountId>,
    /// When that account is renewed next, if it is.
    pub renews_at: Option<Timestamp>,
}

/// One step of an account's history.
#[derive(Clone, Debug, serde::Serialize, utoipa::ToSchema)]
pub struct HistoryStep {
    /// The phase that was left; null at the beginning.
    pub from: Option<String>,
    /// The phase that was reached.
    pub to: String,
    /// Why.
    pub reason: String,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

/// How orders and accounts are listed: newest first, after a cursor, of a status, of a time.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// At most so many.
    pub limit: i64,
    /// Only those older than this one.
    pub before: Option<Uuid>,
    /// Only those in one of these phases; empty is all.
    pub phases: &'a [String],
    /// Only those made at this time or later.
    pub from: Option<Timestamp>,
    /// Only those made before this time.
    pub to: Option<Timestamp>,
}

#[derive(Clone, Debug)]
struct OrderRow {
    id: Uuid,
    customer_id: Uuid,
    email: String,
    customer_name: Option<String>,
    phase: String,
    version: i32,
    currency: String,
    subtotal: Decimal,
    discount: Decimal,
    tax: Decimal,
    total: Decimal,
    stripe_session_id: Option<String>,
    checkout_url: Option<String>,
    is_renewal: bool,
    credit: Decimal,
    renewal_of_hosting_id: Option<Uuid>,
    changes_account_id: Option<Uuid>,
    coupon_id: Option<Uuid>,
    coupon_code: Option<String>,
    cart_version: Option<i32>,
    customer_snapshot: Option<Value>,
    tax_note: Option<String>,
    session_version: i32,
    hold_reason: Option<String>,
    failure: Option<String>,
    client_ip: Option<String>,
    created_at: jiff_sqlx::Timestamp,
    expires_at: jiff_sqlx::Timestamp,
    paid_at: Option<jiff_sqlx::Timestamp>,
    completed_at: Option<jiff_sqlx::Timestamp>,
}

#[derive(Clone, Debug)]
struct ItemRow {
    id: Uuid,
    order_id: Uuid,
    service_id: String,
    name: String,
    service_type: String,
    plan_name: String,
    billing_cycle: String,
    price: Decimal,
    discount: Decimal,
    tax: Decimal,
    total: Decimal,
    setup_fee: Decimal,
    tax_rate: Decimal,
    tax_category: Option<String>,
    configuration: Value,
    addons: Value,
    domain: Option<String>,
    trial_days: i32,
    renewal_price: Option<Decimal>,
    account_id: Option<Uuid>,
    renews_at: Option<jiff_sqlx::Timestamp>,
}

/// An order's rows, not yet read.
#[derive(Clone, Debug)]
pub(super) struct OrderRows {
    order: OrderRow,
    items: Vec<ItemRow>,
}

impl Order {
    /// What is to be paid by card: the total without what the credit pays.
    #[must_use]
    pub fn due(&self) -> Money {
        // The table's check: the credit is at most the total, in its currency.
        self.total.checked_sub(self.credit).unwrap_or(self.total)
    }
}

impl Store {
    /// An order with its units.
    ///
    /// # Errors
    /// When there is none, or the database does not answer.
    pub async fn order(&self, id: OrderId) -> Result<Order, StoreError> {
        let rows = self.reads.orders.load(id.0, |ids| self.order_rows(ids)).await?;
        rows.ok_or_else(|| StoreError::Missing(format!("order {id}")))?.read()
    }

    async fn order_rows(&self, ids: Vec<Uuid>) -> Result<HashMap<Uuid, OrderRows>, StoreError> {
        let rows = sqlx::query_file_as!(OrderRow, "src/store/queries/orders.sql", &ids).fetch_all(&self.pool).await?;
        Ok(self.with_items(rows).await?.into_iter().map(|rows| (rows.order.id, rows)).collect())
    }

    /// A customer's orders, newest first; `renewals` asks for renewals only, or for all others.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn orders_of(
        &self,
        customer: CustomerId,
        page: Page<'_>,
        renewals: Option<bool>,
    ) -> Result<Vec<Order>, StoreError> {
        let rows = sqlx::query_file_as!(
            OrderRow,
            "src/store/queries/orders_of.sql",
            customer.0,
            page.before,
            page.phases,
            page.limit,
            page.from.map(ToSqlx::to_sqlx) as Option<jiff_sqlx::Timestamp>,
            page.to.map(ToSqlx::to_sqlx) as Option<jiff_sqlx::Timestamp>,
            renewals,
        )
        .fetch_all(&self.pool)
        .await?;
        self.with_items(rows).await?.iter().map(OrderRows::read).collect()
    }

    async fn with_items(&self, rows: Vec<OrderRow>) -> Result<Vec<OrderRows>, StoreError> {
        let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
        let items = sqlx::query_as!(
            ItemRow,
            r#"select i.id, i.order_id, i.service_id, i.name, i.service_type, i.plan_name, i.billing_cycle,
                      i.price, i.discount, i.tax, i.total, i.setup_fee, i.tax_rate, i.tax_category, i.configuration,
                      i.addons, i.domain, i.trial_days, i.renewal_price, a.id as "account_id?",
                      case when a.auto_renew and a.phase <> 'terminated' then a.expires_at end as "renews_at?"
               from berth.order_items i
               left join berth.hosting_accounts a on a.order_item_id = i.id
               where i.order_id = any ($1)
               order by i.order_id, i.position"#,
            &ids,
        )
        .fetch_all(&self.pool)
        .await?;
        let mut items_of: HashMap<Uuid, Vec<ItemRow>> = HashMap::with_capacity(rows.len());
        for item in items {
            items_of.entry(item.order_id).or_default().push(item);
        }
        let with_own = |order: OrderRow| OrderRows { items: items_of.remove(&order.id).unwrap_or_default(), order };
        Ok(rows.into_iter().map(with_own).collect())
    }
}

impl OrderRows {
    fn read(&self) -> Result<Order, StoreError> {
        order_from(&self.order, &self.items)
    }
}

fn order_from(row: &OrderRow, items: &[ItemRow]) -> Result<Order, StoreError> {
    let id = OrderId(row.id);
    let unreadable = |why: &dyn std::fmt::Display| StoreError::unreadable(format!("order {id}"), why);
    let currency: Currency = row.currency.parse().map_err(|error| unreadable(&error))?;
    let money = |amount: Decimal| Money::new(amount, currency).map_err(|error| unreadable(&error));
    let phase: OrderPhase = row.phase.parse().map_err(|error| unreadable(&error))?;
    let items = items
        .iter()
        .map(|item| {
            Ok(OrderItem {
                id: OrderItemId(item.id),
                service_id: item.service_id.clone(),
                name: item.name.clone(),
                service_type: item.service_type.clone(),
                plan_name: item.plan_name.clone(),
                billing_cycle: item.billing_cycle.clone(),
                price: money(item.price)?,
                discount: money(item.discount)?,
                tax: money(item.tax)?,
                total: money(item.total)?,
                terms: terms_from(item),
                account_id: item.account_id.map(AccountId),
                renews_at: item.renews_at.map(|at| at.to_jiff()),
            })
        })
        .collect::<Result<Vec<_>, StoreError>>()?;
    Ok(Order {
        state: OrderState { id, phase, version: row.version },
        customer: CustomerContact {
            id: CustomerId(row.customer_id),
            email: row.email.clone(),
            name: row.customer_name.clone(),
        },
        subtotal: money(row.subtotal)?,
        discount: money(row.discount)?,
        tax: money(row.tax)?,
        total: money(row.total)?,
        stripe_session_id: row.stripe_session_id.clone(),
        checkout_url: row.checkout_url.clone(),
        is_renewal: row.is_renewal,
        credit: money(row.credit)?,
        renews: row.renewal_of_hosting_id.map(AccountId),
        changes: row.changes_account_id.map(AccountId),
        coupon: row.coupon_id.map(CouponId).zip(row.coupon_code.clone()),
        cart_version: row.cart_version,
        customer_snapshot: row.customer_snapshot.clone(),
        tax_note: row.tax_note.clone(),
        session_version: row.session_version,
        hold_reason: row.hold_reason.clone(),
        failure: row.failure.clone(),
        client_ip: row.client_ip.clone(),
        created_at: row.created_at.to_jiff(),
        expires_at: row.expires_at.to_jiff(),
        paid_at: row.paid_at.map(|at| at.to_jiff()),
        completed_at: row.completed_at.map(|at| at.to_jiff()),
        items,
    })
}

fn terms_from(item: &ItemRow) -> ItemTerms {
    ItemTerms {
        setup_fee: item.setup_fee,
        tax_rate: item.tax_rate,
        tax_category: item.tax_category.clone(),
        configuration: item.configuration.clone(),
        addons: item.addons.clone(),
        domain: item.domain.clone(),
        trial_days: u32::try_from(item.trial_days).unwrap_or(0),
        renewal_price: item.renewal_price,
    }
}
