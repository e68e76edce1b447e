//! A hosting account's life: what may become of it, decided from where it stands.

mod moves;
mod phase;
mod standing;

use berth_jobs::ids::AccountId;
use jiff::{SignedDuration, Timestamp};

pub use moves::{AccountMove, Change, NewPackage, PackageChange};
pub use phase::{AccountEvent, AccountPhase};
pub use standing::{Ending, LiftCause, Standing, SuspensionReason, UnknownReason};

use super::{
    period::{self, BillingCycle, PeriodError},
    username::Username,
};

/// So long after it came into force a password can be revealed, once. Then it is forgotten, revealed or not.
pub const PASSWORD_KEPT: SignedDuration = SignedDuration::from_hours(72);

/// Under which name, where and with which password an account is to be created. Committed before the panel
/// hears of it, and reused by every later attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The panel's name in the configuration.
    pub server: String,
    /// The login on the panel.
    pub username: Username,
    /// How many names were found taken before this one.
    pub username_salt: i32,
    /// The password, sealed.
    pub sealed_password: String,
    /// When it was first intended.
    pub intended_at: Timestamp,
}

/// An account, as far as its own life goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountState {
    /// Which account.
    pub id: AccountId,
    /// Where it stands.
    pub phase: AccountPhase,
    /// Raised by every move.
    pub version: i32,
    /// What was bought lasts this long at a time.
    pub cycle: BillingCycle,
    /// So many days are a trial, before its first period that is paid; usually none.
    pub trial_days: u32,
    /// What is wished of it besides.
    pub standing: Standing,
}

impl AccountState {
    /// Whether its creation may still be intended.
    #[must_use]
    pub fn may_begin(&self) -> bool {
        self.phase.next(AccountEvent::ProvisioningStarted).is_some()
    }

    /// The move that commits the intention to create the account; `None` when it is past that.
    #[must_use]
    pub fn begin(&self, intent: Intent) -> Option<AccountMove> {
        self.apply(AccountEvent::ProvisioningStarted, Change::Intended(intent))
    }

    /// The move that makes it active from `now` until the end of its first period, or of its trial; `None` when it has
    /// moved on.
    ///
    /// # Errors
    /// When that end is beyond the calendar.
    pub fn provisioned(&self, now: Timestamp) -> Result<Option<AccountMove>, PeriodError> {
        let (anchor, expires_at) = self.first_period(now)?;
        Ok(self.apply(AccountEvent::Provisioned, Change::Activated { at: now, anchor, expires_at }))
    }

    /// What its periods count from, and the end of what is paid for when it begins `now`.
    ///
    /// # Errors
    /// When that end is beyond the calendar.
    pub fn first_period(&self, now: Timestamp) -> Result<(Timestamp, Timestamp), PeriodError> {
        if self.trial_days == 0 {
            return Ok((now, period::after_cycles(now, self.cycle, 1)?));
        }
        let end = period::after_trial(now, self.trial_days)?;
        Ok((end, end))
    }

    /// The move that gives it to a person, with the reason; `None` when it has moved on.
    #[must_use]
    pub fn failed(&self, failure: String) -> Option<AccountMove> {
        self.apply(AccountEvent::ProvisioningFailed, Change::Failed(failure))
    }

    /// The move into grace: what was paid for is over at `now`, and its renewal is not paid. `None` when it is not active.
    #[must_use]
    pub fn lapsed(&self) -> Option<AccountMove> {
        self.apply(AccountEvent::Lapsed, Change::None)
    }

    /// The move for a period that was paid for: it is good until `expires_at`, non-payment no longer holds it, and if
    /// nothing else does, it begins to work again. `None` when it has ended: that money goes back.
    #[must_use]
    pub fn renewed(&self, expires_at: Timestamp) -> Option<AccountMove> {
        let mut standing = self.standing.clone();
        standing.reasons.retain(|reason| !reason.is_lifted_by(LiftCause::Payment));
        self.record(AccountEvent::Renewed, standing, Change::Renewed { expires_at })
    }

    /// The move that suspends it, or records that it is to be when that cannot begin yet; `None` when that reason stands
    /// already, or the account has ended. Non-payment suspends only what works.
    #[must_use]
    pub fn suspend(&self, reason: SuspensionReason) -> Option<AccountMove> {
        let works = matches!(self.phase, AccountPhase::Active | AccountPhase::Grace);
        if reason == SuspensionReason::NonPayment && !works {
            return None;
        }
        let mut standing = self.standing.clone();
        if !standing.reasons.insert(reason) {
            return None;
        }
        self.record(AccountEvent::ReasonRecorded, standing, Change::None)
    }

    /// The move that takes a reason away, and lets the account work again when it was the last; `None` when it does not
    /// stand, or that cause does not lift it.
    #[must_use]
    pub fn lift(&self, reason: SuspensionReason, cause: LiftCause) -> Option<AccountMove> {
        let mut standing = self.standing.clone();
        if !reason.is_lifted_by(cause) || !standing.reasons.remove(&reason) {
            return None;
        }
        self.record(AccountEvent::ReasonLifted, standing, Change::None)
    }

    /// The panel has confirmed the suspension.
    #[must_use]
    pub fn suspended(&self, now: Timestamp) -> Option<AccountMove> {
        self.apply(AccountEvent::Suspended, Change::Suspended { at: now })
    }

    /// The panel has confirmed that it works again.
    #[must_use]
    pub fn unsuspended(&self) -> Option<AccountMove> {
        self.apply(AccountEvent::Unsuspended, Change::Unsuspended)
    }

    /// The move that commits the intention to give it another package; one at a time, of an account that is to stay.
    #[must_use]
    pub fn change(&self, to: PackageChange) -> Option<AccountMove> {
        if self.standing.cancel_at.is_some() {
            return None;
        }
        self.apply(AccountEvent::ChangeStarted, Change::ChangeIntended(to))
    }

    /// The panel has confirmed the other package: that is what the account is from then on.
    #[must_use]
    pub fn changed(&self, to: NewPackage) -> Option<AccountMove> {
        self.apply(AccountEvent::Changed, Change::Changed(to))
    }

    /// The panel has refused the other package.
    #[must_use]
    pub fn change_refused(&self, why: String) -> Option<AccountMove> {
        self.apply(AccountEvent::ChangeRefused, Change::ChangeRefused(why))
    }

    /// The move that lets it end at `period_end`; `None` when it is to end already, or that is past.
    #[must_use]
    pub fn cancel_at(&self, period_end: Timestamp, now: Timestamp) -> Option<AccountMove> {
        if self.standing.cancel_at.is_some() || period_end <= now {
            return None;
        }
        let standing = Standing { cancel_at: Some(period_end), ..self.standing.clone() };
        self.record(AccountEvent::CancelScheduled, standing, Change::None)
    }

    /// The move that takes that back; `None` when it was never to end, or has come to it.
    #[must_use]
    pub fn uncancel(&self, now: Timestamp) -> Option<AccountMove> {
        if self.standing.ending.is_some() || self.standing.cancel_at.is_none_or(|at| at <= now) {
            return None;
        }
        let standing = Standing { cancel_at: None, ..self.standing.clone() };
        self.record(AccountEvent::CancelUndone, standing, Change::None)
    }

    /// The move at the end of the period with which it was to end; `None` before, and when it was not.
    #[must_use]
    pub fn period_ended(&self, now: Timestamp) -> Option<AccountMove> {
        if self.standing.cancel_at.is_none_or(|at| at > now) {
            return None;
        }
        self.end(Ending::Cancelled)
    }

    /// The move that ends it, or records that it is to end when its panel has answered; `None` when that is decided already.
    /// Only an account that is suspended for non-payment, and for nothing else, can lapse.
    #[must_use]
    pub fn end(&self, ending: Ending) -> Option<AccountMove> {
        let can_lapse = self.phase == AccountPhase::Suspended && self.standing.only_unpaid();
        if self.standing.ending.is_some() || (ending == Ending::Lapsed && !can_lapse) {
            return None;
        }
        let standing = Standing { ending: Some(ending), ..self.standing.clone() };
        self.record(AccountEvent::EndRecorded, standing, Change::None)
    }

    /// The panel has confirmed that it is gone.
    #[must_use]
    pub fn terminated(&self, now: Timestamp) -> Option<AccountMove> {
        self.apply(AccountEvent::Terminated, Change::Terminated { at: now })
    }

    /// The move that acts upon what was recorded while a panel was at work; `None` when there is nothing to act upon, or the
    /// panel still is.
    #[must_use]
    pub fn act(&self) -> Option<AccountMove> {
        self.apply(wished(self.phase, &self.standing)?, Change::None)
    }

    /// The state after `step` is committed.
    #[must_use]
    pub fn after(&self, step: &AccountMove) -> Self {
        Self { phase: step.to, version: step.version + 1, standing: step.standing.clone(), ..self.clone() }
    }

    /// Records a wish, and begins to act upon it where that is possible at once.
    fn record(&self, event: AccountEvent, standing: Standing, change: Change) -> Option<AccountMove> {
        let recorded = self.phase.next(event);
        let begun = wished(recorded.unwrap_or(self.phase), &standing);
        // A renewal or a scheduled end must be possible in itself; a reason or an ending may be acted upon without a stop.
        let at_once = matches!(event, AccountEvent::ReasonRecorded | AccountEvent::EndRecorded);
        let event = begun.filter(|_| recorded.is_some() || at_once).unwrap_or(event);
        self.step(event, standing, change)
    }

    fn apply(&self, event: AccountEvent, change: Change) -> Option<AccountMove> {
        self.step(event, self.standing.clone(), change)
    }

    fn step(&self, event: AccountEvent, standing: Standing, change: Change) -> Option<AccountMove> {
        let to = self.phase.next(event)?;
        let reason = event.reason();
        Some(AccountMove { id: self.id, version: self.version, from: self.phase, to, reason, standing, change })
    }
}

/// What is to begin, by what is wished of an account that stands there.
fn wished(phase: AccountPhase, standing: &Standing) -> Option<AccountEvent> {
    if standing.ending.is_some() && phase.next(AccountEvent::TerminationStarted).is_some() {
        return Some(AccountEvent::TerminationStarted);
    }
    match phase {
        AccountPhase::Active | AccountPhase::Grace if !standing.reasons.is_empty() => {
            Some(AccountEvent::SuspensionStarted)
        }
        AccountPhase::Suspended if standing.reasons.is_empty() => Some(AccountEvent::UnsuspensionStarted),
        AccountPhase::Pending
        | AccountPhase::Provisioning
        | AccountPhase::Active
        | AccountPhase::Grace
        | AccountPhase::Suspending
        | AccountPhase::Suspended
        | AccountPhase::Unsuspending
        | AccountPhase::Changing
        | AccountPhase::Failed
        | AccountPhase::Terminating
        | AccountPhase::Terminated => None,
    }
}

#[cfg(test)]
mod tests;
