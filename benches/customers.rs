//! Customers of the shop: they check out, and pay on Stripe's page.

use std::{sync::Arc, time::Duration};

use ::berth::{
    clock::Clock,
    config::Config,
    gateways::http_client::{self, Timeouts},
    http::auth::development_token,
};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use tokio::{sync::Mutex, time::Instant};
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Customers {
    config: Config,
    berth: String,
    stripe: String,
    http: reqwest::Client,
}

/// What one customer was answered.
pub(crate) struct CheckedOut {
    /// How long the answer took, in milliseconds.
    pub(crate) millis: f64,
    /// As it is shown: `ord_…`.
    pub(crate) order_id: String,
    /// The page to pay on.
    session_id: String,
}

impl Customers {
    /// Of the shop and the simulator at these addresses.
    pub(crate) fn new(settings: &[(String, String)], berth: String, stripe: String) -> Result<Arc<Self>> {
        let settings: Vec<(&str, &str)> = settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        let http = http_client::build(Timeouts { connect: PATIENCE, total: PATIENCE })?;
        Ok(Arc::new(Self { config: Config::from_settings(&settings)?, berth, stripe, http }))
    }

    /// Has the simulator tell the shop of its events, and answer after so many milliseconds.
    pub(crate) async fn set_up_stripe(&self, delay_milliseconds: u64) -> Result<()> {
        let slow = json!({
            "on": "response", "path_prefix": "/v1/", "times": u32::MAX,
            "fault": { "kind": "slow", "delay_milliseconds": delay_milliseconds },
        });
        self.steer("/_sim/faults", &json!({ "faults": [slow] })).await?;
        self.steer("/_sim/webhooks", &json!({ "url": format!("{}/webhooks/stripe", self.berth) })).await
    }

    /// Moves the simulator's clock so far from the machine's.
    pub(crate) async fn move_stripe(&self, offset_seconds: i64) -> Result<()> {
        self.steer("/_sim/clock", &json!({ "offset_seconds": offset_seconds })).await
    }

    async fn steer(&self, path: &str, body: &Value) -> Result<()> {
        self.http.post(format!("{}{path}", self.stripe)).json(body).send().await?.error_for_status()?;
        Ok(())
    }

    /// So many checkouts by so many customers at a time, of whom one of `paid_one_of` pays at once: milliseconds of each.
    pub(crate) async fn check_out_all(
        self: &Arc<Self>,
        requests: usize,
        at_once: usize,
        paid_one_of: usize,
    ) -> Result<Vec<f64>> {
        let left = Arc::new(Mutex::new(0..requests));
        let running: Vec<_> = (0..at_once)
            .map(|_| {
                let (customers, left) = (Arc::clone(self), Arc::clone(&left));
                tokio::spawn(async move {
                    let mut millis = Vec::new();
                    loop {
                        let Some(number) = left.lock().await.next() else { return anyhow::Ok(millis) };
                        let done = customers.check_out().await?;
                        if number.is_multiple_of(paid_one_of) {
                            customers.pay(&done).await?;
                        }
                        millis.push(done.millis);
                    }
                })
            })
            .collect();
        let mut millis = Vec::new();
        for customer in running {
            millis.extend(customer.await??);
        }
        Ok(millis)
    }

    /// Somebody new buys the smallest plan.
    pub(crate) async fn check_out(&self) -> Result<CheckedOut> {
        let user = Uuid::new_v4();
        let (now, ttl) = (Clock::machine(), Duration::from_secs(600));
        let token = development_token(&self.config.auth, user, Some("ada@example.com"), false, now, ttl)?;
        let begun = Instant::now();
        let answer = self
            .http
            .post(format!("{}/v1/checkout", self.berth))
            .bearer_auth(token)
            .json(&json!({ "items": [{ "service_id": "shared-monthly" }] }))
            .send()
            .await?;
        let status = answer.status();
        let order: Value = answer.json().await?;
        let millis = begun.elapsed().as_secs_f64() * 1e3;
        ensure!(status.as_u16() == 201, "a checkout was answered {status}: {order}");
        let field = |name| order.get(name).and_then(Value::as_str).with_context(|| format!("an order has a {name}"));
        let session_id = field("checkout_url")?.rsplit('/').next().unwrap_or_default().to_owned();
        Ok(CheckedOut { millis, order_id: field("order_id")?.to_owned(), session_id })
    }

    pub(crate) async fn pay(&self, order: &CheckedOut) -> Result<()> {
        let path = format!("/_sim/checkout/sessions/{}/complete", order.session_id);
        self.steer(&path, &json!({ "as": "paid" })).await
    }

    /// A customer of Stripe's with a card: both ids.
    pub(crate) async fn with_card(&self, api_key: &str) -> Result<(String, String)> {
        let customer = self.ask_stripe(api_key, "customers", &[]).await?;
        let card =
            self.ask_stripe(api_key, "payment_methods/pm_card_visa/attach", &[("customer", customer.as_str())]).await?;
        Ok((customer, card))
    }

    async fn ask_stripe(&self, api_key: &str, path: &str, form: &[(&str, &str)]) -> Result<String> {
        let request = self.http.post(format!("{}/v1/{path}", self.stripe)).bearer_auth(api_key);
        let body = serde_html_form::to_string(form)?;
        let answer = request.header("Content-Type", "application/x-www-form-urlencoded").body(body).send().await?;
        let answer: Value = answer.error_for_status()?.json().await?;
        Ok(answer.get("id").and_then(Value::as_str).context("Stripe's objects have ids")?.to_owned())
    }
}
