//! Why an order is not live, in a sentence or two: decided from what is known of it, for whoever runs the shop.

mod account;
#[cfg(test)]
mod tests;
mod unpaid;

use berth_jobs::ids::{AccountId, JobId, MailId, OrderId};
use jiff::{SignedDuration, Timestamp};

use super::{
    account::{AccountPhase, Ending, SuspensionReason},
    order::OrderPhase,
    spoken::{away, length, moment},
};

/// What is known of an order that may say why it is not live.
#[derive(Clone, Debug)]
pub struct OrderFacts {
    /// Which.
    pub id: OrderId,
    /// Where it stands.
    pub phase: OrderPhase,
    /// What it pays for.
    pub purpose: Purpose,
    /// Until when it can be paid.
    pub expires_at: Timestamp,
    /// When it was paid.
    pub paid_at: Option<Timestamp>,
    /// Why a person has to look at it.
    pub hold_reason: Option<String>,
    /// Why it failed.
    pub failure: Option<String>,
    /// The page that it is paid on.
    pub page: PageFacts,
    /// The card that was declined for it last. Told only where the order is not paid.
    pub declined: Option<DeclineFacts>,
    /// What Stripe has told of it and nothing has acted on, the newest first.
    pub unheard: Vec<EventFacts>,
    /// Its own jobs that are not done: what asks Stripe about it, or settles it.
    pub jobs: Vec<JobFacts>,
    /// How many accounts were bought.
    pub units: usize,
    /// The accounts made of it, or that it renews or changes.
    pub accounts: Vec<AccountFacts>,
    /// The mails about it that no mail server has taken.
    pub unsent: Vec<MailFacts>,
}

/// What an order pays for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// New accounts.
    Purchase,
    /// Another period of an account.
    Renewal,
    /// Another plan of an account.
    Change,
}

/// The page that an order is paid on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageFacts {
    /// None was opened.
    None,
    /// It can be paid there.
    Open,
    /// It was closed, or its time was over.
    Expired,
    /// It was paid there.
    Paid,
}

/// A card that was declined.
#[derive(Clone, Debug)]
pub struct DeclineFacts {
    /// How long ago.
    pub age: SignedDuration,
    /// Why, in Stripe's words, such as `insufficient_funds: Your card has insufficient funds`.
    pub why: String,
}

/// Something that Stripe told of an order.
#[derive(Clone, Debug)]
pub struct EventFacts {
    /// Stripe's id.
    pub id: String,
    /// Such as `checkout.session.completed`.
    pub kind: String,
    /// How long ago it came.
    pub age: SignedDuration,
    /// Why it was put aside for a person; nothing where it only waits.
    pub parked: Option<String>,
    /// The job that acts on it.
    pub job: Option<JobFacts>,
}

/// A job that is not done.
#[derive(Clone, Debug)]
pub struct JobFacts {
    /// Which.
    pub id: JobId,
    /// Its name.
    pub kind: String,
    /// Where it stands.
    pub state: JobState,
    /// Attempts so far.
    pub attempts: u32,
    /// When it is due.
    pub run_at: Timestamp,
    /// Why the last attempt failed, or what it waits for.
    pub last_error: Option<String>,
}

/// Where a job that is not done stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It waits.
    Queued,
    /// It runs.
    Running,
    /// It has been given up.
    Dead,
    /// A person has cancelled it.
    Cancelled,
}

/// An account, as far as it says why it does not work.
#[derive(Clone, Debug)]
pub struct AccountFacts {
    /// Which.
    pub id: AccountId,
    /// Where it stands.
    pub phase: AccountPhase,
    /// What suspends it.
    pub reasons: Vec<SuspensionReason>,
    /// How it ends, where it does.
    pub ending: Option<Ending>,
    /// Since when it is suspended.
    pub suspended_at: Option<Timestamp>,
    /// Why its panel refused it.
    pub failure: Option<String>,
    /// The server that it is on, or is to be made on.
    pub server: Option<ServerFacts>,
    /// The job that brings it on.
    pub job: Option<JobFacts>,
}

/// A server, as far as it holds up what is on it.
#[derive(Clone, Debug)]
pub struct ServerFacts {
    /// Its name.
    pub name: String,
    /// Since when it is left alone, and why.
    pub broken: Option<(Timestamp, String)>,
    /// The configuration has switched it off.
    pub disabled: bool,
}

/// A mail that no mail server has taken.
#[derive(Clone, Debug)]
pub struct MailFacts {
    /// Which.
    pub id: MailId,
    /// Such as `welcome`.
    pub kind: String,
    /// What the mail server said that will never take it.
    pub refused: Option<String>,
    /// The job that sends it.
    pub job: Option<JobFacts>,
}

/// How an order stands, at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// What was bought works.
    Live,
    /// It has ended, and nothing more is to be expected.
    Over,
    /// Berth is at work, and nobody need do anything.
    OnItsWay,
    /// Something outside is waited for: the customer, a bank, a server.
    Waits,
    /// A person has to do something.
    Stuck,
}

impl Standing {
    /// A word for it, for styles and snapshots.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Over => "over",
            Self::OnItsWay => "on_its_way",
            Self::Waits => "waits",
            Self::Stuck => "stuck",
        }
    }
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Why {
    /// At a glance.
    pub standing: Standing,
    /// Why it is not live, or that it is.
    pub because: String,
    /// What a person can do about it.
    pub advice: Option<String>,
}

impl Why {
    fn new(standing: Standing, because: impl Into<String>) -> Self {
        Self { standing, because: because.into(), advice: None }
    }

    fn advise(self, advice: impl Into<String>) -> Self {
        Self { advice: Some(advice.into()), ..self }
    }

    fn after(self, before: &str) -> Self {
        Self { because: format!("{before} {}", self.because), ..self }
    }
}

/// Why an order is not live. `now` is Berth's time.
#[must_use]
pub fn why(order: &OrderFacts, now: Timestamp) -> Why {
    match order.phase {
        OrderPhase::Completed => of_completed(order, now),
        OrderPhase::Processing => {
            let paid = paid(order, now);
            in_the_making(order, now).after(&paid)
        }
        OrderPhase::Held => {
            let reason = order.hold_reason.as_deref().unwrap_or("no reason is written down");
            Why::new(
                Standing::Stuck,
                format!("{} It is held until a person has looked at it: {reason}.", paid(order, now)),
            )
            .advise("Approve it, or reject it and give the money back: below.")
        }
        OrderPhase::Pending | OrderPhase::AwaitingPayment | OrderPhase::Failed | OrderPhase::Cancelled => {
            match order.unheard.first() {
                Some(event) => unheard(event, now),
                None => unpaid::of(order, now),
            }
        }
        OrderPhase::Rejected => {
            let why = order.failure.as_deref().or(order.hold_reason.as_deref());
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            Why::new(Standing::Over, format!("It was paid and then rejected{why}. The money goes back, or is credit."))
        }
        OrderPhase::Withdrawn => {
            let text = "It was given up before it was paid, because another order took its place or its account ends.";
            Why::new(Standing::Over, text)
        }
    }
}

fn paid(order: &OrderFacts, now: Timestamp) -> String {
    order.paid_at.map_or_else(|| "Nothing was due for it.".to_owned(), |at| format!("Paid {}.", away(at, now)))
}

/// Stripe has told something, and nothing has come of it.
fn unheard(event: &EventFacts, now: Timestamp) -> Why {
    let told_ago =
        format!("Stripe told {} of {} ({}), and it is not acted on yet.", ago(event.age), event.kind, event.id);
    if let Some(note) = &event.parked {
        return Why::new(Standing::Stuck, format!("{told_ago} It was put aside: {note}."))
            .advise("Look at the event at Stripe; what it asks for has to be decided by a person.");
    }
    match &event.job {
        None => Why::new(Standing::Stuck, format!("{told_ago} No job is there that would."))
            .advise("The sweep stripe_events finds it again; run it now."),
        Some(job) => of_job(job, now).after(&told_ago),
    }
}

fn ago(age: SignedDuration) -> String {
    if age.as_secs() < 1 { "just now".to_owned() } else { format!("{} ago", length(age)) }
}

/// It is paid, and what it pays for is not all there.
fn in_the_making(order: &OrderFacts, now: Timestamp) -> Why {
    if order.accounts.is_empty() {
        return match order.jobs.first() {
            Some(job) => of_job(job, now).after("Its account was not made yet."),
            None => Why::new(Standing::Stuck, "No account was made of it, and no job is there that would.")
                .advise("berth doctor --audit names what is missing."),
        };
    }
    match account::worst(&order.accounts, now) {
        Some(worst) if worst.standing != Standing::Live => counted(order, worst),
        Some(_) | None => match (order.purpose, order.jobs.first()) {
            (Purpose::Change, None) => Why::new(Standing::OnItsWay, "The account gets its new plan next."),
            (_, Some(job)) => of_job(job, now).after("All its accounts work, and the order is not completed yet."),
            (_, None) => Why::new(Standing::Stuck, "All its accounts work, and yet the order is not completed.")
                .advise("berth doctor --audit names what is missing."),
        },
    }
}

/// How many of several accounts work, before what is wrong with the worst.
fn counted(order: &OrderFacts, worst: Why) -> Why {
    let all = order.accounts.len().max(order.units);
    if all < 2 {
        return worst;
    }
    let live = order.accounts.iter().filter(|account| account.phase.is_live()).count();
    worst.after(&format!("{live} of its {all} accounts work."))
}

fn of_completed(order: &OrderFacts, now: Timestamp) -> Why {
    let worst = account::worst(&order.accounts, now);
    let Some(worst) = worst.filter(|worst| worst.standing != Standing::Live) else {
        return live_but_for_mails(order, now);
    };
    counted(order, worst)
}

/// What works, and whether its customer was told.
fn live_but_for_mails(order: &OrderFacts, now: Timestamp) -> Why {
    let live = match order.purpose {
        Purpose::Renewal => "The renewal is paid, and its account works.",
        Purpose::Change => "The change was made, and its account works.",
        Purpose::Purchase if order.units > 1 => "It is live: all its accounts work.",
        Purpose::Purchase => "It is live: its account works.",
    };
    let refused = order.unsent.iter().find(|mail| mail.refused.is_some());
    let Some(mail) = refused.or(order.unsent.first()) else { return Why::new(Standing::Live, live) };
    let unknowing = format!("{live} But its mail {} ({}) was not sent", mail.kind, mail.id);
    match (&mail.refused, &mail.job) {
        (Some(response), _) => {
            Why::new(Standing::Stuck, format!("{unknowing}: the mail server refused it ({response})."))
                .advise("Correct the customer's address, then send the mail again.")
        }
        (None, Some(job)) => {
            let of_job = of_job(job, now);
            Why { because: format!("{unknowing}. {}", of_job.because), ..of_job }
        }
        (None, None) => Why::new(Standing::Stuck, format!("{unknowing}, and no job is there that would."))
            .advise("Send the mail again."),
    }
}

/// How a job that is waited for stands.
fn of_job(job: &JobFacts, now: Timestamp) -> Why {
    let text = told(job, now);
    match job.state {
        JobState::Dead => Why::new(Standing::Stuck, text).advise(format!("Mend what it says, then retry {}.", job.id)),
        JobState::Cancelled => {
            Why::new(Standing::Stuck, text).advise(format!("Retry {}, if it is still wanted.", job.id))
        }
        JobState::Running => Why::new(Standing::OnItsWay, text),
        JobState::Queued if job.last_error.is_none() => Why::new(Standing::OnItsWay, text),
        JobState::Queued => Why::new(Standing::Waits, text),
    }
}

/// A job in a sentence.
fn told(job: &JobFacts, now: Timestamp) -> String {
    let name = format!("job {} ({})", job.id, job.kind);
    let failed = match (&job.last_error, job.attempts) {
        (None, _) => String::new(),
        (Some(error), 0) => format!(" ({error})"),
        (Some(error), 1) => format!(" after 1 attempt failed ({error})"),
        (Some(error), attempts) => format!(" after {attempts} attempts failed ({error})"),
    };
    match job.state {
        JobState::Queued if job.run_at > now && job.last_error.is_some() => {
            format!("{} tries again {}{failed}.", first_upper(&name), away(job.run_at, now))
        }
        JobState::Queued if job.run_at > now => format!("{} runs {}.", first_upper(&name), away(job.run_at, now)),
        JobState::Queued => {
            let since = now.duration_since(job.run_at);
            let waits = if since.as_secs() < 1 {
                "is next".to_owned()
            } else {
                format!("has waited {} for a worker", length(since))
            };
            format!("{} {waits}{failed}.", first_upper(&name))
        }
        JobState::Running => format!("{} runs just now{failed}.", first_upper(&name)),
        JobState::Dead => {
            let error = job.last_error.as_deref().unwrap_or("nobody knows why");
            let attempts =
                if job.attempts == 1 { "1 attempt".to_owned() } else { format!("{} attempts", job.attempts) };
            format!("{} is dead after {attempts}: {error}.", first_upper(&name))
        }
        JobState::Cancelled => format!("{} was cancelled.", first_upper(&name)),
    }
}

fn first_upper(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}
