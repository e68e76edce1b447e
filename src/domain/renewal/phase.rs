//! The renewal's machine: every phase, every event, and where each leads.

use std::{fmt, str::FromStr};

use crate::domain::order::UnknownPhase;

/// Where a renewal stands.
///
/// ```text
/// invoiced ──▶ charging ──▶ paid
///   │  │ ▲       │ │ ▲ │
///   │  │ └───────┘ │ │ └─▶ in_doubt ──▶ as the lookup says
///   │  │ not made  ▼ │
///   │  └─────▶ past_due, awaiting_customer ──▶ paid
///   ▼                │
///  void          abandoned, void         paid after all ──▶ returned
/// ```
/// While a charge is under way (`charging`, `in_doubt`) only its outcome leads on; an outcome that is not known is looked up
/// before anything is charged again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RenewalPhase {
    /// The customer has, or is being sent, an invoice that can be paid.
    Invoiced,
    /// The saved card is being charged.
    Charging,
    /// Whether the card was charged is not known.
    InDoubt,
    /// The bank wants to hear from the customer: they were sent a page to pay on.
    AwaitingCustomer,
    /// A charge was declined, or the period has begun unpaid.
    PastDue,
    /// Paid: the account is extended.
    Paid,
    /// Called off before it was owed.
    Void,
    /// Called off after it was owed: the account ended.
    Abandoned,
    /// Paid after it was called off: that money goes back.
    Returned,
}

impl RenewalPhase {
    /// Every phase.
    pub const ALL: [Self; 9] = [
        Self::Invoiced,
        Self::Charging,
        Self::InDoubt,
        Self::AwaitingCustomer,
        Self::PastDue,
        Self::Paid,
        Self::Void,
        Self::Abandoned,
        Self::Returned,
    ];

    /// The name in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invoiced => "invoiced",
            Self::Charging => "charging",
            Self::InDoubt => "in_doubt",
            Self::AwaitingCustomer => "awaiting_customer",
            Self::PastDue => "past_due",
            Self::Paid => "paid",
            Self::Void => "void",
            Self::Abandoned => "abandoned",
            Self::Returned => "returned",
        }
    }

    /// Whether a charge is under way, or may be.
    #[must_use]
    pub const fn is_charging(self) -> bool {
        matches!(self, Self::Charging | Self::InDoubt)
    }

    /// Whether it is still to be paid.
    #[must_use]
    pub const fn is_open(self) -> bool {
        match self {
            Self::Invoiced | Self::Charging | Self::InDoubt | Self::AwaitingCustomer | Self::PastDue => true,
            Self::Paid | Self::Void | Self::Abandoned | Self::Returned => false,
        }
    }

    /// Whether its period may be invoiced anew: nobody owes or has paid this one.
    #[must_use]
    pub const fn is_called_off(self) -> bool {
        match self {
            Self::Void | Self::Abandoned | Self::Returned => true,
            Self::Invoiced | Self::Charging | Self::InDoubt | Self::AwaitingCustomer | Self::PastDue | Self::Paid => {
                false
            }
        }
    }

    /// The whole machine: where an event leads from here, or `None` when it changes nothing.
    #[must_use]
    pub const fn next(self, event: RenewalEvent) -> Option<Self> {
        use RenewalEvent as E;
        let (possible, to) = match event {
            E::ChargeStarted => {
                (matches!(self, Self::Invoiced | Self::PastDue | Self::AwaitingCustomer), Self::Charging)
            }
            E::Paid => (
                !matches!(self, Self::Paid | Self::Returned),
                if self.is_called_off() { Self::Returned } else { Self::Paid },
            ),
            E::Declined => (self.is_charging(), Self::PastDue),
            E::CustomerNeeded => (self.is_charging(), Self::AwaitingCustomer),
            E::OutcomeUnknown => (matches!(self, Self::Charging), Self::InDoubt),
            E::NotCharged => (self.is_charging(), Self::Invoiced),
            E::FellDue => (matches!(self, Self::Invoiced), Self::PastDue),
            E::CalledOff => (
                matches!(self, Self::Invoiced | Self::PastDue | Self::AwaitingCustomer),
                if matches!(self, Self::PastDue) { Self::Abandoned } else { Self::Void },
            ),
        };
        if possible { Some(to) } else { None }
    }
}

impl fmt::Display for RenewalPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for RenewalPhase {
    type Err = UnknownPhase;

    fn from_str(name: &str) -> Result<Self, UnknownPhase> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == name).ok_or_else(|| UnknownPhase(name.to_owned()))
    }
}

/// What can happen to a renewal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RenewalEvent {
    /// The saved card is about to be charged; the attempt is written before anything is sent.
    ChargeStarted,
    /// It is paid: by the saved card, on a page, by hand or from the credit.
    Paid,
    /// The card was declined.
    Declined,
    /// The bank asks the customer to confirm.
    CustomerNeeded,
    /// No answer, or none that can be read, came to the charge.
    OutcomeUnknown,
    /// The charge was certainly not made, and nobody declined it: it can be made again.
    NotCharged,
    /// Its period has begun.
    FellDue,
    /// The account is to end, or another renewal takes its place.
    CalledOff,
}

impl RenewalEvent {
    /// Every event.
    pub const ALL: [Self; 8] = [
        Self::ChargeStarted,
        Self::Paid,
        Self::Declined,
        Self::CustomerNeeded,
        Self::OutcomeUnknown,
        Self::NotCharged,
        Self::FellDue,
        Self::CalledOff,
    ];

    /// The reason that the renewal's history shows.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::ChargeStarted => "charge begun",
            Self::Paid => "paid",
            Self::Declined => "card declined",
            Self::CustomerNeeded => "customer is asked to confirm",
            Self::OutcomeUnknown => "outcome of the charge unknown",
            Self::NotCharged => "charge was not made",
            Self::FellDue => "period begun unpaid",
            Self::CalledOff => "called off",
        }
    }
}
