//! What a buyer does on the hosted page: pays, is refused, pays later.

use serde_json::Value;

use super::error::StripeError;
use super::payment_intents::PaymentIntent;
use super::payment_methods::{self, PaymentMethod};
use super::sessions::{Session, SessionStatus};
use super::state::State;
use super::table::Record as _;
use super::test_cards::{Decline, Outcome};
use super::{collect, customers, setup_intents};

const USUAL_BUYER: &str = "buyer@example.com";
pub(super) const USUAL_CARD: &str = "pm_card_visa";

/// How the buyer pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// By card, now; the card may refuse.
    Now,
    /// By a method that settles days later.
    Later,
    /// Not at all: nothing is due (or a test says so).
    Nothing,
}

/// A buyer's submission of the hosted page.
#[derive(Debug, Clone)]
pub(super) struct Submission {
    pub(super) way: Way,
    /// A test token, such as `pm_card_visa`.
    pub(super) card: String,
    pub(super) email: Option<String>,
    /// A sum other than the session's, to test those who check it.
    pub(super) amount_total: Option<i64>,
}

/// Completes an open session; 402 when the card refused, and the session then stays open.
pub(super) fn complete(state: &mut State, id: &str, submission: &Submission) -> Result<Value, StripeError> {
    let mut session = open(state, id)?;
    if let Some(amount) = submission.amount_total {
        session.amount_total = amount;
    }
    let customer_email = session
        .customer
        .as_deref()
        .and_then(|customer| state.customers.find(customer))
        .and_then(|customer| customer.email.clone());
    let email = customer_email
        .or_else(|| session.customer_email.clone())
        .or_else(|| submission.email.clone())
        .unwrap_or_else(|| USUAL_BUYER.into());
    if session.creates_customer && session.customer.is_none() {
        session.customer = Some(customers::create_for_checkout(state, &email)?);
    }
    session.paid_by = Some(email.clone());
    if session.setup_mode {
        return set_up(state, session, &submission.card, email);
    }
    let way = if session.amount_total == 0 { Way::Nothing } else { submission.way };
    if way == Way::Nothing {
        session.payment_status = "no_payment_required";
        return Ok(finish(state, session));
    }
    let method_id = payment_methods::create_from(state, &submission.card, "card", Some(email))?;
    let method = state.payment_methods.get(&method_id)?.clone();
    let intent = intent_of(state, &mut session)?;
    pay(state, session, &intent, &method, way)
}

fn pay(
    state: &mut State,
    mut session: Session,
    intent: &PaymentIntent,
    method: &PaymentMethod,
    way: Way,
) -> Result<Value, StripeError> {
    match (&method.card.outcome, way) {
        (Outcome::Declines(code), Way::Now) if !method.card.attaches => {
            let refusal = collect::decline(state, intent, method, &Decline::of(code));
            session.paid_by = None;
            let id = session.id.clone();
            *state.sessions.get_mut(&id)? = session;
            Err(refusal)
        }
        (Outcome::Processes, _) | (_, Way::Later) => {
            collect::begin(state, intent, method);
            Ok(finish(state, session))
        }
        // The buyer is there, so a card that wants authentication gets it, and one that refuses
        // only once it is kept by a customer pays this first time.
        (Outcome::Succeeds | Outcome::NeedsAuthentication | Outcome::Declines(_), Way::Now | Way::Nothing) => {
            collect::succeed(state, intent, method);
            session.payment_status = "paid";
            Ok(finish(state, session))
        }
    }
}

/// The session's intent: made at the first submission, and used again after a decline.
fn intent_of(state: &mut State, session: &mut Session) -> Result<PaymentIntent, StripeError> {
    if let Some(known) = &session.payment_intent {
        return Ok(state.payment_intents.get(known)?.clone());
    }
    let mut intent = PaymentIntent::new(state, session.amount_total, session.currency.clone().unwrap_or_default());
    let data = session.intent_data.clone();
    intent.customer.clone_from(&session.customer);
    intent.metadata = data.metadata;
    intent.setup_future_usage = data.setup_future_usage;
    intent.description = data.description;
    intent.receipt_email = data.receipt_email;
    intent.statement_descriptor = data.statement_descriptor;
    intent.statement_descriptor_suffix = data.statement_descriptor_suffix;
    intent.idempotency_key.clone_from(&session.idempotency_key);
    session.payment_intent = Some(intent.id.clone());
    let shown = intent.json();
    state.payment_intents.insert(intent.clone());
    state.emit("payment_intent.created", shown);
    Ok(intent)
}

fn set_up(state: &mut State, mut session: Session, card: &str, email: String) -> Result<Value, StripeError> {
    let mut method = payment_methods::create_from(state, card, "card", Some(email))?;
    if let Some(customer) = &session.customer {
        method = payment_methods::attach_to(state, &method, customer)?;
    }
    session.setup_intent =
        Some(setup_intents::succeed(state, session.customer.clone(), method, session.intent_data.metadata.clone()));
    Ok(finish(state, session))
}

fn finish(state: &mut State, mut session: Session) -> Value {
    session.status = SessionStatus::Complete;
    state.expiries.remove(&(session.expires_at, session.id.clone()));
    let shown = session.json();
    if let Some(known) = state.sessions.find_mut(&session.id) {
        *known = session;
    }
    state.emit("checkout.session.completed", shown.clone());
    shown
}

/// Ends the wait of a session that was completed unpaid. A `decline_code` says the money never came.
pub(super) fn settle_later(state: &mut State, id: &str, decline_code: Option<&str>) -> Result<Value, StripeError> {
    let session = state.sessions.get(id)?;
    let (complete, unpaid) = (session.status == SessionStatus::Complete, session.payment_status == "unpaid");
    let Some(intent) = session.payment_intent.clone().filter(|_intent| complete && unpaid) else {
        return Err(StripeError::refused("only a complete and unpaid session waits for its payment"));
    };
    collect::settle(state, &intent, decline_code)?;
    let session = state.sessions.get_mut(id)?;
    if decline_code.is_none() {
        session.payment_status = "paid";
    }
    let shown = session.json();
    let event = if decline_code.is_none() {
        "checkout.session.async_payment_succeeded"
    } else {
        "checkout.session.async_payment_failed"
    };
    state.emit(event, shown.clone());
    Ok(shown)
}

fn open(state: &State, id: &str) -> Result<Session, StripeError> {
    let session = state.sessions.get(id)?;
    if session.status == SessionStatus::Open {
        return Ok(session.clone());
    }
    Err(StripeError::refused(format!("this Checkout Session is {} and can no longer be paid", session.status.name())))
}
