//! One account whose sweeps run every hour, told as a story: what was done, and on which day after D.

use jiff::{SignedDuration, Timestamp};

use super::super::{AccountFacts, CardFacts, LastCharge, Notice, RenewalFacts, Step, Timetable, Told, due, next_look};
use crate::domain::{
    account::{AccountPhase, Ending, Standing, SuspensionReason},
    decline::DeclineClass,
    period::BillingCycle,
    renewal::RenewalPhase,
};

/// How a charge is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Paid,
    Declined(DeclineClass),
}

/// What befalls an account.
#[derive(Clone, Debug)]
pub(super) struct Life {
    pub(super) cycle: BillingCycle,
    pub(super) auto_renew: bool,
    /// No sweep runs from one day to another.
    pub(super) outage: Option<(i64, i64)>,
    /// How long a mail takes; none: it never arrives.
    pub(super) mail_after_hours: Option<i64>,
    /// How the charges are answered, the last one for ever; none: there is no card.
    pub(super) answers: Vec<Answer>,
    /// On that day the customer saves another card.
    pub(super) new_card_on: Option<i64>,
}

const DAY: i64 = 24;

fn d() -> Timestamp {
    "2026-05-01T10:00:00Z".parse().unwrap()
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

/// An active account whose D is the 1st of May, and of which nothing was done yet.
pub(super) fn facts(cycle: BillingCycle, auto_renew: bool) -> AccountFacts {
    AccountFacts {
        phase: AccountPhase::Active,
        standing: Standing::default(),
        cycle,
        due_at: d(),
        auto_renew,
        exempt: false,
        kept: false,
        spared_until: None,
        frozen: false,
        suspended_at: None,
        terminated_at: None,
        purged: false,
        renewal: None,
        card: None,
        told: Vec::new(),
    }
}

impl Life {
    pub(super) fn monthly() -> Self {
        Self {
            cycle: BillingCycle::Monthly,
            auto_renew: true,
            outage: None,
            mail_after_hours: Some(0),
            answers: Vec::new(),
            new_card_on: None,
        }
    }

    pub(super) fn with_card(answers: &[Answer]) -> Self {
        Self { answers: answers.to_vec(), ..Self::monthly() }
    }

    /// The story from forty days before D until so many days after it.
    pub(super) fn until(&self, days: i64) -> String {
        let table = Timetable::default();
        let mut facts = facts(self.cycle, self.auto_renew);
        let card = |since| CardFacts { since, expires_at: d() + hours(1000 * DAY) };
        facts.card = (!self.answers.is_empty()).then(|| card(d() - hours(300 * DAY)));
        let mut story = String::new();
        let mut look = None;
        for hour in -40 * DAY..=days * DAY {
            let now = d() + hours(hour);
            if self.new_card_on.is_some_and(|day| day * DAY == hour) && facts.card.is_some() {
                facts.card = Some(card(now));
                if let Some(renewal) = &mut facts.renewal {
                    renewal.attempts_on_card = 0;
                }
                story.push_str(&format!("{}  a new card is saved\n", day_of(hour)));
                look = None;
            }
            if self.outage.is_some_and(|(from, to)| (from * DAY..to * DAY).contains(&hour)) {
                continue;
            }
            let steps: Vec<Step> = due(now, &facts, &table).into_iter().map(|due| due.step).collect();
            let early = look.filter(|at| *at > now && !steps.is_empty());
            assert_eq!(early, None, "{steps:?} at {now} would have been missed\n{story}");
            for step in &steps {
                story.push_str(&format!("{}  {}\n", day_of(hour), told(*step)));
                self.act(*step, now, &steps, &mut facts);
            }
            let again: Vec<Step> = due(now, &facts, &table).into_iter().map(|due| due.step).collect();
            assert!(again.iter().all(|step| !steps.contains(step)), "done again: {again:?} after {steps:?}\n{story}");
            let charges = |steps: &[Step]| steps.iter().any(|step| matches!(step, Step::Charge(_)));
            assert!(!(charges(&steps) && charges(&again)), "charged twice in a moment\n{story}");
            // What is done has the account looked at again at once.
            look = steps.is_empty().then(|| next_look(now, &facts, &table));
            if facts.renewal.is_some_and(|renewal| renewal.phase == RenewalPhase::Paid) {
                break;
            }
        }
        story
    }

    fn arrives(&self, now: Timestamp) -> Option<Timestamp> {
        self.mail_after_hours.map(|after| now + hours(after))
    }

    fn act(&self, step: Step, now: Timestamp, run: &[Step], facts: &mut AccountFacts) {
        match step {
            Step::Issue => {
                assert_eq!(run.iter().filter(|step| matches!(step, Step::Suspend | Step::End(_))).count(), 0);
                facts.renewal = Some(RenewalFacts {
                    phase: RenewalPhase::Invoiced,
                    issued_at: now,
                    delivered_at: self.arrives(now),
                    attempts: 0,
                    attempts_on_card: 0,
                    last_charge: None,
                });
            }
            Step::Notify(notice) => {
                assert!(facts.told.iter().all(|told| told.notice != notice), "{notice} twice");
                facts.told.push(Told { notice, delivered_at: self.arrives(now) });
            }
            Step::Charge(number) => self.charge(number, now, facts),
            Step::EnterGrace => facts.phase = AccountPhase::Grace,
            Step::Suspend => {
                suspended_in_time(facts, now);
                facts.phase = AccountPhase::Suspended;
                facts.standing = Standing::with(Some(SuspensionReason::NonPayment));
                facts.suspended_at = Some(now);
            }
            Step::End(ending) => {
                assert_eq!(ending, Ending::Lapsed);
                let last = facts.told.iter().find(|told| told.notice == Notice::TerminationWarning(2)).unwrap();
                assert!(last.delivered_at.unwrap() + hours(3 * DAY) <= now, "removed without a warning");
                facts.phase = AccountPhase::Terminated;
                facts.terminated_at = Some(now);
            }
            Step::Purge => facts.purged = true,
        }
    }

    fn charge(&self, number: u32, now: Timestamp, facts: &mut AccountFacts) {
        let at = usize::try_from(number).unwrap() - 1;
        let answer = self.answers.get(at).or(self.answers.last()).unwrap();
        let renewal = facts.renewal.as_mut().unwrap();
        assert_eq!(number, renewal.attempts + 1);
        renewal.attempts = number;
        renewal.attempts_on_card += 1;
        match answer {
            Answer::Paid => renewal.phase = RenewalPhase::Paid,
            Answer::Declined(class) => {
                let needed = *class == DeclineClass::NeedsCustomer;
                renewal.phase = if needed { RenewalPhase::AwaitingCustomer } else { RenewalPhase::PastDue };
                renewal.last_charge = Some(LastCharge { at: now, class: *class });
            }
        }
    }
}

/// What must hold of everybody who is suspended.
fn suspended_in_time(facts: &AccountFacts, now: Timestamp) {
    let heard = |since: Timestamp, days: i64| since + hours(days * DAY) <= now;
    match facts.renewal {
        Some(renewal) => {
            assert!(heard(renewal.delivered_at.expect("an invoice that arrived"), 3), "told too late");
            let warning = facts.told.iter().find(|told| told.notice == Notice::FinalWarning).expect("a warning");
            assert!(heard(warning.delivered_at.expect("a warning that arrived"), 1), "warned too late");
            assert!(d() + hours(5 * DAY) <= now, "too early");
        }
        None => {
            let first = facts.told.iter().filter_map(|told| told.delivered_at).min();
            assert!(heard(first.expect("a notice that arrived"), 3) && d() <= now, "told too late");
        }
    }
}

fn day_of(hour: i64) -> String {
    let (day, hour) = (hour.div_euclid(DAY), hour.rem_euclid(DAY));
    format!("D{day:+} {hour:02} h")
}

fn told(step: Step) -> String {
    match step {
        Step::Issue => "invoice".to_owned(),
        Step::Notify(notice) => format!("tell {notice}"),
        Step::Charge(number) => format!("charge, attempt {number}"),
        Step::EnterGrace => "grace".to_owned(),
        Step::Suspend => "suspend".to_owned(),
        Step::End(ending) => format!("remove, {}", ending.as_str()),
        Step::Purge => "purge".to_owned(),
    }
}
