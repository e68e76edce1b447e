//! An order's life: what may become of it, decided from where it stands.

use std::{fmt, str::FromStr};

use berth_jobs::ids::OrderId;

/// Where an order stands.
///
/// ```text
/// pending ──┬─────────────────────▶ processing ──▶ completed
///     │     └▶ awaiting_payment ──▶     │
///     │           │                     ▼
///     ├▶ cancelled└─────────────────▶ failed
///     ├▶ withdrawn (another order was agreed in its place)
///     └▶ held   (paid, but not what was asked: a person decides)
/// ```
/// Money that arrives late still counts: a cancelled or failed order that is paid after all is processed. Money for a
/// withdrawn one goes back: nobody wants what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderPhase {
    /// Waits for the customer to pay.
    Pending,
    /// The customer has paid by a method that takes days to tell.
    AwaitingPayment,
    /// Something else than the order's total was paid. Nothing is provisioned until a person has looked.
    Held,
    /// Paid; its accounts are being made.
    Processing,
    /// Paid, and every account is active.
    Completed,
    /// The payment failed.
    Failed,
    /// Never paid, and no longer payable.
    Cancelled,
    /// Given up on purpose before it was paid. What is paid for it all the same goes back.
    Withdrawn,
}

impl OrderPhase {
    /// Every phase.
    pub const ALL: [Self; 8] = [
        Self::Pending,
        Self::AwaitingPayment,
        Self::Held,
        Self::Processing,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::Withdrawn,
    ];

    /// The name in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::AwaitingPayment => "awaiting_payment",
            Self::Held => "held",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// The status that customers see: `pending`, `processing`, `completed`, `failed` or `cancelled`.
    #[must_use]
    pub const fn status(self) -> &'static str {
        match self {
            Self::Pending | Self::AwaitingPayment | Self::Held => "pending",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled | Self::Withdrawn => "cancelled",
        }
    }

    /// The whole machine: where an event leads from here, or `None` when it changes nothing.
    #[must_use]
    pub const fn next(self, event: OrderEvent) -> Option<Self> {
        use OrderEvent as E;
        match (self, event) {
            (Self::Pending, E::PaymentDelayed) => Some(Self::AwaitingPayment),
            (Self::Pending | Self::AwaitingPayment | Self::Failed | Self::Cancelled, E::Paid) => Some(Self::Processing),
            (Self::Pending | Self::AwaitingPayment | Self::Failed | Self::Cancelled, E::PaymentMismatched) => {
                Some(Self::Held)
            }
            (Self::Pending | Self::AwaitingPayment, E::PaymentFailed) => Some(Self::Failed),
            (Self::Pending, E::Expired) => Some(Self::Cancelled),
            (Self::Pending, E::Replaced) => Some(Self::Withdrawn),
            (Self::Processing, E::AccountsActive) => Some(Self::Completed),
            (Self::Pending, E::AccountsActive)
            | (Self::AwaitingPayment, E::PaymentDelayed | E::Expired | E::Replaced | E::AccountsActive)
            | (
                Self::Processing,
                E::PaymentDelayed
                | E::Paid
                | E::PaymentMismatched
                | E::PaymentFailed
                | E::Expired
                | E::Replaced,
            )
            | (
                Self::Failed | Self::Cancelled,
                E::PaymentDelayed | E::PaymentFailed | E::Expired | E::Replaced | E::AccountsActive,
            )
            | (Self::Held | Self::Completed | Self::Withdrawn, _) => None,
        }
    }
}

impl fmt::Display for OrderPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for OrderPhase {
    type Err = UnknownPhase;

    fn from_str(name: &str) -> Result<Self, UnknownPhase> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == name).ok_or_else(|| UnknownPhase(name.to_owned()))
    }
}

/// A phase in the database that this version does not know.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no phase that this version knows")]
pub struct UnknownPhase(pub String);

/// What can happen to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderEvent {
    /// The customer finished, but the money takes days.
    PaymentDelayed,
    /// The order's total has been paid.
    Paid,
    /// Something was paid, but not the order's total in its currency.
    PaymentMismatched,
    /// A delayed payment failed in the end.
    PaymentFailed,
    /// The session ended without a payment.
    Expired,
    /// Another order was agreed in its place, from the cart that it was made from.
    Replaced,
    /// Every account of the order is active.
    AccountsActive,
}

impl OrderEvent {
    /// Every event.
    pub const ALL: [Self; 7] = [
        Self::PaymentDelayed,
        Self::Paid,
        Self::PaymentMismatched,
        Self::PaymentFailed,
        Self::Expired,
        Self::Replaced,
        Self::AccountsActive,
    ];

    /// The reason that the order's history shows.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::PaymentDelayed => "payment is on its way",
            Self::Paid => "paid",
            Self::PaymentMismatched => "paid amount differs from the total",
            Self::PaymentFailed => "payment failed",
            Self::Expired => "checkout expired unpaid",
            Self::Replaced => "replaced by a newer checkout",
            Self::AccountsActive => "all accounts active",
        }
    }
}

/// An order, as far as its own life goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderState {
    /// Which order.
    pub id: OrderId,
    /// Where it stands.
    pub phase: OrderPhase,
    /// Raised by every move.
    pub version: i32,
}

impl OrderState {
    /// What `event` does to this order; `None` when it changes nothing.
    #[must_use]
    pub fn apply(&self, event: OrderEvent) -> Option<OrderMove> {
        let to = self.phase.next(event)?;
        Some(OrderMove { id: self.id, version: self.version, from: self.phase, to, reason: event.reason(), why: None })
    }
}

/// A move of an order from one version to the next; only [`OrderState::apply`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a move becomes true when it is committed"]
pub struct OrderMove {
    id: OrderId,
    version: i32,
    from: OrderPhase,
    to: OrderPhase,
    reason: &'static str,
    why: Option<String>,
}

impl OrderMove {
    /// Says more exactly why, for whoever looks at an order that was held or has failed.
    pub fn because(self, why: impl Into<String>) -> Self {
        Self { why: Some(why.into()), ..self }
    }

    /// Which order moves.
    #[must_use]
    pub const fn id(&self) -> OrderId {
        self.id
    }

    /// The version that it moves from.
    #[must_use]
    pub const fn version(&self) -> i32 {
        self.version
    }

    /// The phase that it leaves.
    #[must_use]
    pub const fn from(&self) -> OrderPhase {
        self.from
    }

    /// The phase that it reaches.
    #[must_use]
    pub const fn to(&self) -> OrderPhase {
        self.to
    }

    /// Why, for the history.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.reason
    }

    /// Why exactly: what an order that is held or has failed keeps.
    #[must_use]
    pub fn why(&self) -> &str {
        self.why.as_deref().unwrap_or(self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_in_every_phase() {
        let mut table = String::new();
        for phase in OrderPhase::ALL {
            for event in OrderEvent::ALL {
                let to = phase.next(event).map_or("-", OrderPhase::as_str);
                table.push_str(&format!("{:<17} {:<18} {to}\n", phase.as_str(), format!("{event:?}")));
            }
        }

        insta::assert_snapshot!(table);
    }

    #[test]
    fn the_order_of_events_does_not_change_where_a_paid_order_ends() {
        // Stripe promises no order of delivery: whatever else is said of it, money that came counts.
        let said = [OrderEvent::PaymentDelayed, OrderEvent::Paid, OrderEvent::Expired, OrderEvent::PaymentFailed];
        for first in 0..said.len() {
            let mut events = said;
            events.rotate_left(first);

            let end = events.iter().fold(OrderPhase::Pending, |phase, event| phase.next(*event).unwrap_or(phase));

            assert_eq!(end, OrderPhase::Processing, "after {events:?}");
        }
    }

    #[test]
    fn names_read_back() {
        for phase in OrderPhase::ALL {
            assert_eq!(phase.as_str().parse(), Ok(phase));
        }
        assert!("paid".parse::<OrderPhase>().is_err());
    }
}
