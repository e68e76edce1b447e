//! A running simulator, a client of it, and an endpoint that takes its webhooks.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::dev::stripe_sim::{Pace, SimConfig, deliver, serve};

pub(super) const KEY: &str = "sk_test_harness";
pub(super) const SECRET: &str = "whsec_harness";
const PATIENCE: Duration = Duration::from_secs(20);

/// A simulator on a port of its own, and a client with its key.
pub(super) struct Stripe {
    pub(super) base: String,
    pub(super) http: reqwest::Client,
    _stop: DropGuard,
    _served: JoinSet<()>,
}

/// One answer of the API.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Value,
}

impl Reply {
    pub(super) fn id(&self) -> String {
        self.body["id"].as_str().unwrap_or_else(|| panic!("no id in {self:?}")).to_owned()
    }

    pub(super) fn error(&self, field: &str) -> &Value {
        &self.body["error"][field]
    }

    pub(super) fn replayed(&self) -> bool {
        self.headers.contains_key("idempotent-replayed")
    }
}

impl Stripe {
    pub(super) async fn start(endpoint: Option<&Endpoint>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let config = SimConfig {
            webhook_url: endpoint.map(|endpoint| endpoint.url.parse().unwrap()),
            webhook_secrets: vec![SECRET.into()],
            api_key: KEY.into(),
            public_url: base.parse().unwrap(),
            pace: Pace::hurried(),
        };
        let stop = CancellationToken::new();
        let mut served = JoinSet::new();
        let stopped = stop.clone();
        served.spawn(async move { serve(listener, config, stopped).await.unwrap() });
        Self { base, http: deliver::http_client(PATIENCE).unwrap(), _stop: stop.drop_guard(), _served: served }
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        read(self.http.get(self.at(path)).bearer_auth(KEY)).await
    }

    pub(super) async fn delete(&self, path: &str) -> Reply {
        read(self.http.delete(self.at(path)).bearer_auth(KEY)).await
    }

    pub(super) async fn post(&self, path: &str, form: &[(&str, &str)]) -> Reply {
        read(self.request(path, form)).await
    }

    pub(super) async fn post_keyed(&self, path: &str, form: &[(&str, &str)], key: &str) -> Reply {
        read(self.request(path, form).header("idempotency-key", key)).await
    }

    /// A request not yet sent, for those that are meant to fail on the way.
    pub(super) fn request(&self, path: &str, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
        form_post(self.http.post(self.at(path)).bearer_auth(KEY), form)
    }

    pub(super) async fn control(&self, path: &str, body: Value) -> Value {
        let sent = self.http.post(self.at(&format!("/_sim/{path}"))).json(&body);
        let reply = read(sent).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        reply.body
    }

    pub(super) async fn look(&self, path: &str) -> Value {
        read(self.http.get(self.at(&format!("/_sim/{path}")))).await.body
    }

    pub(super) async fn fault(&self, fault: Value) {
        self.control("faults", json!({ "faults": [fault] })).await;
    }

    pub(super) async fn customer(&self) -> String {
        self.post("/v1/customers", &[("email", "zoe@example.com")]).await.id()
    }

    /// An open session of 2999 US cents that keeps the card.
    pub(super) async fn session(&self, customer: &str) -> Reply {
        let mut form = session_form();
        form.push(("customer", customer));
        self.post("/v1/checkout/sessions", &form).await
    }

    /// A customer with a card kept by paying a session; returns customer, payment method, intent.
    pub(super) async fn buyer(&self, card: &str) -> (String, String, String) {
        let customer = self.customer().await;
        let session = self.session(&customer).await.id();
        let done =
            self.control(&format!("checkout/sessions/{session}/complete"), json!({ "as": "paid", "card": card })).await;
        let intent = done["payment_intent"].as_str().unwrap().to_owned();
        let shown = self.get(&format!("/v1/payment_intents/{intent}")).await;
        (customer, shown.body["payment_method"].as_str().unwrap().to_owned(), intent)
    }

    pub(super) async fn charges(&self) -> Vec<Value> {
        self.look("records").await["charges"].as_array().unwrap().clone()
    }

    pub(super) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

/// What every session of these tests sells.
pub(super) fn session_form() -> Vec<(&'static str, &'static str)> {
    vec![
        ("mode", "payment"),
        ("success_url", "http://127.0.0.1/thanks?session={CHECKOUT_SESSION_ID}"),
        ("cancel_url", "http://127.0.0.1/cart"),
        ("metadata[order_id]", "ord_1"),
        ("payment_intent_data[metadata][order_id]", "ord_1"),
        ("payment_intent_data[setup_future_usage]", "off_session"),
        ("line_items[0][quantity]", "2"),
        ("line_items[0][price_data][currency]", "usd"),
        ("line_items[0][price_data][unit_amount]", "1250"),
        ("line_items[0][price_data][product_data][name]", "Plan <S>"),
        ("line_items[1][quantity]", "1"),
        ("line_items[1][price_data][currency]", "usd"),
        ("line_items[1][price_data][unit_amount]", "499"),
        ("line_items[1][price_data][product_data][name]", "Domain"),
    ]
}

/// An off-session charge of 2999 US cents.
pub(super) fn renewal_form<'a>(customer: &'a str, method: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("amount", "2999"),
        ("currency", "usd"),
        ("customer", customer),
        ("payment_method", method),
        ("payment_method_types[]", "card"),
        ("off_session", "true"),
        ("confirm", "true"),
        ("metadata[attempt_id]", "att_1"),
    ]
}

pub(super) fn form_post(request: reqwest::RequestBuilder, form: &[(&str, &str)]) -> reqwest::RequestBuilder {
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
    request.header("content-type", "application/x-www-form-urlencoded").body(body)
}

async fn read(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Reply { status, headers, body }
}

/// A webhook as it arrived.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    pub(super) kind: String,
    pub(super) body: Vec<u8>,
    pub(super) signature: String,
}

impl Arrival {
    pub(super) fn event(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(super) fn signed_at(&self) -> i64 {
        self.parts("t")[0].parse().unwrap()
    }

    pub(super) fn signatures(&self) -> Vec<String> {
        self.parts("v1")
    }

    pub(super) fn is_signed_with(&self, secret: &str) -> bool {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(self.parts("t")[0].as_bytes());
        mac.update(b".");
        mac.update(&self.body);
        let expected = hex::encode(mac.finalize().into_bytes());
        self.signatures().contains(&expected)
    }

    fn parts(&self, name: &str) -> Vec<String> {
        let pairs = self.signature.split(',').filter_map(|part| part.split_once('='));
        pairs.filter(|(key, _value)| *key == name).map(|(_key, value)| value.to_owned()).collect()
    }
}

#[derive(Default)]
struct Inbox {
    arrivals: Vec<Arrival>,
    answers: VecDeque<u16>,
    at_once: usize,
    most_at_once: usize,
    held: watch::Sender<bool>,
}

/// A webhook endpoint that answers what the test scripted, and 200 after that.
pub(super) struct Endpoint {
    pub(super) url: String,
    inbox: Arc<Mutex<Inbox>>,
    _served: JoinSet<()>,
}

impl Endpoint {
    pub(super) async fn start() -> Self {
        let inbox = Arc::new(Mutex::new(Inbox::default()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = Router::new().route("/hook", post(take)).with_state(Arc::clone(&inbox));
        let mut served = JoinSet::new();
        served.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, inbox, _served: served }
    }

    pub(super) fn will_answer(&self, statuses: &[u16]) {
        self.inbox.lock().unwrap().answers.extend(statuses);
    }

    pub(super) fn arrivals(&self, kind: &str) -> Vec<Arrival> {
        let inbox = self.inbox.lock().unwrap();
        let wanted = inbox.arrivals.iter().filter(|arrival| arrival.kind == kind);
        wanted.cloned().collect()
    }

    /// Keeps every webhook waiting for its answer, or lets them all go.
    pub(super) fn hold(&self, held: bool) {
        self.inbox.lock().unwrap().held.send_replace(held);
    }

    pub(super) fn most_at_once(&self) -> usize {
        self.inbox.lock().unwrap().most_at_once
    }

    /// The arrivals of a kind, once there are as many as that.
    pub(super) async fn wait(&self, kind: &str, count: usize) -> Vec<Arrival> {
        eventually(&format!("{count} × {kind}"), || Some(self.arrivals(kind)).filter(|found| found.len() >= count))
            .await
    }
}

/// Waits for a condition, with a bound that fails the test.
pub(super) async fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    poll(what, async || look()).await
}

/// Waits for a condition that has to be asked for.
pub(super) async fn poll<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(found) = ask().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    found.await.unwrap_or_else(|_late| panic!("{what} did not come in time"))
}

async fn take(Shared(inbox): Shared<Arc<Mutex<Inbox>>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let (status, mut held) = {
        let mut inbox = inbox.lock().unwrap();
        inbox.at_once += 1;
        inbox.most_at_once = inbox.most_at_once.max(inbox.at_once);
        let signature = headers["stripe-signature"].to_str().unwrap().to_owned();
        let event: Value = serde_json::from_slice(&body).unwrap();
        let kind = event["type"].as_str().unwrap().to_owned();
        let body = body.to_vec();
        inbox.arrivals.push(Arrival { kind, body, signature });
        (inbox.answers.pop_front().unwrap_or(200), inbox.held.subscribe())
    };
    let let_go = held.wait_for(|held| !held);
    tokio::time::timeout(PATIENCE, let_go).await.unwrap().unwrap();
    inbox.lock().unwrap().at_once -= 1;
    StatusCode::from_u16(status).unwrap()
}
