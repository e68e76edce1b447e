//! From a Checkout Session to an order that is paid, or is not.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Backoff, Class, Job, Queue,
    ids::{OrderId, StripeEventId},
};

/// A session was completed: its order is paid if the money has come, and waits if it has not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompleteCheckout {
    /// The event that said so.
    pub event_id: StripeEventId,
}

impl Job for CompleteCheckout {
    const NAME: &'static str = "complete_checkout";
    const QUEUE: Queue = Queue::Payments;
    const CLASS: Class = Class::Urgent;
    const TRIES: u32 = 20;
    const TIMEOUT: Duration = Duration::from_secs(60);
    const BACKOFF: Backoff = Backoff::seconds(2, 600);

    fn once_key(&self) -> Option<String> {
        Some(format!("stripe_event:{}", self.event_id))
    }
}

/// A session ended without money: expired unpaid, or a delayed payment that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloseCheckout {
    /// The event that said so.
    pub event_id: StripeEventId,
}

impl Job for CloseCheckout {
    const NAME: &'static str = "close_checkout";
    const QUEUE: Queue = Queue::Payments;
    const TRIES: u32 = 20;
    const TIMEOUT: Duration = Duration::from_secs(60);
    const BACKOFF: Backoff = Backoff::seconds(2, 600);

    fn once_key(&self) -> Option<String> {
        Some(format!("stripe_event:{}", self.event_id))
    }
}

/// Asks Stripe how an order's session stands and acts on the answer, as if its event had come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncCheckout {
    /// The order whose session is asked about.
    pub order_id: OrderId,
}

impl Job for SyncCheckout {
    const NAME: &'static str = "sync_checkout";
    const QUEUE: Queue = Queue::Payments;
    const TRIES: u32 = 20;
    const TIMEOUT: Duration = Duration::from_secs(60);
    const BACKOFF: Backoff = Backoff::seconds(2, 600);
    const EXTERNAL: bool = true;

    fn coalesce_key(&self) -> Option<String> {
        Some(format!("sync_checkout:{}", self.order_id))
    }
}

/// Closes the page of an order that is not to be paid any more. Who has paid on it meanwhile has paid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpireCheckout {
    /// The order whose page is closed.
    pub order_id: OrderId,
}

impl Job for ExpireCheckout {
    const NAME: &'static str = "expire_checkout";
    const QUEUE: Queue = Queue::Payments;
    const TRIES: u32 = 20;
    const TIMEOUT: Duration = Duration::from_secs(60);
    const BACKOFF: Backoff = Backoff::seconds(2, 600);

    fn coalesce_key(&self) -> Option<String> {
        Some(format!("expire_checkout:{}", self.order_id))
    }
}
