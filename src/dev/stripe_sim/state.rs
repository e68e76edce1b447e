//! Everything the simulated Stripe account holds, and the events its changes raise.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use super::charges::Charge;

use super::clock::SimClock;
use super::customers::Customer;
use super::deliver::Attempt;
use super::disputes::Dispute;
use super::events::Event;
use super::faults::Faults;
use super::idempotency::Keys;
use super::ids;
use super::payment_intents::PaymentIntent;
use super::payment_methods::PaymentMethod;
use super::refunds::Refund;
use super::sessions::Session;
use super::setup_intents::SetupIntent;
use super::table::{Record as _, Table};
use super::webhook_endpoints::{self, WebhookEndpoint};

const OBJECTS: usize = 100_000;
const EVENTS: usize = 500_000;
const OUTBOX: usize = 500_000;
const ATTEMPTS: usize = 500_000;
const REQUESTS: usize = 100_000;

/// Where a change came from: an API request, or (both `None`) the hosted page and the control endpoints.
#[derive(Debug, Clone, Default)]
pub(super) struct Origin {
    pub(super) request_id: Option<String>,
    pub(super) idempotency_key: Option<String>,
}

/// One API request as the log of requests keeps it.
#[derive(Debug, Clone, serde::Serialize)]
pub(super) struct RequestLine {
    pub(super) id: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) idempotency_key: Option<String>,
    pub(super) replayed: bool,
    /// The status Stripe meant to send; a response fault may have sent another.
    pub(super) status: u16,
    pub(super) fault: Option<String>,
}

/// Where an event is sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Destination {
    /// The endpoint that the simulator was started with.
    StartedWith,
    /// One that the API has made, by its id.
    Endpoint(String),
}

/// An event that waits for its first attempt.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    pub(super) event_id: String,
    /// Asked for by `resend`: delivery faults leave it alone.
    pub(super) resent: bool,
}

/// The account. One lock guards it; nothing awaits while it is held.
pub(super) struct State {
    pub(super) clock: Arc<SimClock>,
    pub(super) customers: Table<Customer>,
    pub(super) payment_methods: Table<PaymentMethod>,
    pub(super) sessions: Table<Session>,
    pub(super) payment_intents: Table<PaymentIntent>,
    pub(super) setup_intents: Table<SetupIntent>,
    pub(super) charges: Table<Charge>,
    pub(super) refunds: Table<Refund>,
    pub(super) disputes: Table<Dispute>,
    pub(super) events: Table<Event>,
    pub(super) webhook_endpoints: Table<WebhookEndpoint>,
    /// Open sessions by the instant they expire.
    pub(super) expiries: BTreeSet<(i64, String)>,
    pub(super) keys: Keys,
    pub(super) faults: Faults,
    pub(super) outbox: VecDeque<Outgoing>,
    pub(super) attempts: VecDeque<Attempt>,
    pub(super) requests: VecDeque<RequestLine>,
    /// Whether new refunds wait for the control endpoint to settle them.
    pub(super) refunds_wait: bool,
    pub(super) origin: Origin,
    pub(super) checkout_url: String,
    pub(super) webhook_url: Option<url::Url>,
    pub(super) webhook_secrets: Vec<String>,
    /// What is sent there.
    pub(super) webhook_kinds: Vec<String>,
    /// Woken when the outbox got something.
    pub(super) wake: Arc<Notify>,
}

impl State {
    pub(super) fn new(config: &super::SimConfig, clock: Arc<SimClock>, wake: Arc<Notify>) -> Self {
        Self {
            clock,
            customers: Table::new(OBJECTS),
            payment_methods: Table::new(OBJECTS),
            sessions: Table::new(OBJECTS),
            payment_intents: Table::new(OBJECTS),
            setup_intents: Table::new(OBJECTS),
            charges: Table::new(OBJECTS),
            refunds: Table::new(OBJECTS),
            disputes: Table::new(OBJECTS),
            events: Table::new(EVENTS),
            webhook_endpoints: Table::new(OBJECTS),
            expiries: BTreeSet::new(),
            keys: Keys::default(),
            faults: Faults::default(),
            outbox: VecDeque::new(),
            attempts: VecDeque::new(),
            requests: VecDeque::new(),
            refunds_wait: false,
            origin: Origin::default(),
            checkout_url: format!("{}/c/pay", config.public_url.as_str().trim_end_matches('/')),
            webhook_url: config.webhook_url.clone(),
            webhook_secrets: config.webhook_secrets.clone(),
            webhook_kinds: vec!["*".to_owned()],
            wake,
        }
    }

    pub(super) fn now(&self) -> i64 {
        self.clock.now()
    }

    /// Records an event and hands it to delivery. The object is a snapshot of this instant.
    pub(super) fn emit(&mut self, kind: &str, object: Value) {
        self.emit_change(kind, object, None);
    }

    pub(super) fn emit_change(&mut self, kind: &str, object: Value, previous: Option<Value>) {
        let mut data = Map::new();
        data.insert("object".into(), object);
        if let Some(previous) = previous {
            data.insert("previous_attributes".into(), previous);
        }
        let event = Event {
            id: ids::new("evt_1"),
            created: self.now(),
            kind: kind.to_owned(),
            data: Value::Object(data),
            origin: self.origin.clone(),
            pending: !self.destinations(kind).is_empty(),
        };
        let outgoing = Outgoing { event_id: event.id.clone(), resent: false };
        let is_sent = event.pending;
        self.events.insert(event);
        if is_sent {
            self.send(outgoing);
        }
    }

    /// Where events of a type go: to the endpoint that the simulator was started with, and to those that the API has made.
    pub(super) fn destinations(&self, kind: &str) -> Vec<Destination> {
        let started_with = webhook_endpoints::started_with(self).filter(|endpoint| endpoint.takes(kind));
        let started_with = started_with.map(|_endpoint| Destination::StartedWith);
        let made = self.webhook_endpoints.oldest_first().filter(|endpoint| endpoint.takes(kind));
        started_with.into_iter().chain(made.map(|endpoint| Destination::Endpoint(endpoint.id.clone()))).collect()
    }

    /// A destination's address and secrets as they are now; none where it is gone.
    pub(super) fn address_of(&self, destination: &Destination) -> Option<(url::Url, Vec<String>)> {
        match destination {
            Destination::StartedWith => Some((self.webhook_url.clone()?, self.webhook_secrets.clone())),
            Destination::Endpoint(id) => {
                let endpoint = self.webhook_endpoints.find(id).filter(|endpoint| !endpoint.disabled)?;
                Some((endpoint.url.clone(), vec![endpoint.secret.clone()]))
            }
        }
    }

    pub(super) fn send(&mut self, outgoing: Outgoing) {
        push_bounded(&mut self.outbox, outgoing, OUTBOX);
        self.wake.notify_one();
    }

    pub(super) fn log_attempt(&mut self, attempt: Attempt) {
        if attempt.delivered
            && let Some(event) = self.events.find_mut(&attempt.event)
        {
            event.pending = false;
        }
        push_bounded(&mut self.attempts, attempt, ATTEMPTS);
    }

    pub(super) fn log_request(&mut self, line: RequestLine) {
        push_bounded(&mut self.requests, line, REQUESTS);
    }

    /// The object an id belongs to, for `expand`.
    pub(super) fn object(&self, id: &str) -> Option<Value> {
        let (prefix, _tail) = id.split_once('_')?;
        match prefix {
            "cus" => self.customers.find(id).map(super::table::Record::json),
            "pm" => self.payment_methods.find(id).map(super::table::Record::json),
            "cs" => self.sessions.find(id).map(super::table::Record::json),
            "pi" => self.payment_intents.find(id).map(super::table::Record::json),
            "seti" => self.setup_intents.find(id).map(super::table::Record::json),
            "ch" => self.charges.find(id).map(super::table::Record::json),
            "re" => self.refunds.find(id).map(super::table::Record::json),
            "du" => self.disputes.find(id).map(super::table::Record::json),
            _ => None,
        }
    }

    /// A customer a parameter names; a deleted one counts as missing.
    pub(super) fn customer_param(&self, id: &str) -> Result<(), super::error::StripeError> {
        let customer = self.customers.named(id, "customer")?;
        if customer.deleted {
            return Err(super::error::StripeError::no_such_param("customer", customer.id(), "customer"));
        }
        Ok(())
    }
}

/// The fields in which two versions of an object differ, with their earlier values.
pub(super) fn previous_attributes(before: &Value, after: &Value) -> Value {
    let mut previous = Map::new();
    if let (Some(before), Some(after)) = (before.as_object(), after.as_object()) {
        for (field, value) in before {
            if after.get(field) != Some(value) {
                previous.insert(field.clone(), value.clone());
            }
        }
    }
    json!(previous)
}

fn push_bounded<T>(queue: &mut VecDeque<T>, item: T, limit: usize) {
    if queue.len() >= limit {
        queue.pop_front();
    }
    queue.push_back(item);
}
