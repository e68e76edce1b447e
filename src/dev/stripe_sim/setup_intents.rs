//! SetupIntents: a card kept without a payment, as setup-mode Checkout makes them.

use serde_json::{Value, json};

use super::error::StripeError;
use super::form::{Metadata, Params};
use super::ids;
use super::state::State;
use super::table::{Page, Record};

#[derive(Debug, Clone)]
pub(super) struct SetupIntent {
    pub(super) id: String,
    created: i64,
    customer: Option<String>,
    payment_method: String,
    metadata: Metadata,
    client_secret: String,
}

impl Record for SetupIntent {
    const KIND: &'static str = "setupintent";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "setup_intent",
            "application": null,
            "automatic_payment_methods": null,
            "cancellation_reason": null,
            "client_secret": self.client_secret,
            "created": self.created,
            "customer": self.customer,
            "description": null,
            "excluded_payment_method_types": null,
            "flow_directions": null,
            "last_setup_error": null,
            "latest_attempt": null,
            "livemode": false,
            "mandate": null,
            "metadata": self.metadata,
            "next_action": null,
            "on_behalf_of": null,
            "payment_method": self.payment_method,
            "payment_method_configuration_details": null,
            "payment_method_options": {},
            "payment_method_types": ["card"],
            "single_use_mandate": null,
            "status": "succeeded",
            "usage": "off_session",
        })
    }
}

/// A setup that succeeded, with its events; returns its id.
pub(super) fn succeed(
    state: &mut State,
    customer: Option<String>,
    payment_method: String,
    metadata: Metadata,
) -> String {
    let id = ids::new("seti_1");
    let client_secret = ids::new(&format!("{id}_secret_"));
    let setup = SetupIntent { id: id.clone(), created: state.now(), customer, payment_method, metadata, client_secret };
    let shown = setup.json();
    state.setup_intents.insert(setup);
    state.emit("setup_intent.created", shown.clone());
    state.emit("setup_intent.succeeded", shown);
    id
}

pub(super) fn retrieve(state: &State, id: &str, params: Params) -> Result<Value, StripeError> {
    params.finish()?;
    Ok(state.setup_intents.get(id)?.json())
}

pub(super) fn list(state: &State, mut params: Params) -> Result<Value, StripeError> {
    let page = Page::take(&mut params)?;
    let customer = params.filled("customer")?;
    params.finish()?;
    state.setup_intents.page(&page, "/v1/setup_intents", |setup| customer.is_none() || setup.customer == customer)
}
