//! Which request does what: the simulated part of Stripe's API on one page.

use serde_json::{Value, json};

use super::error::StripeError;
use super::form::Params;
use super::state::State;
use super::{
    charges, checkout, customers, disputes, events, expand, payment_intents, payment_methods, refunds, setup_intents,
    webhook_endpoints,
};

const MAX_EXPANSIONS: usize = 20;

/// Executes one request. `segments` are the path's below `/v1/`.
pub(super) fn answer(
    state: &mut State,
    method: &str,
    segments: &[&str],
    mut params: Params,
) -> Result<Value, StripeError> {
    let expansions = params.texts("expand")?;
    if expansions.len() > MAX_EXPANSIONS {
        return Err(StripeError::refused(format!("You cannot expand more than {MAX_EXPANSIONS} properties."))
            .param("expand")
            .not_kept());
    }
    let mut value = match method {
        "GET" => get(state, segments, params),
        "POST" => post(state, segments, params),
        "DELETE" => match segments {
            ["customers", id] => customers::delete(state, id, params),
            ["webhook_endpoints", id] => webhook_endpoints::delete(state, id, params),
            _ => Err(unrecognized(method, segments)),
        },
        _ => Err(unrecognized(method, segments)),
    }?;
    for path in &expansions {
        expand::expand(state, &mut value, path)?;
    }
    Ok(value)
}

fn get(state: &State, segments: &[&str], params: Params) -> Result<Value, StripeError> {
    match segments {
        ["customers"] => customers::list(state, params),
        ["customers", id] => customers::retrieve(state, id, params),
        ["customers", id, "payment_methods"] => payment_methods::list_of_customer(state, id, params),
        ["payment_methods"] => payment_methods::list(state, params),
        ["payment_methods", id] => payment_methods::retrieve(state, id, params),
        ["checkout", "sessions"] => checkout::list(state, params),
        ["checkout", "sessions", id] => checkout::retrieve(state, id, params),
        ["checkout", "sessions", id, "line_items"] => checkout::line_items(state, id, params),
        ["payment_intents"] => payment_intents::list(state, params),
        ["payment_intents", id] => payment_intents::retrieve(state, id, params),
        ["setup_intents"] => setup_intents::list(state, params),
        ["setup_intents", id] => setup_intents::retrieve(state, id, params),
        ["charges"] => charges::list(state, params),
        ["charges", id] => charges::retrieve(state, id, params),
        ["refunds"] => refunds::list(state, params),
        ["refunds", id] => refunds::retrieve(state, id, params),
        ["disputes"] => disputes::list(state, params),
        ["disputes", id] => disputes::retrieve(state, id, params),
        ["balance"] => balance(params),
        ["webhook_endpoints"] => webhook_endpoints::list(state, params),
        ["webhook_endpoints", id] => webhook_endpoints::retrieve(state, id, params),
        ["events"] => events::list(state, params),
        ["events", id] => events::retrieve(state, id, params),
        _ => Err(unrecognized("GET", segments)),
    }
}

fn post(state: &mut State, segments: &[&str], params: Params) -> Result<Value, StripeError> {
    match segments {
        ["customers"] => customers::create(state, params),
        ["customers", id] => customers::update(state, id, params),
        ["payment_methods", id, "attach"] => payment_methods::attach(state, id, params),
        ["payment_methods", id, "detach"] => payment_methods::detach(state, id, params),
        ["checkout", "sessions"] => checkout::create(state, params),
        ["checkout", "sessions", id, "expire"] => checkout::expire(state, id, params),
        ["payment_intents"] => payment_intents::create(state, params),
        ["payment_intents", id] => payment_intents::update(state, id, params),
        ["payment_intents", id, "confirm"] => payment_intents::confirm(state, id, params),
        ["payment_intents", id, "cancel"] => payment_intents::cancel(state, id, params),
        ["refunds"] => refunds::create(state, params),
        ["webhook_endpoints"] => webhook_endpoints::create(state, params),
        ["webhook_endpoints", id] => webhook_endpoints::update(state, id, params),
        _ => Err(unrecognized("POST", segments)),
    }
}

/// No money moves here, so that none is there; what matters is that its mode is told.
fn balance(params: Params) -> Result<Value, StripeError> {
    params.finish()?;
    Ok(json!({ "object": "balance", "available": [], "livemode": false, "pending": [] }))
}

fn unrecognized(method: &str, segments: &[&str]) -> StripeError {
    StripeError::unrecognized(method, &format!("/v1/{}", segments.join("/")))
}
