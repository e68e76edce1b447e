//! The endpoints of Checkout Sessions: made, listed, expired; paid elsewhere (`completion`).

use serde_json::{Map, Value, json};

use super::checkout_lines;
use super::error::StripeError;
use super::form::{Metadata, Params};
use super::ids;
use super::sessions::{IntentData, Session, SessionStatus};
use super::state::State;
use super::table::{Page, Record as _};

const SHORTEST_SECONDS: i64 = 30 * 60;
const LONGEST_SECONDS: i64 = 24 * 60 * 60;
const REFERENCE_LETTERS: usize = 200;
const SUCCESS_URL_LETTERS: usize = 5_000;

pub(super) fn create(state: &mut State, mut params: Params) -> Result<Value, StripeError> {
    let mode = params.one_of("mode", &["payment", "setup"])?.ok_or_else(|| StripeError::missing("mode"))?;
    let success_url = success_url(&mut params)?;
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
        payment_status: if setup_mode { "no_payment_required" } else { "unpaid" },
        setup_mode,
        currency: lines.first().map(|line| line.currency.clone()).or(given_currency),
        amount_total: checkout_lines::total(&lines)?,
        lines,
        customer: params.filled("customer")?,
        creates_customer: params.one_of("customer_creation", &["always", "if_required"])?.as_deref() == Some("always"),
        customer_email: params.filled("customer_email")?,
        paid_by: None,
        metadata: Metadata::new(),
        intent_data: take_intent_data(
            &mut params,
            if setup_mode { "setup_intent_data" } else { "payment_intent_data" },
        )?,
        payment_intent: None,
        setup_intent: None,
        expires_at: expiry(params.integer("expires_at")?, now)?,
        success_url,
        cancel_url: params.filled("cancel_url")?,
        idempotency_key: state.origin.idempotency_key.clone(),
        client_reference_id: params.filled("client_reference_id")?,
        payment_method_types: Some(params.method_kinds()?)
            .filter(|kinds| !kinds.is_empty())
            .unwrap_or_else(|| vec!["card".into()]),
        repeated: take_repeated(&mut params)?,
    };
    params.metadata()?.apply(&mut session.metadata)?;
    params.finish()?;
    check(state, &session)?;
    let shown = session.json();
    state.expiries.insert((session.expires_at, session.id.clone()));
    state.sessions.insert(session);
    Ok(shown)
}

fn success_url(params: &mut Params) -> Result<String, StripeError> {
    let text = params.required("success_url")?;
    let valid = text.chars().count() <= SUCCESS_URL_LETTERS && url::Url::parse(&text.replace(['{', '}'], "")).is_ok();
    if !valid {
        return Err(StripeError::refused("Not a valid URL").code("url_invalid").param("success_url").not_kept());
    }
    Ok(text)
}

fn expiry(given: Option<i64>, now: i64) -> Result<i64, StripeError> {
    let refuse = |message: &str| Err(StripeError::refused(message).param("expires_at").not_kept());
    match given {
        None => Ok(now + LONGEST_SECONDS),
        Some(at) if at < now + SHORTEST_SECONDS => {
            refuse("The `expires_at` timestamp must be at least 30 minutes from Checkout Session creation.")
        }
        Some(at) if at > now + LONGEST_SECONDS => {
            refuse("The `expires_at` timestamp must be less than 24 hours from Checkout Session creation.")
        }
        Some(at) => Ok(at),
    }
}

fn take_intent_data(params: &mut Params, name: &str) -> Result<IntentData, StripeError> {
    let mut table = params.table(name)?;
    let mut data = IntentData { description: table.filled("description")?, ..IntentData::default() };
    table.metadata()?.apply(&mut data.metadata)?;
    if name == "payment_intent_data" {
        data.setup_future_usage = table.one_of("setup_future_usage", &["off_session", "on_session"])?;
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
    if session.client_reference_id.as_ref().is_some_and(|reference| reference.chars().count() > REFERENCE_LETTERS) {
        let message = format!("Invalid string: must be at most {REFERENCE_LETTERS} characters");
        return Err(StripeError::invalid("parameter_invalid_string", "client_reference_id", message));
    }
    match (&session.currency, session.setup_mode) {
        (_, true) if !session.lines.is_empty() => {
            Err(StripeError::refused("You cannot pass `line_items` in `setup` mode.").param("line_items").not_kept())
        }
        (_, true) => Ok(()),
        (None, false) => Err(StripeError::missing("line_items")),
        (Some(_currency), false) if session.lines.is_empty() => Err(StripeError::missing("line_items")),
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
    state.sessions.page(&page, "/v1/checkout/sessions", |session| {
        (customer.is_none() || session.customer == customer)
            && (intent.is_none() || session.payment_intent == intent)
            && status.as_deref().is_none_or(|status| session.status.name() == status)
            && (email.is_none() || session.paid_by == email)
    })
}

pub(super) fn line_items(state: &State, id: &str, mut params: Params) -> Result<Value, StripeError> {
    let page = Page::take(&mut params)?;
    params.finish()?;
    let session = state.sessions.get(id)?;
    page.of(&session.lines, &format!("/v1/checkout/sessions/{id}/line_items"))
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
