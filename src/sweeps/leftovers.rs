//! What nobody needs any more. Dead jobs stay until a person has decided on them.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::{Action, Page, Sources, Step};
use crate::{
    domain::account::PASSWORD_KEPT,
    effects::{Effects, Leftovers},
    store::{StoreError, sweeps::Cursor},
};

/// So many rows of a kind are deleted in one commit, so that others need not wait long for theirs.
pub(super) const MOST: i64 = 1_000;
/// How long after their end they are kept.
const KEEP_TICKETS: SignedDuration = SignedDuration::from_hours(1);
const KEEP_JOBS: SignedDuration = SignedDuration::from_hours(7 * 24);
const KEEP_TICKS: SignedDuration = SignedDuration::from_hours(30 * 24);
/// A year and a month, so that a month can be compared with that of the year before.
const KEEP_USAGE: SignedDuration = SignedDuration::from_hours(400 * 24);

/// What is left over at `as_of`, counted up to a page or whole; what is deleted is gone from the next page.
pub(super) async fn page(sources: &Sources<'_>, as_of: Timestamp, count_to: i64) -> Result<Page, StoreError> {
    let store = sources.store;
    let (now, own) = store.times().await?;
    // When a job ended and an event came is told by the database's own clock.
    let own = own + as_of.duration_since(now);
    let keep = &sources.config.retention;
    let left = Leftovers {
        tickets: as_of - KEEP_TICKETS,
        jobs: own - KEEP_JOBS,
        ticks: as_of - KEEP_TICKS,
        mails: as_of - days(keep.mail_days),
        events: own - days(keep.event_body_days),
        passwords: as_of - PASSWORD_KEPT,
        usage: (as_of - KEEP_USAGE).to_zoned(TimeZone::UTC).date(),
        most: MOST,
    };
    let counts = store.leftovers(&left, count_to).await?;
    let since = |what: &str| match what {
        "stream tickets" => left.tickets,
        "jobs" => left.jobs,
        "contents of mails" => left.mails,
        "bodies of Stripe's events" => left.events,
        "passwords that nobody has looked at" => left.passwords,
        "samples of usage" => as_of - KEEP_USAGE,
        _ => left.ticks,
    };
    let steps: Vec<Step> = counts
        .into_iter()
        .filter(|(_, rows)| *rows > 0)
        .map(|(what, rows)| Step {
            action: Action::Delete,
            subject: what.to_owned(),
            detail: None,
            customer: None,
            amount: None,
            due_at: since(what),
            rows,
        })
        .collect();
    let is_full = steps.iter().any(|step| i64::try_from(step.rows).is_ok_and(|rows| rows >= MOST));
    let effects = if steps.is_empty() { Effects::none() } else { Effects::none().delete(left) };
    Ok(Page { steps, effects, next: is_full.then(Cursor::start) })
}

fn days(days: u32) -> SignedDuration {
    SignedDuration::from_hours(i64::from(days) * 24)
}
