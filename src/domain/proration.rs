//! Proration: what the unused days of a period are worth, and what another package costs for them.

use std::cmp::Ordering;

use jiff::{SignedDuration, Timestamp};

use super::money::{Money, MoneyError};

/// A period, or what is left of one, and what was paid for it.
///
/// What was paid is told without what went back: a refund has lowered it, a change of package has replaced it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PaidPeriod {
    /// When it began.
    pub from: Timestamp,
    /// When it ends.
    pub until: Timestamp,
    /// What was paid for it, in money and from the credit.
    pub paid: Money,
}

/// Why nothing can be prorated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProrationError {
    /// The period has no whole day, or far too many.
    #[error("a period from {from} until {until} has no days that could be counted")]
    NoDays {
        /// Its beginning.
        from: Timestamp,
        /// Its end.
        until: Timestamp,
    },
    /// No whole day of the period is left: what was paid for is used, and the next period is to be renewed first.
    #[error("no day of the period that ends at {0} is left")]
    NothingLeft(Timestamp),
    /// The amounts do not go together.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// What is left to settle after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Neither side owes anything.
    Even,
    /// The customer pays that much before the change is made.
    Pay(Money),
    /// The customer is credited that much; it is not paid out.
    Credit(Money),
}

/// A change of package for what is left of a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Proration {
    /// Whole days left; the day that has begun is used.
    pub days_left: u32,
    /// Whole days of the period.
    pub days: u32,
    /// What the days left were worth: never more than was paid for them.
    pub credit: Money,
    /// What they cost now.
    pub cost: Money,
    /// The difference of both.
    pub settlement: Settlement,
    /// What is left of the period, as paid for by the credit and the settlement: the next change counts from it.
    pub rest: PaidPeriod,
}

impl PaidPeriod {
    /// Whole days of it, and those that are left at `now`.
    ///
    /// # Errors
    /// When it has no days that could be counted.
    pub fn days(&self, now: Timestamp) -> Result<(u32, u32), ProrationError> {
        let no_days = ProrationError::NoDays { from: self.from, until: self.until };
        let Some(days) = whole_days(self.from, self.until).filter(|days| *days > 0) else { return Err(no_days) };
        let left = whole_days(now.max(self.from), self.until).unwrap_or(0);
        Ok((left.min(days), days))
    }

    /// What its unused days are worth: the credit of who cancels.
    ///
    /// # Errors
    /// As [`PaidPeriod::days`].
    pub fn unused(&self, now: Timestamp) -> Result<Money, ProrationError> {
        let (left, days) = self.days(now)?;
        Ok(self.paid.part_rounded_down(left, days)?)
    }

    /// A change at `now` to what costs `price` for a period as long as the whole one, of which this one may be the rest.
    ///
    /// # Errors
    /// When no day is left, or the price is of another currency.
    pub fn change(&self, now: Timestamp, price: PeriodPrice) -> Result<Proration, ProrationError> {
        let (days_left, days) = self.days(now)?;
        if days_left == 0 {
            return Err(ProrationError::NothingLeft(self.until));
        }
        let credit = self.paid.part_rounded_down(days_left, days)?;
        let cost = price.price.part(days_left.min(price.days), price.days)?;
        let settlement = match cost.checked_cmp(credit)? {
            Ordering::Greater => Settlement::Pay(cost.checked_sub(credit)?),
            Ordering::Less => Settlement::Credit(credit.checked_sub(cost)?),
            Ordering::Equal => Settlement::Even,
        };
        let from = self.until.checked_sub(SignedDuration::from_hours(i64::from(days_left) * 24)).unwrap_or(self.from);
        let rest = PaidPeriod { from, until: self.until, paid: cost };
        Ok(Proration { days_left, days, credit, cost, settlement, rest })
    }
}

/// How much of a sum is paid from a credit, and how much is left to be charged: nothing, or `minimum` and more. `None` where
/// that cannot be, since so little cannot be charged.
///
/// # Errors
/// When the amounts are of different currencies.
pub fn from_credit(sum: Money, credit: Money, minimum: Money) -> Result<Option<(Money, Money)>, MoneyError> {
    if credit.checked_cmp(sum)? != Ordering::Less {
        return Ok(Some((sum, sum.checked_sub(sum)?)));
    }
    if sum.checked_cmp(minimum)? == Ordering::Less {
        return Ok(None);
    }
    let most = sum.checked_sub(minimum)?;
    let used = if credit.checked_cmp(most)? == Ordering::Greater { most } else { credit };
    Ok(Some((used, sum.checked_sub(used)?)))
}

/// What a package costs for a whole period of so many days.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeriodPrice {
    /// The price of the whole period.
    pub price: Money,
    /// How many days it has.
    pub days: u32,
}

/// Days of 24 hours; none when `until` comes first.
fn whole_days(from: Timestamp, until: Timestamp) -> Option<u32> {
    u32::try_from(until.duration_since(from).as_hours() / 24).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::money::Currency;

    fn usd(text: &str) -> Money {
        Money::parse(text, Currency::Usd).unwrap()
    }

    fn cents(minor: i64) -> Money {
        Money::from_minor(minor, Currency::Usd).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// April: thirty days, paid with that much.
    fn april(paid: Money) -> PaidPeriod {
        PaidPeriod { from: at("2026-04-01T10:00:00Z"), until: at("2026-05-01T10:00:00Z"), paid }
    }

    #[test]
    fn an_upgrade_costs_the_difference_for_the_days_left() {
        let change =
            april(usd("9.99")).change(at("2026-04-16T09:00:00Z"), PeriodPrice { price: usd("29.99"), days: 30 });

        let change = change.unwrap();
        assert_eq!((change.days_left, change.days), (15, 30), "the day that has begun is used");
        assert_eq!((change.credit, change.cost), (usd("4.99"), usd("15.00")));
        assert_eq!(change.settlement, Settlement::Pay(usd("10.01")));
        assert_eq!(change.rest, PaidPeriod { from: at("2026-04-16T10:00:00Z"), paid: usd("15.00"), ..april(usd("0")) });
    }

    #[test]
    fn a_downgrade_is_credited_and_a_second_upgrade_counts_what_the_first_one_cost() {
        let now = at("2026-04-11T10:00:00Z");
        let price = |text| PeriodPrice { price: usd(text), days: 30 };

        let down = april(usd("30.00")).change(now, price("12.00")).unwrap();
        assert_eq!(down.settlement, Settlement::Credit(usd("12.00")));
        let up = april(usd("12.00")).change(now, price("30.00")).unwrap();
        assert_eq!(up.settlement, Settlement::Pay(usd("12.00")));
        let further = up.rest.change(now, price("60.00")).unwrap();
        assert_eq!((further.credit, further.settlement), (usd("20.00"), Settlement::Pay(usd("20.00"))));
        let same = up.rest.change(now, price("30.00")).unwrap();
        assert_eq!(same.settlement, Settlement::Even);
    }

    #[test]
    fn a_period_without_days_or_with_none_left_is_refused() {
        let price = PeriodPrice { price: usd("30.00"), days: 30 };
        let last_day = at("2026-04-30T10:00:01Z");
        assert_eq!(april(usd("9.99")).change(last_day, price), Err(ProrationError::NothingLeft(april(usd("0")).until)));
        assert_eq!(april(usd("9.99")).unused(last_day), Ok(usd("0.00")));
        assert_eq!(april(usd("9.99")).unused(at("2027-01-01T00:00:00Z")), Ok(usd("0.00")));
        // Before it begins, all of it is unused.
        assert_eq!(april(usd("9.99")).unused(at("2026-03-01T00:00:00Z")), Ok(usd("9.99")));
        let nothing = PaidPeriod { until: april(usd("0")).from, ..april(usd("1.00")) };
        assert!(matches!(nothing.unused(last_day), Err(ProrationError::NoDays { .. })));
        let euros = PeriodPrice { price: Money::parse("30.00", Currency::Eur).unwrap(), days: 30 };
        assert!(matches!(april(usd("9.99")).change(at("2026-04-02T00:00:00Z"), euros), Err(ProrationError::Money(_))));
    }

    #[test]
    fn credit_is_used_first_and_leaves_nothing_or_what_can_be_charged() {
        let split = |sum: &str, credit: &str| {
            let parts = from_credit(usd(sum), usd(credit), usd("0.50")).unwrap();
            parts.map(|(used, due)| (used.amount_text(), due.amount_text()))
        };
        let some = |used: &str, due: &str| Some((used.to_owned(), due.to_owned()));

        assert_eq!(split("10.00", "0.00"), some("0.00", "10.00"));
        assert_eq!(split("10.00", "4.00"), some("4.00", "6.00"));
        assert_eq!(split("10.00", "10.00"), some("10.00", "0.00"));
        assert_eq!(split("10.00", "99.00"), some("10.00", "0.00"));
        assert_eq!(split("10.00", "9.80"), some("9.50", "0.50"), "0.20 cannot be charged");
        assert_eq!(split("0.30", "0.10"), None);
        assert_eq!(split("0.30", "0.30"), some("0.30", "0.00"));
        assert_eq!(split("0.50", "0.10"), some("0.00", "0.50"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// However often somebody changes, no credit exceeds the exact share of what was paid for those days, and all that
        /// was credited is never more than all that was paid.
        #[test]
        fn nobody_is_credited_more_than_was_paid(
            paid in 0_i64..100_000,
            changes in prop::collection::vec((0_i64..40_000, 0_i64..100_000), 1..8),
        ) {
            let mut period = april(cents(paid));
            let (mut now, mut money_in, mut credited) = (period.from, period.paid, cents(0));
            for (minutes, price) in changes {
                now = now.checked_add(SignedDuration::from_mins(minutes / 8)).unwrap();
                let Ok(change) = period.change(now, PeriodPrice { price: cents(price), days: 30 }) else { break };
                let (credit, paid) = (change.credit.to_minor().unwrap(), period.paid.to_minor().unwrap());
                prop_assert!(credit * i64::from(change.days) <= paid * i64::from(change.days_left));
                match change.settlement {
                    Settlement::Even => prop_assert_eq!(change.cost, change.credit),
                    Settlement::Pay(more) => money_in = money_in.checked_add(more).unwrap(),
                    Settlement::Credit(back) => credited = credited.checked_add(back).unwrap(),
                }
                prop_assert_ne!(credited.checked_cmp(money_in).unwrap(), Ordering::Greater);
                period = change.rest;
            }
            let unused = credited.checked_add(period.unused(now).unwrap()).unwrap();
            prop_assert_ne!(unused.checked_cmp(money_in).unwrap(), Ordering::Greater);
        }
    }
}
