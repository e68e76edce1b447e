//! A renewal: one period of one account, from its invoice to its payment or its end.

mod phase;

use berth_jobs::ids::OrderId;
use jiff::{SignedDuration, Timestamp};

pub use phase::{RenewalEvent, RenewalPhase};

use super::decline::DeclineClass;

/// A renewal, as far as its own life goes. Its order is the renewal's name: one (account, period) has one that can be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenewalState {
    /// The order that renews the account.
    pub order_id: OrderId,
    /// Where it stands.
    pub phase: RenewalPhase,
    /// Raised by every move.
    pub version: i32,
    /// How many charges were begun.
    pub attempts: u32,
    /// That it is called off as soon as the charge that is under way has ended.
    pub called_off: bool,
}

impl RenewalState {
    /// One that has just been invoiced.
    #[must_use]
    pub const fn invoiced(order_id: OrderId) -> Self {
        Self { order_id, phase: RenewalPhase::Invoiced, version: 1, attempts: 0, called_off: false }
    }

    /// What `event` does to it; `None` when it changes nothing.
    ///
    /// Calling it off while a charge is under way is recorded; a charge that then fails ends it, and one that succeeds goes
    /// back.
    #[must_use]
    pub fn apply(&self, event: RenewalEvent) -> Option<RenewalMove> {
        if self.phase.is_charging() && event == RenewalEvent::CalledOff {
            return (!self.called_off).then(|| self.step(event, self.phase, true));
        }
        let to = self.phase.next(event)?;
        let ended = self.called_off && self.phase.is_charging() && !to.is_charging();
        let to = match to {
            RenewalPhase::Paid if ended => RenewalPhase::Returned,
            RenewalPhase::Invoiced | RenewalPhase::PastDue | RenewalPhase::AwaitingCustomer if ended => {
                RenewalPhase::Void
            }
            RenewalPhase::Invoiced
            | RenewalPhase::Charging
            | RenewalPhase::InDoubt
            | RenewalPhase::AwaitingCustomer
            | RenewalPhase::PastDue
            | RenewalPhase::Paid
            | RenewalPhase::Void
            | RenewalPhase::Abandoned
            | RenewalPhase::Returned => to,
        };
        Some(self.step(event, to, self.called_off))
    }

    /// The state after `step` is committed.
    #[must_use]
    pub const fn after(&self, step: &RenewalMove) -> Self {
        Self {
            order_id: self.order_id,
            phase: step.to,
            version: step.version + 1,
            attempts: step.attempts,
            called_off: step.called_off,
        }
    }

    fn step(&self, event: RenewalEvent, to: RenewalPhase, called_off: bool) -> RenewalMove {
        let begun = u32::from(event == RenewalEvent::ChargeStarted);
        RenewalMove {
            order_id: self.order_id,
            version: self.version,
            from: self.phase,
            to,
            attempts: self.attempts.saturating_add(begun),
            called_off,
            reason: event.reason(),
        }
    }
}

/// A move of a renewal from one version to the next; only [`RenewalState::apply`] makes one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a move becomes true when it is committed"]
pub struct RenewalMove {
    order_id: OrderId,
    version: i32,
    from: RenewalPhase,
    to: RenewalPhase,
    attempts: u32,
    called_off: bool,
    reason: &'static str,
}

impl RenewalMove {
    /// The order of the renewal that moves.
    #[must_use]
    pub const fn order_id(&self) -> OrderId {
        self.order_id
    }

    /// The version that it moves from.
    #[must_use]
    pub const fn version(&self) -> i32 {
        self.version
    }

    /// The phase that it leaves.
    #[must_use]
    pub const fn from(&self) -> RenewalPhase {
        self.from
    }

    /// The phase that it reaches.
    #[must_use]
    pub const fn to(&self) -> RenewalPhase {
        self.to
    }

    /// How many charges were begun, this one included: the number of the attempt, and with the order its idempotency key.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether it ends with the charge that is under way.
    #[must_use]
    pub const fn called_off(&self) -> bool {
        self.called_off
    }

    /// Why, for the history.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.reason
    }

    /// Whether the account is extended by it.
    #[must_use]
    pub const fn renews(&self) -> bool {
        matches!(self.to, RenewalPhase::Paid) && !matches!(self.from, RenewalPhase::Paid)
    }

    /// Whether money came for what nobody wants any more: it is given back, or credited.
    #[must_use]
    pub const fn gives_back(&self) -> bool {
        matches!(self.to, RenewalPhase::Returned) && !matches!(self.from, RenewalPhase::Returned)
    }
}

impl From<DeclineClass> for RenewalEvent {
    /// A charge that needs its customer is no failed one.
    fn from(class: DeclineClass) -> Self {
        match class {
            DeclineClass::Hard | DeclineClass::Soft => Self::Declined,
            DeclineClass::NeedsCustomer => Self::CustomerNeeded,
        }
    }
}

/// When a charge of unknown outcome is looked up for the n-th time (from 0): after 5 minutes, an hour, then daily.
///
/// # Errors
/// When that is beyond the calendar.
pub fn next_look_up(in_doubt_since: Timestamp, lookups_made: u32) -> Result<Timestamp, jiff::Error> {
    let after = match lookups_made {
        0 => SignedDuration::from_mins(5),
        1 => SignedDuration::from_hours(1),
        days => SignedDuration::from_hours(24 * i64::from(days - 1)),
    };
    in_doubt_since.checked_add(after)
}

#[cfg(test)]
mod tests;
