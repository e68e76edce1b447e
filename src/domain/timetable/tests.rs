mod outdated;
mod simulation;

use proptest::prelude::*;
use simulation::{Answer, Life};

use super::*;
use crate::domain::{
    account::{AccountPhase, Standing, SuspensionReason},
    decline::DeclineClass,
    period::BillingCycle,
    renewal::RenewalPhase,
};

fn timetable(change: impl FnOnce(&mut TimetableChanges)) -> Result<Timetable, InvalidTimetable> {
    let mut changes = TimetableChanges::default();
    change(&mut changes);
    Timetable::merged(&TimetableChanges::default(), &changes, &TimetableChanges::default())
}

#[test]
fn the_defaults_can_be() {
    assert_eq!(timetable(|_| {}), Ok(Timetable::default()));
}

#[test]
fn an_account_has_what_it_says_then_what_its_plan_says_then_the_shop() {
    let changes = |grace_hours, suspend_days, terminate_days| TimetableChanges {
        grace_hours,
        suspend_days,
        terminate_days,
        ..TimetableChanges::default()
    };

    let merged = Timetable::merged(
        &changes(Some(12), Some(6), Some(40)),
        &changes(Some(36), Some(7), None),
        &changes(Some(48), None, None),
    )
    .unwrap();

    assert_eq!((merged.grace_hours, merged.suspend_days, merged.terminate_days), (48, 7, 40));
    assert_eq!(merged.told_days, Timetable::default().told_days);
}

#[test]
fn changes_are_read_by_name_and_unknown_ones_are_refused() {
    let changes: TimetableChanges = serde_json::from_str(r#"{"suspend_days": 9, "charge_days": [-1, 3]}"#).unwrap();

    assert_eq!((changes.suspend_days, changes.charge_days.as_deref()), (Some(9), Some([-1, 3].as_slice())));
    assert_eq!(serde_json::to_string(&changes).unwrap(), r#"{"charge_days":[-1,3],"suspend_days":9}"#);
    assert!(serde_json::from_str::<TimetableChanges>(r#"{"suspend_after": 9}"#).is_err());
}

#[test]
fn an_order_of_steps_that_cannot_be_is_refused_in_words() {
    type Change = fn(&mut TimetableChanges);
    let faults: [(&str, Change); 27] = [
        ("too long", |t| t.suspend_days = Some(366)),
        ("too long", |t| t.purge_days = Some(u32::MAX)),
        ("too many", |t| t.charge_days = Some((0..11).collect())),
        ("too far", |t| t.reminder_days = Some(vec![400])),
        ("month", |t| t.issue_days_monthly = Some(28)),
        ("heads-up", |t| t.heads_up_days = Some(14)),
        ("reminders", |t| t.reminder_days = Some(vec![1, 3])),
        ("reminders", |t| t.reminder_days = Some(vec![3, 0])),
        ("reminders", |t| t.reminder_days = Some(vec![8])),
        ("cards", |t| t.card_expiry_days = Some(vec![3, 14])),
        ("charges", |t| t.charge_days = Some(vec![0, 0])),
        ("charges", |t| t.charge_days = Some(vec![-8])),
        ("charges", |t| t.charge_days = Some(vec![5])),
        ("charges", |t| t.charge_days = Some(vec![i32::MIN])),
        ("grace", |t| t.grace_hours = Some(120)),
        ("overdue", |t| t.overdue_days = Some(vec![3, 1])),
        ("overdue", |t| t.overdue_days = Some(vec![0, 1])),
        ("overdue", |t| t.overdue_days = Some(vec![1, 4])),
        ("unwarned", |t| t.final_warning_hours = Some(0)),
        ("untold", |t| t.told_days = Some(0)),
        ("never suspended", |t| t.suspend_days = Some(0)),
        ("removed first", |t| t.terminate_days = Some(5)),
        ("unwarned end", |t| t.termination_warning_days = Some(vec![])),
        ("warned early", |t| t.termination_warning_days = Some(vec![5, 20])),
        ("warned late", |t| t.termination_warning_days = Some(vec![28])),
        ("unwarned end", |t| t.final_notice_days = Some(0)),
        ("purge", |t| t.purge_days = Some(29)),
    ];
    let said: String =
        faults.into_iter().map(|(name, change)| format!("{name}: {}\n", timetable(change).expect_err(name))).collect();

    insta::assert_snapshot!(said);
}

#[test]
fn a_shop_that_never_suspends_or_removes_can_be() {
    timetable(|t| (t.suspend_days, t.terminate_days) = (Some(0), Some(0))).unwrap();
    timetable(|t| t.terminate_days = Some(0)).unwrap();
    timetable(|t| (t.reminder_days, t.overdue_days, t.heads_up_days) = (Some(vec![]), Some(vec![]), Some(0))).unwrap();
}

#[test]
fn nobody_pays_a_monthly_account() {
    insta::assert_snapshot!(Life::monthly().until(95));
}

#[test]
fn nobody_pays_an_annual_account() {
    insta::assert_snapshot!(Life { cycle: BillingCycle::Annual, ..Life::monthly() }.until(95));
}

#[test]
fn an_account_that_is_not_renewed_by_itself_expires_and_is_told_before() {
    insta::assert_snapshot!(Life { auto_renew: false, ..Life::monthly() }.until(95));
}

#[test]
fn a_card_is_charged_until_it_works() {
    let soft = Answer::Declined(DeclineClass::Soft);

    insta::assert_snapshot!(Life::with_card(&[soft, soft, soft, Answer::Paid]).until(95));
}

#[test]
fn a_card_that_is_always_declined_softly_is_charged_five_times() {
    insta::assert_snapshot!(Life::with_card(&[Answer::Declined(DeclineClass::Soft)]).until(20));
}

#[test]
fn a_card_that_is_declined_for_good_or_needs_its_customer_is_charged_once() {
    for class in [DeclineClass::Hard, DeclineClass::NeedsCustomer] {
        let story = Life::with_card(&[Answer::Declined(class)]).until(20);
        assert_eq!(story.matches("charge").count(), 1, "{story}");
    }
}

#[test]
fn a_new_card_is_tried_at_once_and_as_often_as_the_first() {
    let answers = [Answer::Declined(DeclineClass::Hard), Answer::Declined(DeclineClass::Soft)];
    let life = Life { new_card_on: Some(-2), ..Life::with_card(&answers) };

    insta::assert_snapshot!(life.until(20));
}

#[test]
fn three_days_without_a_sweep_are_caught_up_with_one_reminder_and_one_charge() {
    let soft = Answer::Declined(DeclineClass::Soft);
    let life = Life { outage: Some((-4, 3)), ..Life::with_card(&[soft]) };

    insta::assert_snapshot!(life.until(20));
}

#[test]
fn whoever_is_told_for_the_first_time_after_an_outage_has_the_whole_grace_of_the_told() {
    insta::assert_snapshot!(Life { outage: Some((-10, 10)), ..Life::monthly() }.until(60));
}

#[test]
fn nobody_is_suspended_while_no_mail_arrives() {
    insta::assert_snapshot!(Life { mail_after_hours: None, ..Life::monthly() }.until(95));
}

/// One account of a month that began in grace, with an open invoice that was delivered, and everything told.
fn overdue() -> AccountFacts {
    let told = |notice| Told { notice, delivered_at: Some("2026-05-05T10:00:00Z".parse().unwrap()) };
    AccountFacts {
        phase: AccountPhase::Grace,
        renewal: Some(RenewalFacts {
            phase: RenewalPhase::PastDue,
            issued_at: "2026-04-24T10:00:00Z".parse().unwrap(),
            delivered_at: Some("2026-04-24T10:01:00Z".parse().unwrap()),
            attempts: 0,
            attempts_on_card: 0,
            last_charge: None,
        }),
        card: None,
        told: vec![told(Notice::FinalWarning)],
        ..simulation::facts(BillingCycle::Monthly, true)
    }
}

fn steps(facts: &AccountFacts, now: &str) -> Vec<Step> {
    due(now.parse().unwrap(), facts, &Timetable::default()).into_iter().map(|due| due.step).collect()
}

const LATER: &str = "2026-05-06T10:00:00Z";

#[test]
fn an_unpaid_account_is_suspended_when_all_was_said_in_time_and_not_before() {
    assert_eq!(steps(&overdue(), LATER), [Step::Suspend]);
    assert_eq!(steps(&overdue(), "2026-05-06T09:59:59Z"), []);
}

#[test]
fn whom_staff_gives_more_time_is_suspended_after_it_and_not_before() {
    let spared = AccountFacts { spared_until: Some("2026-05-20T00:00:00Z".parse().unwrap()), ..overdue() };
    let of_the_past = AccountFacts { spared_until: Some("2026-05-02T00:00:00Z".parse().unwrap()), ..overdue() };

    assert!(!steps(&spared, LATER).contains(&Step::Suspend));
    assert!(!steps(&spared, "2026-05-19T23:59:59Z").contains(&Step::Suspend));
    assert_eq!(steps(&spared, "2026-05-20T00:00:00Z"), [Step::Suspend]);
    assert_eq!(steps(&of_the_past, LATER), [Step::Suspend]);
}

#[test]
fn nobody_is_suspended_for_non_payment_who_is_exempt_frozen_held_leaving_or_being_charged() {
    type Change = fn(&mut AccountFacts);
    let cases: [(&str, Change); 10] = [
        ("exempt", |a| a.exempt = true),
        ("frozen", |a| a.frozen = true),
        ("disputed", |a| a.standing = Standing::with(Some(SuspensionReason::Dispute))),
        ("ending", |a| a.standing.ending = Some(crate::domain::account::Ending::Staff)),
        ("charging", |a| a.renewal.as_mut().unwrap().phase = RenewalPhase::Charging),
        ("in doubt", |a| a.renewal.as_mut().unwrap().phase = RenewalPhase::InDoubt),
        ("paid", |a| a.renewal.as_mut().unwrap().phase = RenewalPhase::Paid),
        ("no invoice arrived", |a| a.renewal.as_mut().unwrap().delivered_at = None),
        ("the warning waits", |a| a.told.iter_mut().for_each(|told| told.delivered_at = None)),
        ("changing", |a| a.phase = AccountPhase::Changing),
    ];
    for (name, change) in cases {
        let mut facts = overdue();
        change(&mut facts);
        assert!(!steps(&facts, LATER).contains(&Step::Suspend), "{name}");
    }
}

#[test]
fn no_card_is_charged_that_must_not_be() {
    type Change = fn(&mut AccountFacts);
    let charged = |change: Change| {
        let mut facts = overdue();
        let card = CardFacts {
            since: "2026-01-01T00:00:00Z".parse().unwrap(),
            expires_at: "2027-01-01T00:00:00Z".parse().unwrap(),
        };
        facts.card = Some(card);
        change(&mut facts);
        steps(&facts, LATER).iter().any(|step| matches!(step, Step::Charge(_)))
    };

    assert!(charged(|_| {}));
    assert!(charged(|a| {
        a.phase = AccountPhase::Suspended;
        a.standing = Standing::with(Some(SuspensionReason::NonPayment));
    }));
    let cases: [(&str, Change); 12] = [
        ("not by itself", |a| a.auto_renew = false),
        ("frozen", |a| a.frozen = true),
        ("leaving", |a| a.standing.cancel_at = Some("2026-05-01T10:00:00Z".parse().unwrap())),
        ("held for abuse", |a| a.standing = Standing::with(Some(SuspensionReason::Abuse))),
        ("terminating", |a| a.phase = AccountPhase::Terminating),
        ("expired card", |a| a.card.as_mut().unwrap().expires_at = "2026-05-01T00:00:00Z".parse().unwrap()),
        ("old invoice", |a| a.renewal.as_mut().unwrap().issued_at = "2026-04-06T09:00:00Z".parse().unwrap()),
        ("in doubt", |a| a.renewal.as_mut().unwrap().phase = RenewalPhase::InDoubt),
        ("void", |a| a.renewal.as_mut().unwrap().phase = RenewalPhase::Void),
        ("paid", |a| a.renewal.as_mut().unwrap().phase = RenewalPhase::Paid),
        ("too often", |a| a.renewal.as_mut().unwrap().attempts = 15),
        ("just declined", |a| {
            let at = "2026-05-05T10:05:00Z".parse().unwrap();
            a.renewal.as_mut().unwrap().last_charge = Some(LastCharge { at, class: DeclineClass::Soft });
        }),
    ];
    for (name, change) in cases {
        assert!(!charged(change), "{name}");
    }
}

#[test]
fn a_charge_that_was_made_late_is_not_followed_by_the_next_at_once() {
    let mut facts = overdue();
    let since = "2026-01-01T00:00:00Z".parse().unwrap();
    facts.card = Some(CardFacts { since, expires_at: "2027-01-01T00:00:00Z".parse().unwrap() });
    let renewal = facts.renewal.as_mut().unwrap();
    renewal.attempts = 1;
    let at = "2026-05-05T09:00:00Z".parse().unwrap(); // an hour before the charge of D+4
    renewal.last_charge = Some(LastCharge { at, class: DeclineClass::Soft });

    assert_eq!(steps(&facts, "2026-05-05T20:59:59Z"), []);
    assert_eq!(steps(&facts, "2026-05-05T21:00:00Z"), [Step::Charge(2)]);
}

/// An account of which the renewal was invoiced in time, with the card that it is charged on.
fn invoiced() -> AccountFacts {
    let card = CardFacts {
        since: "2026-01-01T00:00:00Z".parse().unwrap(),
        expires_at: "2027-01-01T00:00:00Z".parse().unwrap(),
    };
    let mut facts = AccountFacts { phase: AccountPhase::Active, card: Some(card), told: Vec::new(), ..overdue() };
    facts.renewal.as_mut().unwrap().phase = RenewalPhase::Invoiced;
    facts
}

#[test]
fn who_is_charged_has_been_or_has_paid_is_not_reminded() {
    const REMINDED: &str = "2026-04-28T10:00:00Z";
    const DUE: &str = "2026-05-01T10:00:00Z";
    let mut facts = invoiced();
    let without_card = AccountFacts { card: None, ..facts.clone() };
    let not_by_itself = AccountFacts { auto_renew: false, ..facts.clone() };
    let told = [Step::Notify(Notice::Reminder(1))];
    assert_eq!((steps(&without_card, REMINDED), steps(&not_by_itself, REMINDED)), (told.to_vec(), told.to_vec()));

    assert_eq!(steps(&facts, REMINDED), [Step::Charge(1)], "what comes of the charge is told");
    for phase in [RenewalPhase::Charging, RenewalPhase::InDoubt, RenewalPhase::Paid, RenewalPhase::Void] {
        facts.renewal.as_mut().unwrap().phase = phase;
        assert!(!steps(&facts, REMINDED).iter().any(|step| matches!(step, Step::Notify(_))), "{phase}");
    }
    // It was declined a moment later, which its customer was told.
    let renewal = facts.renewal.as_mut().unwrap();
    (renewal.phase, renewal.attempts, renewal.attempts_on_card) = (RenewalPhase::PastDue, 1, 1);
    let at = "2026-04-28T10:00:07Z".parse().unwrap();
    renewal.last_charge = Some(LastCharge { at, class: DeclineClass::Hard });
    assert_eq!(steps(&facts, "2026-04-28T10:01:00Z"), []);
    assert_eq!(steps(&facts, DUE), [Step::Notify(Notice::DueToday)]);
    facts.renewal.as_mut().unwrap().last_charge = Some(LastCharge { at, class: DeclineClass::Soft });
    assert_eq!(steps(&facts, DUE), [Step::Charge(2)], "and on the day it is due as well");
}

#[test]
fn a_warning_of_the_suspension_waits_for_the_charge_of_its_day_and_comes_all_the_same() {
    const WARNED: &str = "2026-05-05T10:00:00Z";
    let mut facts = AccountFacts { phase: AccountPhase::Grace, ..invoiced() };
    let renewal = facts.renewal.as_mut().unwrap();
    (renewal.phase, renewal.attempts, renewal.attempts_on_card) = (RenewalPhase::PastDue, 4, 4);
    let at = "2026-05-03T10:00:07Z".parse().unwrap();
    renewal.last_charge = Some(LastCharge { at, class: DeclineClass::Soft });

    assert_eq!(steps(&facts, WARNED), [Step::Charge(5)]);
    let renewal = facts.renewal.as_mut().unwrap();
    (renewal.attempts, renewal.attempts_on_card) = (5, 5);
    let at = "2026-05-05T10:00:07Z".parse().unwrap();
    renewal.last_charge = Some(LastCharge { at, class: DeclineClass::Soft });
    assert_eq!(steps(&facts, "2026-05-05T10:00:08Z"), [Step::Notify(Notice::FinalWarning)]);
}

#[test]
fn who_leaves_with_the_period_is_asked_nothing_and_ends_with_it() {
    let mut facts = overdue();
    facts.phase = AccountPhase::Active;
    facts.renewal.as_mut().unwrap().phase = RenewalPhase::Void;
    facts.standing.cancel_at = Some(facts.due_at);

    assert_eq!(steps(&facts, "2026-05-01T09:59:59Z"), []);
    assert_eq!(steps(&facts, "2026-05-01T10:00:00Z"), [Step::End(crate::domain::account::Ending::Cancelled)]);
}

#[test]
fn a_renewal_that_was_called_off_is_invoiced_anew_for_who_stays() {
    let mut facts = overdue();
    facts.phase = AccountPhase::Active;
    facts.renewal.as_mut().unwrap().phase = RenewalPhase::Void;

    assert_eq!(steps(&facts, "2026-04-25T10:00:00Z"), [Step::Issue]);
}

#[test]
fn staff_keeps_a_suspended_account_from_its_end() {
    let warned =
        |n| Told { notice: Notice::TerminationWarning(n), delivered_at: Some("2026-05-28T10:00:00Z".parse().unwrap()) };
    let suspended = AccountFacts {
        phase: AccountPhase::Suspended,
        standing: Standing::with(Some(SuspensionReason::NonPayment)),
        suspended_at: Some("2026-05-06T10:00:00Z".parse().unwrap()),
        told: vec![warned(1), warned(2)],
        ..overdue()
    };
    let end = [Step::End(crate::domain::account::Ending::Lapsed)];

    assert_eq!(steps(&suspended, "2026-05-31T10:00:00Z"), end);
    assert_eq!(steps(&suspended, "2026-05-31T09:59:59Z"), []);
    assert_eq!(steps(&AccountFacts { kept: true, ..suspended.clone() }, "2027-01-01T00:00:00Z"), []);
    // Who was suspended late has as long as anybody else.
    let late = AccountFacts { suspended_at: Some("2026-05-20T10:00:00Z".parse().unwrap()), ..suspended };
    assert_eq!(steps(&late, "2026-06-14T09:59:59Z"), []);
    assert_eq!(steps(&late, "2026-06-14T10:00:00Z"), end);
}

#[test]
fn a_card_that_expires_is_told_of_twice_and_never_afterwards() {
    let month_end = "2026-06-01T00:00:00Z".parse().unwrap();
    let told = |now: &str| card_expiring(now.parse().unwrap(), month_end, &Timetable::default()).map(|(n, _)| n);

    assert_eq!(told("2026-05-17T23:59:59Z"), None);
    assert_eq!(told("2026-05-18T00:00:00Z"), Some(1));
    assert_eq!(told("2026-05-29T00:00:00Z"), Some(2));
    assert_eq!(told("2026-06-01T00:00:00Z"), None);
}

#[test]
fn the_ends_of_the_calendar_are_no_trouble() {
    for due_at in [jiff::Timestamp::MIN, jiff::Timestamp::MAX] {
        for now in [jiff::Timestamp::MIN, jiff::Timestamp::MAX] {
            assert!(due(now, &AccountFacts { due_at, ..overdue() }, &Timetable::default()).len() <= 3);
        }
    }
}

fn answer() -> impl Strategy<Value = Answer> {
    prop::sample::select(vec![
        Answer::Declined(DeclineClass::Soft),
        Answer::Declined(DeclineClass::Hard),
        Answer::Declined(DeclineClass::NeedsCustomer),
        Answer::Paid,
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whenever the sweeps and the mail are away: everything is said once, nobody is suspended or removed who was not told
    /// in time, and a sweep that runs a second time at the same moment finds nothing new. `Life` asserts it at every step.
    #[test]
    fn no_outage_suspends_or_removes_who_was_not_told(
        annual: bool,
        auto_renew: bool,
        answers in prop::collection::vec(answer(), 0..4),
        outage in prop::option::of((-40_i64..40, 1_i64..30)),
        mail_after_hours in prop::option::of(0_i64..200),
        new_card_on in prop::option::of(-5_i64..20),
    ) {
        let cycle = if annual { BillingCycle::Annual } else { BillingCycle::Monthly };
        let outage = outage.map(|(from, days)| (from, from + days));
        let life = Life { cycle, auto_renew, outage, mail_after_hours, new_card_on, ..Life::with_card(&answers) };
        life.until(120);
    }
}
