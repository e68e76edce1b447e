//! `expand[]`: ids replaced by the objects they name.

use serde_json::{Value, json};

use super::error::StripeError;
use super::state::State;
use super::table::Record as _;

const MAX_DEPTH: usize = 4;

/// Expands one dotted path, such as `payment_intent.latest_charge` or `data.customer`.
pub(super) fn expand(state: &State, value: &mut Value, path: &str) -> Result<(), StripeError> {
    let steps: Vec<&str> = path.split('.').collect();
    if steps.len() > MAX_DEPTH {
        return Err(StripeError::refused(format!(
            "You cannot expand more than {MAX_DEPTH} levels of a property. Property: {path}"
        ))
        .not_kept());
    }
    walk(state, value, &steps, path)
}

fn walk(state: &State, value: &mut Value, steps: &[&str], path: &str) -> Result<(), StripeError> {
    let Some((step, rest)) = steps.split_first() else {
        return Ok(());
    };
    if *step == "line_items" {
        add_lines(state, value);
    }
    let Some(field) = value.get_mut(*step) else {
        return Err(StripeError::refused(format!("This property cannot be expanded ({path}).")).param("expand"));
    };
    if let Value::Array(items) = field {
        return items.iter_mut().try_for_each(|item| walk(state, item, rest, path));
    }
    if let Some(object) = field.as_str().and_then(|id| state.object(id)) {
        *field = object;
    }
    if field.is_object() { walk(state, field, rest, path) } else { Ok(()) }
}

fn add_lines(state: &State, session: &mut Value) {
    let Some(known) = session.get("id").and_then(Value::as_str).and_then(|id| state.sessions.find(id)) else {
        return;
    };
    let lines: Vec<Value> = known.lines.iter().map(super::table::Record::json).collect();
    let url = format!("/v1/checkout/sessions/{}/line_items", known.id());
    session["line_items"] = json!({ "object": "list", "data": lines, "has_more": false, "url": url });
}
