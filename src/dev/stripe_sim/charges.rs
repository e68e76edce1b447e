//! Charges: the money that moved, or did not.

use serde_json::{Value, json};

use super::error::StripeError;
use super::form::{Metadata, Params};
use super::ids;
use super::payment_intents::PaymentIntent;
use super::payment_methods::PaymentMethod;
use super::state::State;
use super::table::{Page, Record, joined};
use super::test_cards::Decline;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ChargeStatus {
    Pending,
    Succeeded,
    Failed,
}

impl ChargeStatus {
    fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Charge {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) amount: i64,
    pub(super) amount_refunded: i64,
    pub(super) currency: String,
    pub(super) customer: Option<String>,
    pub(super) payment_intent: String,
    pub(super) status: ChargeStatus,
    pub(super) metadata: Metadata,
    /// The key of the request that made it, for those who count money moved.
    pub(super) idempotency_key: Option<String>,
    pub(super) refunds_wait: bool,
    /// A dispute was opened over it, however that ended.
    pub(super) disputed: bool,
    payment_method: String,
    billing_details: Value,
    details: Value,
    outcome: Value,
    failure: Option<(String, &'static str)>,
    description: Option<String>,
    receipt_email: Option<String>,
    balance_transaction: String,
}

impl Record for Charge {
    const KIND: &'static str = "charge";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn json(&self) -> Value {
        let succeeded = self.status == ChargeStatus::Succeeded;
        joined(
            json!({
                "id": self.id,
                "object": "charge",
                "amount": self.amount,
                "amount_captured": if succeeded { self.amount } else { 0 },
                "amount_refunded": self.amount_refunded,
                "application": null,
                "application_fee": null,
                "application_fee_amount": null,
                "balance_transaction": succeeded.then_some(&self.balance_transaction),
                "billing_details": self.billing_details,
                "calculated_statement_descriptor": "BERTH",
                "captured": succeeded,
                "created": self.created,
                "currency": self.currency,
                "customer": self.customer,
                "description": self.description,
                "disputed": self.disputed,
                "failure_balance_transaction": null,
                "failure_code": self.failure.as_ref().map(|(code, _message)| code),
                "failure_message": self.failure.as_ref().map(|(_code, message)| message),
            }),
            json!({
                "fraud_details": {},
                "livemode": false,
                "metadata": self.metadata,
                "on_behalf_of": null,
                "outcome": self.outcome,
                "paid": succeeded,
                "payment_intent": self.payment_intent,
                "payment_method": self.payment_method,
                "payment_method_details": self.details,
                "receipt_email": self.receipt_email,
                "receipt_number": null,
                "receipt_url": null,
                "refunded": succeeded && self.amount_refunded == self.amount,
                "review": null,
                "shipping": null,
                "source": null,
                "source_transfer": null,
                "statement_descriptor": null,
                "statement_descriptor_suffix": null,
                "status": self.status.name(),
                "transfer_data": null,
                "transfer_group": null,
            }),
        )
    }
}

/// A charge of a whole intent. Settled now when `status` says so; a `decline` says why it failed.
pub(super) fn of_intent(
    state: &State,
    intent: &PaymentIntent,
    method: &PaymentMethod,
    status: ChargeStatus,
    decline: Option<&Decline>,
) -> Charge {
    let approved = || {
        json!({
            "advice_code": null,
            "network_advice_code": null,
            "network_decline_code": null,
            "network_status": "approved_by_network",
            "reason": null,
            "risk_level": "normal",
            "risk_score": 12,
            "seller_message": "Payment complete.",
            "type": "authorized",
        })
    };
    Charge {
        id: ids::new("ch_3"),
        created: state.now(),
        amount: intent.amount,
        amount_refunded: 0,
        currency: intent.currency.clone(),
        customer: intent.customer.clone(),
        payment_intent: intent.id.clone(),
        status,
        metadata: intent.metadata.clone(),
        idempotency_key: state.origin.idempotency_key.clone(),
        refunds_wait: method.card.refunds_wait,
        disputed: false,
        payment_method: method.id.clone(),
        billing_details: method.billing_details(),
        details: method.charge_details(intent.amount),
        outcome: decline.map_or_else(approved, Decline::outcome),
        failure: decline.map(|decline| (decline.code.clone(), decline.message)),
        description: intent.description.clone(),
        receipt_email: intent.receipt_email.clone(),
        balance_transaction: ids::new("txn_3"),
    }
}

impl Charge {
    /// Turns a pending charge into one that settled, or failed.
    pub(super) fn settle(&mut self, decline: Option<&Decline>) {
        match decline {
            None => self.status = ChargeStatus::Succeeded,
            Some(decline) => {
                self.status = ChargeStatus::Failed;
                self.outcome = decline.outcome();
                self.failure = Some((decline.code.clone(), decline.message));
            }
        }
    }
}

pub(super) fn retrieve(state: &State, id: &str, params: Params) -> Result<Value, StripeError> {
    params.finish()?;
    Ok(state.charges.get(id)?.json())
}

pub(super) fn list(state: &State, mut params: Params) -> Result<Value, StripeError> {
    let page = Page::take(&mut params)?;
    let (customer, intent) = (params.filled("customer")?, params.filled("payment_intent")?);
    params.finish()?;
    state.charges.page(&page, "/v1/charges", |charge| {
        (customer.is_none() || charge.customer == customer)
            && intent.as_ref().is_none_or(|intent| charge.payment_intent == *intent)
    })
}
