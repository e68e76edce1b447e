//! Faults on demand: answers that go wrong, and webhooks that do.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::events::matches;

const QUEUED: usize = 10_000;

/// How an answer goes wrong. "Committed" says whether the work was done behind it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum ResponseFault {
    /// Nothing is done and no answer comes for so long; then the connection closes.
    TimeoutBeforeCommit { hold_milliseconds: u64 },
    /// The work is done, and no answer comes.
    TimeoutAfterCommit { hold_milliseconds: u64 },
    /// The work is done and answered after a delay; the idempotency key is in flight until then.
    Slow { delay_milliseconds: u64 },
    /// The work is done; the connection is cut in the middle of the answer.
    CutMidBody,
    /// 429; nothing is done.
    RateLimited { should_retry: Option<bool>, retry_after_seconds: Option<u64> },
    /// 500, which the idempotency key remembers as Stripe's does.
    ServerError { committed: bool },
    /// 502 with an HTML body, as from a proxy in front of Stripe.
    BadGateway { committed: bool },
    /// The work is done; the answer lacks these fields.
    LackingFields { fields: Vec<String> },
    /// The work is done; the answer carries these values, such as fields or enum values of tomorrow.
    StrangeValues { values: Map<String, Value> },
}

/// How the delivery of an event goes wrong.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum DeliveryFault {
    /// Delivered this many times in all, at once.
    Duplicate {
        copies: usize,
    },
    /// Held back until a later event was delivered.
    Reorder,
    Delay {
        milliseconds: u64,
    },
    /// Never delivered: only the list of events knows it.
    Drop,
    /// The header carries a `v1` of an unknown secret before the right ones.
    TwoSignatures,
    /// The first attempt is correctly signed with a timestamp this old.
    StaleTimestamp {
        seconds: i64,
    },
    ApiVersion {
        version: String,
    },
    /// A v2 thin event in place of the snapshot.
    Thin,
}

/// One queued fault and what it waits for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "on", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Fault {
    Response {
        /// Begins with this, such as `/v1/payment_intents`.
        path_prefix: String,
        method: Option<String>,
        /// How many matching requests pass before it strikes.
        #[serde(default)]
        skip: u32,
        #[serde(default = "once")]
        times: u32,
        fault: ResponseFault,
    },
    Delivery {
        /// An event type, or its beginning and `*`.
        event_type: String,
        #[serde(default)]
        skip: u32,
        #[serde(default = "once")]
        times: u32,
        fault: DeliveryFault,
    },
}

const fn once() -> u32 {
    1
}

#[derive(Debug, Default)]
pub(super) struct Faults {
    queue: VecDeque<Fault>,
}

impl Faults {
    /// False when the queue is full.
    pub(super) fn add(&mut self, fault: Fault) -> bool {
        if self.queue.len() >= QUEUED {
            return false;
        }
        self.queue.push_back(fault);
        true
    }

    pub(super) fn clear(&mut self) {
        self.queue.clear();
    }

    pub(super) fn list(&self) -> impl Iterator<Item = &Fault> {
        self.queue.iter()
    }

    /// The fault that strikes this request, if any.
    pub(super) fn for_request(&mut self, method: &str, path: &str) -> Option<ResponseFault> {
        let mut struck = None;
        for entry in &mut self.queue {
            let Fault::Response { path_prefix, method: only, skip, times, fault } = entry else {
                continue;
            };
            let hit = path.starts_with(path_prefix.as_str()) && only.as_deref().is_none_or(|only| only == method);
            if hit && passes(skip, times) {
                struck = Some(fault.clone());
                break;
            }
        }
        self.discard_spent();
        struck
    }

    /// The faults that strike this event's delivery; several may combine.
    pub(super) fn for_event(&mut self, kind: &str) -> Vec<DeliveryFault> {
        let mut struck = Vec::new();
        for entry in &mut self.queue {
            let Fault::Delivery { event_type, skip, times, fault } = entry else {
                continue;
            };
            if matches(event_type, kind) && passes(skip, times) {
                struck.push(fault.clone());
            }
        }
        self.discard_spent();
        struck
    }

    fn discard_spent(&mut self) {
        self.queue.retain(|entry| match entry {
            Fault::Response { times, .. } | Fault::Delivery { times, .. } => *times > 0,
        });
    }
}

/// Counts one match: true when the fault strikes it.
fn passes(skip: &mut u32, times: &mut u32) -> bool {
    if *skip > 0 {
        *skip -= 1;
        return false;
    }
    *times = times.saturating_sub(1);
    true
}
