//! Stripe's events, as they come and as they are settled.

use berth_jobs::ids::StripeEventId;
use jiff::Timestamp;

use super::Effects;

/// An event of Stripe, as it came.
#[derive(Clone, Debug)]
pub struct NewStripeEvent {
    /// Stripe's id.
    pub id: StripeEventId,
    /// Such as `checkout.session.completed`.
    pub kind: String,
    /// The body, byte for byte.
    pub payload: bytes::Bytes,
    /// Whether a job will act on it, it is of no interest, or a person should look.
    pub outcome: EventOutcome,
}

/// What becomes of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventOutcome {
    /// A job will act on it.
    Pending,
    /// A job has acted on it.
    Applied,
    /// Nothing is to be done.
    Ignored,
    /// It could not be understood, or belongs to the other mode: kept for a person.
    Parked,
}

impl EventOutcome {
    /// The name in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Applied => "applied",
            Self::Ignored => "ignored",
            Self::Parked => "parked",
        }
    }
}

/// What became of an event.
#[derive(Clone, Debug)]
pub struct SettledEvent {
    /// Which.
    pub event_id: StripeEventId,
    /// What became of it.
    pub outcome: EventOutcome,
    /// Why, where that is not plain.
    pub note: Option<String>,
}

impl Effects {
    /// Stores an event that has come.
    #[must_use]
    pub fn event(mut self, event: NewStripeEvent) -> Self {
        self.new_events.push(event);
        self
    }

    /// Stores an event that was found in Stripe's list.
    #[must_use]
    pub fn found_event(mut self, event: NewStripeEvent) -> Self {
        self.found_events.push(event);
        self
    }

    /// Says that all events of before that time are known.
    #[must_use]
    pub fn events_known_until(mut self, at: Timestamp) -> Self {
        self.events_known_until = Some(at);
        self
    }
}
