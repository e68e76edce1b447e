//! What follows once a renewal's money has come, whoever says so: its page, the charge of a saved card, or its credit alone;
//! and what becomes of its order and credit once nobody is to pay it any more.

use berth_jobs::{checkout::ExpireCheckout, ids::OrderId};
use jiff::Timestamp;

use super::{PaidBy, payment};
use crate::{
    app::Parts,
    domain::{
        money::Money,
        order::{Actor, OrderEvent},
        renewal::RenewalEvent,
    },
    effects::{Alert, CreditFor, CreditKind, Effects},
    mail::{Mail, RenewalReceipt},
    store::{Store, StoreError, accounts::Account, orders::Order, renewals::Renewal},
};

/// A renewal with what its payment is about.
#[derive(Clone, Debug)]
pub struct Renewing {
    /// What is to be paid.
    pub order: Order,
    /// The period that is paid for.
    pub renewal: Renewal,
    /// What is extended by it.
    pub account: Account,
    /// By which its invoice is known.
    pub invoice_number: Option<String>,
}

impl Renewing {
    /// Reads what belongs to a renewal's order.
    ///
    /// # Errors
    /// When there is no such renewal, or the database does not answer.
    pub async fn of(store: &Store, order: Order) -> Result<Self, StoreError> {
        let id = order.state.id;
        let ids = [id];
        let (renewal, mut numbers) = tokio::try_join!(store.renewal(id), store.invoice_numbers(&ids))?;
        let account = store.account(renewal.account_id).await?;
        Ok(Self { order, renewal, account, invoice_number: numbers.remove(&id) })
    }

    /// As [`of`](Self::of), by the order's id.
    ///
    /// # Errors
    /// As there.
    pub async fn read(store: &Store, order: OrderId) -> Result<Self, StoreError> {
        Self::of(store, store.order(order).await?).await
    }
}

/// What is due has come, or nothing was: the order is complete, the account is good until the period's end and works again
/// if nothing but the payment was missing, and its customer has a receipt. All of it is one unit.
///
/// `None` when that was told before, or nobody owes it any more: what came is not owed then.
#[must_use]
pub fn renewed(parts: &Parts, now: Timestamp, renewing: &Renewing, by: PaidBy) -> Option<Effects> {
    let Renewing { order, renewal, account, .. } = renewing;
    let paid = order.state.apply(OrderEvent::Renewed)?;
    let settled = renewal.state.apply(RenewalEvent::Paid).filter(|step| step.renews())?;
    let extended = account.state.renewed(renewal.period_end)?;
    let receipt = receipt(parts, now, renewing, by.card.clone());
    let other_page = order.stripe_session_id.is_some() && order.stripe_session_id != by.session;
    let mut effects = Effects::from(if order.due().is_zero() { paid.by(Actor::Berth) } else { paid })
        .move_renewal(settled)
        .begin(extended)
        .mail(order.customer.id, receipt);
    if other_page {
        effects = effects.enqueue(ExpireCheckout { order_id: order.state.id });
    }
    Some(payment(now, order, order.due(), by).into_iter().fold(effects, Effects::payment))
}

/// Money came for a renewal that nobody owes: it was paid before, or called off. It is given back, and a person is told.
#[must_use]
pub fn returned(now: Timestamp, renewing: &Renewing, amount: Money, by: PaidBy) -> Effects {
    let Renewing { order, renewal, .. } = renewing;
    let mut effects = Effects::none();
    if let Some(step) = renewal.state.apply(RenewalEvent::Paid).filter(|step| step.gives_back()) {
        effects = withdrawn(now, renewing, effects.move_renewal(step));
    }
    let subject = by.intent.clone().or_else(|| by.session.clone()).unwrap_or_else(|| order.state.id.to_string());
    let alert = Alert {
        kind: "second_payment",
        subject,
        detail: format!(
            "{amount} came for the renewal {} although it is {}; it is given back by itself.",
            order.state.id, renewal.state.phase
        ),
    };
    let payment = payment(now, order, amount, by);
    payment.into_iter().fold(effects.alert(alert), Effects::surplus)
}

/// The renewal was called off: its order is withdrawn, unless that was done, and the credit that it had taken is given back.
#[must_use]
pub fn withdrawn(now: Timestamp, renewing: &Renewing, effects: Effects) -> Effects {
    let Renewing { order, account, .. } = renewing;
    let Some(step) = order.state.apply(OrderEvent::CalledOff) else { return effects };
    let of = CreditFor {
        customer_id: order.customer.id,
        order_id: Some(order.state.id),
        account_id: account.state.id,
        at: now,
    };
    effects.move_order(step).credit_for(of, CreditKind::Restored, order.credit)
}

fn receipt(parts: &Parts, now: Timestamp, renewing: &Renewing, card: Option<String>) -> Mail {
    let Renewing { order, renewal, account, invoice_number } = renewing;
    Mail::RenewalReceipt(RenewalReceipt {
        order_id: order.state.id,
        account_id: account.state.id,
        customer_name: order.customer.name.clone(),
        service_name: account.service_name.clone(),
        domain: account.domain.clone(),
        invoice_number: invoice_number.clone(),
        total: order.total.amount_text(),
        credit: order.credit.amount_text(),
        paid: order.due().amount_text(),
        currency: order.total.currency().code().to_owned(),
        card,
        paid_at: now,
        period_start: renewal.period_start,
        period_end: renewal.period_end,
        invoice_url: format!("{}/orders/{}", parts.shop.url, order.state.id),
    })
}
