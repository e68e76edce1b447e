//! Money that goes back: what is asked for, what was learnt of it, and the papers about it.

use berth_jobs::{
    ids::{CreditNoteId, InvoiceId, PaymentId, RefundId, StripeDisputeId},
    payments::SyncRefunds,
};
use jiff::Timestamp;
use serde_json::Value;

use super::{Effects, Idempotency, NewPayment};
use crate::domain::{
    dispute::DisputeStanding,
    money::Money,
    refund::{Credit, RefundState},
};

/// Something of a payment that is to go back. What of the payment is left is counted in SQL, under the payment's lock.
#[derive(Clone, Debug)]
pub struct NewRefund {
    /// Its id, which Stripe keeps in the refund's metadata.
    pub id: RefundId,
    /// Of which payment.
    pub payment_id: PaymentId,
    /// How much; `None` is all that is left.
    pub amount: Option<Money>,
    /// Why.
    pub reason: String,
    /// Who wants it.
    pub by: RefundedBy,
}

/// Who wants money to go back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundedBy {
    /// A member of staff. Refused where nothing, or not so much, is left, and while the payment is disputed.
    Staff {
        /// Who.
        actor: String,
        /// Their own key for it. Refused with `AlreadyThere` when they have used it before.
        idempotency: Option<Idempotency>,
    },
    /// Berth, because the money was not owed. Ignored where nothing is left.
    Berth,
}

/// How a refund stands. What is known of it already, or better, is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefundNews {
    /// Ours. Of a refund that somebody else has made, the id that it gets.
    pub id: RefundId,
    /// Of which payment.
    pub payment_id: PaymentId,
    /// Stripe's id; `None` for one that was never made.
    pub stripe_refund_id: Option<String>,
    /// How much.
    pub amount: Money,
    /// How it stands.
    pub state: RefundState,
    /// Why it failed.
    pub failure: Option<String>,
    /// Why it was made, where Berth did not ask for it.
    pub reason: String,
    /// When it was made, where Berth did not ask for it.
    pub made_at: Timestamp,
    /// When this was learnt.
    pub at: Timestamp,
}

/// How a dispute stands. One that is decided stays as it was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DisputeNews {
    /// Stripe's id.
    pub id: StripeDisputeId,
    /// The payment that the bank wants back.
    pub payment_id: PaymentId,
    /// Stripe's word.
    pub status: String,
    /// What the cardholder claims.
    pub reason: Option<String>,
    /// How much.
    pub amount: Money,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it was decided, as far as is known.
    pub closed_at: Option<Timestamp>,
}

/// A credit note for a refund that has arrived. Its number follows when it is written. Ignored when the refund has one, or has
/// not arrived.
#[derive(Clone, Debug)]
pub struct NewCreditNote {
    /// Its id.
    pub id: CreditNoteId,
    /// For which refund.
    pub refund_id: RefundId,
    /// The invoice that it takes back, or a part of it; who sold and bought is copied from there.
    pub invoice_id: InvoiceId,
    /// How much, and of what.
    pub credit: Credit,
    /// The lines as JSON.
    pub lines: Value,
    /// When.
    pub issued_at: Timestamp,
}

impl Effects {
    /// Has money go back, by a job.
    #[must_use]
    pub fn refund(mut self, refund: NewRefund) -> Self {
        let job = SyncRefunds { payment_id: refund.payment_id };
        self.new_refunds.push(refund);
        self.enqueue(job)
    }

    /// Adds money that is not owed, which goes back whole.
    #[must_use]
    pub fn surplus(mut self, payment: NewPayment) -> Self {
        let refund = of_unowed(payment.id, "it was not owed");
        self.surplus_payments.push(payment);
        self.refund(refund)
    }

    /// Makes the payment of an order that is refused after all surplus: what is left of it goes back.
    #[must_use]
    pub fn give_back(mut self, payment: PaymentId) -> Self {
        self.returned_payments.push(payment);
        self.refund(of_unowed(payment, "the order was refused"))
    }

    /// Issues a credit note.
    #[must_use]
    pub fn credit_note(mut self, note: NewCreditNote) -> Self {
        self.credit_notes.push(note);
        self
    }

    /// Says that what follows from how a dispute stands has been brought about by this unit.
    #[must_use]
    pub fn followed(mut self, dispute: StripeDisputeId, standing: DisputeStanding) -> Self {
        self.followed_disputes.push((dispute, standing));
        self
    }
}

fn of_unowed(payment_id: PaymentId, why: &str) -> NewRefund {
    NewRefund { id: RefundId::new(), payment_id, amount: None, reason: why.to_owned(), by: RefundedBy::Berth }
}
