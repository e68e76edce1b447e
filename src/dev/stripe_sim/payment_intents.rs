//! PaymentIntents: one attempt after another to collect one sum.

use serde_json::{Value, json};

use super::error::StripeError;
use super::form::{Metadata, Params};
use super::state::State;
use super::table::{Page, Record, joined};
use super::{collect, ids, money};

/// ```text
/// requires_payment_method ─▶ requires_confirmation ─▶ succeeded
///        ▲   │                    │      │  ▲
///        │   │                    ▼      ▼  │
///        └───┼─── decline ── requires_action, processing
///            └─▶ canceled (from every state but succeeded and processing)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IntentStatus {
    RequiresPaymentMethod,
    RequiresConfirmation,
    RequiresAction,
    Processing,
    Succeeded,
    Canceled,
}

impl IntentStatus {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::RequiresPaymentMethod => "requires_payment_method",
            Self::RequiresConfirmation => "requires_confirmation",
            Self::RequiresAction => "requires_action",
            Self::Processing => "processing",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct PaymentIntent {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) amount: i64,
    pub(super) currency: String,
    pub(super) customer: Option<String>,
    pub(super) payment_method: Option<String>,
    pub(super) status: IntentStatus,
    pub(super) metadata: Metadata,
    pub(super) description: Option<String>,
    pub(super) receipt_email: Option<String>,
    pub(super) setup_future_usage: Option<String>,
    pub(super) latest_charge: Option<String>,
    pub(super) last_payment_error: Option<Value>,
    pub(super) statement_descriptor: Option<String>,
    pub(super) statement_descriptor_suffix: Option<String>,
    /// The key of the request that made it, for those who count money moved.
    pub(super) idempotency_key: Option<String>,
    canceled_at: Option<i64>,
    cancellation_reason: Option<String>,
    payment_method_types: Vec<String>,
    automatic: Option<Value>,
    client_secret: String,
}

impl Record for PaymentIntent {
    const KIND: &'static str = "payment_intent";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn json(&self) -> Value {
        let next_action = (self.status == IntentStatus::RequiresAction)
            .then(|| json!({ "type": "use_stripe_sdk", "use_stripe_sdk": { "type": "three_d_secure_redirect" } }));
        joined(
            json!({
                "id": self.id,
                "object": "payment_intent",
                "amount": self.amount,
                "amount_capturable": 0,
                "amount_details": { "tip": {} },
                "amount_received": if self.status == IntentStatus::Succeeded { self.amount } else { 0 },
                "application": null,
                "application_fee_amount": null,
                "automatic_payment_methods": self.automatic,
                "canceled_at": self.canceled_at,
                "cancellation_reason": self.cancellation_reason,
                "capture_method": "automatic_async",
                "client_secret": self.client_secret,
                "confirmation_method": "automatic",
                "created": self.created,
                "currency": self.currency,
                "customer": self.customer,
                "customer_account": null,
                "description": self.description,
                "excluded_payment_method_types": null,
            }),
            json!({
                "last_payment_error": self.last_payment_error,
                "latest_charge": self.latest_charge,
                "livemode": false,
                "managed_payments": null,
                "metadata": self.metadata,
                "next_action": next_action,
                "on_behalf_of": null,
                "payment_method": self.payment_method,
                "payment_method_configuration_details": null,
                "payment_method_options": { "card": { "installments": null, "mandate_options": null, "network": null, "request_three_d_secure": "automatic" } },
                "payment_method_types": self.payment_method_types,
                "processing": null,
                "receipt_email": self.receipt_email,
                "review": null,
                "setup_future_usage": self.setup_future_usage,
                "shipping": null,
                "source": null,
                "statement_descriptor": self.statement_descriptor,
                "statement_descriptor_suffix": self.statement_descriptor_suffix,
                "status": self.status.name(),
                "transfer_data": null,
                "transfer_group": null,
            }),
        )
    }
}

impl PaymentIntent {
    pub(super) fn new(state: &State, amount: i64, currency: String) -> Self {
        let id = ids::new("pi_3");
        Self {
            client_secret: ids::new(&format!("{id}_secret_")),
            id,
            created: state.now(),
            amount,
            currency,
            customer: None,
            payment_method: None,
            status: IntentStatus::RequiresPaymentMethod,
            metadata: Metadata::new(),
            description: None,
            receipt_email: None,
            setup_future_usage: None,
            latest_charge: None,
            last_payment_error: None,
            statement_descriptor: None,
            statement_descriptor_suffix: None,
            idempotency_key: state.origin.idempotency_key.clone(),
            canceled_at: None,
            cancellation_reason: None,
            payment_method_types: vec!["card".into()],
            automatic: None,
        }
    }

    pub(super) fn unexpected_state(&self, message: String) -> StripeError {
        StripeError::refused(message).code("payment_intent_unexpected_state").with("payment_intent", self.json())
    }
}

/// What a confirmation says about the moment: whether the customer is there to authenticate.
#[derive(Debug, Clone, Default)]
pub(super) struct Confirmation {
    pub(super) payment_method: Option<String>,
    pub(super) off_session: bool,
    pub(super) error_on_requires_action: bool,
}

impl Confirmation {
    fn take(params: &mut Params) -> Result<Self, StripeError> {
        let off_session = match params.one_of("off_session", &["true", "false", "one_off", "recurring"])?.as_deref() {
            None | Some("false") => false,
            Some(_given) => true,
        };
        Ok(Self {
            payment_method: params.filled("payment_method")?,
            off_session,
            error_on_requires_action: params.boolean("error_on_requires_action")?.unwrap_or(false),
        })
    }
}

pub(super) fn create(state: &mut State, mut params: Params) -> Result<Value, StripeError> {
    let amount = params.required_integer("amount")?;
    let currency = money::currency(&params.required("currency")?, "currency")?;
    let mut intent = PaymentIntent::new(state, amount, currency);
    describe(&mut intent, &mut params)?;
    let confirm = params.boolean("confirm")?.unwrap_or(false);
    let confirmation = Confirmation::take(&mut params)?;
    let redirects = take_method_kinds(&mut intent, &mut params)?;
    let return_url = params.filled("return_url")?;
    params.one_of("capture_method", &["automatic", "automatic_async"])?;
    params.one_of("confirmation_method", &["automatic"])?;
    params.finish()?;

    money::check_amount(amount, &intent.currency, "amount")?;
    if let Some(customer) = &intent.customer {
        state.customer_param(customer)?;
    }
    if confirmation.off_session && !confirm {
        return Err(StripeError::refused("You cannot provide `off_session` when `confirm` is not `true`.")
            .param("off_session")
            .not_kept());
    }
    if confirm && redirects && return_url.is_none() {
        return Err(StripeError::refused(
            "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of these payment methods might redirect your customer off of your page, you must provide a `return_url`. If you don't want to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and `automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and Payment Intents.",
        ).not_kept());
    }
    if let Some(text) = &confirmation.payment_method {
        let method = super::payment_methods::resolve(state, text, intent.customer.as_deref())?;
        intent.payment_method = Some(method.id);
        intent.status = IntentStatus::RequiresConfirmation;
    }
    let id = intent.id.clone();
    let shown = intent.json();
    state.payment_intents.insert(intent);
    state.emit("payment_intent.created", shown.clone());
    if !confirm {
        return Ok(shown);
    }
    collect::confirm(state, &id, &Confirmation { payment_method: None, ..confirmation })
}

/// The fields a caller may set while the intent is not settled.
fn describe(intent: &mut PaymentIntent, params: &mut Params) -> Result<(), StripeError> {
    for (field, name) in [
        (&mut intent.customer, "customer"),
        (&mut intent.description, "description"),
        (&mut intent.receipt_email, "receipt_email"),
        (&mut intent.statement_descriptor, "statement_descriptor"),
        (&mut intent.statement_descriptor_suffix, "statement_descriptor_suffix"),
    ] {
        if let Some(text) = params.text(name)? {
            *field = Some(text).filter(|text| !text.is_empty());
        }
    }
    if let Some(usage) = params.one_of("setup_future_usage", &["off_session", "on_session"])? {
        intent.setup_future_usage = Some(usage);
    }
    params.metadata()?.apply(&mut intent.metadata)
}

/// Reads which kinds of payment method are accepted; true when some may redirect the customer.
fn take_method_kinds(intent: &mut PaymentIntent, params: &mut Params) -> Result<bool, StripeError> {
    let kinds = params.method_kinds()?;
    let mut automatic = params.table("automatic_payment_methods")?;
    let enabled = automatic.boolean("enabled")?;
    let allow = automatic.one_of("allow_redirects", &["always", "never"])?.unwrap_or_else(|| "always".into());
    automatic.finish()?;
    if enabled == Some(true) && !kinds.is_empty() {
        return Err(StripeError::refused(
            "You may only specify one of these parameters: automatic_payment_methods, payment_method_types.",
        )
        .not_kept());
    }
    if !kinds.is_empty() {
        intent.payment_method_types = kinds;
        return Ok(false);
    }
    if enabled == Some(false) {
        return Ok(false);
    }
    intent.automatic = Some(json!({ "allow_redirects": allow, "enabled": true }));
    Ok(allow == "always")
}

pub(super) fn confirm(state: &mut State, id: &str, mut params: Params) -> Result<Value, StripeError> {
    let confirmation = Confirmation::take(&mut params)?;
    let usage = params.one_of("setup_future_usage", &["off_session", "on_session"])?;
    params.filled("return_url")?;
    params.finish()?;
    let intent = state.payment_intents.get_mut(id)?;
    if usage.is_some() {
        intent.setup_future_usage = usage;
    }
    collect::confirm(state, id, &confirmation)
}

pub(super) fn update(state: &mut State, id: &str, mut params: Params) -> Result<Value, StripeError> {
    let mut intent = state.payment_intents.get(id)?.clone();
    describe(&mut intent, &mut params)?;
    let amount = params.integer("amount")?;
    let method = params.filled("payment_method")?;
    params.finish()?;
    let settled = matches!(intent.status, IntentStatus::Succeeded | IntentStatus::Canceled | IntentStatus::Processing);
    if settled && (amount.is_some() || method.is_some()) {
        let message = format!(
            "This PaymentIntent's amount and payment method could not be updated because it has a status of {}.",
            intent.status.name()
        );
        return Err(intent.unexpected_state(message));
    }
    if let Some(amount) = amount {
        money::check_amount(amount, &intent.currency, "amount")?;
        intent.amount = amount;
    }
    if let Some(text) = method {
        intent.payment_method = Some(super::payment_methods::resolve(state, &text, intent.customer.as_deref())?.id);
        intent.status = IntentStatus::RequiresConfirmation;
    }
    let shown = intent.json();
    *state.payment_intents.get_mut(id)? = intent;
    Ok(shown)
}

pub(super) fn cancel(state: &mut State, id: &str, mut params: Params) -> Result<Value, StripeError> {
    let reason =
        params.one_of("cancellation_reason", &["duplicate", "fraudulent", "requested_by_customer", "abandoned"])?;
    params.finish()?;
    let now = state.now();
    let intent = state.payment_intents.get_mut(id)?;
    if matches!(intent.status, IntentStatus::Succeeded | IntentStatus::Canceled | IntentStatus::Processing) {
        let message = format!(
            "You cannot cancel this PaymentIntent because it has a status of {}. Only a PaymentIntent with one of the following statuses may be canceled: requires_payment_method, requires_capture, requires_confirmation, requires_action.",
            intent.status.name()
        );
        return Err(intent.unexpected_state(message));
    }
    intent.status = IntentStatus::Canceled;
    intent.canceled_at = Some(now);
    intent.cancellation_reason = reason;
    let shown = intent.json();
    state.emit("payment_intent.canceled", shown.clone());
    Ok(shown)
}

/// `client_secret` is what a page in the buyer's browser would send; with the secret key it changes nothing.
pub(super) fn retrieve(state: &State, id: &str, mut params: Params) -> Result<Value, StripeError> {
    params.filled("client_secret")?;
    params.finish()?;
    Ok(state.payment_intents.get(id)?.json())
}

pub(super) fn list(state: &State, mut params: Params) -> Result<Value, StripeError> {
    let page = Page::take(&mut params)?;
    let customer = params.filled("customer")?;
    params.finish()?;
    state.payment_intents.page(&page, "/v1/payment_intents", |intent| customer.is_none() || intent.customer == customer)
}
