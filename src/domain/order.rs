//! An order's life: what may become of it, decided from where it stands.

use std::{fmt, str::FromStr};

use berth_jobs::ids::OrderId;

/// Where an order stands.
///
/// ```text
/// pending ──┬──────────────────────▶ processing ──▶ completed
///     │     ├▶ awaiting_payment ──▶     ▲
///     │     │        └──▶ failed        │ approved
///     │     └▶ held ────────────────────┴──────────▶ rejected
///     ├▶ cancelled
///     └▶ withdrawn (another order was agreed in its place, or the account that it renews ends)
/// ```
/// Money that arrives late still counts: a cancelled or failed order that is paid after all is processed, or held. Money
/// for a withdrawn one goes back: nobody wants what it is for. An order that changes what an account is ends as rejected
/// where that cannot be done after it was paid. What a person has rejected stays rejected, whoever tells
/// of its payment again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OrderPhase {
    /// Waits for the customer to pay.
    Pending,
    /// The customer has paid by a method that takes days to tell.
    AwaitingPayment,
    /// Paid, but not what was asked, or a rule wants it looked at. Nothing is provisioned until a person has decided.
    Held,
    /// Paid; its accounts are being made.
    Processing,
    /// Paid, and every account is active.
    Completed,
    /// The payment failed.
    Failed,
    /// Never paid, and no longer payable.
    Cancelled,
    /// Held, and refused by a person: what was paid is given back.
    Rejected,
    /// Given up on purpose before it was paid. What is paid for it all the same goes back.
    Withdrawn,
}

impl OrderPhase {
    /// Every phase.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::AwaitingPayment,
        Self::Held,
        Self::Processing,
        Self::Completed,
        Self::Failed,
        Self::Cancelled,
        Self::Rejected,
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
            Self::Rejected => "rejected",
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
            Self::Cancelled | Self::Rejected | Self::Withdrawn => "cancelled",
        }
    }

    /// Whether nothing more is to be expected. Only money that comes late leads on from here.
    #[must_use]
    pub const fn is_final(self) -> bool {
        match self {
            Self::Completed | Self::Failed | Self::Cancelled | Self::Rejected | Self::Withdrawn => true,
            Self::Pending | Self::AwaitingPayment | Self::Held | Self::Processing => false,
        }
    }

    /// The whole machine: where an event leads from here, or `None` when it changes nothing.
    #[must_use]
    pub const fn next(self, event: OrderEvent) -> Option<Self> {
        use OrderEvent as E;
        let unpaid = matches!(self, Self::Pending | Self::AwaitingPayment | Self::Failed | Self::Cancelled);
        let (possible, to) = match event {
            E::PaymentDelayed => (matches!(self, Self::Pending), Self::AwaitingPayment),
            E::Paid => (unpaid, Self::Processing),
            E::PaymentMismatched | E::HeldByRule => (unpaid, Self::Held),
            E::PaymentFailed => (matches!(self, Self::Pending | Self::AwaitingPayment), Self::Failed),
            E::Expired | E::Cancelled => (matches!(self, Self::Pending), Self::Cancelled),
            E::Replaced => (matches!(self, Self::Pending), Self::Withdrawn),
            E::CalledOff => (unpaid, Self::Withdrawn),
            E::Approved => (matches!(self, Self::Held), Self::Processing),
            E::Rejected => (matches!(self, Self::Held), Self::Rejected),
            E::AccountsActive | E::ChangeMade => (matches!(self, Self::Processing), Self::Completed),
            E::ChangeRefused => (matches!(self, Self::Processing), Self::Rejected),
            E::Renewed => (unpaid, Self::Completed),
        };
        if possible { Some(to) } else { None }
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
    /// The order's total has been paid, and a rule of the shop's wants a person to look at it.
    HeldByRule,
    /// A delayed payment failed in the end.
    PaymentFailed,
    /// The session ended without a payment.
    Expired,
    /// Whoever wanted it no longer does.
    Cancelled,
    /// A person has looked at a held order and lets it go.
    Approved,
    /// A person has looked at a held order and refuses it.
    Rejected,
    /// Another order was agreed in its place, from the cart that it was made from.
    Replaced,
    /// Every account of the order is active.
    AccountsActive,
    /// The order renews an account, and its total has been paid.
    Renewed,
    /// The order renews an account that ends, or is not to be renewed: what comes for it goes back.
    CalledOff,
    /// The order changes what an account is, and the panel has confirmed it.
    ChangeMade,
    /// The order changes what an account is, and that cannot be: its money is the customer's credit.
    ChangeRefused,
}

impl OrderEvent {
    /// Every event.
    pub const ALL: [Self; 15] = [
        Self::PaymentDelayed,
        Self::Paid,
        Self::PaymentMismatched,
        Self::HeldByRule,
        Self::PaymentFailed,
        Self::Expired,
        Self::Replaced,
        Self::Cancelled,
        Self::Approved,
        Self::Rejected,
        Self::AccountsActive,
        Self::Renewed,
        Self::CalledOff,
        Self::ChangeMade,
        Self::ChangeRefused,
    ];

    /// The reason that the order's history shows.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::PaymentDelayed => "payment is on its way",
            Self::Paid => "paid",
            Self::PaymentMismatched => "paid amount differs from the total",
            Self::PaymentFailed => "payment failed",
            Self::HeldByRule => "held to be looked at",
            Self::Expired => "checkout expired unpaid",
            Self::Replaced => "replaced by a newer checkout",
            Self::Cancelled => "cancelled before it was paid",
            Self::Approved => "looked at and approved",
            Self::Rejected => "looked at and refused",
            Self::AccountsActive => "all accounts active",
            Self::Renewed => "paid, account renewed",
            Self::CalledOff => "renewal called off",
            Self::ChangeMade => "account changed",
            Self::ChangeRefused => "account could not be changed, credited",
        }
    }

    /// Who usually brings it about.
    const fn actor(self) -> Actor {
        match self {
            Self::PaymentDelayed
            | Self::Paid
            | Self::Renewed
            | Self::PaymentMismatched
            | Self::PaymentFailed
            | Self::Expired => Actor::Stripe,
            Self::Cancelled | Self::Replaced => Actor::Customer,
            Self::Approved | Self::Rejected => Actor::Staff,
            Self::HeldByRule | Self::AccountsActive | Self::CalledOff | Self::ChangeMade | Self::ChangeRefused => {
                Actor::Berth
            }
        }
    }
}

/// Who brings a move about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// Whoever bought.
    Customer,
    /// A member of staff; the audit says which.
    Staff,
    /// Stripe, by what it tells.
    Stripe,
    /// The program by itself.
    Berth,
}

impl Actor {
    /// The name in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Staff => "staff",
            Self::Stripe => "stripe",
            Self::Berth => "berth",
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
        Some(OrderMove {
            id: self.id,
            version: self.version,
            from: self.phase,
            to,
            reason: event.reason(),
            actor: event.actor(),
            why: None,
        })
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
    actor: Actor,
    why: Option<String>,
}

impl OrderMove {
    /// The same move, brought about by somebody else than usual.
    pub fn by(self, actor: Actor) -> Self {
        Self { actor, ..self }
    }

    /// Says more exactly why, for staff who look at an order that was held or has failed.
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

    /// Who brings it about.
    #[must_use]
    pub const fn actor(&self) -> Actor {
        self.actor
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
        let said = [
            OrderEvent::PaymentDelayed,
            OrderEvent::Paid,
            OrderEvent::Expired,
            OrderEvent::Cancelled,
            OrderEvent::PaymentFailed,
        ];
        for first in 0..said.len() {
            let mut events = said;
            events.rotate_left(first);

            let end = events.iter().fold(OrderPhase::Pending, |phase, event| phase.next(*event).unwrap_or(phase));

            assert_eq!(end, OrderPhase::Processing, "after {events:?}");
        }
    }

    #[test]
    fn only_money_and_giving_up_lead_on_from_a_final_phase_and_nothing_does_from_a_rejected_one() {
        use OrderEvent as E;
        for phase in OrderPhase::ALL.into_iter().filter(|phase| phase.is_final()) {
            let leading: Vec<E> = E::ALL.into_iter().filter(|event| phase.next(*event).is_some()).collect();
            let unpaid = matches!(phase, OrderPhase::Failed | OrderPhase::Cancelled);
            // What renews an account that ends is given up for good: its money goes back.
            let still = [E::Paid, E::PaymentMismatched, E::HeldByRule, E::Renewed, E::CalledOff];
            assert_eq!(leading, if unpaid { still.to_vec() } else { Vec::new() }, "{phase}");
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
