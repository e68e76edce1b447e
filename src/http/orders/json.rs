//! An order as the API shows it. Customers see the brief's five statuses; staff sees the phase behind them, and what it
//! takes to decide on a held order.

use berth_jobs::ids::{AccountId, CustomerId, OrderId, OrderItemId};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::super::auth::Role;
use crate::{
    domain::{
        money::{Currency, Money},
        order::{OrderEvent, OrderPhase},
    },
    store::{
        order_history::OrderStep,
        orders::{Order, OrderItem},
    },
};

/// An order.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderJson {
    #[schema(value_type = String, example = "ord_01k9z3m6sne5y8r7q2w4x6t8va")]
    id: OrderId,
    #[schema(value_type = String, format = Uuid)]
    user_id: CustomerId,
    /// pending, processing, completed, failed or cancelled.
    #[schema(example = "completed")]
    status: &'static str,
    /// Raised by every step of the order.
    #[schema(minimum = 1)]
    version: i32,
    /// The currency of all amounts, ISO 4217.
    #[schema(example = "USD")]
    currency: &'static str,
    /// Before discount and tax.
    #[schema(example = "4.99")]
    subtotal: String,
    discount: String,
    tax: String,
    /// What is or was to be paid: subtotal − discount + tax.
    total: String,
    /// Why the tax is what it is, such as a reverse charge.
    tax_note: Option<String>,
    /// The coupon, as it was spelt then.
    coupon_code: Option<String>,
    /// One a unit.
    items: Vec<OrderItemJson>,
    /// Stripe's session.
    stripe_session_id: Option<String>,
    /// Stripe's payment; only where one order is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    stripe_payment_intent_id: Option<String>,
    /// Where it is paid, while it is pending.
    checkout_url: Option<String>,
    /// Once it is paid.
    invoice_number: Option<String>,
    /// Why it failed.
    failure: Option<String>,
    is_renewal: bool,
    /// The account that it renews.
    #[schema(value_type = Option<String>, example = "acc_01k9z3m6sne5y8r7q2w4x6t8va")]
    renewal_of_hosting_id: Option<AccountId>,
    /// How much of the total the customer's credit pays.
    credit: String,
    /// The account that it changes.
    #[schema(value_type = Option<String>)]
    changes_hosting_account_id: Option<AccountId>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Until when it can be paid.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    paid_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    completed_at: Option<Timestamp>,
    /// When the first of its accounts is renewed next.
    #[schema(value_type = Option<String>, format = DateTime)]
    renewal_date: Option<Timestamp>,
    /// Every step with its time, its reason and who brought it about; only where one order is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeline: Option<Vec<OrderStepJson>>,
    /// Behind the status: pending, `awaiting_payment` and held are shown as pending; cancelled, rejected and withdrawn as
    /// cancelled. Staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<&'static str>,
    /// Why it was held. Staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    hold_reason: Option<String>,
    /// From where it was agreed. Staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_ip: Option<String>,
}

/// One unit of an order.
#[derive(Debug, Serialize, ToSchema)]
struct OrderItemJson {
    #[schema(value_type = String)]
    id: OrderItemId,
    #[schema(example = "shared-monthly")]
    service_id: String,
    name: String,
    service_type: String,
    plan_name: String,
    billing_cycle: String,
    /// Before discount and tax, set-up fee included.
    price: String,
    /// The part of the price that is paid once.
    setup_fee: String,
    /// This unit's share of the discount.
    discount: String,
    tax: String,
    /// In per cent.
    #[schema(example = "19")]
    tax_rate: String,
    /// price − discount + tax.
    total: String,
    /// The options that it was sold with.
    #[schema(value_type = Object)]
    configuration: Value,
    /// The add-ons that it was sold with, each with id, name and price.
    #[schema(value_type = Vec<Object>)]
    addons: Value,
    /// The name of the site.
    domain: Option<String>,
    /// So many days are free.
    #[schema(minimum = 0)]
    trial_days: u32,
    /// The account made for it.
    #[schema(value_type = Option<String>)]
    hosting_account_id: Option<AccountId>,
}

/// One step of an order.
#[derive(Debug, Serialize, ToSchema)]
struct OrderStepJson {
    /// The status that was left; null at the beginning.
    from: Option<&'static str>,
    /// The status that was reached.
    to: &'static str,
    /// Why.
    reason: String,
    /// customer, staff, stripe or berth; null where it was not written down.
    actor: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// The phase behind the status that was reached. Staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    phase: Option<&'static str>,
}

/// What is shown where one order is, and not in a list.
pub(super) struct Detail {
    pub(super) timeline: Vec<OrderStep>,
    pub(super) payment_intent: Option<String>,
}

impl OrderJson {
    /// As whoever asks may see it.
    pub(super) fn of(order: Order, role: Role, invoice_number: Option<String>, detail: Option<Detail>) -> Self {
        let phase = order.state.phase;
        let payable = matches!(phase, OrderPhase::Pending);
        let (timeline, payment_intent) =
            detail.map_or((None, None), |detail| (Some(detail.timeline), detail.payment_intent));
        let is_staff = role == Role::Staff;
        let currency = order.total.currency();
        Self {
            id: order.state.id,
            user_id: order.customer.id,
            status: phase.status(),
            version: order.state.version,
            currency: currency.code(),
            subtotal: order.subtotal.amount_text(),
            discount: order.discount.amount_text(),
            tax: order.tax.amount_text(),
            total: order.total.amount_text(),
            tax_note: order.tax_note,
            coupon_code: order.coupon.map(|(_, code)| code),
            stripe_session_id: order.stripe_session_id,
            stripe_payment_intent_id: payment_intent,
            checkout_url: order.checkout_url.filter(|_| payable),
            invoice_number,
            failure: order.failure.filter(|_| phase == OrderPhase::Failed),
            is_renewal: order.is_renewal,
            renewal_of_hosting_id: order.renews,
            credit: order.credit.amount_text(),
            changes_hosting_account_id: order.changes,
            created_at: order.created_at,
            expires_at: order.expires_at,
            paid_at: order.paid_at,
            completed_at: order.completed_at,
            renewal_date: order.items.iter().filter_map(|item| item.renews_at).min(),
            items: order.items.into_iter().map(|item| OrderItemJson::of(item, currency)).collect(),
            timeline: timeline.map(|steps| steps.into_iter().map(|step| OrderStepJson::of(step, role)).collect()),
            phase: is_staff.then_some(phase.as_str()),
            hold_reason: order.hold_reason.filter(|_| is_staff),
            client_ip: order.client_ip.filter(|_| is_staff),
        }
    }
}

impl OrderItemJson {
    fn of(item: OrderItem, currency: Currency) -> Self {
        let terms = item.terms;
        Self {
            id: item.id,
            service_id: item.service_id,
            name: item.name,
            service_type: item.service_type,
            plan_name: item.plan_name,
            billing_cycle: item.billing_cycle,
            price: item.price.amount_text(),
            setup_fee: amount_text(terms.setup_fee, currency),
            discount: item.discount.amount_text(),
            tax: item.tax.amount_text(),
            tax_rate: terms.tax_rate.normalize().to_string(),
            total: item.total.amount_text(),
            configuration: terms.configuration,
            addons: terms.addons,
            domain: terms.domain,
            trial_days: terms.trial_days,
            hosting_account_id: item.account_id,
        }
    }
}

impl OrderStepJson {
    fn of(step: OrderStep, role: Role) -> Self {
        let is_staff = role == Role::Staff;
        // What exactly is amiss with an order is for those who look into it.
        let hidden = step.to == OrderPhase::Held && !is_staff;
        Self {
            from: step.from.map(OrderPhase::status),
            to: step.to.status(),
            reason: if hidden { OrderEvent::HeldByRule.reason().to_owned() } else { step.reason },
            actor: step.actor,
            at: step.at,
            phase: is_staff.then_some(step.to.as_str()),
        }
    }
}

fn amount_text(amount: Decimal, currency: Currency) -> String {
    Money::new(amount, currency).map_or_else(|_| amount.to_string(), |money| money.amount_text())
}
