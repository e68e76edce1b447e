//! When a card is charged next, as far as that can be said: what a customer is told whose card was declined.

use jiff::{SignedDuration, Timestamp};

use super::{AccountFacts, Step, Timetable, due};

/// As far as any timetable reaches beyond D, in days.
const FURTHEST_DAYS: i32 = 365;

/// The first time after `now` at which a charge is due if nothing else happens; `None` when there is none.
#[must_use]
pub fn next_charge(now: Timestamp, facts: &AccountFacts, timetable: &Timetable) -> Option<Timestamp> {
    let rested = facts.renewal.and_then(|renewal| renewal.last_charge).map(|last| after(last.at, 12));
    let days = timetable.charge_days.iter().filter(|days| **days <= FURTHEST_DAYS);
    let slots = days.map(|days| after(facts.due_at, i64::from(*days) * 24));
    let times = slots.map(|slot| rested.map_or(slot, |rested| slot.max(rested)));
    let mut times: Vec<Timestamp> = times.filter(|at| *at > now).collect();
    times.sort_unstable();
    times.into_iter().find(|at| due(*at, facts, timetable).iter().any(|due| matches!(due.step, Step::Charge(_))))
}

/// The instant so many hours later; at the calendar's end, that end.
fn after(at: Timestamp, hours: i64) -> Timestamp {
    let end = if hours < 0 { Timestamp::MIN } else { Timestamp::MAX };
    at.checked_add(SignedDuration::from_hours(hours)).unwrap_or(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        account::{AccountPhase, Standing},
        decline::DeclineClass,
        period::BillingCycle,
        renewal::RenewalPhase,
        timetable::{CardFacts, LastCharge, RenewalFacts},
    };

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// An account that is due on the 20th and whose card was declined so at `last`, for the n-th time.
    fn declined(last: &str, class: DeclineClass, attempts: u32) -> AccountFacts {
        AccountFacts {
            phase: AccountPhase::Active,
            standing: Standing::default(),
            cycle: BillingCycle::Monthly,
            due_at: at("2026-12-20T00:00:00Z"),
            auto_renew: true,
            exempt: false,
            spared_until: None,
            kept: false,
            frozen: false,
            suspended_at: None,
            terminated_at: None,
            purged: false,
            renewal: Some(RenewalFacts {
                phase: RenewalPhase::PastDue,
                issued_at: at("2026-12-13T00:00:00Z"),
                delivered_at: Some(at("2026-12-13T00:00:00Z")),
                attempts,
                attempts_on_card: attempts,
                last_charge: Some(LastCharge { at: at(last), class }),
            }),
            card: Some(CardFacts { since: at("2026-11-20T00:00:00Z"), expires_at: at("2040-01-01T00:00:00Z") }),
            told: Vec::new(),
        }
    }

    fn next(now: &str, facts: &AccountFacts) -> Option<String> {
        next_charge(at(now), facts, &Timetable::default()).map(|at| at.to_string())
    }

    #[test]
    fn a_card_that_was_declined_softly_is_tried_on_the_next_day_of_the_timetable() {
        let facts = declined("2026-12-17T00:01:00Z", DeclineClass::Soft, 1);

        assert_eq!(next("2026-12-17T00:01:00Z", &facts).as_deref(), Some("2026-12-19T00:00:00Z"));
    }

    #[test]
    fn a_charge_that_was_late_is_followed_by_half_a_day_of_rest() {
        let facts = declined("2026-12-18T20:00:00Z", DeclineClass::Soft, 1);

        assert_eq!(next("2026-12-18T20:00:00Z", &facts).as_deref(), Some("2026-12-19T08:00:00Z"));
    }

    #[test]
    fn the_last_try_and_a_hard_decline_are_followed_by_none() {
        let last = declined("2026-12-24T00:00:00Z", DeclineClass::Soft, 5);
        let hard = declined("2026-12-17T00:01:00Z", DeclineClass::Hard, 1);

        assert_eq!(next("2026-12-24T00:00:00Z", &last), None);
        assert_eq!(next("2026-12-17T00:01:00Z", &hard), None);
    }
}
