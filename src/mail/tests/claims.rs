//! Which mails are withdrawn when they could not be sent in time: every kind in every state, as one table.

use jiff::{SignedDuration, Timestamp};

use super::{super::Mail, sample};
use crate::{
    domain::{
        account::{AccountPhase, Ending, Standing, SuspensionReason},
        outdated::{ChargedCard, Claim, DeclinedCharge, Outdated, card_outdated, decline_outdated},
        period::BillingCycle,
        renewal::RenewalPhase,
        timetable::{self, AccountFacts, Notice, RenewalFacts, Timetable, Told},
    },
    mail::AccountNotice,
};

/// D.
const DUE: Timestamp = Timestamp::constant(1_777_629_600, 0);

fn days(days: i64) -> SignedDuration {
    SignedDuration::from_hours(24 * days)
}

/// What becomes of an account, a charge and a card while a mail about them waits.
#[derive(Clone)]
struct World {
    facts: AccountFacts,
    charge: DeclinedCharge,
    card: Option<(&'static str, &'static str, Timestamp)>,
    /// For how many days it waits.
    waited: i64,
}

type Change = fn(&mut World);

/// What may have happened meanwhile.
const MEANWHILE: [(&str, Change); 17] = [
    ("nothing", |_| {}),
    ("two days have passed", |w| w.waited = 2),
    ("charging", |w| renewal(w, RenewalPhase::Charging)),
    ("in doubt", |w| renewal(w, RenewalPhase::InDoubt)),
    ("paid", |w| {
        renewal(w, RenewalPhase::Paid);
        w.facts.due_at = DUE + days(31);
        w.facts.renewal = None;
    }),
    ("renewal void", |w| renewal(w, RenewalPhase::Void)),
    ("renewal abandoned", |w| renewal(w, RenewalPhase::Abandoned)),
    ("cancelled for its end", |w| w.facts.standing.cancel_at = Some(DUE + days(40))),
    // With its end, what is open of it is called off.
    ("ending", |w| {
        renewal(w, RenewalPhase::Abandoned);
        w.facts.standing.ending = Some(Ending::Staff);
        w.card = None;
    }),
    ("removed", |w| {
        renewal(w, RenewalPhase::Abandoned);
        w.facts.phase = AccountPhase::Terminated;
        w.card = None;
    }),
    ("disputed", |w| w.facts.frozen = true),
    ("misused", |w| w.facts.standing = Standing::with(Some(SuspensionReason::Abuse))),
    ("exempt", |w| w.facts.exempt = true),
    ("changing its plan", |w| w.facts.phase = AccountPhase::Changing),
    ("tried again", |w| w.charge.tried_again = true),
    ("another card", |w| w.card = Some(("pm_2", "01/2027", DUE + days(300)))),
    ("no card", |w| w.card = None),
];

fn renewal(world: &mut World, phase: RenewalPhase) {
    if let Some(renewal) = &mut world.facts.renewal {
        renewal.phase = phase;
    }
    world.charge.renewal = phase;
}

/// The world as it was when a step was due: so many days after D.
fn world(day: i64) -> World {
    let delivered = Some(DUE - days(10));
    let renewal = RenewalFacts {
        phase: RenewalPhase::PastDue,
        issued_at: DUE - days(10),
        delivered_at: delivered,
        attempts: 0,
        attempts_on_card: 0,
        last_charge: None,
    };
    let suspended = day > 5;
    let facts = AccountFacts {
        phase: if suspended { AccountPhase::Suspended } else { AccountPhase::Grace },
        standing: Standing::with(suspended.then_some(SuspensionReason::NonPayment)),
        cycle: BillingCycle::Annual,
        due_at: DUE,
        auto_renew: true,
        exempt: false,
        kept: false,
        spared_until: None,
        frozen: false,
        suspended_at: suspended.then_some(DUE + days(5)),
        terminated_at: None,
        purged: false,
        renewal: Some(renewal),
        card: None,
        told: vec![Told { notice: Notice::FinalWarning, delivered_at: suspended.then_some(DUE + days(4)) }],
    };
    let charge = DeclinedCharge { renewal: RenewalPhase::PastDue, called_off: false, tried_again: false };
    World { facts, charge, card: Some(("pm_1", "01/2026", DUE + days(10))), waited: 0 }
}

/// The step that a kind of mail tells, and how many days after D.
fn step(mail: &Mail) -> Option<(Notice, i64)> {
    match mail.kind() {
        "renewal_announced" => Some((Notice::HeadsUp, -30)),
        "account_expiring" => Some((Notice::Expiring(1), -14)),
        "renewal_reminder" => Some((Notice::Reminder(1), -3)),
        "renewal_due_today" => Some((Notice::DueToday, 0)),
        "renewal_overdue" => Some((Notice::Overdue(1), 1)),
        "suspension_warning" => Some((Notice::FinalWarning, 4)),
        "termination_warning" => Some((Notice::TerminationWarning(1), 14)),
        _ => None,
    }
}

/// The same mail, of that step and D.
fn of_step(mail: &Mail, notice: Notice) -> Mail {
    let mut context = serde_json::to_value(mail).unwrap();
    context["step"] = notice.to_string().into();
    context["due_at"] = DUE.to_string().into();
    serde_json::from_value(context).unwrap()
}

fn judged(mail: &Mail, world: &World, now: Timestamp) -> Option<Outdated> {
    let table = Timetable::default();
    match mail.claim() {
        Claim::Lasting => None,
        Claim::Step { due_at, notice, .. } => timetable::outdated(now, &world.facts, &table, due_at, notice),
        Claim::Declined(_) => decline_outdated(&world.charge),
        Claim::CardExpires(told) => {
            let card = world.card.map(|(id, last_month, expires_at)| ChargedCard { id, last_month, expires_at });
            card_outdated(now, &told, card.as_ref(), &table)
        }
    }
}

#[test]
fn what_is_true_no_more_is_withdrawn_and_what_is_a_record_is_sent() {
    let mut table = String::new();
    for kind in Mail::KINDS {
        let mail = sample::mails().into_iter().find(|mail| mail.kind() == kind).unwrap();
        let (mail, day) = step(&mail).map_or((mail.clone(), 0), |(notice, day)| (of_step(&mail, notice), day));
        if mail.claim() == Claim::Lasting {
            table.push_str(&format!("{kind}: always sent\n"));
            continue;
        }
        table.push_str(&format!("{kind}:\n"));
        for (name, change) in MEANWHILE {
            let mut world = world(day);
            if kind == "renewal_announced" || kind == "account_expiring" {
                world.facts.renewal = None;
                world.facts.phase = AccountPhase::Active;
                world.facts.auto_renew = kind == "renewal_announced";
            }
            change(&mut world);
            let now = DUE + days(day + world.waited) + SignedDuration::from_secs(60);
            let told = judged(&mail, &world, now).map_or("sent".to_owned(), |why| format!("withdrawn: {why}"));
            table.push_str(&format!("  {name:22} {told}\n"));
        }
    }

    insta::assert_snapshot!(table);
}

#[test]
fn a_step_that_this_version_does_not_know_is_sent() {
    let unknown = AccountNotice { step: Some("reminder_of_tomorrow".to_owned()), ..sample::notice() };

    assert_eq!(Mail::RenewalReminder(unknown).claim(), Claim::Lasting);
}
