//! Payment methods: cards, made from test tokens and kept by customers.

use serde_json::{Value, json};

use super::error::StripeError;
use super::form::{Metadata, Params};
use super::ids;
use super::state::State;
use super::table::{Page, Record};
use super::test_cards::{Decline, Outcome, TestCard, is_token, test_card};

/// August 2040.
const USUAL_EXPIRY: (u8, u16) = (8, 2040);

#[derive(Debug, Clone)]
pub(super) struct PaymentMethod {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) customer: Option<String>,
    pub(super) card: TestCard,
    /// Month and year.
    pub(super) expiry: (u8, u16),
    /// Once detached, or charged while attached to nobody, it may not be used again.
    spent: bool,
    email: Option<String>,
    metadata: Metadata,
    fingerprint: String,
}

impl Record for PaymentMethod {
    const KIND: &'static str = "PaymentMethod";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "payment_method",
            "allow_redisplay": "unspecified",
            "billing_details": self.billing_details(),
            "card": {
                "brand": self.card.brand,
                "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" },
                "country": "US",
                "display_brand": self.card.brand,
                "exp_month": self.expiry.0,
                "exp_year": self.expiry.1,
                "fingerprint": self.fingerprint,
                "funding": "credit",
                "generated_from": null,
                "last4": self.card.last4,
                "networks": { "available": [self.card.brand], "preferred": null },
                "regulated_status": "unregulated",
                "three_d_secure_usage": { "supported": true },
                "wallet": null,
            },
            "created": self.created,
            "customer": self.customer,
            "customer_account": null,
            "livemode": false,
            "metadata": self.metadata,
            "type": "card",
        })
    }
}

impl PaymentMethod {
    pub(super) fn billing_details(&self) -> Value {
        json!({
            "address": { "city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null },
            "email": self.email,
            "name": null,
            "phone": null,
            "tax_id": null,
        })
    }

    /// A charge's `payment_method_details`.
    pub(super) fn charge_details(&self, amount: i64) -> Value {
        json!({
            "card": {
                "amount_authorized": amount,
                "authorization_code": "123456",
                "brand": self.card.brand,
                "checks": { "address_line1_check": null, "address_postal_code_check": null, "cvc_check": "pass" },
                "country": "US",
                "exp_month": self.expiry.0,
                "exp_year": self.expiry.1,
                "extended_authorization": { "status": "disabled" },
                "fingerprint": self.fingerprint,
                "funding": "credit",
                "incremental_authorization": { "status": "unavailable" },
                "installments": null,
                "last4": self.card.last4,
                "mandate": null,
                "multicapture": { "status": "unavailable" },
                "network": self.card.brand,
                "network_token": { "used": false },
                "network_transaction_id": null,
                "overcapture": { "maximum_amount_capturable": amount, "status": "unavailable" },
                "regulated_status": "unregulated",
                "three_d_secure": null,
                "transaction_link_id": null,
                "wallet": null,
            },
            "type": "card",
        })
    }

    pub(super) fn mark_used(&mut self) {
        self.spent = self.spent || self.customer.is_none();
    }
}

/// A new payment method from a test token, belonging to nobody yet.
pub(super) fn create_from(
    state: &mut State,
    token: &str,
    param: &str,
    email: Option<String>,
) -> Result<String, StripeError> {
    let card = test_card(token).ok_or_else(|| StripeError::no_such_param("PaymentMethod", token, param))?;
    let method = PaymentMethod {
        id: ids::new("pm_1"),
        created: state.now(),
        customer: None,
        card,
        expiry: USUAL_EXPIRY,
        spent: false,
        email,
        metadata: Metadata::new(),
        fingerprint: ids::new("").chars().take(16).collect(),
    };
    let id = method.id.clone();
    state.payment_methods.insert(method);
    Ok(id)
}

/// The payment method a payment names, checked against the customer who pays.
pub(super) fn resolve(state: &mut State, text: &str, customer: Option<&str>) -> Result<PaymentMethod, StripeError> {
    let id = if is_token(text) { create_from(state, text, "payment_method", None)? } else { text.to_owned() };
    let method = state.payment_methods.named(&id, "payment_method")?.clone();
    if method.spent {
        return Err(StripeError::refused(
            "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, shared with a connected account without Customer attachment, or was detached from a Customer. It may not be used again. To use a PaymentMethod multiple times, you must attach it to a Customer first.",
        ).code("payment_method_unexpected_state").param("payment_method"));
    }
    match (&method.customer, customer) {
        (Some(_owner), None) => Err(StripeError::refused(
            "The payment method you provided has already been attached to a customer. You must specify its customer in the request.",
        ).param("payment_method")),
        (Some(owner), Some(payer)) if owner != payer => Err(StripeError::refused(format!(
            "The customer does not have a payment method with the ID {id}. The payment method must be attached to the customer.",
        )).code("resource_missing").param("payment_method")),
        (Some(_), Some(_)) | (None, _) => Ok(method),
    }
}

/// Attaches a payment method, or a new one from a token, and returns its id.
pub(super) fn attach_to(state: &mut State, text: &str, customer: &str) -> Result<String, StripeError> {
    if let Some(card) = test_card(text)
        && let Outcome::Declines(code) = &card.outcome
        && !card.attaches
    {
        return Err(Decline::of(code).error());
    }
    let id = if is_token(text) { create_from(state, text, "payment_method", None)? } else { text.to_owned() };
    let method = state.payment_methods.get_mut(&id)?;
    if method.spent || method.customer.as_deref().is_some_and(|owner| owner != customer) {
        return Err(StripeError::refused("The payment method you provided has already been attached to a customer, or was detached from one, and may not be used again.")
            .code("payment_method_unexpected_state"));
    }
    if method.customer.is_none() {
        method.customer = Some(customer.to_owned());
        let shown = method.json();
        state.emit("payment_method.attached", shown);
    }
    Ok(id)
}

pub(super) fn attach(state: &mut State, id: &str, mut params: Params) -> Result<Value, StripeError> {
    let customer = params.required("customer")?;
    params.finish()?;
    state.customer_param(&customer)?;
    if is_token(id) && test_card(id).is_none() {
        return Err(StripeError::no_such("PaymentMethod", id));
    }
    let attached = attach_to(state, id, &customer)?;
    Ok(state.payment_methods.get(&attached)?.json())
}

pub(super) fn detach(state: &mut State, id: &str, params: Params) -> Result<Value, StripeError> {
    params.finish()?;
    let method = state.payment_methods.get_mut(id)?;
    let Some(owner) = method.customer.take() else {
        return Err(StripeError::refused(
            "The payment method you provided is not attached to a customer so detachment is impossible.",
        ));
    };
    method.spent = true;
    let shown = method.json();
    state.emit_change("payment_method.detached", shown.clone(), Some(json!({ "customer": owner })));
    Ok(shown)
}

/// A deleted customer keeps no cards.
pub(super) fn detach_all(state: &mut State, customer: &str) {
    let owned: Vec<String> = state
        .payment_methods
        .oldest_first()
        .filter(|method| method.customer.as_deref() == Some(customer))
        .map(|method| method.id.clone())
        .collect();
    for id in owned {
        if let Some(method) = state.payment_methods.find_mut(&id) {
            method.customer = None;
            method.spent = true;
            let shown = method.json();
            state.emit_change("payment_method.detached", shown, Some(json!({ "customer": customer })));
        }
    }
}

pub(super) fn retrieve(state: &State, id: &str, params: Params) -> Result<Value, StripeError> {
    params.finish()?;
    Ok(state.payment_methods.get(id)?.json())
}

/// `GET /v1/payment_methods?customer=…`; without a customer Stripe lists nothing of use.
pub(super) fn list(state: &State, mut params: Params) -> Result<Value, StripeError> {
    let customer = params.required("customer")?;
    state.customer_param(&customer)?;
    page(state, &customer, "/v1/payment_methods", params)
}

pub(super) fn list_of_customer(state: &State, customer: &str, params: Params) -> Result<Value, StripeError> {
    if state.customers.get(customer)?.deleted {
        return Err(StripeError::no_such("customer", customer));
    }
    page(state, customer, &format!("/v1/customers/{customer}/payment_methods"), params)
}

fn page(state: &State, customer: &str, url: &str, mut params: Params) -> Result<Value, StripeError> {
    let page = Page::take(&mut params)?;
    let kind = params.filled("type")?;
    params.finish()?;
    state.payment_methods.page(&page, url, |method| {
        method.customer.as_deref() == Some(customer) && kind.as_deref().is_none_or(|kind| kind == "card")
    })
}
