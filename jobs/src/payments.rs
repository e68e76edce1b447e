//! Money that goes back: refunds and disputes, as Stripe has them.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Backoff, Job, Queue,
    ids::{PaymentId, StripeDisputeId, StripeEventId},
};

/// Finds the payment that an event is about, and has Stripe asked how its refunds or its dispute stand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TracePayment {
    /// The event.
    pub event_id: StripeEventId,
}

impl Job for TracePayment {
    const NAME: &'static str = "trace_payment";
    const QUEUE: Queue = Queue::Payments;
    const TRIES: u32 = 20;
    const TIMEOUT: Duration = Duration::from_secs(60);
    const BACKOFF: Backoff = Backoff::seconds(2, 600);

    fn once_key(&self) -> Option<String> {
        Some(format!("stripe_event:{}", self.event_id))
    }
}

/// Makes a payment's refunds agree with Stripe's: gives back what was asked for, and learns of what others gave back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncRefunds {
    /// The payment.
    pub payment_id: PaymentId,
}

impl Job for SyncRefunds {
    const NAME: &'static str = "sync_refunds";
    const QUEUE: Queue = Queue::Payments;
    const TRIES: u32 = 20;
    const TIMEOUT: Duration = Duration::from_secs(300);
    const BACKOFF: Backoff = Backoff::seconds(2, 600);
    const EXTERNAL: bool = true;

    fn coalesce_key(&self) -> Option<String> {
        Some(format!("sync_refunds:{}", self.payment_id))
    }

    fn serial(&self) -> Option<String> {
        Some(format!("payment:{}", self.payment_id))
    }
}

/// Asks Stripe how a dispute stands, and brings about what follows for the accounts that its payment was for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncDispute {
    /// The dispute.
    pub dispute_id: StripeDisputeId,
}

impl Job for SyncDispute {
    const NAME: &'static str = "sync_dispute";
    const QUEUE: Queue = Queue::Payments;
    const TRIES: u32 = 20;
    const TIMEOUT: Duration = Duration::from_secs(60);
    const BACKOFF: Backoff = Backoff::seconds(2, 600);
    const EXTERNAL: bool = true;

    fn coalesce_key(&self) -> Option<String> {
        Some(format!("sync_dispute:{}", self.dispute_id))
    }

    /// Disputes are rare, and of two over one account the one that is won must see the one that was opened.
    fn serial(&self) -> Option<String> {
        Some("disputes".to_owned())
    }
}
