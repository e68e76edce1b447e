//! A change of what an account is, once it is agreed: what stands in its way, and what its customer is told.

use jiff::Timestamp;

use crate::{
    app::Parts,
    domain::{account::AccountPhase, money::Money},
    ending::account_url,
    mail::{ChangeNotMade, Mail, PackageChanged},
    store::{accounts::Account, orders::Order, plan_changes::PlanChange},
};

/// Told of money that came for a change which was given up.
pub const TOO_LATE: &str = "Your payment came after the change had been given up.";

/// Told where a panel refuses.
pub const REFUSED: &str = "Our server could not make the change, and we look into it.";

/// What a change that was agreed meets when it is to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle {
    /// Another change, a suspension or the like is at work: it is looked at again.
    Busy,
    /// It can no longer be made: a sentence for the customer.
    Overtaken(&'static str),
}

/// What stands in the way of a change at `now`. It was agreed for an account as it was then, and for the days that were left.
#[must_use]
pub fn obstacle(account: &Account, change: &PlanChange, now: Timestamp) -> Option<Obstacle> {
    let standing = &account.state.standing;
    if account.state.phase.is_over() || standing.ending.is_some() || standing.cancel_at.is_some() {
        return Some(Obstacle::Overtaken("Your account was cancelled in the meantime."));
    }
    if !standing.reasons.is_empty() || account.state.phase == AccountPhase::Suspended {
        return Some(Obstacle::Overtaken("Your account was suspended in the meantime."));
    }
    if account.expires_at != Some(change.period_until) {
        return Some(Obstacle::Overtaken("Your account was renewed in the meantime: ask for the change again."));
    }
    if change.overtaken || account.service_id != change.from_service_id {
        return Some(Obstacle::Overtaken("Your account was changed in the meantime: ask for the change again."));
    }
    if change.period_until <= now {
        return Some(Obstacle::Overtaken(
            "What is paid for is over: renew your account, then ask for the change again.",
        ));
    }
    match account.state.phase {
        AccountPhase::Active => None,
        AccountPhase::Pending
        | AccountPhase::Provisioning
        | AccountPhase::Suspending
        | AccountPhase::Unsuspending
        | AccountPhase::Changing
        | AccountPhase::Failed => Some(Obstacle::Busy),
        AccountPhase::Grace | AccountPhase::Suspended | AccountPhase::Terminating | AccountPhase::Terminated => {
            Some(Obstacle::Overtaken("Your account does not work at present: have that settled first."))
        }
    }
}

/// The mail that a change was made.
#[must_use]
pub fn made(parts: &Parts, account: &Account, change: &PlanChange, order: Option<&Order>) -> Mail {
    let zero = Money::zero(change.cost.currency());
    let credited = change.worth.checked_sub(change.cost).unwrap_or(zero);
    Mail::PackageChanged(PackageChanged {
        change_id: change.id,
        account_id: account.state.id,
        customer_name: account.customer.name.clone(),
        previous_name: account.service_name.clone(),
        service_name: change.to.service_name.clone(),
        paid: order.map_or(zero, Order::due).amount_text(),
        from_credit: order.map_or(zero, |order| order.credit).amount_text(),
        credited: credited.amount_text(),
        currency: zero.currency().code().to_owned(),
        expires_at: change.period_until,
        account_url: account_url(parts, account),
    })
}

/// The mail that a change was not made, and where its money is.
#[must_use]
pub fn not_made(parts: &Parts, account: &Account, change: &PlanChange, why: &str, credited: Money) -> Mail {
    Mail::ChangeNotMade(ChangeNotMade {
        change_id: change.id,
        account_id: account.state.id,
        customer_name: account.customer.name.clone(),
        service_name: change.to.service_name.clone(),
        reason: why.to_owned(),
        credited: credited.amount_text(),
        currency: credited.currency().code().to_owned(),
        account_url: account_url(parts, account),
    })
}
