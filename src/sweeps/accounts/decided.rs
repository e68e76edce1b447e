//! What becomes of one account for one step that is due.

use berth_jobs::{hosting::PurgeAccount, renewals::ChargeRenewal};
use jiff::{SignedDuration, Timestamp};

use super::{Balances, Facts, step};
use crate::{
    domain::{
        account::{Ending, SuspensionReason},
        money::Money,
        order::Actor,
        renewal::RenewalEvent,
        timetable::{Due, Notice, Step as DueStep, Timetable},
    },
    effects::{Effects, Guard},
    ending,
    error::chain,
    issuing::{Issuer, Renewable},
    mail::{AccountNotice, Mail},
    store::{agenda::AgendaEntry, renewal_terms::RenewalTerms},
    sweeps::{Action, Sources, Step},
};

/// What is done, as it is told and as it becomes true.
#[derive(Default)]
pub(super) struct Decided {
    pub(super) steps: Vec<Step>,
    pub(super) effects: Effects,
    /// Nothing of the account changes now: a job does it.
    pub(super) waits: bool,
}

impl Decided {
    pub(super) fn and(mut self, other: Self) -> Self {
        self.steps.extend(other.steps);
        Self { steps: self.steps, effects: self.effects.and(other.effects), waits: self.waits || other.waits }
    }
}

/// An account, and all that a decision on it needs.
pub(super) struct Deciding<'a> {
    pub(super) shop: &'a Sources<'a>,
    pub(super) account: &'a AgendaEntry,
    pub(super) table: &'a Timetable,
    pub(super) facts: &'a Facts,
    pub(super) now: Timestamp,
}

impl Deciding<'_> {
    /// What a step comes to; in words, why it cannot be done.
    pub(super) fn decide(&self, due: Due, balances: &mut Balances) -> Result<Decided, String> {
        match due.step {
            DueStep::Issue => self.issue(due, balances),
            DueStep::Notify(notice) => self.notify(due, notice),
            DueStep::Charge(_) => Ok(self.charge(due)),
            DueStep::EnterGrace => Ok(self.enter_grace(due)),
            DueStep::Suspend => Ok(self.suspend(due)),
            DueStep::End(ending) => Ok(self.end(due, ending)),
            DueStep::Purge => Ok(self.purge(due)),
        }
    }

    fn issuer(&self) -> Issuer<'_> {
        let Sources { catalogue, tax, seller, links, .. } = *self.shop;
        Issuer { catalogue, tax, seller, links, now: self.now }
    }

    fn renewable(&self, balance: Option<Money>) -> Result<Renewable<'_>, String> {
        let terms = self.facts.terms.get(&self.account.state.id).ok_or("it has no terms")?;
        let coupon = terms.coupon.as_ref().and_then(|(id, _)| self.facts.coupons.get(id));
        Ok(Renewable { account: self.account, terms, coupon, balance, charged_at: self.charged_at() })
    }

    /// When the card that is saved is charged first.
    fn charged_at(&self) -> Option<Timestamp> {
        let facts = &self.account.facts;
        let first = self.table.charge_days.iter().min().filter(|_| facts.auto_renew)?;
        let at = facts.due_at.checked_add(SignedDuration::from_hours(i64::from(*first) * 24)).ok()?;
        facts.card.filter(|card| card.expires_at > at).map(|_| at.max(self.now))
    }

    fn issue(&self, due: Due, balances: &mut Balances) -> Result<Decided, String> {
        let customer = self.account.customer.id;
        let in_its_currency = |terms: &RenewalTerms| (customer, terms.currency);
        let key = self.facts.terms.get(&self.account.state.id).map(in_its_currency);
        let what = self.renewable(key.and_then(|key| balances.get(&key).copied()))?;
        let issued = self.issuer().issue(what).map_err(|error| chain(&error))?;
        if let Some(left) = key.and_then(|key| balances.get_mut(&key)) {
            *left = left.checked_sub(issued.credit).unwrap_or(*left);
        }
        let step = Step { amount: Some(issued.total), ..step(self.account, Action::Issue, due) };
        Ok(Decided { steps: vec![step], effects: issued.effects.guard(self.as_read()), waits: false })
    }

    fn notify(&self, due: Due, notice: Notice) -> Result<Decided, String> {
        let account = self.account;
        let mut letter = AccountNotice {
            step: Some(notice.to_string()),
            happens_at: self.happens_at(notice),
            ..AccountNotice::about(account, self.shop.links.shop_url)
        };
        let mut amount = None;
        if let Some(renewal) = &account.renewal {
            let owed = renewal.total.checked_sub(renewal.credit).map_err(|error| chain(&error))?;
            amount = Some(owed);
            letter = AccountNotice {
                order_id: Some(renewal.state.order_id),
                total: Some(renewal.total.amount_text()),
                credit: Some(renewal.credit.amount_text()).filter(|_| !renewal.credit.is_zero()),
                due: Some(owed.amount_text()),
                currency: Some(owed.currency().code().to_owned()),
                period_end: Some(renewal.period_end),
                charged_at: self.charged_at(),
                pay_url: Some(self.shop.links.to_pay(renewal.state.order_id)),
                ..letter
            };
        } else if notice == Notice::HeadsUp {
            let quote = self.issuer().quote(self.renewable(None)?).map_err(|error| chain(&error))?;
            letter.total = Some(quote.total.amount_text());
            letter.currency = Some(quote.total.currency().code().to_owned());
        }
        let mail = match notice {
            Notice::HeadsUp => Mail::RenewalAnnounced(letter),
            Notice::Expiring(_) => Mail::AccountExpiring(letter),
            Notice::Reminder(_) => Mail::RenewalReminder(letter),
            Notice::DueToday => Mail::RenewalDueToday(letter),
            Notice::Overdue(_) => Mail::RenewalOverdue(letter),
            Notice::FinalWarning => Mail::SuspensionWarning(letter),
            Notice::TerminationWarning(_) => Mail::TerminationWarning(letter),
        };
        let effects = Effects::none()
            .notice(account.state.id, account.facts.due_at, notice, account.customer.id, mail)
            .guard(self.as_read());
        let step = Step { detail: Some(notice.to_string()), amount, ..step(account, Action::Notify, due) };
        Ok(Decided { steps: vec![step], effects, waits: false })
    }

    /// When that of which a notice warns happens, at the earliest.
    fn happens_at(&self, notice: Notice) -> Option<Timestamp> {
        let day = |days: u32| {
            let at = self.account.facts.due_at.checked_add(SignedDuration::from_hours(i64::from(days) * 24)).ok()?;
            Some(at)
        };
        match notice {
            Notice::Overdue(_) | Notice::FinalWarning => {
                let notified = self.now + SignedDuration::from_hours(i64::from(self.table.final_warning_hours));
                (self.table.suspend_days > 0 && !self.account.facts.exempt)
                    .then(|| day(self.table.suspend_days))?
                    .map(|at| at.max(notified))
            }
            Notice::TerminationWarning(_) => {
                let days = i64::from(self.table.final_notice_days) * 24;
                let is_last = notice == Notice::TerminationWarning(self.table.termination_warning_days.len());
                let notified = if is_last { self.now + SignedDuration::from_hours(days) } else { self.now };
                let late = self.account.facts.suspended_at.map(|at| {
                    let after = i64::from(self.table.terminate_days.saturating_sub(self.table.suspend_days));
                    at + SignedDuration::from_hours(after * 24)
                });
                day(self.table.terminate_days).map(|at| at.max(notified).max(late.unwrap_or(at)))
            }
            Notice::HeadsUp | Notice::Expiring(_) | Notice::Reminder(_) | Notice::DueToday => None,
        }
    }

    fn charge(&self, due: Due) -> Decided {
        let Some(renewal) = &self.account.renewal else { return Decided::default() };
        let amount = renewal.total.checked_sub(renewal.credit).ok();
        let step = Step { amount, ..step(self.account, Action::Charge, due) };
        let effects = Effects::none().enqueue(ChargeRenewal { order_id: renewal.state.order_id });
        Decided { steps: vec![step], effects, waits: true }
    }

    fn enter_grace(&self, due: Due) -> Decided {
        let Some(lapsed) = self.account.state.lapsed() else { return Decided::default() };
        let fell_due = self.account.renewal.as_ref().and_then(|renewal| renewal.state.apply(RenewalEvent::FellDue));
        let effects = fell_due.into_iter().fold(Effects::from(lapsed), Effects::move_renewal);
        Decided { steps: vec![step(self.account, Action::EnterGrace, due)], effects, waits: false }
    }

    fn suspend(&self, due: Due) -> Decided {
        let Some(begun) = self.account.state.suspend(SuspensionReason::NonPayment) else { return Decided::default() };
        Decided {
            steps: vec![step(self.account, Action::Suspend, due)],
            effects: Effects::none().begin(begun),
            waits: false,
        }
    }

    fn end(&self, due: Due, how: Ending) -> Decided {
        let state = &self.account.state;
        let ended = match how {
            Ending::Cancelled => state.period_ended(self.now),
            Ending::Lapsed | Ending::Staff => state.end(how),
        };
        let Some(ended) = ended else { return Decided::default() };
        let open = self.facts.open.get(&state.id).map(Vec::as_slice).unwrap_or_default();
        let step = Step { detail: Some(how.as_str().to_owned()), ..step(self.account, Action::Remove, due) };
        Decided { steps: vec![step], effects: ending::recorded(ended, open, Actor::Berth, self.now), waits: false }
    }

    fn purge(&self, due: Due) -> Decided {
        let effects = Effects::none().enqueue(PurgeAccount { account_id: self.account.state.id });
        Decided { steps: vec![step(self.account, Action::Purge, due)], effects, waits: true }
    }

    fn as_read(&self) -> Guard {
        Guard::Account(self.account.state.id, self.account.state.version)
    }
}
