//! Events: what happened, as webhooks carry it and as the API lists it.

use serde_json::{Value, json};

use super::error::StripeError;
use super::form::Params;
use super::state::{Origin, State};
use super::table::{Page, Record};

/// The version whose shapes the simulator speaks.
pub(super) const API_VERSION: &str = "2026-09-30.endive";
const MAX_TYPES: usize = 20;
/// Stripe forgets events after 30 days.
const KEPT_SECONDS: i64 = 30 * 24 * 60 * 60;

#[derive(Debug, Clone)]
pub(super) struct Event {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) kind: String,
    /// `object`, and `previous_attributes` where something changed.
    pub(super) data: Value,
    pub(super) origin: Origin,
    /// Not yet answered 2xx by the webhook endpoint.
    pub(super) pending: bool,
}

impl Record for Event {
    const KIND: &'static str = "event";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "event",
            "api_version": API_VERSION,
            "created": self.created,
            "data": self.data,
            "livemode": false,
            "pending_webhooks": i64::from(self.pending),
            "request": { "id": self.origin.request_id, "idempotency_key": self.origin.idempotency_key },
            "type": self.kind,
        })
    }
}

impl Event {
    /// A v2 "thin" event: it names an object instead of carrying it, and its `created` is a text.
    pub(super) fn thin(&self) -> Value {
        let object = &self.data["object"];
        let created =
            jiff::Timestamp::from_second(self.created).map_or_else(|_error| String::new(), |at| at.to_string());
        json!({
            "id": self.id,
            "object": "v2.core.event",
            "type": format!("v1.{}", self.kind),
            "livemode": false,
            "created": created,
            "context": null,
            "related_object": { "id": object["id"], "type": object["object"], "url": null },
        })
    }
}

pub(super) fn retrieve(state: &State, id: &str, params: Params) -> Result<Value, StripeError> {
    params.finish()?;
    Ok(state.events.get(id)?.json())
}

pub(super) fn list(state: &State, mut params: Params) -> Result<Value, StripeError> {
    let page = Page::take(&mut params)?;
    let one = params.filled("type")?;
    let mut wanted = params.texts("types")?;
    let delivered = params.boolean("delivery_success")?;
    params.finish()?;
    if wanted.len() > MAX_TYPES {
        return Err(StripeError::refused(format!("You may pass up to {MAX_TYPES} event types."))
            .param("types")
            .not_kept());
    }
    if one.is_some() && !wanted.is_empty() {
        return Err(StripeError::refused("You may only specify one of these parameters: type, types.").not_kept());
    }
    wanted.extend(one);
    let oldest = state.now() - KEPT_SECONDS;
    state.events.page(&page, "/v1/events", |event| {
        event.created >= oldest
            && (wanted.is_empty() || wanted.iter().any(|pattern| matches(pattern, &event.kind)))
            && delivered.is_none_or(|delivered| delivered != event.pending)
    })
}

/// Whether it looks like a type of event, such as `charge.refund.updated`.
pub(super) fn is_a_type(kind: &str) -> bool {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    kind.contains('.') && kind.split('.').all(is_word)
}

/// `charge.*` names every type that begins with `charge.`.
pub(super) fn matches(pattern: &str, kind: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == kind, |prefix| kind.starts_with(prefix))
}
