//! What follows once an order's money has come, whoever says so: an event of its page, a total of nothing, or staff
//! who let a held order go. What renews an account has a way of its own.

mod anew;
mod renewal;

use berth_jobs::{
    hosting::{ChangePackage, ProvisionAccount},
    ids::{AccountId, PaymentId},
};
use jiff::Timestamp;

pub use anew::{Anew, anew};
pub use renewal::{Renewing, renewed, returned, withdrawn};

use crate::{
    app::Parts,
    domain::{
        money::Money,
        order::{Actor, OrderEvent, OrderMove},
    },
    effects::{Alert, CouponUse, CreditFor, CreditKind, Effects, NewAccount, NewPayment},
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
    /// The saved card that was charged, as its holder knows it.
    pub card: Option<String>,
}

/// The order's total has come, or nothing was due: it goes to work, or is held where a rule says so. Nothing when that
/// was told before.
///
/// # Errors
/// When what the order keeps for its invoice cannot be read.
pub fn paid(parts: &Parts, now: Timestamp, order: &Order, by: PaidBy) -> Result<Effects, StoreError> {
    if let Some(account_id) = order.changes {
        return Ok(change_paid(now, order, account_id, by));
    }
    let country = order.customer_snapshot.as_ref().and_then(|buyer| buyer.get("country")?.as_str());
    let hold_for = parts.hold_rules.reason_to_hold(country, order.total);
    let event = if hold_for.is_some() { OrderEvent::HeldByRule } else { OrderEvent::Paid };
    let Some(step) = order.state.apply(event) else { return Ok(Effects::none()) };
    let effects = match hold_for {
        Some(why) => hold(order, step, why),
        None => fulfil(parts, now, order, if order.total.is_zero() { step.by(Actor::Berth) } else { step })?,
    };
    Ok(payment(now, order, order.due(), by).into_iter().fold(effects, Effects::payment))
}

/// A person lets a held order go. `None` when it is not held.
///
/// # Errors
/// As [`paid`].
pub fn approve(parts: &Parts, now: Timestamp, order: &Order) -> Result<Option<Effects>, StoreError> {
    let Some(step) = order.state.apply(OrderEvent::Approved) else { return Ok(None) };
    Ok(Some(match order.changes {
        Some(account_id) => Effects::from(step).enqueue(ChangePackage { account_id }),
        None => fulfil(parts, now, order, step)?,
    }))
}

/// What came for an order that a person refuses.
#[derive(Clone, Debug)]
pub enum Came {
    /// Nothing, since nothing was due.
    Nothing,
    /// What the order asked for: it is written down as its payment.
    AsAsked(PaymentId),
    /// Something else, of which nothing is written down yet.
    Otherwise(NewPayment),
    /// Stripe does not say.
    Unknown,
}

/// A person refuses a held order, and what came for it goes back. `None` when it is not held.
#[must_use]
pub fn reject(now: Timestamp, order: &Order, came: Came) -> Option<Effects> {
    let effects = Effects::from(order.state.apply(OrderEvent::Rejected)?);
    let effects = effects.settle_coupon(order.state.id, CouponUse::Release);
    let effects = credit_back(effects, order, now);
    Some(match came {
        Came::Nothing => effects,
        Came::AsAsked(payment) => effects.give_back(payment),
        Came::Otherwise(payment) => effects.surplus(payment),
        Came::Unknown => effects.alert(refund_due(order)),
    })
}

/// An order that is given up before it was paid gives back the credit that it had taken, where nothing else sees to that: a
/// renewal is called off by what calls it off.
#[must_use]
pub fn credit_back(effects: Effects, order: &Order, now: Timestamp) -> Effects {
    let Some(account_id) = order.changes else { return effects };
    let of = CreditFor { customer_id: order.customer.id, order_id: Some(order.state.id), account_id, at: now };
    effects.credit_for(of, CreditKind::Restored, order.credit)
}

fn hold(order: &Order, step: OrderMove, why: String) -> Effects {
    let detail = format!("it is paid and held: {why}. Approve or reject it.");
    let alert = Alert { kind: "order_held", subject: order.state.id.to_string(), detail };
    Effects::from(step.because(why)).alert(alert)
}

/// What an account is to become is paid: a job has it made, or has the money credited where that can no longer be.
fn change_paid(now: Timestamp, order: &Order, account_id: AccountId, by: PaidBy) -> Effects {
    let Some(step) = order.state.apply(OrderEvent::Paid) else { return Effects::none() };
    let step = if order.due().is_zero() { step.by(Actor::Berth) } else { step };
    let effects = Effects::from(step).enqueue(ChangePackage { account_id });
    payment(now, order, order.due(), by).into_iter().fold(effects, Effects::payment)
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
fn payment(now: Timestamp, order: &Order, amount: Money, by: PaidBy) -> Option<NewPayment> {
    (!amount.is_zero()).then(|| NewPayment {
        id: PaymentId::new(),
        order_id: order.state.id,
        amount,
        stripe_session_id: by.session,
        stripe_payment_intent_id: by.intent,
        created_at: now,
    })
}

fn refund_due(order: &Order) -> Alert {
    let session = order.stripe_session_id.as_deref().unwrap_or("(none is known)");
    Alert {
        kind: "refund_due",
        subject: order.state.id.to_string(),
        detail: format!("it was rejected: see at Stripe what was paid by session {session}, and give it back."),
    }
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
