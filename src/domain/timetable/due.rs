//! What is due for an account: the one function that a sweep, its dry run and the charging transaction ask.
//!
//! It looks at what is due and not done, so that hours without a sweep are simply more of it: of the reminders that were
//! missed only the latest is sent, of the charges one is made, and nobody is suspended or removed who was not told in time.

mod outdated;

use jiff::{SignedDuration, Timestamp};

use super::{AccountFacts, LastCharge, Notice, RenewalFacts, Timetable};
use crate::domain::{
    account::{AccountPhase, Ending},
    decline::DeclineClass,
    period::BillingCycle,
    renewal::RenewalPhase,
};

pub use outdated::outdated;

/// A renewal that was invoiced late is not followed by a reminder for so long.
const QUIET_HOURS: i64 = 24;
/// Two charges of one card are never nearer, also where one was made late.
const BETWEEN_CHARGES: SignedDuration = SignedDuration::from_hours(12);
/// An account is looked at once a day, also when nothing is due: a timetable may have been changed.
pub const LONGEST_LOOK: SignedDuration = SignedDuration::from_hours(24);
/// Charges of one renewal, all cards together. Visa allows 15 of a card in 30 days.
const MOST_CHARGES: u32 = 15;

/// Something that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    /// What.
    pub step: Step,
    /// Since when.
    pub since: Timestamp,
}

/// What can be due for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Invoice the renewal of the period that begins at D.
    Issue,
    /// Tell the customer.
    Notify(Notice),
    /// Charge the saved card: the attempt of that number.
    Charge(u32),
    /// What was paid for is over and the renewal is not paid.
    EnterGrace,
    /// Suspend it for non-payment.
    Suspend,
    /// Begin its end: a backup, then its removal.
    End(Ending),
    /// Delete its backup and secrets.
    Purge,
}

/// What is due at `now`, in the order in which it is to be done.
#[must_use]
pub fn due(now: Timestamp, facts: &AccountFacts, timetable: &Timetable) -> Vec<Due> {
    let account = At { now, facts, table: timetable };
    if facts.phase == AccountPhase::Terminated {
        return account.purge().into_iter().collect();
    }
    if !facts.phase.is_live() || facts.standing.ending.is_some() {
        return Vec::new();
    }
    if let Some(at) = facts.standing.cancel_at {
        // Nothing else is asked of who leaves.
        return account.once(at, Step::End(Ending::Cancelled)).into_iter().collect();
    }
    let paid = facts.renewal.is_some_and(|renewal| renewal.phase == RenewalPhase::Paid);
    if paid || facts.frozen || facts.standing.held_by_more() {
        return Vec::new();
    }
    let charge = account.charge();
    // What comes of a charge is told by itself: who has paid by it is not asked to.
    let notice = account.notice().filter(|_| charge.is_none());
    let steps = [account.issue(), notice, charge, account.enter_grace(), account.suspend(), account.terminate()];
    steps.into_iter().flatten().collect()
}

/// When time alone may make something due after `now` at the earliest, if nothing happens to the account meanwhile; at the
/// latest [`LONGEST_LOOK`] later, so that whatever was missed is seen by then.
#[must_use]
pub fn next_look(now: Timestamp, facts: &AccountFacts, timetable: &Timetable) -> Timestamp {
    let account = At { now, facts, table: timetable };
    let latest = now.checked_add(LONGEST_LOOK).unwrap_or(Timestamp::MAX);
    account.times().into_iter().filter(|at| *at > now).fold(latest, Timestamp::min)
}

/// The notice of a card that expires, by its number from 1: the latest that applies, until its last month is over. It is
/// told once for a card and month.
#[must_use]
pub fn card_expiring(now: Timestamp, expires_at: Timestamp, timetable: &Timetable) -> Option<(usize, Timestamp)> {
    let days = timetable.card_expiry_days.iter().enumerate();
    let mut times = days.map(|(at, days)| (at + 1, after(expires_at, -hours(*days))));
    times.rfind(|(_, since)| *since <= now && now < expires_at)
}

/// Until when the backup of an account is kept that was removed at `gone`: as long after its removal as the timetable has
/// between the two.
#[must_use]
pub fn backup_kept_until(gone: Timestamp, timetable: &Timetable) -> Timestamp {
    after(gone, hours(timetable.purge_days.saturating_sub(timetable.terminate_days)))
}

/// One account at one moment.
struct At<'a> {
    now: Timestamp,
    facts: &'a AccountFacts,
    table: &'a Timetable,
}

impl At<'_> {
    fn once(&self, since: Timestamp, step: Step) -> Option<Due> {
        (since <= self.now).then_some(Due { step, since })
    }

    /// Every instant at which the answer may change.
    fn times(&self) -> Vec<Timestamp> {
        let (facts, table) = (self.facts, self.table);
        let mut times: Vec<Timestamp> = vec![
            self.issued_from(),
            facts.due_at,
            self.days_before(table.heads_up_days),
            after(facts.due_at, i64::from(table.grace_hours)),
        ];
        times.extend(facts.standing.cancel_at);
        times.extend(table.reminder_days.iter().map(|days| self.days_before(*days)));
        times.extend(table.charge_days.iter().map(|days| after(facts.due_at, i64::from(*days) * 24)));
        times.extend(table.overdue_days.iter().map(|days| self.day(*days)));
        if let Some(renewal) = self.open() {
            times.push(after(renewal.issued_at, QUIET_HOURS));
            times.extend(renewal.last_charge.map(|last| last.at.checked_add(BETWEEN_CHARGES).unwrap_or(last.at)));
        }
        if let Some(at) = self.suspended_from() {
            times.extend([at, after(at, -i64::from(table.final_warning_hours))]);
        }
        times.extend(self.delivered(Notice::FinalWarning).map(|at| after(at, i64::from(table.final_warning_hours))));
        if let Some(from) = self.ending_from() {
            times.extend(table.termination_warning_days.iter().map(|days| after(from, hours(*days))));
            times.push(after(from, hours(table.terminate_days)));
            let last = Notice::TerminationWarning(table.termination_warning_days.len());
            times.extend(self.delivered(last).map(|at| after(at, hours(table.final_notice_days))));
        }
        let kept_days = table.purge_days.saturating_sub(table.terminate_days);
        times.extend(facts.terminated_at.filter(|_| !facts.purged).map(|at| after(at, hours(kept_days))));
        times
    }

    fn works(&self) -> bool {
        matches!(self.facts.phase, AccountPhase::Active | AccountPhase::Grace)
    }

    /// The instant so many days after D.
    fn day(&self, days: u32) -> Timestamp {
        after(self.facts.due_at, hours(days))
    }

    fn days_before(&self, days: u32) -> Timestamp {
        after(self.facts.due_at, -hours(days))
    }

    fn issued_from(&self) -> Timestamp {
        self.days_before(match self.facts.cycle {
            BillingCycle::Annual => self.table.issue_days_annual,
            BillingCycle::Monthly => self.table.issue_days_monthly,
        })
    }

    /// The renewal, while it can be paid.
    fn open(&self) -> Option<RenewalFacts> {
        self.facts.renewal.filter(|renewal| renewal.phase.is_open())
    }

    /// Whether it ends with what is paid for: it is not renewed by itself, and nobody has asked for an invoice.
    fn expires(&self) -> bool {
        !self.facts.auto_renew && self.open().is_none()
    }

    fn issue(&self) -> Option<Due> {
        let wanted = self.works() && self.facts.auto_renew && self.open().is_none();
        wanted.then(|| self.once(self.issued_from(), Step::Issue))?
    }

    /// The latest notice that applies, unless it was told, or their panel or bank is at it.
    fn notice(&self) -> Option<Due> {
        let at_rest = self.works() || self.facts.phase == AccountPhase::Suspended;
        // Who is being charged may have paid.
        let asked = at_rest && self.open().is_none_or(|renewal| !renewal.phase.is_charging());
        let (since, notice) = asked.then(|| self.latest_notice())??;
        let told = self.facts.told.iter().any(|told| told.notice == notice);
        (!told).then_some(Due { step: Step::Notify(notice), since })
    }

    fn latest_notice(&self) -> Option<(Timestamp, Notice)> {
        self.notices().into_iter().filter(|(at, _)| *at <= self.now).max_by_key(|(at, _)| *at)
    }

    /// What the customer is told while things stay as they are, and when.
    fn notices(&self) -> Vec<(Timestamp, Notice)> {
        if self.facts.phase == AccountPhase::Suspended {
            return self.termination_warnings();
        }
        if self.expires() {
            let reminders = self.table.reminder_days.iter().map(|days| self.days_before(*days));
            let times = [self.issued_from()].into_iter().chain(reminders);
            return numbered(times, Notice::Expiring);
        }
        let Some(renewal) = self.open() else { return self.heads_up() };
        let quiet = after(renewal.issued_at, QUIET_HOURS);
        let reminders = self.table.reminder_days.iter().map(|days| self.days_before(*days));
        let overdue = self.table.overdue_days.iter().map(|days| self.day(*days));
        let mut notices = numbered(reminders, Notice::Reminder);
        notices.extend(self.table.due_day_notice.then_some((self.facts.due_at, Notice::DueToday)));
        notices.retain(|(at, _)| renewal.last_charge.is_none_or(|last| last.at < *at)); // else the refusal was told
        notices.extend(numbered(overdue, Notice::Overdue));
        let warned = self.suspended_from().map(|at| after(at, -i64::from(self.table.final_warning_hours)));
        notices.extend(warned.map(|at| (at, Notice::FinalWarning)));
        if self.now < quiet { Vec::new() } else { notices }
    }

    fn heads_up(&self) -> Vec<(Timestamp, Notice)> {
        let announced = self.facts.cycle == BillingCycle::Annual && self.table.heads_up_days > 0;
        if !announced || self.now >= self.issued_from() {
            return Vec::new(); // the invoice says the same
        }
        vec![(self.days_before(self.table.heads_up_days), Notice::HeadsUp)]
    }

    fn charge(&self) -> Option<Due> {
        let (renewal, card) = (self.open()?, self.facts.card?);
        let payable = self.works() || self.facts.phase == AccountPhase::Suspended;
        let fresh = self.now <= after(renewal.issued_at, hours(self.table.charge_within_days));
        let may = self.facts.auto_renew && payable && fresh && card.expires_at > self.now;
        if !may || renewal.phase.is_charging() || renewal.attempts >= MOST_CHARGES {
            return None;
        }
        let slots = self.table.charge_days.iter().map(|days| after(self.facts.due_at, i64::from(*days) * 24));
        let mut passed = slots.filter(|slot| *slot <= self.now);
        let first = passed.next()?;
        let latest = passed.next_back().unwrap_or(first);
        let charge = |since| Some(Due { step: Step::Charge(renewal.attempts + 1), since });
        let Some(last) = renewal.last_charge else { return charge(latest) };
        if last.at < card.since {
            return charge(card.since.max(first)); // a new card is tried at once, and as often as the first one was
        }
        let spent = usize::try_from(renewal.attempts_on_card).unwrap_or(usize::MAX) >= self.table.charge_days.len();
        let again = last.class == DeclineClass::Soft && renewal.phase != RenewalPhase::AwaitingCustomer;
        let due = last.at < latest && self.rested(last);
        (again && due && !spent).then(|| charge(latest))?
    }

    fn rested(&self, last: LastCharge) -> bool {
        self.now.duration_since(last.at) >= BETWEEN_CHARGES
    }

    fn enter_grace(&self) -> Option<Due> {
        let unpaid = self.facts.phase == AccountPhase::Active && self.open().is_some();
        let from = after(self.facts.due_at, i64::from(self.table.grace_hours));
        unpaid.then(|| self.once(from, Step::EnterGrace))?
    }

    /// When it may be suspended at the earliest, by what the customer was told; none when they were not told, or it never
    /// is.
    fn suspended_from(&self) -> Option<Timestamp> {
        if self.table.suspend_days == 0 || self.facts.exempt {
            return None;
        }
        let told = |delivered: Timestamp| after(delivered, hours(self.table.told_days));
        if self.expires() {
            let heard = self.facts.told.iter().filter(|told| matches!(told.notice, Notice::Expiring(_)));
            let first = heard.filter_map(|told| told.delivered_at).min()?;
            return Some(self.spared(told(first).max(self.facts.due_at)));
        }
        let delivered = self.open()?.delivered_at?;
        Some(self.spared(told(delivered).max(self.day(self.table.suspend_days))))
    }

    /// That instant, or later where staff has given more time.
    fn spared(&self, at: Timestamp) -> Timestamp {
        self.facts.spared_until.map_or(at, |until| until.max(at))
    }

    fn suspend(&self) -> Option<Due> {
        let from = self.suspended_from()?;
        if self.expires() {
            return self.works().then(|| self.once(from, Step::Suspend))?;
        }
        let warned = after(self.delivered(Notice::FinalWarning)?, i64::from(self.table.final_warning_hours));
        let unpaid = self.facts.phase == AccountPhase::Grace && !self.open()?.phase.is_charging();
        unpaid.then(|| self.once(from.max(warned), Step::Suspend))?
    }

    fn delivered(&self, notice: Notice) -> Option<Timestamp> {
        self.facts.told.iter().find(|told| told.notice == notice)?.delivered_at
    }

    /// What the end of a suspended account is counted from: D, or later where it was suspended late.
    fn ending_from(&self) -> Option<Timestamp> {
        let may = self.table.terminate_days > 0
            && self.facts.phase == AccountPhase::Suspended
            && self.facts.standing.only_unpaid()
            && !self.facts.exempt
            && !self.facts.kept
            && self.open().is_none_or(|renewal| !renewal.phase.is_charging());
        let suspended = self.facts.suspended_at.filter(|_| may)?;
        Some(after(suspended, -hours(self.table.suspend_days)).max(self.facts.due_at))
    }

    fn termination_warnings(&self) -> Vec<(Timestamp, Notice)> {
        let Some(from) = self.ending_from() else { return Vec::new() };
        let times = self.table.termination_warning_days.iter().map(|days| after(from, hours(*days)));
        numbered(times, Notice::TerminationWarning)
    }

    fn terminate(&self) -> Option<Due> {
        let from = after(self.ending_from()?, hours(self.table.terminate_days));
        let last = Notice::TerminationWarning(self.table.termination_warning_days.len());
        let warned = after(self.delivered(last)?, hours(self.table.final_notice_days));
        self.once(from.max(warned), Step::End(Ending::Lapsed))
    }

    fn purge(&self) -> Option<Due> {
        let gone = self.facts.terminated_at.filter(|_| !self.facts.purged)?;
        self.once(backup_kept_until(gone, self.table), Step::Purge)
    }
}

fn numbered(times: impl Iterator<Item = Timestamp>, notice: fn(usize) -> Notice) -> Vec<(Timestamp, Notice)> {
    times.enumerate().map(|(at, time)| (time, notice(at + 1))).collect()
}

fn hours(days: u32) -> i64 {
    i64::from(days) * 24
}

/// The instant so many hours later; at the calendar's end, that end.
fn after(at: Timestamp, hours: i64) -> Timestamp {
    let end = if hours < 0 { Timestamp::MIN } else { Timestamp::MAX };
    at.checked_add(SignedDuration::from_hours(hours)).unwrap_or(end)
}
