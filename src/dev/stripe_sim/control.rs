//! The control endpoints under `/_sim/`: what a test does to Stripe, and what it reads from it.

use std::sync::Arc;

use axum::extract::{Path, Query, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::completion::{self, Submission, USUAL_CARD, Way};
use super::disputes;
use super::error::StripeError;
use super::faults::Fault;
use super::state::{Origin, Outgoing, State};
use super::table::{Record, Table};
use super::test_cards::Outcome;
use super::{Sim, checkout, collect, refunds};

type Answered = Result<Json<Value>, Refused>;

pub(super) fn router() -> Router<Arc<Sim>> {
    Router::new()
        .route("/healthz", get(healthz))
        .route("/checkout/sessions/{id}/complete", post(complete))
        .route("/checkout/sessions/{id}/async", post(settle_session))
        .route("/payment_intents/{id}/settle", post(settle_intent))
        .route("/payment_methods/{id}", post(change_method))
        .route("/refunds/{id}", post(settle_refund))
        .route("/disputes", post(open_dispute))
        .route("/disputes/{id}", post(settle_dispute))
        .route("/early_fraud_warnings", post(warn_of_fraud))
        .route("/events/{id}/resend", post(resend))
        .route("/deliveries", get(deliveries))
        .route("/requests", get(requests))
        .route("/records", get(records))
        .route("/clock", post(set_clock))
        .route("/webhooks", post(set_webhooks))
        .route("/settings", post(set_settings))
        .route("/faults", get(list_faults).post(add_faults).delete(clear_faults))
        .route("/reset", post(reset))
}

/// A refusal, in the same JSON as the API's.
struct Refused(StripeError);

impl From<StripeError> for Refused {
    fn from(error: StripeError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status).unwrap_or(StatusCode::BAD_REQUEST);
        (status, Json(self.0.body())).into_response()
    }
}

impl Sim {
    /// Acts on the account as nobody's request, as the world outside the API does.
    fn act<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let mut state = self.lock();
        state.origin = Origin::default();
        checkout::expire_due(&mut state);
        act(&mut state)
    }
}

/// `undelivered` counts events not yet answered 2xx.
async fn healthz(Shared(sim): Shared<Arc<Sim>>) -> Json<Value> {
    let state = sim.lock();
    let undelivered = state.events.oldest_first().filter(|event| event.pending).count();
    Json(json!({ "status": "ok", "now": state.now(), "events": state.events.len(), "undelivered": undelivered }))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum As {
    Paid,
    Unpaid,
    NoPaymentRequired,
    Expired,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Completion {
    #[serde(rename = "as")]
    result: As,
    /// A test token; the usual card pays.
    card: Option<String>,
    email: Option<String>,
    /// A sum other than the session's own.
    amount_total: Option<i64>,
}

async fn complete(Shared(sim): Shared<Arc<Sim>>, Path(id): Path<String>, Json(asked): Json<Completion>) -> Answered {
    let way = match asked.result {
        As::Paid => Way::Now,
        As::Unpaid => Way::Later,
        As::NoPaymentRequired => Way::Nothing,
        As::Expired => {
            return Ok(Json(sim.act(|state| checkout::expire(state, &id, super::form::Params::default()))?));
        }
    };
    let card = asked.card.unwrap_or_else(|| USUAL_CARD.into());
    let submission = Submission { way, card, email: asked.email, amount_total: asked.amount_total };
    Ok(Json(sim.act(|state| completion::complete(state, &id, &submission))?))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Ending {
    Succeed,
    Fail,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settlement {
    result: Ending,
    decline_code: Option<String>,
}

impl Settlement {
    fn decline_code(&self) -> Option<&str> {
        (self.result == Ending::Fail).then(|| self.decline_code.as_deref().unwrap_or("generic_decline"))
    }
}

async fn settle_session(
    Shared(sim): Shared<Arc<Sim>>,
    Path(id): Path<String>,
    Json(asked): Json<Settlement>,
) -> Answered {
    Ok(Json(sim.act(|state| completion::settle_later(state, &id, asked.decline_code()))?))
}

async fn settle_intent(
    Shared(sim): Shared<Arc<Sim>>,
    Path(id): Path<String>,
    Json(asked): Json<Settlement>,
) -> Answered {
    Ok(Json(sim.act(|state| collect::settle(state, &id, asked.decline_code()))?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MethodChange {
    /// `succeed`, `authentication_required`, `processing`, or a decline code.
    outcome: Option<String>,
    /// Month and year of a new expiry date, as when the bank has sent another card: told of as such.
    expiry: Option<(u8, u16)>,
}

/// Changes what the next charge on a kept card comes to, and when it expires.
async fn change_method(
    Shared(sim): Shared<Arc<Sim>>,
    Path(id): Path<String>,
    Json(asked): Json<MethodChange>,
) -> Answered {
    sim.act(|state| {
        let method = state.payment_methods.get_mut(&id)?;
        if let Some(outcome) = &asked.outcome {
            method.card.outcome = Outcome::parse(outcome);
        }
        method.expiry = asked.expiry.unwrap_or(method.expiry);
        let shown = method.json();
        if asked.expiry.is_some() {
            state.emit("payment_method.automatically_updated", shown.clone());
        }
        Ok(Json(shown))
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RefundEnding {
    result: Ending,
    failure_reason: Option<String>,
}

async fn settle_refund(
    Shared(sim): Shared<Arc<Sim>>,
    Path(id): Path<String>,
    Json(asked): Json<RefundEnding>,
) -> Answered {
    let reason =
        (asked.result == Ending::Fail).then(|| asked.failure_reason.as_deref().unwrap_or("expired_or_canceled_card"));
    Ok(Json(sim.act(|state| refunds::settle(state, &id, reason))?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DisputeOpening {
    payment_intent: String,
    amount: Option<i64>,
    reason: Option<String>,
    status: Option<String>,
}

async fn open_dispute(Shared(sim): Shared<Arc<Sim>>, Json(asked): Json<DisputeOpening>) -> Answered {
    let DisputeOpening { payment_intent, amount, reason, status } = asked;
    let opening = disputes::Opening { payment_intent, amount, reason, status };
    Ok(Json(sim.act(|state| disputes::open(state, opening))?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DisputeEnding {
    /// Stripe's word for it: `under_review`, `won`, `lost`, …
    status: String,
}

async fn settle_dispute(
    Shared(sim): Shared<Arc<Sim>>,
    Path(id): Path<String>,
    Json(asked): Json<DisputeEnding>,
) -> Answered {
    Ok(Json(sim.act(|state| disputes::settle(state, &id, &asked.status))?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FraudWarning {
    payment_intent: String,
}

async fn warn_of_fraud(Shared(sim): Shared<Arc<Sim>>, Json(asked): Json<FraudWarning>) -> Answered {
    Ok(Json(sim.act(|state| disputes::warn(state, &asked.payment_intent))?))
}

async fn resend(Shared(sim): Shared<Arc<Sim>>, Path(id): Path<String>) -> Answered {
    sim.act(|state| {
        let event = state.events.get(&id)?.json();
        state.send(Outgoing { event_id: id.clone(), resent: true });
        Ok(Json(event))
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct DeliveryFilter {
    event: Option<String>,
}

/// Every attempt to deliver a webhook, oldest first.
async fn deliveries(Shared(sim): Shared<Arc<Sim>>, Query(filter): Query<DeliveryFilter>) -> Json<Value> {
    let state = sim.lock();
    let wanted: Vec<_> = state
        .attempts
        .iter()
        .filter(|attempt| filter.event.as_ref().is_none_or(|event| attempt.event == *event))
        .collect();
    Json(json!({ "deliveries": wanted }))
}

/// Every API request, oldest first.
async fn requests(Shared(sim): Shared<Arc<Sim>>) -> Json<Value> {
    Json(json!({ "requests": sim.lock().requests }))
}

/// Everything that could have moved money, oldest first; each object with the `idempotency_key` of
/// the request that made it.
async fn records(Shared(sim): Shared<Arc<Sim>>) -> Json<Value> {
    let state = sim.lock();
    Json(json!({
        "checkout_sessions": keyed(&state.sessions, |session| session.idempotency_key.as_ref()),
        "payment_intents": keyed(&state.payment_intents, |intent| intent.idempotency_key.as_ref()),
        "charges": keyed(&state.charges, |charge| charge.idempotency_key.as_ref()),
        "refunds": keyed(&state.refunds, |refund| refund.idempotency_key.as_ref()),
        "disputes": keyed(&state.disputes, |_dispute| None),
        "customers": keyed(&state.customers, |_customer| None),
    }))
}

fn keyed<R: Record>(table: &Table<R>, key: impl Fn(&R) -> Option<&String>) -> Vec<Value> {
    let with_key = |record: &R| {
        let mut shown = record.json();
        shown["idempotency_key"] = json!(key(record));
        shown
    };
    table.oldest_first().map(with_key).collect()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClockChange {
    offset_seconds: i64,
    /// Whether webhook signatures carry the simulated time too; they carry real time otherwise.
    #[serde(default)]
    signatures: bool,
}

async fn set_clock(Shared(sim): Shared<Arc<Sim>>, Json(asked): Json<ClockChange>) -> Json<Value> {
    sim.clock.set(asked.offset_seconds, asked.signatures);
    sim.act(|state| Json(json!({ "now": state.now(), "offset_seconds": state.clock.offset_seconds() })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Webhooks {
    url: Option<String>,
    secrets: Option<Vec<String>>,
}

/// Sets where events go from now on (nowhere without a `url`), and the secrets they are signed with.
async fn set_webhooks(Shared(sim): Shared<Arc<Sim>>, Json(asked): Json<Webhooks>) -> Answered {
    let url = asked
        .url
        .map(|url| url.parse::<url::Url>())
        .transpose()
        .map_err(|refusal| StripeError::refused(format!("url: {refusal}")))?;
    sim.act(|state| {
        state.webhook_url = url;
        state.webhook_kinds = vec!["*".to_owned()];
        if let Some(secrets) = asked.secrets {
            state.webhook_secrets = secrets;
        }
        Ok(Json(
            json!({ "url": state.webhook_url.as_ref().map(url::Url::as_str), "secrets": state.webhook_secrets.len() }),
        ))
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// New refunds stay `pending` until `POST /_sim/refunds/{id}`.
    refunds_wait: Option<bool>,
    /// How long an idempotency key is remembered.
    idempotency_seconds: Option<i64>,
}

async fn set_settings(Shared(sim): Shared<Arc<Sim>>, Json(asked): Json<Settings>) -> Json<Value> {
    sim.act(|state| {
        state.refunds_wait = asked.refunds_wait.unwrap_or(state.refunds_wait);
        state.keys.kept_seconds = asked.idempotency_seconds.unwrap_or(state.keys.kept_seconds);
        Json(json!({ "refunds_wait": state.refunds_wait, "idempotency_seconds": state.keys.kept_seconds }))
    })
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FaultList {
    faults: Vec<Fault>,
}

async fn add_faults(Shared(sim): Shared<Arc<Sim>>, Json(asked): Json<FaultList>) -> Answered {
    sim.act(|state| {
        let taken = asked.faults.into_iter().all(|fault| state.faults.add(fault));
        if !taken {
            return Err(Refused(StripeError::refused("the queue of faults is full")));
        }
        Ok(Json(json!({ "faults": state.faults.list().collect::<Vec<_>>() })))
    })
}

async fn list_faults(Shared(sim): Shared<Arc<Sim>>) -> Json<Value> {
    Json(json!({ "faults": sim.lock().faults.list().collect::<Vec<_>>() }))
}

async fn clear_faults(Shared(sim): Shared<Arc<Sim>>) -> StatusCode {
    sim.lock().faults.clear();
    StatusCode::NO_CONTENT
}

/// Forgets everything but the webhook endpoint and the clock.
async fn reset(Shared(sim): Shared<Arc<Sim>>) -> StatusCode {
    let mut state = sim.lock();
    let (url, secrets) = (state.webhook_url.take(), std::mem::take(&mut state.webhook_secrets));
    *state = State::new(&sim.config, Arc::clone(&sim.clock), Arc::clone(&sim.wake));
    state.webhook_url = url;
    state.webhook_secrets = secrets;
    sim.delivered.send_replace(0);
    StatusCode::NO_CONTENT
}
