//! The shop as a customer's program sees it: its HTTP API, a page to pay on, and a site.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, bail};
use reqwest::{Method, RequestBuilder, header};
use rust_decimal::Decimal;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::gateways::http_client::{self, Timeouts};

const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(5), total: Duration::from_secs(30) };

/// One thing that is sold, as far as it matters here.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Plan {
    pub(super) service_id: String,
    pub(super) prices: BTreeMap<String, Decimal>,
    pub(super) setup_fees: BTreeMap<String, Decimal>,
    pub(super) trial_days: u32,
}

impl Plan {
    /// Of the first period, set-up included; zero where it is not sold in that currency.
    pub(super) fn first_price(&self, currency: &str) -> Decimal {
        let Some(price) = self.prices.get(currency) else { return Decimal::ZERO };
        let fee = self.setup_fees.get(currency).copied().unwrap_or_default();
        price.checked_add(fee).unwrap_or(Decimal::MAX)
    }
}

#[derive(Deserialize)]
struct Listed<T> {
    data: Vec<T>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Opened {
    pub(super) order_id: String,
    pub(super) checkout_url: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Order {
    /// pending, processing, completed, failed or cancelled.
    pub(super) status: String,
    #[serde(default)]
    failure_reason: Option<String>,
}

impl Order {
    pub(super) fn is_paid(&self) -> bool {
        matches!(self.status.as_str(), "processing" | "completed")
    }

    pub(super) fn is_complete(&self) -> bool {
        self.status == "completed"
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.status.as_str(), "failed" | "cancelled")
    }

    pub(super) fn why(&self) -> String {
        self.failure_reason.as_ref().map(|why| format!(": {why}")).unwrap_or_default()
    }
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct Account {
    pub(super) id: String,
    order_id: String,
    pub(super) status: String,
    pub(super) site_url: Option<String>,
    pub(super) terminated_at: Option<String>,
}

/// The shop, seen by one customer.
pub(super) struct Shop {
    base: Url,
    http: reqwest::Client,
    token: String,
}

impl Shop {
    pub(super) fn new(mut base: Url, token: String) -> anyhow::Result<Self> {
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        Ok(Self { base, http: http_client::build(TIMEOUTS)?, token })
    }

    pub(super) fn url(&self) -> &Url {
        &self.base
    }

    /// Whether it can work, in its own word.
    pub(super) async fn ready(&self) -> anyhow::Result<String> {
        let answer = self.http.get(self.base.join("readyz")?).send().await;
        let answer = answer.with_context(|| format!("{} does not answer", self.base))?;
        let status = answer.status();
        let said: Value = answer.json().await.unwrap_or_default();
        let word = said["status"].as_str().unwrap_or("no Berth").to_owned();
        if !status.is_success() {
            bail!("{} is {word} ({status}): `berth doctor` says why", self.base);
        }
        Ok(word)
    }

    pub(super) async fn plans(&self) -> anyhow::Result<Vec<Plan>> {
        let plans: Listed<Plan> = self.ask(Method::GET, "v1/plans", None).await?;
        Ok(plans.data)
    }

    pub(super) async fn order(&self, service: &str) -> anyhow::Result<Opened> {
        let body = json!({ "items": [{ "service_id": service, "quantity": 1 }] });
        self.ask(Method::POST, "v1/checkout", Some(&body)).await
    }

    pub(super) async fn look_at_order(&self, id: &str) -> anyhow::Result<Order> {
        self.ask(Method::GET, &format!("v1/orders/{id}"), None).await
    }

    /// The one account of an order.
    pub(super) async fn account_of(&self, order: &str) -> anyhow::Result<Account> {
        let accounts: Listed<Account> = self.ask(Method::GET, "v1/hosting", None).await?;
        let mut of_order = accounts.data.into_iter().filter(|account| account.order_id == order);
        of_order.next().with_context(|| format!("the order {order} is complete and has no account"))
    }

    pub(super) async fn look_at_account(&self, id: &str) -> anyhow::Result<Account> {
        self.ask(Method::GET, &format!("v1/hosting/{id}"), None).await
    }

    pub(super) async fn cancel(&self, id: &str) -> anyhow::Result<()> {
        let body = json!({ "at": "now", "confirm": true, "reason": "berth smoke" });
        let _account: Value = self.ask(Method::POST, &format!("v1/hosting/{id}/cancel"), Some(&body)).await?;
        Ok(())
    }

    /// Presses "Pay" on the simulator's page.
    pub(super) async fn pay_simulated(&self, page: &str) -> anyhow::Result<()> {
        let pressed = form(self.http.post(page)).body("action=pay").send().await;
        let answer = pressed.with_context(|| format!("the payment page {page} does not answer"))?;
        // The page sends a customer who has paid back to the shop.
        if answer.status().is_redirection() {
            return Ok(());
        }
        bail!("the payment page {page} refused the payment ({})", answer.status())
    }

    /// What the site answers. Names beneath `localhost` are this machine, whether or not a resolver knows.
    pub(super) async fn visit(&self, site: &str) -> anyhow::Result<u16> {
        let url = Url::parse(site).with_context(|| format!("the site's address {site} cannot be read"))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let request = if host.ends_with(".localhost") {
            let mut here = url.clone();
            here.set_host(Some("127.0.0.1"))?;
            let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
            self.http.get(here).header(header::HOST, format!("{host}{port}"))
        } else {
            self.http.get(url)
        };
        let answer = request.send().await.with_context(|| format!("the site {site} does not answer"))?;
        Ok(answer.status().as_u16())
    }

    async fn ask<T: DeserializeOwned>(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<T> {
        let url = self.base.join(path)?;
        let mut request = self.http.request(method.clone(), url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("idempotency-key", Uuid::new_v4().to_string()).json(body);
        }
        let answer = request.send().await.with_context(|| format!("{method} /{path}: no answer"))?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("{method} /{path} answers {status}: {}", reason(&text));
        }
        serde_json::from_str(&text).with_context(|| format!("the answer to {method} /{path} cannot be read"))
    }
}

fn form(request: RequestBuilder) -> RequestBuilder {
    request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
}

/// The sentence of a problem document, or else the text itself.
fn reason(text: &str) -> String {
    let problem: Value = serde_json::from_str(text).unwrap_or_default();
    let said = ["detail", "title"].into_iter().find_map(|member| problem.get(member)?.as_str());
    said.map_or_else(|| text.trim().to_owned(), str::to_owned)
}
