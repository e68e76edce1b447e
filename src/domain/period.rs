//! Billing periods: calendar steps counted from an account's anchor, never from the previous due date.

use std::{fmt, str::FromStr};

use jiff::{SignedDuration, Span, Timestamp, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// How often an account is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BillingCycle {
    /// Once a calendar month.
    Monthly,
    /// Once a calendar year.
    Annual,
}

/// Why a billing date could not be told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PeriodError {
    /// No name of a cycle.
    #[error("{0:?} is not a billing cycle: use monthly or annual")]
    UnknownCycle(String),
    /// Beyond the year 9999.
    #[error("{cycles} {cycle} cycles after {anchor} lie beyond the calendar")]
    OutOfRange {
        /// The instant counted from.
        anchor: Timestamp,
        /// What was counted.
        cycle: BillingCycle,
        /// How many were counted.
        cycles: u32,
    },
    /// A trial ends beyond the year 9999.
    #[error("{days} days after {begun} lie beyond the calendar")]
    TrialOutOfRange {
        /// When it begins.
        begun: Timestamp,
        /// How long it is.
        days: u32,
    },
}

impl BillingCycle {
    /// The word used in the API, in tables and in the catalogue.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Monthly => "monthly",
            Self::Annual => "annual",
        }
    }

    const fn months(self) -> u32 {
        match self {
            Self::Monthly => 1,
            Self::Annual => 12,
        }
    }
}

impl fmt::Display for BillingCycle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for BillingCycle {
    type Err = PeriodError;

    fn from_str(text: &str) -> Result<Self, PeriodError> {
        match text {
            "monthly" => Ok(Self::Monthly),
            "annual" => Ok(Self::Annual),
            _ => Err(PeriodError::UnknownCycle(text.to_owned())),
        }
    }
}

/// The instant `cycles` cycles after the anchor, in UTC and at the anchor's time of day.
///
/// A day that the month lacks becomes its last day: from 31 January, one month leads to 28 (or 29) February, two to 31 March.
/// Count from the anchor each time: adding one month to the previous date would lose the 31st for ever after February.
///
/// # Errors
/// When the date lies beyond the year 9999.
pub fn after_cycles(anchor: Timestamp, cycle: BillingCycle, cycles: u32) -> Result<Timestamp, PeriodError> {
    let out_of_range = || PeriodError::OutOfRange { anchor, cycle, cycles };
    let months = cycle.months().checked_mul(cycles).ok_or_else(out_of_range)?;
    let span = Span::new().try_months(i64::from(months)).map_err(|_| out_of_range())?;
    let due = anchor.to_zoned(TimeZone::UTC).checked_add(span).map_err(|_| out_of_range())?;
    Ok(due.timestamp())
}

/// The end of the period that begins at `due`: the first date after it that counts from the anchor. Paid late or early, a
/// period never moves the ones that follow.
///
/// # Errors
/// When the date lies beyond the year 9999.
pub fn next_end(anchor: Timestamp, cycle: BillingCycle, due: Timestamp) -> Result<Timestamp, PeriodError> {
    let month = |at: Timestamp| {
        let date = at.to_zoned(TimeZone::UTC).date();
        i32::from(date.year()) * 12 + i32::from(date.month())
    };
    let months = u32::try_from(month(due) - month(anchor)).unwrap_or(0);
    let cycles = months / cycle.months();
    // The date in the month of `due` may lie before it or be it; the one a cycle later lies in a later month.
    let here = after_cycles(anchor, cycle, cycles)?;
    if here > due { Ok(here) } else { after_cycles(anchor, cycle, cycles.saturating_add(1)) }
}

/// The beginning of the period that ends at `end`: the last date before it that counts from the anchor.
///
/// # Errors
/// When the date lies beyond the year 9999.
pub fn begin_of(anchor: Timestamp, cycle: BillingCycle, end: Timestamp) -> Result<Timestamp, PeriodError> {
    let mut begin = anchor;
    let mut cycles: u32 = 0;
    loop {
        cycles = cycles.saturating_add(1);
        let next = after_cycles(anchor, cycle, cycles)?;
        if next >= end {
            return Ok(begin);
        }
        begin = next;
    }
}

/// The end of a trial of so many days of 24 hours.
///
/// # Errors
/// When it lies beyond the year 9999.
pub fn after_trial(begun: Timestamp, days: u32) -> Result<Timestamp, PeriodError> {
    let hours = SignedDuration::from_hours(i64::from(days) * 24);
    begun.checked_add(hours).map_err(|_| PeriodError::TrialOutOfRange { begun, days })
}

#[cfg(test)]
mod tests {
    use jiff::civil::Date;
    use proptest::prelude::*;

    use super::*;

    fn check(anchor: &str, cycle: BillingCycle, expected: &[(u32, &str)]) {
        let anchor: Timestamp = anchor.parse().unwrap();

        for (cycles, due) in expected {
            let due: Timestamp = due.parse().unwrap();
            assert_eq!(after_cycles(anchor, cycle, *cycles), Ok(due), "{cycles} {cycle} after {anchor}");
        }
    }

    #[test]
    fn the_31st_of_january_is_kept_through_february() {
        check(
            "2026-01-31T09:30:15.25Z",
            BillingCycle::Monthly,
            &[
                (0, "2026-01-31T09:30:15.25Z"),
                (1, "2026-02-28T09:30:15.25Z"),
                (2, "2026-03-31T09:30:15.25Z"),
                (3, "2026-04-30T09:30:15.25Z"),
                (25, "2028-02-29T09:30:15.25Z"),
            ],
        );
    }

    #[test]
    fn the_31st_of_august_is_followed_by_the_30th_of_september() {
        check(
            "2026-08-31T23:59:59Z",
            BillingCycle::Monthly,
            &[(1, "2026-09-30T23:59:59Z"), (2, "2026-10-31T23:59:59Z")],
        );
    }

    #[test]
    fn a_period_begins_where_the_one_before_it_has_ended() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let anchor = at("2026-01-31T09:30:15Z");
        for (end, begin) in [
            ("2026-02-28T09:30:15Z", "2026-01-31T09:30:15Z"),
            ("2026-03-31T09:30:15Z", "2026-02-28T09:30:15Z"),
            ("2028-03-31T09:30:15Z", "2028-02-29T09:30:15Z"),
            // A trial ends with the anchor: nothing begins before it.
            ("2026-01-31T09:30:15Z", "2026-01-31T09:30:15Z"),
        ] {
            assert_eq!(begin_of(anchor, BillingCycle::Monthly, at(end)), Ok(at(begin)), "{end}");
        }
    }

    #[test]
    fn a_leap_day_is_due_on_the_28th_until_the_next_leap_year() {
        check(
            "2028-02-29T00:00:00Z",
            BillingCycle::Annual,
            &[
                (1, "2029-02-28T00:00:00Z"),
                (3, "2031-02-28T00:00:00Z"),
                (4, "2032-02-29T00:00:00Z"),
                (72, "2100-02-28T00:00:00Z"),
            ],
        );
    }

    #[test]
    fn dates_beyond_the_calendar_are_refused() {
        let anchor: Timestamp = "2026-01-31T00:00:00Z".parse().unwrap();

        for (cycle, cycles) in
            [(BillingCycle::Annual, 8000), (BillingCycle::Annual, u32::MAX), (BillingCycle::Monthly, u32::MAX)]
        {
            assert_eq!(after_cycles(anchor, cycle, cycles), Err(PeriodError::OutOfRange { anchor, cycle, cycles }));
        }
    }

    #[test]
    fn a_cycle_reads_back_as_it_was_written() {
        for cycle in [BillingCycle::Monthly, BillingCycle::Annual] {
            assert_eq!(cycle.as_str().parse(), Ok(cycle));
            assert_eq!(serde_json::to_value(cycle).unwrap(), cycle.as_str());
        }
        assert!("Monthly".parse::<BillingCycle>().is_err());
        assert!("weekly".parse::<BillingCycle>().is_err());
    }

    #[test]
    fn periods_tile_from_every_anchor_day_for_ten_years_whenever_they_are_paid() {
        let first = jiff::civil::date(2027, 1, 1);

        for day in first.series(Span::new().days(1)).take(2 * 365 + 1) {
            let anchor = day.at(23, 30, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp();
            for (cycle, cycles) in [(BillingCycle::Monthly, 120), (BillingCycle::Annual, 10)] {
                let mut due = anchor;
                for n in 1..=cycles {
                    let end = next_end(anchor, cycle, due).unwrap();
                    assert_eq!(Ok(end), after_cycles(anchor, cycle, n), "{anchor} + {n} {cycle}");
                    let within = due + SignedDuration::from_secs(1);
                    assert_eq!(next_end(anchor, cycle, within), Ok(end), "what began within it ends with it");
                    due = end;
                }
            }
        }
    }

    #[test]
    fn the_period_before_the_anchor_ends_with_it() {
        let anchor: Timestamp = "2026-03-31T10:00:00Z".parse().unwrap();
        let trial_began: Timestamp = "2026-03-17T10:00:00Z".parse().unwrap();

        assert_eq!(next_end(anchor, BillingCycle::Monthly, trial_began), Ok(anchor));
        assert!(next_end(anchor, BillingCycle::Annual, Timestamp::MAX).is_err());
    }

    /// The due dates of ten years fall in consecutive months (or years), on the anchor's day or the month's last one.
    fn ten_years_follow_the_calendar(anchor_day: Date, seconds_of_day: i64) {
        let anchor = anchor_day.to_zoned(TimeZone::UTC).unwrap().timestamp() + Span::new().seconds(seconds_of_day);

        for (cycle, cycles, months) in [(BillingCycle::Monthly, 120, 1), (BillingCycle::Annual, 10, 12)] {
            let mut previous = anchor;
            for n in 1..=cycles {
                let due = after_cycles(anchor, cycle, n).unwrap();
                let date = due.to_zoned(TimeZone::UTC).date();
                let month = i32::from(anchor_day.year()) * 12 + i32::from(anchor_day.month()) - 1
                    + i32::try_from(n).unwrap() * months;
                assert!(due > previous, "{anchor} + {n} {cycle}");
                assert_eq!(i32::from(date.year()) * 12 + i32::from(date.month()) - 1, month, "{anchor} + {n} {cycle}");
                assert_eq!(date.day(), anchor_day.day().min(date.days_in_month()), "{anchor} + {n} {cycle}");
                assert_eq!((due.as_second() - anchor.as_second()) % 86_400, 0, "{anchor} + {n} {cycle}");
                previous = due;
            }
        }
    }

    #[test]
    fn every_anchor_day_of_four_years_follows_the_calendar_for_ten_years() {
        let first = jiff::civil::date(2025, 1, 1);

        for day in first.series(Span::new().days(1)).take(4 * 365 + 1) {
            ten_years_follow_the_calendar(day, 0);
        }
    }

    proptest! {
        #[test]
        fn any_anchor_follows_the_calendar_for_ten_years(days in 0_i64..60_000, seconds in 0_i64..86_400) {
            ten_years_follow_the_calendar(jiff::civil::date(1970, 1, 1) + Span::new().days(days), seconds);
        }
    }
}
