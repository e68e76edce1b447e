//! Notices that wait for a mail server: what the timetable would tell now is never withdrawn.

use jiff::{SignedDuration, Timestamp};

use super::{super::*, overdue};
use crate::domain::{
    account::{AccountPhase, Ending, Standing, SuspensionReason},
    decline::DeclineClass,
    outdated::Outdated,
    period::BillingCycle,
    renewal::RenewalPhase,
};

type Change = fn(&mut AccountFacts);

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

fn phase(facts: &mut AccountFacts, phase: AccountPhase) {
    facts.phase = phase;
    if phase == AccountPhase::Suspended {
        facts.standing = Standing::with(Some(SuspensionReason::NonPayment));
        facts.suspended_at = Some(facts.due_at + hours(5 * 24));
    }
}

/// Accounts of both cycles in every phase, renewals in every phase and none, with and without each of the rest.
fn accounts() -> Vec<AccountFacts> {
    let also: [Change; 8] = [
        |_| {},
        |a| a.auto_renew = false,
        |a| a.exempt = true,
        |a| a.kept = true,
        |a| a.frozen = true,
        |a| a.spared_until = Some(a.due_at + hours(20 * 24)),
        |a| a.standing.cancel_at = Some(a.due_at + hours(9 * 24)),
        |a| {
            if let Some(renewal) = &mut a.renewal {
                renewal.last_charge = Some(LastCharge { at: a.due_at - hours(2 * 24), class: DeclineClass::Hard });
            }
        },
    ];
    let mut accounts = Vec::new();
    for cycle in [BillingCycle::Monthly, BillingCycle::Annual] {
        for account in AccountPhase::ALL {
            for renewal in RenewalPhase::ALL.map(Some).into_iter().chain([None]) {
                for change in also {
                    let mut facts = AccountFacts { cycle, told: Vec::new(), ..overdue() };
                    facts.renewal = facts.renewal.zip(renewal).map(|(it, phase)| RenewalFacts { phase, ..it });
                    phase(&mut facts, account);
                    change(&mut facts);
                    accounts.push(facts);
                }
            }
        }
    }
    accounts
}

#[test]
fn what_would_be_told_now_is_not_withdrawn_and_nothing_else_of_its_ladder_is_sent() {
    let table = Timetable::default();
    let all = [
        Notice::HeadsUp,
        Notice::Expiring(1),
        Notice::Expiring(2),
        Notice::Reminder(1),
        Notice::DueToday,
        Notice::Overdue(1),
        Notice::Overdue(2),
        Notice::FinalWarning,
        Notice::TerminationWarning(1),
        Notice::TerminationWarning(2),
    ];
    let mut told = 0;
    for facts in accounts() {
        for day in -31..40 {
            let now = facts.due_at + hours(24 * day + 1);
            let sent: Vec<Notice> =
                all.into_iter().filter(|it| outdated(now, &facts, &table, facts.due_at, *it).is_none()).collect();
            let charging = facts.renewal.is_some_and(|renewal| renewal.phase.is_charging());
            assert!(sent.len() < 2 || charging, "{sent:?} on day {day} of {facts:#?}");
            for due in due(now, &facts, &table) {
                let Step::Notify(notice) = due.step else { continue };
                assert_eq!(sent, [notice], "on day {day} of {facts:#?}");
                told += 1;
            }
        }
    }
    assert!(told > 1_000, "{told}");
}

#[test]
fn of_steps_that_wait_only_the_latest_is_sent() {
    let facts = AccountFacts { told: Vec::new(), ..overdue() };
    let judged = |day: i64, notice| {
        let now = facts.due_at + hours(24 * day + 1);
        outdated(now, &facts, &Timetable::default(), facts.due_at, notice)
    };

    assert_eq!(judged(3, Notice::Overdue(1)), Some(Outdated::Overtaken(Notice::Overdue(2))));
    assert_eq!(judged(3, Notice::Reminder(1)), Some(Outdated::Overtaken(Notice::Overdue(2))));
    assert_eq!(judged(3, Notice::Overdue(2)), None);
    assert_eq!(judged(4, Notice::Overdue(2)), Some(Outdated::Overtaken(Notice::FinalWarning)));
    assert_eq!(judged(40, Notice::FinalWarning), None, "what a suspension waits for is sent however late");
}

#[test]
fn a_notice_of_a_period_that_is_paid_for_is_not_sent() {
    let facts = overdue();
    let earlier: Timestamp = facts.due_at - hours(31 * 24);

    let told = outdated(facts.due_at, &facts, &Timetable::default(), earlier, Notice::FinalWarning);

    assert_eq!(told, Some(Outdated::Paid));
}

#[test]
fn nothing_is_asked_of_who_has_ended_or_is_about_to() {
    let changes: [(Change, Outdated); 3] = [
        (|a| a.phase = AccountPhase::Terminated, Outdated::Ended),
        (|a| a.standing.ending = Some(Ending::Cancelled), Outdated::Ended),
        (|a| a.standing.cancel_at = Some(a.due_at), Outdated::Leaving),
    ];
    for (change, why) in changes {
        let mut facts = AccountFacts { told: Vec::new(), ..overdue() };
        change(&mut facts);
        let now = facts.due_at + hours(5 * 24);
        assert_eq!(outdated(now, &facts, &Timetable::default(), facts.due_at, Notice::FinalWarning), Some(why));
    }
}
