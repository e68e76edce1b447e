//! Collecting an intent's money: what a confirmation, and later a settlement, does to it.

use serde_json::{Value, json};

use super::charges::{self, Charge, ChargeStatus};
use super::error::StripeError;
use super::payment_intents::{Confirmation, IntentStatus, PaymentIntent};
use super::payment_methods::{self, PaymentMethod};
use super::state::State;
use super::table::Record as _;
use super::test_cards::{Decline, Outcome};

/// Confirms an intent: answers it, or 402 when the card refused.
pub(super) fn confirm(state: &mut State, id: &str, confirmation: &Confirmation) -> Result<Value, StripeError> {
    let intent = state.payment_intents.get(id)?.clone();
    if matches!(intent.status, IntentStatus::Succeeded | IntentStatus::Canceled | IntentStatus::Processing) {
        let message = if intent.status == IntentStatus::Succeeded {
            "You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed."
                .to_owned()
        } else {
            format!("You cannot confirm this PaymentIntent because it has a status of {}.", intent.status.name())
        };
        return Err(intent.unexpected_state(message));
    }
    let Some(text) = confirmation.payment_method.clone().or_else(|| intent.payment_method.clone()) else {
        return Err(intent.unexpected_state("You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment method or ConfirmationToken.".into()));
    };
    let method = payment_methods::resolve(state, &text, intent.customer.as_deref())?;
    match method.card.outcome.clone() {
        Outcome::Succeeds => Ok(succeed(state, &intent, &method)),
        Outcome::Processes => Ok(begin(state, &intent, &method)),
        Outcome::Declines(code) => Err(decline(state, &intent, &method, &Decline::of(&code))),
        Outcome::NeedsAuthentication if confirmation.off_session || confirmation.error_on_requires_action => {
            Err(decline(state, &intent, &method, &Decline::of("authentication_required")))
        }
        Outcome::NeedsAuthentication => Ok(ask_to_authenticate(state, &intent, &method)),
    }
}

/// The money arrives: a charge, its events, and the card kept where that was asked for.
pub(super) fn succeed(state: &mut State, intent: &PaymentIntent, method: &PaymentMethod) -> Value {
    let charge = charges::of_intent(state, intent, method, ChargeStatus::Succeeded, None);
    keep_method(state, intent, method);
    record_success(state, intent.id.as_str(), &method.id, charge)
}

fn record_success(state: &mut State, intent_id: &str, method_id: &str, charge: Charge) -> Value {
    let shown_charge = charge.json();
    let charge_id = charge.id.clone();
    if let Some(known) = state.charges.find_mut(&charge_id) {
        *known = charge;
    } else {
        state.charges.insert(charge);
    }
    let shown = change(state, intent_id, |intent| {
        intent.status = IntentStatus::Succeeded;
        intent.payment_method = Some(method_id.to_owned());
        intent.latest_charge = Some(charge_id);
        intent.last_payment_error = None;
    });
    state.emit("charge.succeeded", shown_charge);
    state.emit("payment_intent.succeeded", shown.clone());
    shown
}

/// The card refuses: a failed charge, its events, and the 402 that carries them.
pub(super) fn decline(
    state: &mut State,
    intent: &PaymentIntent,
    method: &PaymentMethod,
    decline: &Decline,
) -> StripeError {
    let charge = charges::of_intent(state, intent, method, ChargeStatus::Failed, Some(decline));
    record_decline(state, &intent.id, method, charge, decline)
}

fn record_decline(
    state: &mut State,
    intent_id: &str,
    method: &PaymentMethod,
    charge: Charge,
    decline: &Decline,
) -> StripeError {
    let shown_charge = charge.json();
    let charge_id = charge.id.clone();
    if let Some(known) = state.charges.find_mut(&charge_id) {
        *known = charge;
    } else {
        state.charges.insert(charge);
    }
    let error = decline.error().with("charge", charge_id.clone().into()).with("payment_method", method.json());
    let shown = change(state, intent_id, |intent| {
        intent.status = IntentStatus::RequiresPaymentMethod;
        intent.payment_method = None;
        intent.latest_charge = Some(charge_id);
        intent.last_payment_error = Some(error.fields());
    });
    state.emit("charge.failed", shown_charge);
    state.emit("payment_intent.payment_failed", shown.clone());
    error.with("payment_intent", shown)
}

/// The payment was started and settles later.
pub(super) fn begin(state: &mut State, intent: &PaymentIntent, method: &PaymentMethod) -> Value {
    let charge = charges::of_intent(state, intent, method, ChargeStatus::Pending, None);
    let (charge_id, shown_charge) = (charge.id.clone(), charge.json());
    state.charges.insert(charge);
    keep_method(state, intent, method);
    let shown = change(state, &intent.id, |intent| {
        intent.status = IntentStatus::Processing;
        intent.payment_method = Some(method.id.clone());
        intent.latest_charge = Some(charge_id);
    });
    state.emit("charge.pending", shown_charge);
    state.emit("payment_intent.processing", shown.clone());
    shown
}

fn ask_to_authenticate(state: &mut State, intent: &PaymentIntent, method: &PaymentMethod) -> Value {
    let shown = change(state, &intent.id, |intent| {
        intent.status = IntentStatus::RequiresAction;
        intent.payment_method = Some(method.id.clone());
    });
    state.emit("payment_intent.requires_action", shown.clone());
    shown
}

/// Settles an intent that is processing, or ends the authentication it waits for.
/// A `decline_code` says it failed.
pub(super) fn settle(state: &mut State, id: &str, decline_code: Option<&str>) -> Result<Value, StripeError> {
    let intent = state.payment_intents.get(id)?.clone();
    if !matches!(intent.status, IntentStatus::Processing | IntentStatus::RequiresAction) {
        return Err(intent.unexpected_state(format!(
            "only a payment that is processing or requires action settles; this one is {}",
            intent.status.name()
        )));
    }
    let method =
        state.payment_methods.named(intent.payment_method.as_deref().unwrap_or_default(), "payment_method")?.clone();
    let pending = intent
        .latest_charge
        .as_deref()
        .and_then(|charge| state.charges.find(charge))
        .filter(|charge| charge.status == ChargeStatus::Pending)
        .cloned();
    let refusal = decline_code.map(Decline::of);
    let Some(mut charge) = pending else {
        return Ok(match refusal {
            None => succeed(state, &intent, &method),
            Some(refusal) => {
                decline(state, &intent, &method, &refusal);
                state.payment_intents.get(id)?.json()
            }
        });
    };
    charge.settle(refusal.as_ref());
    match refusal {
        None => Ok(record_success(state, id, &method.id, charge)),
        Some(refusal) => {
            record_decline(state, id, &method, charge, &refusal);
            Ok(state.payment_intents.get(id)?.json())
        }
    }
}

/// Attaches the card to the customer when the intent says it will be used again.
fn keep_method(state: &mut State, intent: &PaymentIntent, method: &PaymentMethod) {
    if intent.setup_future_usage.is_some()
        && let Some(customer) = &intent.customer
        && method.customer.is_none()
    {
        let mut shown = json!(null);
        if let Some(kept) = state.payment_methods.find_mut(&method.id) {
            kept.customer = Some(customer.clone());
            shown = kept.json();
        }
        state.emit("payment_method.attached", shown);
    } else if let Some(used) = state.payment_methods.find_mut(&method.id) {
        used.mark_used();
    }
}

fn change(state: &mut State, id: &str, edit: impl FnOnce(&mut PaymentIntent)) -> Value {
    let Some(intent) = state.payment_intents.find_mut(id) else {
        return json!(null);
    };
    edit(intent);
    intent.json()
}
