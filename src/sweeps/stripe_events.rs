//! Events of Stripe that never came: its own list is read from where it was read before, and what is not stored is stored
//! as if it had come.
//!
//! The list is read a day at a time, the oldest first; each day that was read whole moves the mark on. Whatever ends a run
//! early leaves the mark where it was, and what was stored until then is known by the next one.

use std::collections::BTreeSet;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{Action, Page, Sources, Step, SweepError};
use crate::{
    effects::{Alert, Effects},
    gateways::stripe::{EventPage, ListedEvent, Stripe},
    incoming,
    store::{Store, sweeps::Cursor},
};

/// So long Stripe keeps its events.
const KEPT: SignedDuration = SignedDuration::from_hours(30 * 24);
/// So much is read at a time.
const SLICE: SignedDuration = SignedDuration::from_hours(24);
/// So much is read again: an event may be listed some time after it happened, and Stripe's clock is not ours.
const OVERLAP: SignedDuration = SignedDuration::from_hours(1);
/// An event that has not come for so long is no longer on its way.
const SILENCE: SignedDuration = SignedDuration::from_hours(1);
/// So many types can be asked for at a time.
const MOST_KINDS: usize = 20;

pub(super) async fn page(sources: &Sources<'_>, as_of: Timestamp, after: &Cursor) -> Result<Page, SweepError> {
    let stripe = sources.stripe.ok_or(SweepError::NotSetUp("stripe.secret_key"))?;
    let mut effects = Effects::none();
    // The mark of a page is the type that it is of, if there are too many for one question, and the event that it ends with.
    let (kinds, event) = mark(after);
    let from = if *after == Cursor::start() {
        let (from, lost) = beginning(sources.store, as_of).await?;
        effects = lost.into_iter().fold(effects, Effects::alert);
        from
    } else {
        after.at
    };
    let until = as_of.min(from + SLICE);
    let listed = listed(stripe, from, until, kinds, event).await?;
    let missing = missing(sources.store, &listed).await?;
    effects = alerts(sources.store, as_of, &listed, &missing).await?.into_iter().fold(effects, Effects::alert);
    let steps = missing.iter().map(|event| step(event, from)).collect();
    for listed in missing {
        let payload = Bytes::copy_from_slice(listed.json.as_str().as_bytes());
        let (more, event) = incoming::effects_of(&listed.event, payload, sources.config.stripe.livemode);
        effects = effects.and(more).found_event(event);
    }
    let next = match listed.next {
        Some(last) => Some(cursor(from, kinds, Some(&last))),
        None if (kinds + 1) * MOST_KINDS < incoming::KINDS.len() => Some(cursor(from, kinds + 1, None)),
        None => {
            effects = effects.events_known_until(until);
            (until < as_of).then(|| cursor(until, 0, None))
        }
    };
    Ok(Page { steps, effects, next })
}

/// Where to begin, and that events were lost for ever, if they were.
async fn beginning(store: &Store, as_of: Timestamp) -> Result<(Timestamp, Option<Alert>), SweepError> {
    let oldest = as_of - KEPT;
    let Some(known_until) = store.events_known_until().await? else { return Ok((oldest, None)) };
    let lost = (known_until < oldest).then(|| Alert {
        kind: "events_lost",
        subject: "stripe".to_owned(),
        detail: format!(
            "Stripe's events were known until {known_until}, and it keeps them for 30 days: look at its dashboard for what \
             happened from then until {oldest}, payments, refunds and disputes above all."
        ),
    });
    Ok(((known_until - OVERLAP).clamp(oldest, as_of), lost))
}

fn mark(after: &Cursor) -> (usize, Option<&str>) {
    let Some((kinds, event)) = after.event.as_deref().and_then(|mark| mark.split_once(' ')) else { return (0, None) };
    (kinds.parse().unwrap_or(0), Some(event).filter(|event| !event.is_empty()))
}

fn cursor(at: Timestamp, kinds: usize, event: Option<&str>) -> Cursor {
    Cursor { at, id: Uuid::max(), event: Some(format!("{kinds} {}", event.unwrap_or_default())) }
}

async fn listed(
    stripe: &Stripe,
    from: Timestamp,
    until: Timestamp,
    kinds: usize,
    event: Option<&str>,
) -> Result<EventPage, SweepError> {
    let kinds: Vec<&str> = incoming::KINDS.iter().skip(kinds * MOST_KINDS).take(MOST_KINDS).copied().collect();
    // Stripe counts in seconds: the last one, which has begun, counts in full.
    Ok(stripe.events(from..until + SignedDuration::from_secs(1), event, &kinds).await?)
}

async fn missing(store: &Store, page: &EventPage) -> Result<Vec<ListedEvent>, SweepError> {
    let ids: Vec<String> = page.events.iter().map(|listed| listed.event.id.clone()).collect();
    let known: BTreeSet<String> = if ids.is_empty() { BTreeSet::new() } else { store.known_events(&ids).await? };
    Ok(page.events.iter().filter(|listed| !known.contains(&listed.event.id)).cloned().collect())
}

/// What a person should know: events that cannot be read, and that the webhook has fallen silent.
async fn alerts(
    store: &Store,
    as_of: Timestamp,
    page: &EventPage,
    missing: &[ListedEvent],
) -> Result<Vec<Alert>, SweepError> {
    let mut alerts = Vec::new();
    if let Some(error) = page.unreadable.first() {
        alerts.push(Alert {
            kind: "events_unreadable",
            subject: "stripe".to_owned(),
            detail: format!("{} events of Stripe's list cannot be read: {error}", page.unreadable.len()),
        });
    }
    let overdue = missing.iter().filter_map(|listed| listed.event.created).filter(|at| *at <= as_of - SILENCE).max();
    if let Some(overdue) = overdue {
        let last = store.last_event_that_came().await?;
        if last.is_none_or(|last| last < overdue) {
            let last = last.map_or_else(|| "none ever".to_owned(), |at| format!("the last one, of {at}"));
            alerts.push(Alert {
                kind: "webhooks_silent",
                subject: "stripe".to_owned(),
                detail: format!(
                    "events of up to {overdue} have not come by the webhook ({last}): see in Stripe's dashboard whether the \
                     endpoint is set up, enabled and answered. Until then events are found by asking, every 15 minutes."
                ),
            });
        }
    }
    Ok(alerts)
}

fn step(listed: &ListedEvent, from: Timestamp) -> Step {
    Step {
        action: Action::StoreEvent,
        subject: format!("{} {}", listed.event.id, listed.event.kind),
        detail: None,
        customer: None,
        amount: None,
        due_at: listed.event.created.unwrap_or(from),
        rows: 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_found_again_by_its_mark() {
        let at = Timestamp::UNIX_EPOCH;
        assert_eq!(mark(&Cursor::start()), (0, None));
        assert_eq!(mark(&cursor(at, 0, None)), (0, None));
        assert_eq!(mark(&cursor(at, 1, Some("evt_1"))), (1, Some("evt_1")));
        assert_ne!(cursor(at, 0, None), Cursor::start(), "the first slice begins where the last run has ended");
    }
}
