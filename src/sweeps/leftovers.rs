//! What nobody needs any more. Dead jobs stay until a person has decided on them.

use jiff::{SignedDuration, Timestamp};

use super::{Action, Page, Step};
use crate::{
    effects::{Effects, Leftovers},
    store::{Store, StoreError, sweeps::Cursor},
};

/// So many rows of a kind are deleted in one commit, so that others need not wait long for theirs.
pub(super) const MOST: i64 = 1_000;
/// How long after their end they are kept.
const KEEP_TICKETS: SignedDuration = SignedDuration::from_hours(1);
const KEEP_JOBS: SignedDuration = SignedDuration::from_hours(7 * 24);
const KEEP_TICKS: SignedDuration = SignedDuration::from_hours(30 * 24);

/// What is left over at `as_of`, counted up to a page or whole; what is deleted is gone from the next page.
pub(super) async fn page(store: &Store, as_of: Timestamp, count_to: i64) -> Result<Page, StoreError> {
    let (now, own) = store.times().await?;
    let left = Leftovers {
        tickets: as_of - KEEP_TICKETS,
        // When a job ended is told by the database's own clock.
        jobs: own + as_of.duration_since(now) - KEEP_JOBS,
        ticks: as_of - KEEP_TICKS,
        most: MOST,
    };
    let counts = store.leftovers(&left, count_to).await?;
    let since = |what: &str| match what {
        "stream tickets" => left.tickets,
        "jobs" => left.jobs,
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
