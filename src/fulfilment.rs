//! What follows once an order's money has come, whoever says so: an event of its page, a total of nothing, or staff
//! who let a held order go.

use berth_jobs::{
    hosting::ProvisionAccount,
    ids::{AccountId, PaymentId},
};
use jiff::Timestamp;

use crate::{
    app::Parts,
    domain::{
        money::Money,
        order::{OrderEvent, OrderMove},
    },
    effects::{CouponUse, Effects, NewAccount, NewPayment},
    mail::{Mail, OrderConfirmation, OrderLine},
    store::{StoreError, orders::Order},
};

/// How an order was paid, as Stripe calls it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PaidBy {
    /// The page that it was paid on.
    pub session: Option<String>,
    /// The payment itself.
    pub intent: Option<String>,
}

/// The order's total has come, or nothing was due: it goes to work. Nothing when that was told before.
///
/// # Errors
/// When what the order keeps for its invoice cannot be read.
pub fn paid(parts: &Parts, now: Timestamp, order: &Order, by: PaidBy) -> Result<Effects, StoreError> {
    let Some(step) = order.state.apply(OrderEvent::Paid) else { return Ok(Effects::none()) };
    let effects = fulfil(parts, now, order, step)?;
    Ok(payment(now, order, by).into_iter().fold(effects, Effects::payment))
}

/// What a paid order is owed, besides the payment's own row. One that was made from the cart takes what is in it, unless
/// that has changed since.
fn fulfil(parts: &Parts, now: Timestamp, order: &Order, step: OrderMove) -> Result<Effects, StoreError> {
    let mut effects = Effects::from(step).mail(order.customer.id, confirmation(parts, now, order));
    if order.coupon.is_some() {
        effects = effects.settle_coupon(order.state.id, CouponUse::Commit);
    }
    if let Some(version) = order.cart_version {
        effects = effects.clear_cart_at(order.customer.id, version);
    }
    if let Some(invoice) = order.invoice(&parts.seller, &parts.catalogue, now)? {
        effects = effects.invoice(invoice);
    }
    for item in &order.items {
        let id = AccountId::new();
        effects = effects
            .account(NewAccount { id, order_item_id: item.id, created_at: now })
            .enqueue(ProvisionAccount { account_id: id });
    }
    Ok(effects)
}

/// The money that came; none where nothing was due.
fn payment(now: Timestamp, order: &Order, by: PaidBy) -> Option<NewPayment> {
    (!order.total.is_zero()).then(|| NewPayment {
        id: PaymentId::new(),
        order_id: order.state.id,
        amount: order.total,
        stripe_session_id: by.session,
        stripe_payment_intent_id: by.intent,
        created_at: now,
    })
}

fn confirmation(parts: &Parts, now: Timestamp, order: &Order) -> Mail {
    let mut lines: Vec<(String, u32, Money)> = Vec::new();
    for item in &order.items {
        match lines.iter_mut().find(|(name, _, _)| *name == item.name) {
            Some((_, quantity, amount)) => {
                *quantity += 1;
                // The parts of a total that exists cannot exceed what it can hold.
                *amount = amount.checked_add(item.price).unwrap_or(*amount);
            }
            None => lines.push((item.name.clone(), 1, item.price)),
        }
    }
    Mail::OrderConfirmation(OrderConfirmation {
        order_id: order.state.id,
        customer_name: order.customer.name.clone(),
        lines: lines
            .into_iter()
            .map(|(name, quantity, amount)| OrderLine { name, quantity, amount: amount.amount_text() })
            .collect(),
        subtotal: order.subtotal.amount_text(),
        discount: order.discount.amount_text(),
        tax: order.tax.amount_text(),
        total: order.total.amount_text(),
        currency: order.total.currency().code().to_owned(),
        paid_at: now,
        order_url: format!("{}/orders/{}", parts.shop.url, order.state.id),
    })
}
