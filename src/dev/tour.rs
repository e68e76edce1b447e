//! A tour of what is sold: one account of each type is bought and looked at from outside, is suspended because nobody pays,
//! and works again when somebody does.

mod days;
mod visits;

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    run::RealServers,
    trigger::{Customer, Shop, delivered, reason, timeline},
};
use crate::{clock::Clock, config::Config, http::auth::development_token, store::Store};
use days::Days;

/// One of each type.
const SERVICES: [(&str, u32); 4] =
    [("shared-monthly", 1), ("wordpress-monthly", 1), ("vps-monthly", 1), ("cloud-monthly", 1)];
/// How long servers may take for what was asked of them.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(50);
const TOKEN_LIFETIME: Duration = Duration::from_secs(3_600);

/// Whose tour it is.
pub struct Tour<'a> {
    /// The settings that Berth runs with.
    pub config: &'a Config,
    /// Its database.
    pub store: &'a Store,
    /// Its clock, which is moved.
    pub clock: &'a Clock,
    /// The database's owner, who may move it.
    pub owner_url: &'a str,
    /// The real servers.
    pub servers: &'a RealServers,
}

/// An account that was bought.
#[derive(Clone, Debug, Deserialize)]
struct Sold {
    id: String,
    service_type: String,
    account_username: String,
    site_url: Option<String>,
    status: String,
    suspension_reason: Option<String>,
    expires_at: Timestamp,
    #[serde(skip)]
    password: String,
}

/// What the tour goes by.
struct Guide<'a> {
    tour: &'a Tour<'a>,
    shop: Shop,
    customer: Customer,
    /// Staff's.
    staff: String,
    begun: Instant,
    tell: &'a (dyn Fn(&str) + Sync),
}

impl Tour<'_> {
    /// Goes through it, and tells each step as it happens. `now` is real time.
    ///
    /// # Errors
    /// When anything is not as it should be: the message says what.
    pub async fn go(&self, now: Timestamp, tell: &(dyn Fn(&str) + Sync)) -> anyhow::Result<()> {
        let staff = development_token(&self.config.auth, Uuid::new_v4(), None, true, now, TOKEN_LIFETIME)?;
        let (shop, customer) = (Shop::of(self.config)?, Customer::new(self.config, now)?);
        let guide = Guide { tour: self, shop, customer, staff, begun: Instant::now(), tell };
        let sold = guide.buy().await?;
        guide.all_work(&sold).await?;
        let mut days = Days::of(&guide).await?;
        guide.lapse(&mut days, &sold).await?;
        guide.none_work(&sold).await?;
        guide.pay(&sold).await?;
        guide.all_work(&sold).await?;
        let ahead = self.clock.now().duration_since(now).as_hours() / 24;
        guide.say(&format!(
            "all of that held; this instance's clock is {ahead} days ahead now, until `berth dev --reset`"
        ));
        Ok(())
    }
}

impl Guide<'_> {
    fn say(&self, what: &str) {
        (self.tell)(&format!("{:>7} ms  {what}", self.begun.elapsed().as_millis()));
    }

    async fn buy(&self) -> anyhow::Result<Vec<Sold>> {
        let opened = self.shop.order(&self.customer.token, &SERVICES).await?;
        self.shop.pay(&opened.checkout_url).await?;
        self.say(&format!(
            "{} for {}: paid at the checkout; from Stripe's event on:",
            opened.order_id, self.customer.email
        ));
        let course = delivered(self.tour.store, opened.order_id).await?;
        for step in timeline(&course) {
            (self.tell)(&format!("            {:>7} ms  {:<15} {}", step.after_ms, step.what, step.which));
        }
        let mut sold = self.accounts().await?;
        if sold.len() != SERVICES.len() {
            bail!("{} accounts were made of an order of {}", sold.len(), SERVICES.len());
        }
        for account in &mut sold {
            let path = format!("/v1/hosting/{}/reveal", account.id);
            let revealed = self.ask(Method::POST, &path, &self.customer.token, None).await?;
            account.password = revealed["password"].as_str().context("no password was revealed")?.to_owned();
        }
        self.say("each account's first password is revealed to its customer");
        Ok(sold)
    }

    /// The customer's accounts, in the order in which they were made.
    async fn accounts(&self) -> anyhow::Result<Vec<Sold>> {
        let mut shown = self.ask(Method::GET, "/v1/hosting", &self.customer.token, None).await?;
        let mut sold: Vec<Sold> =
            serde_json::from_value(shown["data"].take()).context("the accounts cannot be read")?;
        sold.reverse();
        Ok(sold)
    }

    /// Asks the shop, and answers what it says to a request that it takes.
    async fn ask(&self, method: Method, path: &str, token: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let mut request = self.shop.http.request(method.clone(), self.shop.base.join(path)?).bearer_auth(token);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.with_context(|| format!("{method} {path} is not answered"))?;
        let (status, text) = (answer.status(), answer.text().await?);
        if !status.is_success() {
            bail!("{method} {path} is refused ({status}): {}", reason(&text));
        }
        if status == StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).with_context(|| format!("what {method} {path} answers cannot be read"))
    }

    /// Nobody pays for the next period.
    async fn lapse(&self, days: &mut Days, sold: &[Sold]) -> anyhow::Result<()> {
        let cards = self.ask(Method::GET, "/v1/payment-methods", &self.customer.token, None).await?;
        for card in cards["data"].as_array().into_iter().flatten() {
            let path = format!("/v1/payment-methods/{}", card["id"].as_str().unwrap_or_default());
            self.ask(Method::DELETE, &path, &self.customer.token, None).await?;
        }
        self.say("the customer removes their card, and days pass:");
        let due = sold.iter().map(|account| account.expires_at).max().context("nothing was sold")?;
        days.pass_unpaid(self, due).await?;
        self.until("suspended", Some("non_payment")).await
    }

    async fn pay(&self, sold: &[Sold]) -> anyhow::Result<()> {
        for account in sold {
            let path = format!("/v1/hosting/{}/renew", account.id);
            let renewal = self.ask(Method::POST, &path, &self.customer.token, None).await?;
            let page = renewal["checkout_url"].as_str().context("the renewal has no page to pay on")?;
            self.shop.pay(page).await?;
        }
        self.say("the customer pays the renewals");
        self.until("active", None).await
    }

    /// Waits until every account has a status.
    async fn until(&self, status: &str, reason: Option<&str>) -> anyhow::Result<()> {
        let waiting = Instant::now();
        loop {
            let accounts = self.accounts().await?;
            let is_so = |account: &&Sold| account.status == status && account.suspension_reason.as_deref() == reason;
            let Some(other) = accounts.iter().find(|account| !is_so(account)) else { break };
            if waiting.elapsed() > PATIENCE {
                let (name, is) = (&other.account_username, &other.status);
                bail!("after {} s {name} is {is}, not {status}; `berth jobs list` shows why", PATIENCE.as_secs());
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
        let why = reason.map(|reason| format!(" for {reason}")).unwrap_or_default();
        self.say(&format!("every account is {status}{why}"));
        Ok(())
    }

    async fn sweep(&self, name: &str) -> anyhow::Result<()> {
        let body = json!({ "reason": "berth dev --once: a day has passed" });
        self.ask(Method::POST, &format!("/v1/sweeps/{name}"), &self.staff, Some(body)).await.map(drop)
    }
}
