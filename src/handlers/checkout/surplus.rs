//! Money that is not owed: an order was paid twice, or one was paid that had been given up for another.

use berth_jobs::ids::PaymentId;
use jiff::Timestamp;

use crate::{
    domain::order::OrderPhase,
    effects::{Alert, Effects, NewPayment},
    gateways::stripe::CheckoutSession,
    store::{
        orders::Order,
        payments::{Payment, PaymentState},
    },
};

/// Whether an order was given up, so that nothing is owed for money which comes for it all the same.
pub(super) fn is_given_up(phase: OrderPhase) -> bool {
    match phase {
        OrderPhase::Failed | OrderPhase::Cancelled | OrderPhase::Rejected | OrderPhase::Withdrawn => true,
        OrderPhase::Pending
        | OrderPhase::AwaitingPayment
        | OrderPhase::Held
        | OrderPhase::Processing
        | OrderPhase::Completed => false,
    }
}

/// Whether a payment names this session, or its intent.
pub(super) fn is_booked(payments: &[Payment], session: &CheckoutSession) -> bool {
    payments.iter().any(|payment| {
        payment.session.as_ref() == Some(&session.id)
            || payment.intent.is_some() && payment.intent == session.payment_intent
    })
}

/// Whether this session's money is written down already. Of money that a person judges nothing is: there the session that
/// the order names is the one that was told of.
pub(super) fn was_told_before(payments: &[Payment], order: &Order, session: &CheckoutSession) -> bool {
    if is_booked(payments, session) {
        return true;
    }
    let by_another = payments.iter().any(|it| it.state == PaymentState::Succeeded && it.session.is_some());
    !by_another && order.state.phase != OrderPhase::Withdrawn && order.stripe_session_id.as_ref() == Some(&session.id)
}

/// Money that nothing is owed for is written down, given back by a job, and told to a person.
pub(super) fn goes_back(now: Timestamp, order: &Order, session: &CheckoutSession) -> Effects {
    let why = match order.state.phase {
        OrderPhase::Withdrawn => "it was given up for a newer checkout",
        OrderPhase::Held | OrderPhase::Processing | OrderPhase::Completed | OrderPhase::Rejected => {
            "it was paid by another session"
        }
        OrderPhase::Pending | OrderPhase::AwaitingPayment | OrderPhase::Failed | OrderPhase::Cancelled => {
            "it is to be paid by another session"
        }
    };
    let alert = |then: &str| Alert {
        kind: "second_payment",
        subject: session.id.clone(),
        detail: format!("money came for {} although {why}; {then}", order.state.id),
    };
    let (Some(amount), Some(intent)) = (session.money(), session.payment_intent.clone()) else {
        return Effects::none().alert(alert("what came cannot be told: look it up at Stripe and give it back."));
    };
    let payment = NewPayment {
        id: PaymentId::new(),
        order_id: order.state.id,
        amount,
        stripe_session_id: Some(session.id.clone()),
        stripe_payment_intent_id: Some(intent),
        created_at: now,
    };
    Effects::none().surplus(payment).alert(alert("it is given back by itself."))
}
