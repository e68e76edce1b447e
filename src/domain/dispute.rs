//! Disputes: a customer's bank wants a payment back. Stripe has a word for each step; three of them matter here.

use std::str::FromStr;

use super::order::UnknownPhase;

/// How a dispute stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DisputeStanding {
    /// It is to be decided, or is an inquiry that may become one.
    Open,
    /// The money stays.
    Won,
    /// The money is gone.
    Lost,
}

impl DisputeStanding {
    /// Every standing.
    pub const ALL: [Self; 3] = [Self::Open, Self::Won, Self::Lost];

    /// What Stripe's word means, and whether it is known. What is not known is open: that holds the account and charges
    /// nobody, and a person looks.
    #[must_use]
    pub fn of(status: &str) -> (Self, bool) {
        match status {
            "needs_response" | "under_review" | "warning_needs_response" | "warning_under_review" => (Self::Open, true),
            // Inquiries that went no further, disputes that were prevented, and those that a refund had settled.
            "won" | "warning_closed" | "prevented" | "charge_refunded" => (Self::Won, true),
            "lost" => (Self::Lost, true),
            _ => (Self::Open, false),
        }
    }

    /// The name in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Won => "won",
            Self::Lost => "lost",
        }
    }

    /// Whether it is decided.
    #[must_use]
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Won | Self::Lost)
    }
}

impl FromStr for DisputeStanding {
    type Err = UnknownPhase;

    fn from_str(name: &str) -> Result<Self, UnknownPhase> {
        Self::ALL.into_iter().find(|it| it.as_str() == name).ok_or_else(|| UnknownPhase(name.to_owned()))
    }
}

/// What follows from how a dispute stands, for the accounts that its payment was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consequence {
    /// They are suspended, by the shop's policy.
    Suspend,
    /// Nothing of this dispute's holds them any more.
    Lift,
    /// They stay as they are: a person decides.
    Stay,
}

/// What follows from `now`, where `followed` is what was followed before. A person who has lifted a suspension meanwhile is not
/// overruled by the next news.
#[must_use]
pub const fn consequence(followed: Option<DisputeStanding>, now: DisputeStanding) -> Consequence {
    match (followed, now) {
        (None, DisputeStanding::Open | DisputeStanding::Lost) => Consequence::Suspend,
        (Some(DisputeStanding::Open) | None, DisputeStanding::Won) => Consequence::Lift,
        (Some(_), DisputeStanding::Open | DisputeStanding::Lost)
        | (Some(DisputeStanding::Won | DisputeStanding::Lost), DisputeStanding::Won) => Consequence::Stay,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stripes_words_are_understood_and_unknown_ones_hold() {
        for (word, standing) in [
            ("needs_response", DisputeStanding::Open),
            ("warning_under_review", DisputeStanding::Open),
            ("won", DisputeStanding::Won),
            ("warning_closed", DisputeStanding::Won),
            ("lost", DisputeStanding::Lost),
        ] {
            assert_eq!(DisputeStanding::of(word), (standing, true), "{word}");
        }
        assert_eq!(DisputeStanding::of("pondered"), (DisputeStanding::Open, false));
    }

    #[test]
    fn an_account_is_suspended_once_for_a_dispute_and_released_when_it_is_won() {
        use Consequence as C;
        use DisputeStanding as S;
        for (followed, now, follows) in [
            (None, S::Open, C::Suspend),
            (Some(S::Open), S::Open, C::Stay),
            (Some(S::Open), S::Won, C::Lift),
            (Some(S::Open), S::Lost, C::Stay),
            (None, S::Lost, C::Suspend),
            (None, S::Won, C::Lift),
            (Some(S::Won), S::Won, C::Stay),
            (Some(S::Lost), S::Lost, C::Stay),
        ] {
            assert_eq!(consequence(followed, now), follows, "{followed:?} {now:?}");
        }
    }
}
