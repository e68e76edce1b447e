//! Stripe's webhook endpoints, as far as Berth sets up its own, and what the account's key is good for.
//!
//! The crate that has builders for them has nothing else that Berth needs, so that these requests are spelled out here.

use jiff::Timestamp;
use reqwest::Url;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use stripe_client_core::{RequestBuilder, StripeMethod, StripeRequest};

use super::{
    GatewayError, IdempotencyKey, Stripe,
    list::{PAGE_SIZE, Page},
    requests::path_id,
    transport::{Call, STRIPE_VERSION},
};

/// Stripe allows 16 endpoints in test and in live mode each; more pages are not to be expected.
const MAX_PAGES: usize = 5;

/// All types of events, as Stripe writes it.
pub const ALL_EVENTS: &str = "*";

/// Where Stripe sends events, and which. Its signing secret is told once, when it is made.
#[derive(Clone, Debug, Deserialize)]
pub struct WebhookEndpoint {
    /// `we_…`
    pub id: String,
    /// Where to.
    pub url: String,
    /// `enabled` or `disabled`.
    pub status: String,
    /// The types of events; [`ALL_EVENTS`] stands for every one.
    pub enabled_events: Vec<String>,
    /// The version whose shapes the events have; none: the account's own.
    pub api_version: Option<String>,
    /// Whether it is told of real money.
    #[serde(default)]
    pub livemode: bool,
    /// The signing secret (`whsec_…`), in the answer to its making and never again.
    #[serde(default)]
    pub secret: Option<SecretString>,
}

impl WebhookEndpoint {
    /// Whether Stripe sends to it.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        self.status == "enabled"
    }

    /// Those of `wanted` that it is not sent.
    #[must_use]
    pub fn lacks<'a>(&self, wanted: &[&'a str]) -> Vec<&'a str> {
        let sent = |kind: &str| self.enabled_events.iter().any(|sent| sent == ALL_EVENTS || sent == kind);
        wanted.iter().copied().filter(|kind| !sent(kind)).collect()
    }

    /// What it is sent besides `wanted`.
    #[must_use]
    pub fn surplus(&self, wanted: &[&str]) -> Vec<&str> {
        self.enabled_events.iter().map(String::as_str).filter(|kind| !wanted.contains(kind)).collect()
    }

    /// Whether its events have the shapes that this version of Berth was written for.
    #[must_use]
    pub fn has_our_version(&self) -> bool {
        self.api_version.as_deref() == Some(STRIPE_VERSION)
    }
}

/// How the account stands, as its key shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Whether the key is one of live mode; none where it may not read the balance, which says so.
    pub livemode: Option<bool>,
    /// Stripe's clock when it answered.
    pub server_time: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Balance {
    livemode: bool,
}

/// `GET /v1/balance`: a read that every secret key may make, and the smallest that tells the mode.
struct RetrieveBalance;

impl StripeRequest for RetrieveBalance {
    type Output = serde_json::Value;

    fn build(&self) -> RequestBuilder {
        RequestBuilder::new(StripeMethod::Get, "/balance")
    }
}

struct ListEndpoints {
    starting_after: Option<String>,
}

#[derive(Serialize)]
struct PageQuery<'a> {
    limit: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    starting_after: Option<&'a str>,
}

impl StripeRequest for ListEndpoints {
    type Output = serde_json::Value;

    fn build(&self) -> RequestBuilder {
        let query = PageQuery { limit: PAGE_SIZE, starting_after: self.starting_after.as_deref() };
        RequestBuilder::new(StripeMethod::Get, "/webhook_endpoints").query(&query)
    }
}

/// An endpoint to be made, or to be changed where it has an id. An endpoint's version is set when it is made, and never again.
struct WriteEndpoint<'a> {
    id: Option<&'a str>,
    form: EndpointForm<'a>,
}

#[derive(Serialize)]
struct EndpointForm<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    api_version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    disabled: Option<bool>,
    enabled_events: &'a [&'a str],
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<&'a str>,
}

impl StripeRequest for WriteEndpoint<'_> {
    type Output = serde_json::Value;

    fn build(&self) -> RequestBuilder {
        let path = match self.id {
            Some(id) => format!("/webhook_endpoints/{id}"),
            None => "/webhook_endpoints".to_owned(),
        };
        RequestBuilder::new(StripeMethod::Post, path).form(&self.form)
    }
}

impl Stripe {
    /// Whether the key is good, for which mode, and what Stripe's clock says.
    ///
    /// # Errors
    /// See [`GatewayError`]; never `InDoubt`. `Refused` with 401 where the key is none.
    pub async fn standing(&self) -> Result<Standing, GatewayError> {
        match self.transport.call_with_time::<Balance>(Call::get(&RetrieveBalance)).await {
            Ok((balance, server_time)) => Ok(Standing { livemode: Some(balance.livemode), server_time }),
            // A restricted key that may not read the balance is a key all the same.
            Err(GatewayError::Refused { status: 403, .. }) => Ok(Standing { livemode: None, server_time: None }),
            Err(error) => Err(error),
        }
    }

    /// All webhook endpoints of the account in the key's mode, the newest first.
    ///
    /// # Errors
    /// See [`GatewayError`]; never `InDoubt`.
    pub async fn webhook_endpoints(&self) -> Result<Vec<WebhookEndpoint>, GatewayError> {
        let mut endpoints: Vec<WebhookEndpoint> = Vec::new();
        for _ in 0..MAX_PAGES {
            let request = ListEndpoints { starting_after: endpoints.last().map(|last| last.id.clone()) };
            let page: Page<WebhookEndpoint> = self.transport.call(Call::get(&request)).await?;
            let exhausted = page.data.is_empty() || !page.has_more;
            endpoints.extend(page.data);
            if exhausted {
                break;
            }
        }
        Ok(endpoints)
    }

    /// Makes an endpoint that is sent `events` in the shapes of our version. The answer has its secret.
    ///
    /// # Errors
    /// See [`GatewayError`]. In doubt, look at the list before another is made.
    pub async fn create_webhook_endpoint(
        &self,
        key: &IdempotencyKey,
        url: &Url,
        events: &[&str],
    ) -> Result<WebhookEndpoint, GatewayError> {
        let form = EndpointForm {
            api_version: Some(STRIPE_VERSION),
            disabled: None,
            enabled_events: events,
            description: Some("Berth"),
            url: Some(url.as_str()),
        };
        self.transport.call(Call::post(key, &WriteEndpoint { id: None, form })).await
    }

    /// Has an endpoint be sent `events`, and sent to at all.
    ///
    /// # Errors
    /// See [`GatewayError`].
    pub async fn update_webhook_endpoint(
        &self,
        key: &IdempotencyKey,
        id: &str,
        events: &[&str],
    ) -> Result<WebhookEndpoint, GatewayError> {
        let form = EndpointForm {
            api_version: None,
            disabled: Some(false),
            enabled_events: events,
            description: None,
            url: None,
        };
        let request = WriteEndpoint { id: Some(path_id("webhook_endpoint", id)?), form };
        self.transport.call(Call::post(key, &request)).await
    }

    /// Ends an endpoint: Stripe sends nothing to it any more.
    ///
    /// # Errors
    /// See [`GatewayError`]; `Refused` with 404 where it is gone.
    pub async fn delete_webhook_endpoint(&self, id: &str) -> Result<(), GatewayError> {
        let path = format!("/webhook_endpoints/{}", path_id("webhook_endpoint", id)?);
        let _gone: serde_json::Value = self.transport.call(Call::delete(path)).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(events: &[&str], version: Option<&str>) -> WebhookEndpoint {
        WebhookEndpoint {
            id: "we_1".to_owned(),
            url: "https://shop.example/webhooks/stripe".to_owned(),
            status: "enabled".to_owned(),
            enabled_events: events.iter().map(|kind| (*kind).to_owned()).collect(),
            api_version: version.map(str::to_owned),
            livemode: false,
            secret: None,
        }
    }

    #[test]
    fn an_endpoint_says_what_it_lacks_and_what_it_has_besides() {
        let some = endpoint(&["refund.created", "invoice.paid"], Some(STRIPE_VERSION));

        assert_eq!(some.lacks(&["refund.created", "refund.failed"]), ["refund.failed"]);
        assert_eq!(some.surplus(&["refund.created", "refund.failed"]), ["invoice.paid"]);
        assert!(some.has_our_version());
    }

    #[test]
    fn all_events_lack_nothing_and_an_account_of_another_version_is_not_ours() {
        let all = endpoint(&[ALL_EVENTS], None);

        assert!(all.lacks(&["refund.created"]).is_empty());
        assert!(!all.has_our_version());
    }

    #[test]
    fn the_form_of_an_endpoint_is_as_stripe_reads_it() {
        let events = ["refund.created", "refund.failed"];
        let form = EndpointForm {
            api_version: Some(STRIPE_VERSION),
            disabled: None,
            enabled_events: &events,
            description: None,
            url: Some("https://shop.example/webhooks/stripe"),
        };
        let key = IdempotencyKey::new("berth:webhook:1").unwrap();

        let call = Call::post(&key, &WriteEndpoint { id: None, form });

        let fields: Vec<(String, String)> = url::form_urlencoded::parse(call.form()).into_owned().collect();
        let field = |name: &str| fields.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
        assert_eq!(field("enabled_events[0]"), Some("refund.created"));
        assert_eq!(field("enabled_events[1]"), Some("refund.failed"));
        assert_eq!(field("api_version"), Some(STRIPE_VERSION));
        assert_eq!(fields.len(), 4);
    }
}
