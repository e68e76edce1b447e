//! Renewals: charged on saved cards, and the cards that are saved.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Backoff, Class, Job, Queue,
    ids::{CustomerId, OrderId, StripeEventId},
};

/// Charges the saved card for a renewal, if that is due when it runs. Where everything is paid from the credit, it is paid
/// without a charge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChargeRenewal {
    /// The renewal's order.
    pub order_id: OrderId,
}

impl Job for ChargeRenewal {
    const NAME: &'static str = "charge_renewal";
    const QUEUE: Queue = Queue::Payments;
    const CLASS: Class = Class::Bulk;
    const TRIES: u32 = 20;
    const TIMEOUT: Duration = Duration::from_secs(150);
    const BACKOFF: Backoff = Backoff::seconds(5, 600);

    fn coalesce_key(&self) -> Option<String> {
        Some(format!("charge_renewal:{}", self.order_id))
    }

    fn serial(&self) -> Option<String> {
        Some(format!("renewal:{}", self.order_id))
    }
}

/// Asks Stripe what became of a charge whose outcome is not known, until it says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResolveCharge {
    /// The renewal's order.
    pub order_id: OrderId,
}

impl Job for ResolveCharge {
    const NAME: &'static str = "resolve_charge";
    const QUEUE: Queue = Queue::Payments;
    const TRIES: u32 = 20;
    const TIMEOUT: Duration = Duration::from_secs(150);
    const BACKOFF: Backoff = Backoff::seconds(5, 600);
    const EXTERNAL: bool = true;

    fn coalesce_key(&self) -> Option<String> {
        Some(format!("resolve_charge:{}", self.order_id))
    }

    fn serial(&self) -> Option<String> {
        Some(format!("renewal:{}", self.order_id))
    }
}

/// Asks Stripe which cards a customer has saved, and keeps what may be shown of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SyncCards {
    /// Whose.
    pub customer_id: CustomerId,
    /// The card that they have just saved to be charged from now on: `pm_…`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<String>,
}

impl Job for SyncCards {
    const NAME: &'static str = "sync_cards";
    const QUEUE: Queue = Queue::Payments;
    const TRIES: u32 = 20;
    const TIMEOUT: Duration = Duration::from_secs(120);
    const BACKOFF: Backoff = Backoff::seconds(5, 600);
    const EXTERNAL: bool = true;

    fn coalesce_key(&self) -> Option<String> {
        Some(self.chosen.iter().fold(format!("sync_cards:{}", self.customer_id), |key, card| format!("{key}:{card}")))
    }

    fn serial(&self) -> Option<String> {
        Some(format!("cards:{}", self.customer_id))
    }
}

/// Acts on an event about a card or its customer: has the customer's cards asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteCardEvent {
    /// The event that said so.
    pub event_id: StripeEventId,
}

impl Job for NoteCardEvent {
    const NAME: &'static str = "note_card_event";
    const QUEUE: Queue = Queue::Payments;
    const TRIES: u32 = 20;
    const TIMEOUT: Duration = Duration::from_secs(60);
    const BACKOFF: Backoff = Backoff::seconds(2, 600);

    fn once_key(&self) -> Option<String> {
        Some(format!("stripe_event:{}", self.event_id))
    }
}

/// Acts on an event about the payment of a renewal by a saved card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NoteChargeEvent {
    /// The event that said so.
    pub event_id: StripeEventId,
}

impl Job for NoteChargeEvent {
    const NAME: &'static str = "note_charge_event";
    const QUEUE: Queue = Queue::Payments;
    const TRIES: u32 = 20;
    const TIMEOUT: Duration = Duration::from_secs(60);
    const BACKOFF: Backoff = Backoff::seconds(2, 600);

    fn once_key(&self) -> Option<String> {
        Some(format!("stripe_event:{}", self.event_id))
    }
}

/// Takes a card away at Stripe that its customer has removed here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DetachCard {
    /// Stripe's id of it: `pm_…`.
    pub card_id: String,
}

impl Job for DetachCard {
    const NAME: &'static str = "detach_card";
    const QUEUE: Queue = Queue::Payments;
    const TRIES: u32 = 20;
    const TIMEOUT: Duration = Duration::from_secs(120);
    const BACKOFF: Backoff = Backoff::seconds(5, 600);

    fn coalesce_key(&self) -> Option<String> {
        Some(format!("detach_card:{}", self.card_id))
    }
}
