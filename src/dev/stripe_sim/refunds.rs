//! Refunds: money given back, never more than was taken.

use serde_json::{Value, json};

use super::charges::ChargeStatus;
use super::error::StripeError;
use super::form::{Metadata, Params};
use super::ids;
use super::state::{State, previous_attributes};
use super::table::{Page, Record};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RefundStatus {
    Pending,
    Succeeded,
    Failed,
}

impl RefundStatus {
    fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Refund {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) amount: i64,
    pub(super) metadata: Metadata,
    pub(super) status: RefundStatus,
    /// The key of the request that made it, for those who count money moved.
    pub(super) idempotency_key: Option<String>,
    currency: String,
    charge: String,
    payment_intent: String,
    reason: Option<String>,
    failure_reason: Option<String>,
}

impl Record for Refund {
    const KIND: &'static str = "refund";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn json(&self) -> Value {
        let mut refund = json!({
            "id": self.id,
            "object": "refund",
            "amount": self.amount,
            "balance_transaction": null,
            "charge": self.charge,
            "created": self.created,
            "currency": self.currency,
            "customer": null,
            "customer_account": null,
            "destination_details": { "card": { "reference_status": "pending", "reference_type": "acquirer_reference_number", "type": "refund" }, "type": "card" },
            "metadata": self.metadata,
            "payment_intent": self.payment_intent,
            "payment_method": null,
            "reason": self.reason,
            "receipt_number": null,
            "source_transfer_reversal": null,
            "status": self.status.name(),
            "transfer_reversal": null,
        });
        if let Some(reason) = &self.failure_reason {
            refund["failure_reason"] = json!(reason);
        }
        refund
    }
}

pub(super) fn create(state: &mut State, mut params: Params) -> Result<Value, StripeError> {
    let (charge_id, intent_id) = (params.filled("charge")?, params.filled("payment_intent")?);
    let amount = params.integer("amount")?;
    let reason = params.one_of("reason", &["duplicate", "fraudulent", "requested_by_customer"])?;
    let mut metadata = Metadata::new();
    params.metadata()?.apply(&mut metadata)?;
    params.finish()?;

    let charge_id = charge_to_refund(state, charge_id, intent_id)?;
    let charge = state.charges.named(&charge_id, "charge")?;
    if charge.status != ChargeStatus::Succeeded {
        return Err(StripeError::refused(format!("Charge {charge_id} has not succeeded, so it cannot be refunded."))
            .param("charge"));
    }
    if super::disputes::is_open_over(state, &charge_id) {
        return Err(StripeError::refused(format!("Charge {charge_id} has been charged back; cannot issue a refund."))
            .code("charge_disputed"));
    }
    let left = charge.amount - charge.amount_refunded;
    if left == 0 {
        return Err(StripeError::refused(format!("Charge {charge_id} has already been refunded."))
            .code("charge_already_refunded"));
    }
    let amount = amount.unwrap_or(left);
    if amount < 1 {
        return Err(StripeError::invalid(
            "parameter_invalid_integer",
            "amount",
            "This value must be greater than or equal to 1.",
        ));
    }
    if amount > left {
        let message = format!(
            "Refund amount ({amount} {0} in minor units) is greater than unrefunded amount on charge ({left} {0} in minor units)",
            charge.currency
        );
        return Err(StripeError::refused(message).param("amount"));
    }
    let refund = Refund {
        id: ids::new("re_3"),
        created: state.now(),
        amount,
        metadata,
        status: if state.refunds_wait || charge.refunds_wait { RefundStatus::Pending } else { RefundStatus::Succeeded },
        idempotency_key: state.origin.idempotency_key.clone(),
        currency: charge.currency.clone(),
        charge: charge_id.clone(),
        payment_intent: charge.payment_intent.clone(),
        reason,
        failure_reason: None,
    };
    let shown = refund.json();
    state.refunds.insert(refund);
    state.emit("refund.created", shown.clone());
    move_refunded(state, &charge_id, amount, "charge.refunded")?;
    Ok(shown)
}

fn charge_to_refund(state: &State, charge: Option<String>, intent: Option<String>) -> Result<String, StripeError> {
    match (charge, intent) {
        (Some(charge), None) => Ok(charge),
        (None, Some(intent)) => {
            let intent = state.payment_intents.named(&intent, "payment_intent")?;
            let taken = intent.latest_charge.clone().filter(|charge| {
                state.charges.find(charge).is_some_and(|charge| charge.status == ChargeStatus::Succeeded)
            });
            taken.ok_or_else(|| {
                StripeError::refused(format!(
                    "This PaymentIntent ({}) does not have a successful charge to refund.",
                    intent.id
                ))
                .param("payment_intent")
            })
        }
        (None, None) => Err(StripeError::refused(
            "One of the following params should be provided for this request: payment_intent or charge.",
        )
        .not_kept()),
        (Some(_), Some(_)) => {
            Err(StripeError::refused("You may only specify one of these parameters: payment_intent, charge.")
                .not_kept())
        }
    }
}

/// Adds to (or takes from) what a charge says was refunded, and raises `event`.
fn move_refunded(state: &mut State, charge_id: &str, amount: i64, event: &str) -> Result<(), StripeError> {
    let charge = state.charges.get_mut(charge_id)?;
    let before = charge.json();
    charge.amount_refunded += amount;
    let after = charge.json();
    state.emit_change(event, after.clone(), Some(previous_attributes(&before, &after)));
    Ok(())
}

/// Settles a refund: a `failure_reason` says it failed, as one may even after it succeeded, and the
/// charge is then no longer refunded by that much.
pub(super) fn settle(state: &mut State, id: &str, failure_reason: Option<&str>) -> Result<Value, StripeError> {
    let refund = state.refunds.get_mut(id)?;
    let target = if failure_reason.is_some() { RefundStatus::Failed } else { RefundStatus::Succeeded };
    if refund.status == RefundStatus::Failed || refund.status == target {
        return Err(StripeError::refused(format!("this refund is already {}", refund.status.name())));
    }
    let before = refund.json();
    refund.status = target;
    refund.failure_reason = failure_reason.map(str::to_owned);
    let after = refund.json();
    let (charge, amount) = (refund.charge.clone(), refund.amount);
    let previous = previous_attributes(&before, &after);
    state.emit_change("refund.updated", after.clone(), Some(previous.clone()));
    if target == RefundStatus::Failed {
        state.emit("refund.failed", after.clone());
        state.emit_change("charge.refund.updated", after.clone(), Some(previous));
        move_refunded(state, &charge, -amount, "charge.updated")?;
    }
    Ok(after)
}

pub(super) fn retrieve(state: &State, id: &str, params: Params) -> Result<Value, StripeError> {
    params.finish()?;
    Ok(state.refunds.get(id)?.json())
}

pub(super) fn list(state: &State, mut params: Params) -> Result<Value, StripeError> {
    let page = Page::take(&mut params)?;
    let (charge, intent) = (params.filled("charge")?, params.filled("payment_intent")?);
    params.finish()?;
    state.refunds.page(&page, "/v1/refunds", |refund| {
        charge.as_ref().is_none_or(|charge| refund.charge == *charge)
            && intent.as_ref().is_none_or(|intent| refund.payment_intent == *intent)
    })
}
