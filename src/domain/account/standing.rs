//! What is wished of an account besides its phase: why it is to be suspended, and whether and how it is to end.

use std::{collections::BTreeSet, fmt, str::FromStr};

use jiff::Timestamp;

/// Why an account is suspended, or is to be. The later ones weigh more: customers are shown the heaviest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SuspensionReason {
    /// Its renewal is not paid. The only one that a payment lifts.
    NonPayment,
    /// Staff wants it so.
    Staff,
    /// A payment for it is disputed.
    Dispute,
    /// It was bought by fraud.
    Fraud,
    /// It is misused.
    Abuse,
}

/// A text in the database that is no such reason, and no way to end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no reason to suspend or way to end that this version knows")]
pub struct UnknownReason(pub String);

impl SuspensionReason {
    /// Every reason.
    pub const ALL: [Self; 5] = [Self::NonPayment, Self::Staff, Self::Dispute, Self::Fraud, Self::Abuse];

    /// The name in the database and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NonPayment => "non_payment",
            Self::Staff => "staff",
            Self::Dispute => "dispute",
            Self::Fraud => "fraud",
            Self::Abuse => "abuse",
        }
    }

    /// Whether that lifts it. Money lifts non-payment and nothing else; a person may lift all.
    #[must_use]
    pub const fn is_lifted_by(self, cause: LiftCause) -> bool {
        match cause {
            LiftCause::Payment => matches!(self, Self::NonPayment),
            LiftCause::DisputeWon => matches!(self, Self::Dispute),
            LiftCause::Staff => true,
        }
    }
}

impl fmt::Display for SuspensionReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for SuspensionReason {
    type Err = UnknownReason;

    fn from_str(name: &str) -> Result<Self, UnknownReason> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name).ok_or_else(|| UnknownReason(name.to_owned()))
    }
}

/// What takes a reason to suspend away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiftCause {
    /// The renewal is paid.
    Payment,
    /// The dispute was decided for the shop.
    DisputeWon,
    /// A member of staff says so.
    Staff,
}

impl LiftCause {
    /// Every cause.
    pub const ALL: [Self; 3] = [Self::Payment, Self::DisputeWon, Self::Staff];
}

/// How an account ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Its customer, or staff for them, no longer wants it; or it was never delivered and the money went back.
    Cancelled,
    /// It was not paid for, through suspension and every notice.
    Lapsed,
    /// Staff ends it.
    Staff,
}

impl Ending {
    /// Every ending.
    pub const ALL: [Self; 3] = [Self::Cancelled, Self::Lapsed, Self::Staff];

    /// The name in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Cancelled => "cancelled",
            Self::Lapsed => "lapsed",
            Self::Staff => "staff",
        }
    }
}

impl FromStr for Ending {
    type Err = UnknownReason;

    fn from_str(name: &str) -> Result<Self, UnknownReason> {
        Self::ALL.into_iter().find(|ending| ending.as_str() == name).ok_or_else(|| UnknownReason(name.to_owned()))
    }
}

/// What is wished of an account. A phase in which a panel is at work does not change it, so that no wish is lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Why it is suspended or is to be; several may hold at once, and it works again when none is left.
    pub reasons: BTreeSet<SuspensionReason>,
    /// That it ends as soon as it can.
    pub ending: Option<Ending>,
    /// When it ends by its customer's wish, which they may take back until then.
    pub cancel_at: Option<Timestamp>,
}

impl Standing {
    /// One whose reason, if any, is that.
    #[must_use]
    pub fn with(reason: Option<SuspensionReason>) -> Self {
        Self { reasons: reason.into_iter().collect(), ..Self::default() }
    }

    /// The reason to show.
    #[must_use]
    pub fn reason(&self) -> Option<SuspensionReason> {
        self.reasons.last().copied()
    }

    /// Whether non-payment, and nothing else, keeps it suspended.
    #[must_use]
    pub fn only_unpaid(&self) -> bool {
        !self.reasons.is_empty() && !self.held_by_more()
    }

    /// Whether it is suspended, or to be, by something that no payment lifts.
    #[must_use]
    pub fn held_by_more(&self) -> bool {
        self.reasons.iter().any(|reason| !reason.is_lifted_by(LiftCause::Payment))
    }
}
