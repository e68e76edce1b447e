//! Checkout Sessions: what is sold, to whom, and whether it was paid.

use serde_json::{Map, Value, json};

use super::checkout_lines::{self, Line};
use super::error::StripeError;
use super::form::{Metadata, Params};
use super::ids;
use super::state::State;
use super::table::{Page, Record, joined};

const SHORTEST_SECONDS: i64 = 30 * 60;
const LONGEST_SECONDS: i64 = 24 * 60 * 60;
const REFERENCE_LETTERS: usize = 200;
const SUCCESS_URL_LETTERS: usize = 5_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionStatus {
    Open,
    Complete,
    Expired,
}

impl SessionStatus {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Complete => "complete",
            Self::Expired => "expired",
        }
    }
}

/// What the session's intent will carry.
#[derive(Debug, Clone, Default)]
pub(super) struct IntentData {
    pub(super) metadata: Metadata,
    pub(super) setup_future_usage: Option<String>,
    pub(super) description: Option<String>,
    pub(super) receipt_email: Option<String>,
    pub(super) statement_descriptor: Option<String>,
    pub(super) statement_descriptor_suffix: Option<String>,
}

#[derive(Debug, Clone)]
pub(super) struct Session {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) status: SessionStatus,
    pub(super) payment_status: &'static str,
    pub(super) setup_mode: bool,
    pub(super) currency: Option<String>,
    pub(super) lines: Vec<Line>,
    pub(super) amount_total: i64,
    pub(super) customer: Option<String>,
    pub(super) creates_customer: bool,
    pub(super) customer_email: Option<String>,
    /// The address the buyer typed, or the customer's; known once the session is complete.
    pub(super) paid_by: Option<String>,
    pub(super) metadata: Metadata,
    pub(super) intent_data: IntentData,
    pub(super) payment_intent: Option<String>,
    pub(super) setup_intent: Option<String>,
    pub(super) expires_at: i64,
    pub(super) success_url: String,
    pub(super) cancel_url: Option<String>,
    pub(super) url: String,
    /// The key of the request that made it, for those who count sessions.
    pub(super) idempotency_key: Option<String>,
    client_reference_id: Option<String>,
    payment_method_types: Vec<String>,
    /// Parameters the simulator only repeats.
    repeated: Map<String, Value>,
}

impl Record for Session {
    const KIND: &'static str = "checkout.session";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn json(&self) -> Value {
        let amount = (!self.setup_mode).then_some(self.amount_total);
        let mut session = joined(
            json!({
                "id": self.id,
                "object": "checkout.session",
                "adaptive_pricing": { "enabled": false },
                "after_expiration": null,
                "allow_promotion_codes": null,
                "amount_subtotal": amount,
                "amount_total": amount,
                "automatic_tax": { "enabled": false, "liability": null, "provider": null, "status": null },
                "billing_address_collection": null,
                "cancel_url": self.cancel_url,
                "client_reference_id": self.client_reference_id,
                "client_secret": null,
                "collected_information": null,
                "consent": null,
                "consent_collection": null,
                "created": self.created,
                "currency": self.currency,
                "currency_conversion": null,
                "custom_fields": [],
                "custom_text": { "after_submit": null, "shipping_address": null, "submit": null, "terms_of_service_acceptance": null },
                "customer": self.customer,
                "customer_account": null,
                "customer_creation": if self.creates_customer { Some("always") } else { None },
                "customer_details": self.customer_details(),
                "customer_email": self.customer_email,
                "discounts": [],
                "expires_at": self.expires_at,
            }),
            json!({
                "integration_identifier": null,
                "invoice": null,
                "invoice_creation": { "enabled": false, "invoice_data": { "account_tax_ids": null, "custom_fields": null, "description": null, "footer": null, "issuer": null, "metadata": {}, "rendering_options": null } },
                "livemode": false,
                "locale": null,
                "managed_payments": { "enabled": false },
                "metadata": self.metadata,
                "mode": if self.setup_mode { "setup" } else { "payment" },
                "origin_context": null,
                "payment_intent": self.payment_intent,
                "payment_link": null,
                "payment_method_collection": "if_required",
                "payment_method_configuration_details": null,
                "payment_method_options": { "card": { "request_three_d_secure": "automatic" } },
                "payment_method_types": self.payment_method_types,
                "payment_status": self.payment_status,
                "permissions": null,
                "phone_number_collection": { "enabled": false },
                "recovered_from": null,
                "saved_payment_method_options": null,
                "setup_intent": self.setup_intent,
                "shipping_address_collection": null,
                "shipping_cost": null,
                "shipping_options": [],
                "status": self.status.name(),
                "submit_type": null,
                "subscription": null,
                "success_url": self.success_url,
                "total_details": amount.map(|_amount| json!({ "amount_discount": 0, "amount_shipping": 0, "amount_tax": 0 })),
                "ui_mode": "hosted",
                "url": (self.status == SessionStatus::Open).then_some(&self.url),
                "wallet_options": null,
            }),
        );
        if let Some(fields) = session.as_object_mut() {
            fields.extend(self.repeated.clone());
        }
        session
    }
}

impl Session {
    fn customer_details(&self) -> Option<Value> {
        let email = self.paid_by.as_ref().or(self.customer_email.as_ref())?;
        Some(json!({
            "address": { "city": null, "country": null, "line1": null, "line2": null, "postal_code": null, "state": null },
            "business_name": null,
            "email": email,
            "individual_name": null,
            "name": null,
            "phone": null,
            "tax_exempt": "none",
            "tax_ids": [],
        }))
    }

    /// Where the buyer's browser goes after paying.
    pub(super) fn success_location(&self) -> String {
        self.success_url.replace("{CHECKOUT_SESSION_ID}", &self.id)
    }
}

pub(super) fn create(state: &mut State, mut params: Params) -> Result<Value, StripeError> {
    let mode = params
        .one_of("mode", &["payment", "setup"])?
        .ok_or_else(|| StripeError::missing("mode"))?;
    let success_url = params.required("success_url")?;
    if success_url.chars().count() > SUCCESS_URL_LETTERS
        || url::Url::parse(&success_url.replace(['{', '}'], "")).is_err()
    {
        return Err(StripeError::refused("Not a valid URL")
            .code("url_invalid")
            .param("success_url")
            .not_kept());
    }
    let lines = checkout_lines::take(&mut params)?;
    let given_currency = params.filled("currency")?;
    let setup_mode = mode == "setup";
    let now = state.now();
    let id = ids::checkout_session();
    let mut session = Session {
        url: format!("{}/{id}", state.checkout_url),
        id,
        created: now,
        status: SessionStatus::Open,
        payment_status: if setup_mode {
            "no_payment_required"
        } else {
            "unpaid"
        },
        setup_mode,
        currency: lines
            .first()
            .map(|line| line.currency.clone())
            .or(given_currency),
        amount_total: checkout_lines::total(&lines)?,
        lines,
        customer: params.filled("customer")?,
        creates_customer: params
            .one_of("customer_creation", &["always", "if_required"])?
            .as_deref()
            == Some("always"),
        customer_email: params.filled("customer_email")?,
        paid_by: None,
        metadata: Metadata::new(),
        intent_data: take_intent_data(
            &mut params,
            if setup_mode {
                "setup_intent_data"
            } else {
                "payment_intent_data"
            },
        )?,
        payment_intent: None,
        setup_intent: None,
        expires_at: expiry(params.integer("expires_at")?, now)?,
        success_url,
        cancel_url: params.filled("cancel_url")?,
        idempotency_key: state.origin.idempotency_key.clone(),
        client_reference_id: params.filled("client_reference_id")?,
        payment_method_types: Some(params.texts("payment_method_types")?)
            .filter(|kinds| !kinds.is_empty())
            .unwrap_or_else(|| vec!["card".into()]),
        repeated: take_repeated(&mut params)?,
    };
    params.metadata()?.apply(&mut session.metadata)?;
    params.finish()?;
    check(state, &session)?;
    let shown = session.json();
    state
        .expiries
        .insert((session.expires_at, session.id.clone()));
    state.sessions.insert(session);
    Ok(shown)
}

fn expiry(given: Option<i64>, now: i64) -> Result<i64, StripeError> {
    let refuse = |message: &str| Err(StripeError::refused(message).param("expires_at").not_kept());
    match given {
        None => Ok(now + LONGEST_SECONDS),
        Some(at) if at < now + SHORTEST_SECONDS => refuse(
            "The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.",
        ),
        Some(at) if at > now + LONGEST_SECONDS => refuse(
            "The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.",
        ),
        Some(at) => Ok(at),
    }
}

fn take_intent_data(params: &mut Params, name: &str) -> Result<IntentData, StripeError> {
    let mut table = params.table(name)?;
    let mut data = IntentData {
        description: table.filled("description")?,
        ..IntentData::default()
    };
    table.metadata()?.apply(&mut data.metadata)?;
    if name == "payment_intent_data" {
        data.setup_future_usage =
            table.one_of("setup_future_usage", &["off_session", "on_session"])?;
        data.receipt_email = table.filled("receipt_email")?;
        data.statement_descriptor = table.filled("statement_descriptor")?;
        data.statement_descriptor_suffix = table.filled("statement_descriptor_suffix")?;
        table.one_of("capture_method", &["automatic", "automatic_async"])?;
    }
    table.finish()?;
    Ok(data)
}

fn take_repeated(params: &mut Params) -> Result<Map<String, Value>, StripeError> {
    let mut repeated = Map::new();
    for name in ["locale", "integration_identifier"] {
        if let Some(text) = params.filled(name)? {
            repeated.insert(name.into(), text.into());
        }
    }
    for (name, allowed) in [
        ("submit_type", ["auto", "pay"]),
        ("billing_address_collection", ["auto", "required"]),
        ("ui_mode", ["hosted", "hosted_page"]),
        ("payment_method_collection", ["always", "if_required"]),
    ] {
        if let Some(text) = params.one_of(name, &allowed)? {
            repeated.insert(name.into(), text.into());
        }
    }
    if let Some(allowed) = params.boolean("allow_promotion_codes")? {
        repeated.insert("allow_promotion_codes".into(), allowed.into());
    }
    for name in ["phone_number_collection", "adaptive_pricing"] {
        let mut table = params.table(name)?;
        if let Some(enabled) = table.boolean("enabled")? {
            repeated.insert(name.into(), json!({ "enabled": enabled }));
        }
        table.finish()?;
    }
    Ok(repeated)
}

fn check(state: &State, session: &Session) -> Result<(), StripeError> {
    if let Some(customer) = &session.customer {
        state.customer_param(customer)?;
        if session.customer_email.is_some() {
            return Err(StripeError::refused(
                "You may only specify one of these parameters: customer, customer_email.",
            )
            .not_kept());
        }
        if session.creates_customer {
            return Err(StripeError::refused(
                "You may only specify one of these parameters: customer, customer_creation.",
            )
            .not_kept());
        }
    }
    if session
        .client_reference_id
        .as_ref()
        .is_some_and(|reference| reference.chars().count() > REFERENCE_LETTERS)
    {
        let message = format!("Invalid string: must be at most {REFERENCE_LETTERS} characters");
        return Err(StripeError::invalid(
            "parameter_invalid_string",
            "client_reference_id",
            message,
        ));
    }
    match (&session.currency, session.setup_mode) {
        (_, true) if !session.lines.is_empty() => Err(StripeError::refused(
            "You cannot pass `line_items` in `setup` mode.",
        )
        .param("line_items")
        .not_kept()),
        (_, true) => Ok(()),
        (None, false) => Err(StripeError::missing("line_items")),
        (Some(_currency), false) if session.lines.is_empty() => {
            Err(StripeError::missing("line_items"))
        }
        (Some(currency), false) => checkout_lines::check_total(session.amount_total, currency),
    }
}

pub(super) fn retrieve(state: &State, id: &str, params: Params) -> Result<Value, StripeError> {
    params.finish()?;
    Ok(state.sessions.get(id)?.json())
}

pub(super) fn list(state: &State, mut params: Params) -> Result<Value, StripeError> {
    let page = Page::take(&mut params)?;
    let (customer, intent) = (params.filled("customer")?, params.filled("payment_intent")?);
    let status = params.one_of("status", &["open", "complete", "expired"])?;
    let mut details = params.table("customer_details")?;
    let email = details.filled("email")?;
    details.finish()?;
    params.finish()?;
    state
        .sessions
        .page(&page, "/v1/checkout/sessions", |session| {
            (customer.is_none() || session.customer == customer)
                && (intent.is_none() || session.payment_intent == intent)
                && status
                    .as_deref()
                    .is_none_or(|status| session.status.name() == status)
                && (email.is_none() || session.paid_by == email)
        })
}

pub(super) fn line_items(
    state: &State,
    id: &str,
    mut params: Params,
) -> Result<Value, StripeError> {
    let page = Page::take(&mut params)?;
    params.finish()?;
    let session = state.sessions.get(id)?;
    page.of(
        &session.lines,
        &format!("/v1/checkout/sessions/{id}/line_items"),
    )
}

pub(super) fn expire(state: &mut State, id: &str, params: Params) -> Result<Value, StripeError> {
    params.finish()?;
    let session = state.sessions.get_mut(id)?;
    if session.status != SessionStatus::Open {
        return Err(StripeError::refused(format!(
            "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout Session has a status of `{}`.",
            session.status.name()
        )));
    }
    session.status = SessionStatus::Expired;
    let (shown, entry) = (session.json(), (session.expires_at, session.id.clone()));
    state.expiries.remove(&entry);
    state.emit("checkout.session.expired", shown.clone());
    Ok(shown)
}

/// Expires every open session whose time has come.
pub(super) fn expire_due(state: &mut State) {
    let now = state.now();
    while let Some((at, id)) = state.expiries.first().cloned() {
        if at > now {
            return;
        }
        state.expiries.pop_first();
        if let Some(session) = state.sessions.find_mut(&id)
            && session.status == SessionStatus::Open
        {
            session.status = SessionStatus::Expired;
            let shown = session.json();
            state.emit("checkout.session.expired", shown);
        }
    }
}
