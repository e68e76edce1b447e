//! Why one account does not work.

use jiff::Timestamp;

use super::{
    super::account::{AccountPhase, Ending, SuspensionReason},
    AccountFacts, JobFacts, Standing, Why, away, moment, of_job,
};

/// What is wrong with the account that needs a person most; `None` without accounts.
pub(super) fn worst(accounts: &[AccountFacts], now: Timestamp) -> Option<Why> {
    accounts.iter().map(|account| of(account, now)).max_by_key(|why| why.standing)
}

fn of(account: &AccountFacts, now: Timestamp) -> Why {
    match account.phase {
        AccountPhase::Pending | AccountPhase::Provisioning => held_up(account, now, "is to be made"),
        AccountPhase::Failed => failed(account),
        AccountPhase::Active => Why::new(Standing::Live, format!("Its account {} works.", account.id)),
        AccountPhase::Grace => Why::new(
            Standing::Live,
            format!("Its account {} works, though its renewal is late and not paid.", account.id),
        ),
        AccountPhase::Changing => held_up(account, now, "works, and is being changed"),
        AccountPhase::Suspending => held_up(account, now, &format!("is being suspended{}", reasons(account))),
        AccountPhase::Unsuspending => held_up(account, now, "is to work again"),
        AccountPhase::Suspended => suspended(account, now),
        AccountPhase::Terminating => held_up(account, now, &format!("is being removed{}", ending(account))),
        AccountPhase::Terminated => {
            Why::new(Standing::Over, format!("Its account {} was removed{}.", account.id, ending(account)))
        }
    }
}

/// A job brings it on, unless its server does not let it.
fn held_up(account: &AccountFacts, now: Timestamp, what: &str) -> Why {
    let subject = format!("Its account {} {what}", account.id);
    let on_a_dead_job = account.job.as_ref().filter(|job| !goes_on(job));
    if let Some(job) = on_a_dead_job {
        return of_job(job, now).after(&format!("{subject}."));
    }
    let server = account.server.as_ref();
    if let Some((name, (since, why))) = server.and_then(|server| Some((&server.name, server.broken.as_ref()?))) {
        let again = account.job.as_ref().map_or_else(
            || "no job is there that would try again".to_owned(),
            |job| format!("job {} tries again {}", job.id, again(job, now)),
        );
        let text = format!(
            "Its account {} waits: server {name} is broken since {} ({why}); {again}.",
            account.id,
            moment(*since, now),
        );
        return Why::new(Standing::Waits, text).advise(format!(
            "Mend the server {name}: it is asked again by itself, and what waits for it goes on at once."
        ));
    }
    if let Some(server) = server.filter(|server| server.disabled) {
        return Why::new(Standing::Stuck, format!("{subject}, and server {} is disabled.", server.name))
            .advise(format!("Set the state of {} to active in the configuration.", server.name));
    }
    match &account.job {
        Some(job) => of_job(job, now).after(&format!("{subject}.")),
        None => Why::new(Standing::Stuck, format!("{subject}, and no job is there that would do it."))
            .advise(format!("Have {} looked at on its page: what is missing goes on.", account.id)),
    }
}

fn goes_on(job: &JobFacts) -> bool {
    match job.state {
        super::JobState::Queued | super::JobState::Running => true,
        super::JobState::Dead | super::JobState::Cancelled => false,
    }
}

fn again(job: &JobFacts, now: Timestamp) -> String {
    if job.run_at > now { away(job.run_at, now) } else { "now".to_owned() }
}

fn failed(account: &AccountFacts) -> Why {
    let why = account.failure.as_deref().unwrap_or("no reason is written down");
    let on = account.server.as_ref().map(|server| format!(" on server {}", server.name)).unwrap_or_default();
    Why::new(Standing::Stuck, format!("Its account {} could not be made{on}: {why}.", account.id)).advise(format!(
        "Mend that, then have {} tried again on its page. Or terminate it there and refund the order.",
        account.id,
    ))
}

fn suspended(account: &AccountFacts, now: Timestamp) -> Why {
    let since = account.suspended_at.map(|at| format!(" since {}", moment(at, now))).unwrap_or_default();
    let text = format!("Its account {} is suspended{since}{}.", account.id, reasons(account));
    let heaviest = account.reasons.iter().max();
    match heaviest {
        Some(SuspensionReason::NonPayment) => {
            Why::new(Standing::Waits, text).advise("A payment of its renewal lets it work again within a minute.")
        }
        Some(SuspensionReason::Dispute) => {
            Why::new(Standing::Waits, text).advise("It works again when the dispute is won, or when staff lifts it.")
        }
        Some(SuspensionReason::Staff | SuspensionReason::Fraud | SuspensionReason::Abuse) => {
            Why::new(Standing::Waits, text).advise("No payment lifts that: staff does, with its reason.")
        }
        // Whoever lifted the last reason has its job enqueued in the same commit.
        None => match &account.job {
            Some(job) => of_job(job, now).after(&text),
            None => Why::new(Standing::Stuck, format!("{text} Nothing suspends it any more, and no job is there."))
                .advise(format!("Have {} looked at on its page: what is missing goes on.", account.id)),
        },
    }
}

fn reasons(account: &AccountFacts) -> String {
    let told: Vec<&str> = account
        .reasons
        .iter()
        .map(|reason| match reason {
            SuspensionReason::NonPayment => "its renewal is not paid",
            SuspensionReason::Staff => "staff wants it so",
            SuspensionReason::Dispute => "a payment is disputed",
            SuspensionReason::Fraud => "it was bought by fraud",
            SuspensionReason::Abuse => "it is misused",
        })
        .collect();
    if told.is_empty() { String::new() } else { format!(" because {}", told.join(" and ")) }
}

fn ending(account: &AccountFacts) -> String {
    let why = match account.ending {
        None => return String::new(),
        Some(Ending::Cancelled) => "its customer cancelled it",
        Some(Ending::Lapsed) => "its renewal was never paid",
        Some(Ending::Staff) => "staff ended it",
    };
    format!(" because {why}")
}
