//! Customers' credit: what moves it, and whose hand did.

use berth_jobs::ids::{AccountId, CreditEntryId, CustomerId, OrderId};
use jiff::Timestamp;

use super::{Effects, Idempotency};
use crate::domain::money::Money;

/// Why credit moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreditKind {
    /// An order takes it.
    Used,
    /// An order that had taken it was called off.
    Restored,
    /// A smaller package costs less for the days left, or somebody left early.
    Proration,
    /// More came than was owed.
    Overpayment,
    /// Staff gives it, out of goodwill.
    Granted,
    /// Staff takes back what was granted and is not used.
    TakenBack,
}

impl CreditKind {
    /// The name in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Restored => "restored",
            Self::Proration => "proration",
            Self::Overpayment => "overpayment",
            Self::Granted => "granted",
            Self::TakenBack => "taken_back",
        }
    }

    /// Whether the balance falls by it.
    #[must_use]
    pub const fn takes(self) -> bool {
        match self {
            Self::Used | Self::TakenBack => true,
            Self::Restored | Self::Proration | Self::Overpayment | Self::Granted => false,
        }
    }
}

/// A movement of a customer's credit. Refused when there is not so much, of goodwill where that is taken back, or when it was
/// done for that order or under that key.
#[derive(Clone, Debug)]
pub struct CreditMove {
    /// Its id.
    pub id: CreditEntryId,
    /// Whose.
    pub customer_id: CustomerId,
    /// How much; above zero.
    pub amount: Money,
    /// Why, which says in which direction.
    pub kind: CreditKind,
    /// The order that it is about.
    pub order_id: Option<OrderId>,
    /// The account that it is about.
    pub account_id: Option<AccountId>,
    /// Who in staff grants it or takes it back; nobody does anything else by hand.
    pub by: Option<CreditHand>,
    /// When.
    pub at: Timestamp,
}

/// A member of staff who moves credit by hand.
#[derive(Clone, Debug)]
pub struct CreditHand {
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
    /// Their own key for it.
    pub idempotency: Option<Idempotency>,
}

/// What credit is for.
#[derive(Clone, Copy, Debug)]
pub struct CreditFor {
    /// Whose.
    pub customer_id: CustomerId,
    /// The order.
    pub order_id: Option<OrderId>,
    /// The account.
    pub account_id: AccountId,
    /// When.
    pub at: Timestamp,
}

impl Effects {
    /// Moves credit.
    #[must_use]
    pub fn credit(mut self, step: CreditMove) -> Self {
        self.credit_moves.push(step);
        self
    }

    /// Moves a customer's credit for an account of theirs. Nothing is nothing.
    #[must_use]
    pub fn credit_for(self, of: CreditFor, kind: CreditKind, amount: Money) -> Self {
        if amount.is_zero() {
            return self;
        }
        self.credit(CreditMove {
            id: CreditEntryId::new(),
            customer_id: of.customer_id,
            amount,
            kind,
            order_id: of.order_id,
            account_id: Some(of.account_id),
            by: None,
            at: of.at,
        })
    }

    /// Whether any customer's credit changes.
    #[must_use]
    pub fn moves_credit(&self) -> bool {
        !self.credit_moves.is_empty()
    }
}
