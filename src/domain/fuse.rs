//! The fuse: stops a sweep that is about to do far more than usual, until a person has looked at its plan.

use jiff::{SignedDuration, Timestamp};
use rust_decimal::Decimal;

use super::percent::Percent;

/// Over which time is counted, and for which a confirmation holds.
pub const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// What a fuse watches; each is counted by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fused {
    /// Renewals that are invoiced.
    Invoices,
    /// Saved cards that are charged.
    Charges,
    /// Accounts that are suspended.
    Suspensions,
    /// Accounts that are removed.
    Terminations,
}

impl Fused {
    /// All that is watched.
    pub const ALL: [Self; 4] = [Self::Invoices, Self::Charges, Self::Suspensions, Self::Terminations];

    /// The name in the database and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invoices => "invoices",
            Self::Charges => "charges",
            Self::Suspensions => "suspensions",
            Self::Terminations => "terminations",
        }
    }
}

/// How much is usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fuse {
    /// So many a day are always usual.
    pub number: u64,
    /// So large a share of the accounts a day is always usual.
    pub share: Percent,
}

/// What is to be done and has been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// Done in the last [`WINDOW`].
    pub done: u64,
    /// About to be done.
    pub planned: u64,
    /// Of how many accounts that could be concerned.
    pub accounts: u64,
}

/// What a fuse says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is usual: do it.
    Holds,
    /// It is not: do none of it, keep the plan and ask a person.
    Trips {
        /// How many it would be in the window.
        count: u64,
        /// Of how many accounts.
        of: u64,
    },
}

impl Fuse {
    /// It trips only above the number and the share, both: a small shop and a large one are both let work.
    /// Where nothing is planned, there is nothing to stop.
    #[must_use]
    pub fn verdict(&self, load: Load) -> Verdict {
        let count = load.done.saturating_add(load.planned);
        let many = count > self.number;
        // count / accounts > share / 100, without dividing.
        let part = Decimal::from(count).saturating_mul(Decimal::ONE_HUNDRED);
        let large = part > Decimal::from(load.accounts).saturating_mul(self.share.get());
        if load.planned > 0 && many && large {
            return Verdict::Trips { count, of: load.accounts };
        }
        Verdict::Holds
    }
}

/// Whether a plan of a tripped fuse may still be confirmed and run; what of it is still due is decided row by row.
#[must_use]
pub fn may_confirm(planned_at: Timestamp, now: Timestamp) -> bool {
    let age = now.duration_since(planned_at);
    age >= SignedDuration::ZERO && age <= WINDOW
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fuse() -> Fuse {
        Fuse { number: 25, share: Percent::new(Decimal::from(5)).unwrap() }
    }

    #[test]
    fn it_trips_above_the_number_and_the_share_together_only() {
        for (done, planned, accounts, trips) in [
            (0, 25, 10, false),  // not above the number
            (0, 26, 10, true),   // above both
            (0, 26, 520, false), // exactly the share
            (0, 26, 519, true),  // just above it
            (0, 10_000, 200_000, false),
            (0, 10_001, 200_000, true),
            (20, 6, 100, true),    // what was done counts
            (1000, 0, 100, false), // nothing is to be stopped
            (0, 26, 0, true),
            (u64::MAX, 1, u64::MAX, true),
        ] {
            let verdict = fuse().verdict(Load { done, planned, accounts });
            assert_eq!(verdict != Verdict::Holds, trips, "{done} done, {planned} planned, of {accounts}");
        }
        assert_eq!(
            fuse().verdict(Load { done: 20, planned: 30, accounts: 100 }),
            Verdict::Trips { count: 50, of: 100 }
        );
    }

    #[test]
    fn the_share_is_exact() {
        let fuse = Fuse { share: Percent::new("0.33".parse().unwrap()).unwrap(), ..fuse() };
        let trips = |planned| fuse.verdict(Load { done: 0, planned, accounts: 10_000 }) != Verdict::Holds;

        assert_eq!((trips(33), trips(34)), (false, true));
    }

    #[test]
    fn a_plan_is_confirmed_within_a_day() {
        let planned: Timestamp = "2026-03-01T10:00:00Z".parse().unwrap();
        for (now, may) in [
            ("2026-03-01T10:00:00Z", true),
            ("2026-03-02T10:00:00Z", true),
            ("2026-03-02T10:00:01Z", false),
            ("2026-03-01T09:59:59Z", false),
        ] {
            assert_eq!(may_confirm(planned, now.parse().unwrap()), may, "{now}");
        }
    }

    #[test]
    fn everything_watched_has_its_name() {
        assert_eq!(Fused::ALL.map(Fused::as_str), ["invoices", "charges", "suspensions", "terminations"]);
    }
}
