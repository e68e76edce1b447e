//! Makes things happen from outside, as a customer would: buys at the shop, pays at the Stripe simulator, waits.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use berth_jobs::ids::OrderId;
use jiff::Timestamp;
use reqwest::{Method, StatusCode, header};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::{
    config::Config,
    gateways::http_client::{self, Timeouts},
    http::auth::development_token,
    store::{
        Store,
        inspection::{MailCourse, OrderCourse},
    },
};

const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(5), total: Duration::from_secs(30) };
/// How long everything may take after the payment.
const PATIENCE: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(20);
const TOKEN_LIFETIME: Duration = Duration::from_secs(600);

/// What to buy.
#[derive(Clone, Debug)]
pub struct Purchase {
    /// The catalogue's id of a service.
    pub service: String,
    /// How many.
    pub quantity: u32,
}

/// What came of a purchase.
#[derive(Clone, Debug, Serialize)]
pub struct Bought {
    /// The order.
    pub order_id: OrderId,
    /// Where its mails went.
    pub email: String,
    /// What happened, in its order.
    pub timeline: Vec<Step>,
    /// The pages of the new sites.
    pub pages: Vec<Page>,
}

/// One step of the timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Milliseconds since Stripe's event came, by the database's clock.
    pub after_ms: i64,
    /// Such as `order paid`.
    pub what: &'static str,
    /// Which event, account or mail.
    pub which: String,
}

/// What a new site answered.
#[derive(Clone, Debug, Serialize)]
pub struct Page {
    /// Its address.
    pub url: String,
    /// The answer's status.
    pub status: u16,
}

#[derive(Deserialize)]
pub(super) struct Opened {
    pub(super) order_id: OrderId,
    pub(super) checkout_url: String,
}

/// Somebody new.
pub(super) struct Customer {
    pub(super) email: String,
    pub(super) token: String,
}

impl Customer {
    pub(super) fn new(config: &Config, now: Timestamp) -> anyhow::Result<Self> {
        let id = Uuid::new_v4();
        let email = format!("customer-{}@berth.test", id.simple());
        let token = development_token(&config.auth, id, Some(&email), false, now, TOKEN_LIFETIME)?;
        Ok(Self { email, token })
    }
}

/// Buys at the shop that `config` describes, pays at the Stripe simulator, and waits until everything is delivered.
/// `now` is real time.
///
/// # Errors
/// When a step is refused, or not everything is delivered within a minute: the message says what is missing.
pub async fn checkout(config: &Config, store: &Store, purchase: &Purchase, now: Timestamp) -> anyhow::Result<Bought> {
    let api_base = &config.stripe.api_base;
    if api_base.host_str().is_none_or(|host| host.ends_with("stripe.com")) {
        bail!("this pays at the Stripe simulator, but stripe.api_base is {api_base}: run it beside `berth dev`");
    }
    let shop = Shop::of(config)?;
    let customer = Customer::new(config, now)?;
    let opened = shop.order(&customer.token, &[(&purchase.service, purchase.quantity)]).await?;
    shop.pay(&opened.checkout_url).await?;
    let course = delivered(store, opened.order_id).await?;
    let mut pages = Vec::new();
    for url in course.accounts.iter().filter_map(|account| account.site_url.as_deref()) {
        pages.push(shop.page(url).await?);
    }
    Ok(Bought { order_id: opened.order_id, email: customer.email, timeline: timeline(&course), pages })
}

/// The shop on this machine, whatever the address that it listens on.
fn base_of(config: &Config) -> anyhow::Result<Url> {
    let listen = config.http.listen;
    let host = if listen.ip().is_unspecified() { "127.0.0.1".to_owned() } else { listen.ip().to_string() };
    let host = if listen.is_ipv6() && host.contains(':') { format!("[{host}]") } else { host };
    Ok(Url::parse(&format!("http://{host}:{}/", listen.port()))?)
}

/// The shop, seen by a customer on this machine.
pub(super) struct Shop {
    pub(super) base: Url,
    pub(super) http: reqwest::Client,
}

impl Shop {
    pub(super) fn of(config: &Config) -> anyhow::Result<Self> {
        Ok(Self { base: base_of(config)?, http: http_client::build(TIMEOUTS)? })
    }

    /// Orders services, each so many times.
    pub(super) async fn order(&self, token: &str, services: &[(&str, u32)]) -> anyhow::Result<Opened> {
        self.order_under(Uuid::new_v4(), token, services).await
    }

    /// The same under a key: asked again, it is the same order.
    pub(super) async fn order_under(&self, key: Uuid, token: &str, services: &[(&str, u32)]) -> anyhow::Result<Opened> {
        let item = |(service, quantity): &(&str, u32)| json!({ "service_id": service, "quantity": quantity });
        let body = json!({ "items": services.iter().map(item).collect::<Vec<_>>() });
        let answer = self
            .http
            .post(self.base.join("/v1/checkout")?)
            .bearer_auth(token)
            .header("idempotency-key", key.to_string())
            .json(&body)
            .send()
            .await
            .with_context(|| format!("the shop at {} does not answer: does `berth dev` run?", self.base))?;
        let status = answer.status();
        let text = answer.text().await?;
        if status != StatusCode::CREATED {
            bail!("the shop refused the checkout ({status}): {}", reason(&text));
        }
        serde_json::from_str(&text).context("the shop's answer to the checkout cannot be read")
    }

    /// Presses "Pay" on the hosted page.
    pub(super) async fn pay(&self, checkout_url: &str) -> anyhow::Result<()> {
        let answer = self
            .http
            .post(checkout_url)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body("action=pay")
            .send()
            .await
            .with_context(|| format!("the payment page {checkout_url} does not answer"))?;
        // The page sends a customer who has paid back to the shop.
        if answer.status().is_redirection() {
            return Ok(());
        }
        bail!("the payment page {checkout_url} refused the payment ({})", answer.status())
    }

    /// Fetches a hosted site by its host name, whose address is this machine.
    async fn page(&self, url: &str) -> anyhow::Result<Page> {
        let answer = self.visit(Method::GET, url, "").await?;
        Ok(Page { url: url.to_owned(), status: answer.status().as_u16() })
    }

    /// Asks a hosted site as a browser would that has sent that form.
    pub(super) async fn visit(&self, method: Method, url: &str, form: &str) -> anyhow::Result<reqwest::Response> {
        let site = Url::parse(url).with_context(|| format!("the site's address {url} cannot be read"))?;
        let port = site.port().map(|port| format!(":{port}")).unwrap_or_default();
        let host = format!("{}{port}", site.host_str().unwrap_or_default());
        let mut here = self.base.join(site.path())?;
        // Sites that Berth serves itself have its own port, the others that of their server.
        if site.port().is_some() && here.set_port(site.port()).is_err() {
            bail!("the site's address {url} cannot be used");
        }
        self.http
            .request(method, here)
            .header(header::HOST, host)
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form.to_owned())
            .send()
            .await
            .with_context(|| format!("the site {url} does not answer"))
    }
}

/// The sentence of a problem document, or else the text itself.
pub(super) fn reason(text: &str) -> String {
    let problem: Value = serde_json::from_str(text).unwrap_or_default();
    let said = ["detail", "title"].into_iter().find_map(|member| problem.get(member)?.as_str());
    said.map_or_else(|| text.trim().to_owned(), str::to_owned)
}

/// Waits until the order is completed and its mails were accepted.
pub(super) async fn delivered(store: &Store, id: OrderId) -> anyhow::Result<OrderCourse> {
    let begun = Instant::now();
    loop {
        let course = store.order_course(id).await?;
        if matches!(course.phase.as_str(), "failed" | "cancelled" | "withdrawn" | "held") {
            bail!("order {id} is {}; `berth doctor` shows why", course.phase);
        }
        let missing = missing(&course);
        if missing.is_empty() {
            return Ok(course);
        }
        if begun.elapsed() > PATIENCE {
            let troubles =
                if course.troubles.is_empty() { String::new() } else { format!(" ({})", course.troubles.join("; ")) };
            bail!("after {} s order {id} still waits for {}{troubles}", PATIENCE.as_secs(), missing.join(", "));
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

/// What has not happened yet.
fn missing(course: &OrderCourse) -> Vec<String> {
    let mut missing = Vec::new();
    if course.phase != "completed" {
        missing.push(match course.phase.as_str() {
            "pending" | "awaiting_payment" => "Stripe's event of the payment".to_owned(),
            phase => format!("its completion (it is {phase})"),
        });
    }
    missing.extend(course.accounts.iter().filter(|account| account.active_at.is_none()).map(|account| {
        let name = account.username.as_deref().unwrap_or("without a name yet");
        format!("the account {name} ({})", account.phase)
    }));
    // A confirmation, and a welcome for each account.
    let expected = 1 + course.accounts.len();
    let accepted = course.mails.iter().filter(|mail| mail.accepted_at.is_some()).count();
    if accepted < expected {
        missing.push(format!("mails ({accepted} of {expected} accepted)"));
    }
    missing
}

/// The steps in their order, counted from Stripe's event, or from the payment where no event told of it.
pub(super) fn timeline(course: &OrderCourse) -> Vec<Step> {
    let Some(start) = course.event.as_ref().map(|(_, at)| *at).or(course.paid_at) else { return Vec::new() };
    let step = |at: Timestamp, what, which: &str| Step {
        after_ms: i64::try_from(at.duration_since(start).as_millis()).unwrap_or(i64::MAX),
        what,
        which: which.to_owned(),
    };
    let mut steps = Vec::new();
    steps.extend(course.event.as_ref().map(|(id, at)| step(*at, "event received", id)));
    steps.extend(course.paid_at.map(|at| step(at, "order paid", "")));
    for account in &course.accounts {
        let which = account.site_url.as_deref().or(account.username.as_deref()).unwrap_or_default();
        steps.extend(account.active_at.map(|at| step(at, "account active", which)));
    }
    let mail = |mail: &MailCourse| mail.accepted_at.map(|at| step(at, "mail accepted", &mail.kind));
    steps.extend(course.mails.iter().filter_map(mail));
    steps.sort_by_key(|step| step.after_ms);
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::inspection::AccountCourse;

    fn at(ms: i64) -> Option<Timestamp> {
        Some(Timestamp::from_millisecond(1_800_000_000_000 + ms).unwrap())
    }

    fn course() -> OrderCourse {
        OrderCourse {
            phase: "completed".to_owned(),
            event: at(0).map(|at| ("evt_1".to_owned(), at)),
            paid_at: at(8),
            accounts: vec![AccountCourse {
                username: Some("bhone".to_owned()),
                phase: "active".to_owned(),
                site_url: None,
                active_at: at(40),
            }],
            mails: vec![
                MailCourse { kind: "order_confirmation".to_owned(), accepted_at: at(35) },
                MailCourse { kind: "welcome".to_owned(), accepted_at: at(70) },
            ],
            troubles: Vec::new(),
        }
    }

    #[test]
    fn steps_are_told_in_the_order_in_which_they_happened() {
        let told: Vec<(i64, &str)> = timeline(&course()).iter().map(|step| (step.after_ms, step.what)).collect();

        assert_eq!(
            told,
            [
                (0, "event received"),
                (8, "order paid"),
                (35, "mail accepted"),
                (40, "account active"),
                (70, "mail accepted")
            ]
        );
    }

    #[test]
    fn nothing_is_missing_only_when_every_mail_was_accepted() {
        let mut course = course();
        assert!(missing(&course).is_empty());

        course.mails[1].accepted_at = None;

        assert_eq!(missing(&course), ["mails (1 of 2 accepted)"]);
    }

    #[test]
    fn a_problem_document_is_told_by_its_sentence() {
        assert_eq!(reason(r#"{"title":"Cannot be sold","detail":"no service is called x"}"#), "no service is called x");
        assert_eq!(reason("upstream is away\n"), "upstream is away");
    }
}
