//! What goes with an account that ends, or is not to be renewed: its renewals that nobody has paid are called off, and the
//! credit that they had taken comes back. Routes, jobs and the sweep bring it about in the commit that records the end.

use berth_jobs::checkout::ExpireCheckout;
use jiff::Timestamp;

use crate::{
    app::Parts,
    domain::{
        account::AccountMove,
        money::Money,
        order::{Actor, OrderEvent},
        renewal::RenewalEvent,
    },
    effects::{CreditFor, CreditKind, Effects},
    mail::{CancellationConfirmed, CancellationUndone, Mail},
    store::{accounts::Account, renewals::OpenRenewal},
};

/// Why an account ends, and who says so.
#[derive(Clone, Copy, Debug)]
pub struct Cancellation<'a> {
    /// The account's renewals that are not settled.
    pub open: &'a [OpenRenewal],
    /// What the days that are left are worth to the customer, where the shop credits them.
    pub credit: Option<Money>,
    /// Who wants it so.
    pub by: Actor,
    /// When.
    pub at: Timestamp,
}

/// A customer no longer wants an account: `step` records its end, and they are told.
#[must_use]
pub fn cancelled(parts: &Parts, account: &Account, step: AccountMove, of: Cancellation<'_>) -> Effects {
    let ends_at = step.standing().cancel_at.filter(|_| step.standing().ending.is_none());
    let mail = Mail::CancellationConfirmed(CancellationConfirmed {
        account_id: account.state.id,
        customer_name: account.customer.name.clone(),
        service_name: account.service_name.clone(),
        requested_at: of.at,
        ends_at,
        credit: of.credit.map(|credit| credit.to_string()),
        account_url: account_url(parts, account),
    });
    let effects = recorded(step, of.open, of.by, of.at).mail(account.customer.id, mail);
    let Some(amount) = of.credit else { return effects };
    // It is given once, for an account ends once; the order that it comes from may have been credited for a change before.
    let days_left =
        CreditFor { customer_id: account.customer.id, order_id: None, account_id: account.state.id, at: of.at };
    effects.credit_for(days_left, CreditKind::Proration, amount)
}

/// A customer wants an account after all: `step` takes its end back, and they are told.
#[must_use]
pub fn undone(parts: &Parts, account: &Account, step: AccountMove, now: Timestamp) -> Effects {
    let mail = Mail::CancellationUndone(CancellationUndone {
        account_id: account.state.id,
        customer_name: account.customer.name.clone(),
        service_name: account.service_name.clone(),
        undone_at: now,
        paid_until: account.expires_at.filter(|until| *until > now),
        auto_renew: account.auto_renew,
        account_url: account_url(parts, account),
    });
    Effects::none().begin(step).mail(account.customer.id, mail)
}

/// Where a customer looks at an account.
#[must_use]
pub fn account_url(parts: &Parts, account: &Account) -> String {
    format!("{}/hosting/{}", parts.shop.url, account.state.id)
}

/// Records that an account is to end, now or with what is paid for, and calls its renewals off. What it begins has its job.
#[must_use]
pub fn recorded(step: AccountMove, open: &[OpenRenewal], by: Actor, now: Timestamp) -> Effects {
    call_off(Effects::none().begin(step), open, by, now)
}

/// Calls renewals off. A charge that is under way is not called back: one that fails changes nothing, and what one brings
/// goes back, as all money does that comes for a withdrawn order.
#[must_use]
pub fn call_off(effects: Effects, open: &[OpenRenewal], by: Actor, now: Timestamp) -> Effects {
    open.iter().fold(effects, |effects, renewal| one(effects, renewal, by, now))
}

fn one(effects: Effects, open: &OpenRenewal, by: Actor, now: Timestamp) -> Effects {
    // One that was called off before waits for nothing but its charge.
    let Some(step) = open.state.apply(RenewalEvent::CalledOff) else { return effects };
    let mut effects = effects.move_renewal(step);
    let Some(withdrawn) = open.order.apply(OrderEvent::CalledOff) else { return effects };
    effects = effects.move_order(withdrawn.by(by));
    if open.has_page {
        effects = effects.enqueue(ExpireCheckout { order_id: open.order.id });
    }
    let of = CreditFor {
        customer_id: open.customer_id,
        order_id: Some(open.order.id),
        account_id: open.account_id,
        at: now,
    };
    effects.credit_for(of, CreditKind::Restored, open.credit)
}
