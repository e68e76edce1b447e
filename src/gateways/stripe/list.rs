//! Pages of objects, and searches that know whether they saw everything.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::event::{EventError, StripeEvent};
use super::objects::PaymentIntent;

/// The most that Stripe puts on one page.
pub(super) const PAGE_SIZE: i64 = 100;

/// One page as sent; items stay raw so that one odd item does not hide its neighbours.
#[derive(Deserialize)]
pub(super) struct RawPage {
    pub(super) data: Vec<Box<RawValue>>,
    #[serde(default)]
    pub(super) has_more: bool,
}

/// One page as typed objects, for searches that must not miss an item.
#[derive(Deserialize)]
pub(super) struct Page<T> {
    pub(super) data: Vec<T>,
    #[serde(default)]
    pub(super) has_more: bool,
}

/// One page of events, newest first.
#[derive(Debug)]
pub struct EventPage {
    /// Those that could be read.
    pub events: Vec<ListedEvent>,
    /// Those that could not: to be reported, not forgotten.
    pub unreadable: Vec<EventError>,
    /// Where the next page starts; none when this was the last one.
    pub next: Option<String>,
}

/// An event of a list, which is stored like a delivered one.
#[derive(Debug, Clone)]
pub struct ListedEvent {
    /// The event.
    pub event: StripeEvent,
    /// Its JSON as sent.
    pub json: EventJson,
}

/// The text of an event, kept out of logs.
#[derive(Clone)]
pub struct EventJson(Box<RawValue>);

impl EventJson {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl std::fmt::Debug for EventJson {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "EventJson({} bytes)", self.as_str().len())
    }
}

impl From<RawPage> for EventPage {
    fn from(page: RawPage) -> Self {
        let mut events = Vec::with_capacity(page.data.len());
        let mut unreadable = Vec::new();
        for item in page.data {
            match StripeEvent::parse(item.get().as_bytes()) {
                Ok(event) => events.push(ListedEvent { event, json: EventJson(item) }),
                Err(error) => unreadable.push(error),
            }
        }
        let last = events.last().map(|listed| listed.event.id.clone());
        Self { events, unreadable, next: last.filter(|_| page.has_more) }
    }
}

/// The payment intents of a customer.
#[derive(Debug)]
#[must_use]
pub struct PaymentIntentSearch {
    /// Newest first.
    pub intents: Vec<PaymentIntent>,
    /// False when there were more than were read: then what is absent here proves nothing.
    pub complete: bool,
}

impl PaymentIntentSearch {
    /// Those that carry `value` under `key` in their metadata.
    pub fn with_metadata<'a>(&'a self, key: &'a str, value: &'a str) -> impl Iterator<Item = &'a PaymentIntent> {
        self.intents.iter().filter(move |intent| intent.metadata.get(key).is_some_and(|found| found == value))
    }
}
