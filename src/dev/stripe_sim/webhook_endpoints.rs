//! Webhook endpoints that the API makes. The one that the simulator was started with stands in the list beside them.

use serde_json::{Value, json};

use super::error::StripeError;
use super::events::{self, API_VERSION};
use super::form::{Metadata, Params};
use super::ids;
use super::state::State;
use super::table::{Page, Record};

/// The id of the endpoint that the simulator was started with.
pub(super) const STARTED_WITH: &str = "we_startedwith";
/// Stripe allows as many in each mode.
const MOST: usize = 16;

#[derive(Debug, Clone)]
pub(super) struct WebhookEndpoint {
    pub(super) id: String,
    pub(super) created: i64,
    pub(super) url: url::Url,
    pub(super) secret: String,
    pub(super) enabled_events: Vec<String>,
    pub(super) disabled: bool,
    api_version: Option<String>,
    description: Option<String>,
    metadata: Metadata,
}

impl Record for WebhookEndpoint {
    const KIND: &'static str = "webhook endpoint";

    fn id(&self) -> &str {
        &self.id
    }

    fn created(&self) -> i64 {
        self.created
    }

    fn json(&self) -> Value {
        json!({
            "id": self.id,
            "object": "webhook_endpoint",
            "api_version": self.api_version,
            "application": null,
            "created": self.created,
            "description": self.description,
            "enabled_events": self.enabled_events,
            "livemode": false,
            "metadata": self.metadata,
            "status": if self.disabled { "disabled" } else { "enabled" },
            "url": self.url.as_str(),
        })
    }
}

impl WebhookEndpoint {
    /// Whether it is sent events of this type.
    pub(super) fn takes(&self, kind: &str) -> bool {
        !self.disabled && self.enabled_events.iter().any(|pattern| pattern == kind || pattern == "*")
    }
}

pub(super) fn create(state: &mut State, mut params: Params) -> Result<Value, StripeError> {
    let url = address(&params.required("url")?)?;
    let enabled_events = kinds(&mut params)?;
    if enabled_events.is_empty() {
        return Err(StripeError::missing("enabled_events"));
    }
    let api_version = params.filled("api_version")?;
    if api_version.as_deref().is_some_and(|version| version != API_VERSION) {
        return Err(StripeError::refused("Invalid API version.").param("api_version").not_kept());
    }
    let mut metadata = Metadata::new();
    params.metadata()?.apply(&mut metadata)?;
    let endpoint = WebhookEndpoint {
        id: ids::new("we_1"),
        created: state.now(),
        url,
        secret: ids::new("whsec_"),
        enabled_events,
        disabled: false,
        api_version,
        description: params.filled("description")?,
        metadata,
    };
    params.finish()?;
    if state.webhook_endpoints.len() >= MOST {
        return Err(StripeError::refused(format!("You have reached the maximum of {MOST} test webhook endpoints.")));
    }
    let mut shown = endpoint.json();
    // Told in this answer and never again.
    shown["secret"] = json!(endpoint.secret);
    state.webhook_endpoints.insert(endpoint);
    Ok(shown)
}

pub(super) fn update(state: &mut State, id: &str, mut params: Params) -> Result<Value, StripeError> {
    let enabled_events = kinds(&mut params)?;
    let (url, disabled) = (params.filled("url")?, params.boolean("disabled")?);
    let (description, metadata) = (params.text("description")?, params.metadata()?);
    params.finish()?;
    let mut endpoint = match started_with(state).filter(|_endpoint| id == STARTED_WITH) {
        Some(endpoint) => endpoint,
        None => state.webhook_endpoints.get(id)?.clone(),
    };
    if !enabled_events.is_empty() {
        endpoint.enabled_events = enabled_events;
    }
    if let Some(url) = url {
        endpoint.url = address(&url)?;
    }
    endpoint.disabled = disabled.unwrap_or(endpoint.disabled);
    if let Some(text) = description {
        endpoint.description = Some(text).filter(|text| !text.is_empty());
    }
    metadata.apply(&mut endpoint.metadata)?;
    let shown = endpoint.json();
    if id == STARTED_WITH {
        state.webhook_url = Some(endpoint.url).filter(|_url| !endpoint.disabled);
        state.webhook_kinds = endpoint.enabled_events;
    } else {
        *state.webhook_endpoints.get_mut(id)? = endpoint;
    }
    Ok(shown)
}

pub(super) fn retrieve(state: &State, id: &str, params: Params) -> Result<Value, StripeError> {
    params.finish()?;
    match started_with(state).filter(|_endpoint| id == STARTED_WITH) {
        Some(endpoint) => Ok(endpoint.json()),
        None => Ok(state.webhook_endpoints.get(id)?.json()),
    }
}

pub(super) fn delete(state: &mut State, id: &str, params: Params) -> Result<Value, StripeError> {
    params.finish()?;
    if id == STARTED_WITH && state.webhook_url.is_some() {
        state.webhook_url = None;
    } else {
        state.webhook_endpoints.get(id)?;
        state.webhook_endpoints.forget(id);
    }
    Ok(json!({ "id": id, "object": "webhook_endpoint", "deleted": true }))
}

pub(super) fn list(state: &State, mut params: Params) -> Result<Value, StripeError> {
    let page = Page::take(&mut params)?;
    params.finish()?;
    let mut shown = state.webhook_endpoints.page(&page, "/v1/webhook_endpoints", |_endpoint| true)?;
    // The oldest of all, so that it stands at the end of the last page.
    if let (Some(endpoint), Some(data)) = (started_with(state), shown["data"].as_array_mut())
        && data.len() == state.webhook_endpoints.len()
    {
        data.push(endpoint.json());
    }
    Ok(shown)
}

/// The endpoint that the simulator was started with, which is sent everything until something else is said.
pub(super) fn started_with(state: &State) -> Option<WebhookEndpoint> {
    let url = state.webhook_url.clone()?;
    Some(WebhookEndpoint {
        id: STARTED_WITH.to_owned(),
        created: 0,
        url,
        secret: String::new(),
        enabled_events: state.webhook_kinds.clone(),
        disabled: false,
        api_version: Some(API_VERSION.to_owned()),
        description: Some("Given when the simulator was started".to_owned()),
        metadata: Metadata::new(),
    })
}

fn address(text: &str) -> Result<url::Url, StripeError> {
    let refused = || {
        StripeError::invalid("url_invalid", "url", "Invalid URL: An explicit scheme (such as https) must be provided.")
    };
    let url: url::Url = text.parse().map_err(|_error| refused())?;
    if matches!(url.scheme(), "http" | "https") { Ok(url) } else { Err(refused()) }
}

fn kinds(params: &mut Params) -> Result<Vec<String>, StripeError> {
    let kinds = params.texts("enabled_events")?;
    match kinds.iter().find(|kind| *kind != "*" && !events::is_a_type(kind)) {
        None => Ok(kinds),
        Some(unknown) => Err(StripeError::refused(format!("Invalid enabled_events: {unknown} is no type of event."))
            .param("enabled_events")
            .not_kept()),
    }
}
