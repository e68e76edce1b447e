//! `POST /webhooks/stripe`: verify, store with its job in one commit, answer. Everything else happens later.

use std::time::Duration;

use axum::{
    body::{Body, to_bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use berth_jobs::ids::StripeEventId;
use bytes::Bytes;
use http_body_util::LengthLimitError;
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::problem::Problem;
use crate::{
    app::App,
    clock::Clock,
    effects::{Alert, Effects, EventOutcome, NewStripeEvent},
    error::chain,
    gateways::stripe::{
        EventError, StripeEvent,
        webhook::{self, TOLERANCE_SECONDS},
    },
    incoming, metrics,
    queue::committer::CommitError,
};

/// The largest event that is taken. Stripe's are a few kilobytes.
const BODY_LIMIT: usize = 1024 * 1024;
/// How soon Stripe may try again when the database is away.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Takes an event of Stripe. It is answered 200 only once it is stored for good, together with its job.
#[utoipa::path(
    post,
    path = "/webhooks/stripe",
    tag = "webhooks",
    params(("Stripe-Signature" = String, Header, description = "Stripe's signature over the raw body.")),
    request_body(content = String, content_type = "application/json", description = "An event, as Stripe sends it."),
    responses(
        (status = 200, description = "Stored; sent again, it changes nothing."),
        (status = 400, description = "The signature is missing, wrong or stale, or the body is not JSON."),
        (status = 413, description = "Larger than 1 MiB."),
        (status = 503, description = "It could not be stored; send it again."),
    ),
)]
pub async fn receive(State(app): State<App>, headers: HeaderMap, body: Body) -> Result<Response, Problem> {
    let answer = take(&app, &headers, body).await;
    let outcome = match &answer {
        Ok(_) => "stored",
        Err(problem) => match problem.status() {
            StatusCode::SERVICE_UNAVAILABLE => "unavailable",
            StatusCode::BAD_REQUEST if problem.is("bad-signature") => "refused",
            _ => "malformed",
        },
    };
    metrics::counter("berth_webhook_events_total", &[("outcome", outcome)]).increment(1);
    answer
}

async fn take(app: &App, headers: &HeaderMap, body: Body) -> Result<Response, Problem> {
    let payload = read(headers, body).await?;
    let signature = headers.get("stripe-signature").map(|value| value.as_bytes());
    let now = Clock::machine().as_second();
    webhook::verify(&payload, signature, &app.config.stripe.webhook_secrets, now, TOLERANCE_SECONDS).map_err(
        |error| Problem::new(StatusCode::BAD_REQUEST, "bad-signature", "The event is not taken", chain(&error)),
    )?;
    let effects = effects_of(payload, app.config.stripe.livemode)?;
    match app.committer.write(effects).await {
        Ok(()) => Ok(StatusCode::OK.into_response()),
        Err(error @ (CommitError::Unavailable(_) | CommitError::Failed(_))) => {
            tracing::error!(error = chain(&error), "an event could not be stored");
            Err(Problem::unavailable(RETRY_AFTER))
        }
        // An event relies on no row: nothing can have refused it but a fault of ours, and Stripe sends it again.
        Err(error @ (CommitError::Refused(_) | CommitError::ClaimLost)) => {
            tracing::error!(error = chain(&error), "an event was refused");
            Err(Problem::unavailable(RETRY_AFTER))
        }
    }
}

async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Problem> {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if length.is_some_and(|length| length > BODY_LIMIT) {
        return Err(Problem::payload_too_large());
    }
    to_bytes(body, BODY_LIMIT).await.map_err(|error| {
        let is_limit = std::error::Error::source(&error).is_some_and(|source| source.is::<LengthLimitError>());
        if is_limit { Problem::payload_too_large() } else { Problem::invalid_body("the body ended too early") }
    })
}

/// What an authentic event makes true.
fn effects_of(payload: Bytes, livemode: bool) -> Result<Effects, Problem> {
    match StripeEvent::parse(&payload) {
        Ok(event) => {
            note_age(event.created);
            let (effects, new) = incoming::effects_of(&event, payload, livemode);
            Ok(effects.event(new))
        }
        Err(error @ EventError::NotJson { .. }) => Err(Problem::invalid_body(chain(&error))),
        Err(error) => Ok(parked(payload, &chain(&error))),
    }
}

/// How long it took to come, in whole seconds, as Stripe counts.
fn note_age(created: Option<Timestamp>) {
    let Some(created) = created else { return };
    let age = Clock::machine().duration_since(created);
    metrics::histogram("berth_webhook_age_seconds", &[]).record(Duration::try_from(age).unwrap_or_default());
}

/// Authentic, but no event: kept under the hash of its bytes for a person to look at.
fn parked(payload: Bytes, why: &str) -> Effects {
    let id = StripeEventId(format!("unreadable_{}", hex::encode(Sha256::digest(&payload))));
    let alert = Alert { kind: "event_unreadable", subject: id.to_string(), detail: why.to_owned() };
    let kind = "unreadable".to_owned();
    Effects::new_event(NewStripeEvent { id, kind, payload, outcome: EventOutcome::Parked }).alert(alert)
}
