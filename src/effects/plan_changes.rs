//! Changes of what an account is: agreed, begun, made or not.

use berth_jobs::ids::{AccountId, CustomerId, OrderId, PaymentId, PlanChangeId};
use jiff::Timestamp;

use super::{Effects, NewPayment};
use crate::domain::{account::NewPackage, money::Money};

/// A change as it was agreed. Refused while another one of the account is open.
#[derive(Clone, Debug)]
pub struct NewPlanChange {
    /// Its id.
    pub id: PlanChangeId,
    /// Which account.
    pub account_id: AccountId,
    /// Whose.
    pub customer_id: CustomerId,
    /// What pays for it; `None` where nothing is to be paid.
    pub order_id: Option<OrderId>,
    /// When it was agreed.
    pub agreed_at: Timestamp,
    /// The service that the account was.
    pub from_service_id: String,
    /// What it is to become.
    pub to: NewPackage,
    /// The beginning of what is left of the period.
    pub period_from: Timestamp,
    /// The end of the period.
    pub period_until: Timestamp,
    /// What the days left cost from then on.
    pub cost: Money,
    /// What they were worth before.
    pub worth: Money,
}

/// What becomes of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanChangeStep {
    /// Its panel is about to be asked.
    Begun,
    /// The panel has confirmed it.
    Made,
    /// The panel has refused it.
    Refused(String),
    /// It was overtaken by something else.
    Void(String),
}

impl PlanChangeStep {
    /// The outcome in the database; `None` while there is none.
    #[must_use]
    pub(crate) const fn outcome(&self) -> Option<&'static str> {
        match self {
            Self::Begun => None,
            Self::Made => Some("made"),
            Self::Refused(_) => Some("refused"),
            Self::Void(_) => Some("void"),
        }
    }

    /// Why it was not made.
    #[must_use]
    pub(crate) fn why(&self) -> Option<&str> {
        match self {
            Self::Begun | Self::Made => None,
            Self::Refused(why) | Self::Void(why) => Some(why),
        }
    }
}

impl Effects {
    /// Agrees a change.
    #[must_use]
    pub fn plan_change(mut self, change: NewPlanChange) -> Self {
        self.new_plan_changes.push(change);
        self
    }

    /// Says what becomes of a change. Refused when it has ended.
    #[must_use]
    pub fn plan_change_step(mut self, id: PlanChangeId, step: PlanChangeStep) -> Self {
        self.plan_change_steps.push((id, step));
        self
    }

    /// Adds money that came too late for what it was for. It is the customer's credit, which is an effect of its own.
    #[must_use]
    pub fn late_payment(mut self, payment: NewPayment) -> Self {
        self.late_payments.push(payment);
        self
    }

    /// The payment of an order that cannot be done is the customer's credit from now on, which is an effect of its own.
    /// Refused when it does not pay the order.
    #[must_use]
    pub fn payment_credited(mut self, payment: PaymentId) -> Self {
        self.credited_payments.push(payment);
        self
    }
}
