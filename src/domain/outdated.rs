//! Mails that waited: whether what they say is still true when they can be sent at last.

use std::fmt;

use berth_jobs::ids::{AccountId, ChargeId, CustomerId};
use jiff::Timestamp;

use super::{
    renewal::RenewalPhase,
    timetable::{Notice, Timetable, card_expiring},
};

/// What a mail says, as far as time may make it untrue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim<'a> {
    /// What has happened, or what is owed to its reader whatever happens later.
    Lasting,
    /// How an account stands before its timetable. Judged by [`timetable::outdated`](super::timetable::outdated).
    Step {
        /// Which.
        account: AccountId,
        /// Of which D.
        due_at: Timestamp,
        /// Which step.
        notice: Notice,
    },
    /// That a card was not charged, and what is to be done about it. Judged by [`decline_outdated`].
    Declined(ChargeId),
    /// That a card expires. Judged by [`card_outdated`].
    CardExpires(ExpiringCard<'a>),
}

/// A card of which its holder is to be told that it expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiringCard<'a> {
    /// Whose.
    pub customer: CustomerId,
    /// Stripe's id.
    pub id: &'a str,
    /// `11/2026`
    pub last_month: &'a str,
    /// Which notice of it, from 1.
    pub number: usize,
}

/// Why a mail that waited is not sent any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outdated {
    /// What it asks for is paid.
    Paid,
    /// The renewal was called off.
    CalledOff,
    /// The account has ended, or is ending.
    Ended,
    /// The account ends with what is paid for: its customer wants it so.
    Leaving,
    /// A dispute, or something that no payment lifts: nothing is asked of the customer meanwhile.
    NothingIsAsked,
    /// A later notice says more.
    Overtaken(Notice),
    /// What it tells of is not to come at present.
    Off,
    /// The card was charged once more since, and what came of that is told by itself.
    TriedAgain,
    /// Another card is charged, or none, or nothing is renewed by itself.
    CardReplaced,
    /// The card has another last month, or a later notice of it says more, or that month is over.
    CardNews,
}

impl fmt::Display for Outdated {
    /// As it is written down with the mail: a sentence without its full stop.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Paid => "what it asks for was paid before it could be sent",
            Self::CalledOff => "the renewal was called off before it could be sent",
            Self::Ended => "the account ended before it could be sent",
            Self::Leaving => "the account is cancelled: it ends with what is paid for",
            Self::NothingIsAsked => "nothing is asked of the customer while there is a dispute or a suspension",
            Self::Overtaken(later) => return write!(f, "a later notice was due before it could be sent: {later}"),
            Self::Off => "what it tells of was not to come any more when it could be sent",
            Self::TriedAgain => "the card was tried again before it could be sent",
            Self::CardReplaced => "the card was not the one to charge any more when it could be sent",
            Self::CardNews => "the card had another date, or its time was over, when it could be sent",
        })
    }
}

/// A charge that was declined, and what came after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeclinedCharge {
    /// Where its renewal stands.
    pub renewal: RenewalPhase,
    /// Whether that ends with the charge that is under way.
    pub called_off: bool,
    /// Whether a later charge of it was declined as well.
    pub tried_again: bool,
}

/// Why the mail about a charge that was declined, or that needs its customer, is not sent any more.
#[must_use]
pub const fn decline_outdated(charge: &DeclinedCharge) -> Option<Outdated> {
    match charge.renewal {
        RenewalPhase::Paid | RenewalPhase::Returned => Some(Outdated::Paid),
        RenewalPhase::Void | RenewalPhase::Abandoned => Some(Outdated::CalledOff),
        RenewalPhase::Invoiced
        | RenewalPhase::Charging
        | RenewalPhase::InDoubt
        | RenewalPhase::AwaitingCustomer
        | RenewalPhase::PastDue => {
            if charge.called_off {
                Some(Outdated::CalledOff)
            } else if charge.tried_again {
                Some(Outdated::TriedAgain)
            } else {
                None
            }
        }
    }
}

/// The card that is charged for a customer, where something is renewed by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChargedCard<'a> {
    /// Stripe's id.
    pub id: &'a str,
    /// `11/2026`
    pub last_month: &'a str,
    /// The end of that month.
    pub expires_at: Timestamp,
}

/// Why the mail about a card that expires is not sent any more.
#[must_use]
pub fn card_outdated(
    now: Timestamp,
    told: &ExpiringCard<'_>,
    charged: Option<&ChargedCard<'_>>,
    timetable: &Timetable,
) -> Option<Outdated> {
    let Some(card) = charged.filter(|card| card.id == told.id) else { return Some(Outdated::CardReplaced) };
    let latest = card_expiring(now, card.expires_at, timetable).map(|(number, _)| number);
    (card.last_month != told.last_month || latest != Some(told.number)).then_some(Outdated::CardNews)
}
