//! What was lost, and what happened twice, by what the database, the panels, Stripe and the mailbox know each for itself.

use std::collections::{BTreeMap, BTreeSet};

use berth_jobs::ids::{AccountId, OrderId};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

/// A commit follows what it is about within this time; whoever dies in it leaves it undone.
const UNTIL_COMMITTED: SignedDuration = SignedDuration::from_secs(2);
/// The mails that every purchase is owed.
const CONFIRMATION: &str = "order_confirmation";
const WELCOME: &str = "welcome";

/// What is known at the end of a run, each by whoever knows it at first hand.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// By the customers: what they paid for, in accounts an order.
    pub(super) bought: BTreeMap<OrderId, u32>,
    /// By the database: where orders stand.
    pub(super) orders: BTreeMap<OrderId, String>,
    /// By the database.
    pub(super) accounts: Vec<AccountRow>,
    /// By the panels: the directories there are.
    pub(super) directories: Vec<Directory>,
    /// By the panels: how often each account was created.
    pub(super) creates: BTreeMap<AccountId, u64>,
    /// By the database.
    pub(super) mails: Vec<MailRow>,
    /// By the mailbox: when each mail was accepted, by its id.
    pub(super) acceptances: BTreeMap<String, Vec<Acceptance>>,
    /// When something was done that may keep a mail's acceptance from being written down.
    pub(super) troubles: Vec<Trouble>,
    /// By Stripe: what was paid and given back, in minor units, by intent.
    pub(super) at_stripe: BTreeMap<String, Money>,
    /// By the database: the same.
    pub(super) in_ledger: BTreeMap<String, Money>,
    /// By Stripe: how many pages were opened an order.
    pub(super) pages: BTreeMap<String, u64>,
    /// By Stripe: the events that were answered 2xx.
    pub(super) answered: BTreeSet<String>,
    /// By the database: the events that are stored.
    pub(super) stored: BTreeSet<String>,
    /// The audit's rules, each with the rows that break it.
    pub(super) audit: Vec<(&'static str, Vec<String>)>,
    /// Jobs that are not done.
    pub(super) unfinished: Vec<String>,
    /// How many jobs there were.
    pub(super) jobs: u64,
    /// What waits for a person.
    pub(super) alerts: Vec<String>,
}

/// An account, as the database has it.
#[derive(Clone, Debug)]
pub(super) struct AccountRow {
    pub(super) id: AccountId,
    pub(super) order: OrderId,
    pub(super) is_active: bool,
    pub(super) server: String,
    pub(super) username: String,
}

/// An account's directory on a panel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Directory {
    pub(super) server: String,
    pub(super) username: String,
    pub(super) account: AccountId,
}

/// A mail, as the database has it.
#[derive(Clone, Debug)]
pub(super) struct MailRow {
    pub(super) id: String,
    pub(super) kind: String,
    /// The order or account that it is about.
    pub(super) about: uuid::Uuid,
    pub(super) is_accepted: bool,
}

/// Money of one payment, in minor units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Money {
    pub(super) paid: i64,
    pub(super) given_back: i64,
}

/// A mail that was accepted, and whether its sender was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Acceptance {
    pub(super) at: Timestamp,
    pub(super) is_answered: bool,
}

/// A time in which an answer could be heard and not be written down.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trouble {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

/// A question, and what is wrong by it: each a line that names the thing.
#[derive(Clone, Debug, Serialize)]
pub struct Question {
    /// What was asked.
    pub question: &'static str,
    /// How many things were looked at.
    pub of: u64,
    /// What is missing.
    pub lost: Vec<String>,
    /// What is there more than once, or that nobody asked for.
    pub double: Vec<String>,
    /// What happened again because its first answer was lost.
    pub unanswered: u64,
    /// What happened again because whoever heard its first answer was cut off before it was written down.
    pub cut_off: u64,
}

impl Question {
    fn of(question: &'static str, of: usize) -> Self {
        let of = u64::try_from(of).unwrap_or(u64::MAX);
        Self { question, of, lost: Vec::new(), double: Vec::new(), unanswered: 0, cut_off: 0 }
    }

    fn lost(&mut self, what: impl Into<String>) {
        self.lost.push(what.into());
    }

    fn double(&mut self, what: impl Into<String>) {
        self.double.push(what.into());
    }
}

/// Every question, answered.
pub(super) fn judge(facts: &Facts) -> Vec<Question> {
    vec![
        orders(facts),
        accounts(facts),
        mails(facts),
        money(facts),
        events(facts),
        jobs(facts),
        audit(facts),
        alerts(facts),
    ]
}

fn orders(facts: &Facts) -> Question {
    let mut asked = Question::of("a paid order is completed, on one page", facts.bought.len());
    for order in facts.bought.keys() {
        match facts.orders.get(order).map(String::as_str) {
            Some("completed") => {}
            Some(phase) => asked.lost(format!("{order} was paid and is {phase}")),
            None => asked.lost(format!("{order} was paid and is not there")),
        }
    }
    for (order, pages) in facts.pages.iter().filter(|(_, pages)| **pages > 1) {
        asked.double(format!("{order} has {pages} pages at Stripe"));
    }
    asked
}

/// A unit is one row, one directory and one create; and there are no others.
fn accounts(facts: &Facts) -> Question {
    let units = facts.bought.values().map(|units| usize::try_from(*units).unwrap_or(usize::MAX)).sum();
    let mut asked = Question::of("a paid unit is one account on one panel", units);
    let mut rows: BTreeMap<OrderId, u32> = BTreeMap::new();
    for row in &facts.accounts {
        *rows.entry(row.order).or_default() += 1;
    }
    for (order, units) in &facts.bought {
        let there = rows.get(order).copied().unwrap_or_default();
        for _ in there..*units {
            asked.lost(format!("{order} lacks an account"));
        }
        for _ in *units..there {
            asked.double(format!("{order} has an account too many"));
        }
    }
    let mut expected = BTreeSet::new();
    for row in facts.accounts.iter().filter(|row| facts.bought.contains_key(&row.order)) {
        let place = Directory { server: row.server.clone(), username: row.username.clone(), account: row.id };
        if !row.is_active {
            asked.lost(format!("{} of {} is not active", row.id, row.order));
        } else if !facts.directories.contains(&place) {
            asked.lost(format!("{} is not on {} as {}", row.id, row.server, row.username));
        }
        match facts.creates.get(&row.id).copied().unwrap_or_default() {
            0 if row.is_active => asked.lost(format!("{} was never created", row.id)),
            0 | 1 => {}
            times => asked.double(format!("{} was created {times} times", row.id)),
        }
        expected.insert(place);
    }
    for place in facts.directories.iter().filter(|place| !expected.contains(place)) {
        asked.double(format!("{} lies on {} as {}", place.account, place.server, place.username));
    }
    asked
}

/// Each is accepted once; again only after an acceptance whose answer was lost.
fn mails(facts: &Facts) -> Question {
    let mut asked = Question::of("a mail is accepted once", facts.mails.len());
    for mail in &facts.mails {
        let mut times = facts.acceptances.get(&mail.id).cloned().unwrap_or_default();
        times.sort_unstable();
        if times.is_empty() || !mail.is_accepted {
            asked.lost(format!("{} ({}) was accepted {} times", mail.id, mail.kind, times.len()));
        }
        // The last one is the one that was heard of.
        for Acceptance { at, is_answered } in times.iter().rev().skip(1) {
            if !is_answered {
                asked.unanswered += 1;
            } else if facts.troubles.iter().any(|trouble| trouble.excuses(*at)) {
                asked.cut_off += 1;
            } else {
                asked.double(format!("{} ({}) was accepted at {at} and again", mail.id, mail.kind));
            }
        }
    }
    let known: BTreeSet<&String> = facts.mails.iter().map(|mail| &mail.id).collect();
    for id in facts.acceptances.keys().filter(|id| !known.contains(id)) {
        asked.double(format!("{id} was accepted and is not known"));
    }
    let mut told: BTreeMap<(&str, uuid::Uuid), u64> = BTreeMap::new();
    for mail in &facts.mails {
        *told.entry((&mail.kind, mail.about)).or_default() += 1;
    }
    let confirmed = facts.bought.keys().map(|order| (CONFIRMATION, order.0, order.to_string()));
    let of_bought = facts.accounts.iter().filter(|row| facts.bought.contains_key(&row.order));
    let welcomed = of_bought.map(|row| (WELCOME, row.id.0, row.id.to_string()));
    for (kind, about, shown) in confirmed.chain(welcomed) {
        match told.get(&(kind, about)).copied().unwrap_or_default() {
            0 => asked.lost(format!("{shown} has no {kind}")),
            1 => {}
            times => asked.double(format!("{shown} has {times} mails {kind}")),
        }
    }
    asked
}

impl Trouble {
    fn excuses(&self, accepted: Timestamp) -> bool {
        self.from - UNTIL_COMMITTED <= accepted && accepted <= self.to
    }
}

/// What Stripe has taken and given back, and what the ledger says of it.
fn money(facts: &Facts) -> Question {
    let mut asked = Question::of("Stripe's money is the ledger's", facts.at_stripe.len());
    let intents: BTreeSet<&String> = facts.at_stripe.keys().chain(facts.in_ledger.keys()).collect();
    for intent in intents {
        let stripe = facts.at_stripe.get(intent).copied().unwrap_or_default();
        let ledger = facts.in_ledger.get(intent).copied().unwrap_or_default();
        for (what, there, here) in
            [("paid", stripe.paid, ledger.paid), ("given back", stripe.given_back, ledger.given_back)]
        {
            let line = format!("{intent}: {there} {what} at Stripe, {here} in the ledger");
            match there.cmp(&here) {
                std::cmp::Ordering::Greater => asked.lost(line),
                std::cmp::Ordering::Less => asked.double(line),
                std::cmp::Ordering::Equal => {}
            }
        }
    }
    asked
}

fn events(facts: &Facts) -> Question {
    let mut asked = Question::of("an event that was answered is stored", facts.answered.len());
    for id in facts.answered.difference(&facts.stored) {
        asked.lost(format!("{id} was answered and is not stored"));
    }
    asked
}

fn jobs(facts: &Facts) -> Question {
    let mut asked = Question { of: facts.jobs, ..Question::of("a job that is due is done", 0) };
    asked.lost.clone_from(&facts.unfinished);
    asked
}

fn audit(facts: &Facts) -> Question {
    let mut asked = Question::of("a rule of `berth doctor --audit` holds", facts.audit.len());
    for (rule, rows) in &facts.audit {
        asked.lost.extend(rows.iter().map(|row| format!("{rule}: {row}")));
    }
    asked
}

fn alerts(facts: &Facts) -> Question {
    let mut asked = Question::of("nothing waits for a person", facts.alerts.len());
    asked.lost.clone_from(&facts.alerts);
    asked
}

#[cfg(test)]
mod tests;
