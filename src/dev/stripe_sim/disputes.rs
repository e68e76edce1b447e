//! Disputes: a cardholder's bank wants the money of a charge back. They are opened and decided by the control endpoints.

use serde_json::{Value, json};

use super::charges::ChargeStatus;
use super::error::StripeError;
use super::form::Params;
use super::ids;
use super::state::{State, previous_attributes};
use super::table::{Page, Record};

/// In which a dispute is opened.
const USUAL_STATUS: &str = "needs_response";

#[derive(Debug, Clone)]
pub(super) struct Dispute {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) amount: i64,
    /// One of Stripe's words; tests may make up others.
    pub(super) status: String,
    pub(super) charge: String,
    currency: String,
    payment_intent: String,
    reason: String,
}

impl Dispute {
    fn is_closed(&self) -> bool {
        matches!(self.status.as_str(), "won" | "lost" | "warning_closed")
    }

    /// An inquiry moves no money.
    fn is_inquiry(&self) -> bool {
        self.status.starts_with("warning_")
    }
}

impl Record for Dispute {
    const KIND: &'static str = "dispute";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "dispute",
            "amount": self.amount,
            "balance_transactions": [],
            "charge": self.charge,
            "created": self.created,
            "currency": self.currency,
            "enhanced_eligibility_types": [],
            "evidence": {},
            "evidence_details": { "due_by": self.created + 7 * 24 * 60 * 60, "enhanced_eligibility": {},
                "has_evidence": false, "past_due": false, "submission_count": 0 },
            "is_charge_refundable": self.is_inquiry(),
            "livemode": false,
            "metadata": {},
            "payment_intent": self.payment_intent,
            "payment_method_details": { "card": { "brand": "visa", "case_type": "chargeback",
                "network_reason_code": "10.4" }, "type": "card" },
            "reason": self.reason,
            "status": self.status,
        })
    }
}

/// Which charge is disputed, how, and since when.
#[derive(Debug, Default)]
pub(super) struct Opening {
    pub(super) payment_intent: String,
    /// The whole charge when not given.
    pub(super) amount: Option<i64>,
    /// `fraudulent` when not given.
    pub(super) reason: Option<String>,
    /// `needs_response` when not given.
    pub(super) status: Option<String>,
}

/// Opens a dispute over the charge of an intent.
pub(super) fn open(state: &mut State, opening: Opening) -> Result<Value, StripeError> {
    let charge = charge_of(state, &opening.payment_intent)?;
    let charge = state.charges.get_mut(&charge)?;
    let dispute = Dispute {
        id: ids::new("du_1"),
        created: state.clock.now(),
        amount: opening.amount.unwrap_or(charge.amount),
        status: opening.status.unwrap_or_else(|| USUAL_STATUS.to_owned()),
        charge: charge.id.clone(),
        currency: charge.currency.clone(),
        payment_intent: opening.payment_intent,
        reason: opening.reason.unwrap_or_else(|| "fraudulent".to_owned()),
    };
    charge.disputed = true;
    let (shown, moves_money) = (dispute.json(), !dispute.is_inquiry());
    state.disputes.insert(dispute);
    state.emit("charge.dispute.created", shown.clone());
    if moves_money {
        state.emit("charge.dispute.funds_withdrawn", shown.clone());
    }
    Ok(shown)
}

/// Brings a dispute to another status, with the events that Stripe sends of it.
pub(super) fn settle(state: &mut State, id: &str, status: &str) -> Result<Value, StripeError> {
    let dispute = state.disputes.get_mut(id)?;
    if dispute.is_closed() {
        return Err(StripeError::refused(format!("this dispute is already {}", dispute.status)));
    }
    let (before, was_inquiry) = (dispute.json(), dispute.is_inquiry());
    status.clone_into(&mut dispute.status);
    let (after, is_closed) = (dispute.json(), dispute.is_closed());
    state.emit_change("charge.dispute.updated", after.clone(), Some(previous_attributes(&before, &after)));
    if is_closed {
        state.emit("charge.dispute.closed", after.clone());
    }
    if status == "won" && !was_inquiry {
        state.emit("charge.dispute.funds_reinstated", after.clone());
    }
    Ok(after)
}

/// The issuer suspects fraud of an intent's charge.
pub(super) fn warn(state: &mut State, payment_intent: &str) -> Result<Value, StripeError> {
    let charge = charge_of(state, payment_intent)?;
    let warning = json!({
        "id": ids::new("issfr_1"),
        "object": "radar.early_fraud_warning",
        "actionable": true,
        "charge": charge,
        "created": state.now(),
        "fraud_type": "made_with_stolen_card",
        "livemode": false,
        "payment_intent": payment_intent,
    });
    state.emit("radar.early_fraud_warning.created", warning.clone());
    Ok(warning)
}

/// Whether money of a charge cannot be given back because it is disputed.
pub(super) fn is_open_over(state: &State, charge: &str) -> bool {
    state.disputes.oldest_first().any(|it| it.charge == charge && !it.is_closed() && !it.is_inquiry())
}

fn charge_of(state: &State, payment_intent: &str) -> Result<String, StripeError> {
    let intent = state.payment_intents.named(payment_intent, "payment_intent")?;
    let taken = intent
        .latest_charge
        .clone()
        .filter(|charge| state.charges.find(charge).is_some_and(|charge| charge.status == ChargeStatus::Succeeded));
    taken.ok_or_else(|| StripeError::refused("only a charge that succeeded can be disputed").param("payment_intent"))
}

pub(super) fn retrieve(state: &State, id: &str, params: Params) -> Result<Value, StripeError> {
    params.finish()?;
    Ok(state.disputes.get(id)?.json())
}

pub(super) fn list(state: &State, mut params: Params) -> Result<Value, StripeError> {
    let page = Page::take(&mut params)?;
    let (charge, intent) = (params.filled("charge")?, params.filled("payment_intent")?);
    params.finish()?;
    state.disputes.page(&page, "/v1/disputes", |dispute| {
        charge.as_ref().is_none_or(|charge| dispute.charge == *charge)
            && intent.as_ref().is_none_or(|intent| dispute.payment_intent == *intent)
    })
}
