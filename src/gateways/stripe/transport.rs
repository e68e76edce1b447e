//! Sends one request to Stripe: pinned version, same-key retries within bounds, and an honest word about what is not known.

use std::fmt;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use stripe_client_core::StripeRequest;
use tokio::time::Instant;

use super::answer::{Answer, Failure, judge};
use super::error::{Doubt, GatewayError};
use super::idempotency::IdempotencyKey;
use super::json_path;
use super::watched::watched;
use crate::gateways::http_client::{self, Timeouts};

/// The shapes that `objects` and the request builders were written for.
pub const STRIPE_VERSION: &str = "2026-09-30.endive";

/// The first attempt and two more: Stripe's own libraries do the same.
const MAX_ATTEMPTS: u32 = 3;

/// The middle of the first pause; each further one doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// A worker's slot waits no longer than this; a longer `Retry-After` is the job's business.
const MAX_PAUSE: Duration = Duration::from_secs(4);

/// Connecting takes milliseconds; a host that needs longer is away.
const MAX_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A page of 100 events is about 1 MB.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// Pauses between attempts.
#[derive(Debug, Clone, Copy)]
pub(super) struct RetryPolicy {
    pub(super) attempts: u32,
    pub(super) first_pause: Duration,
    pub(super) max_pause: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: MAX_ATTEMPTS, first_pause: FIRST_PAUSE, max_pause: MAX_PAUSE }
    }
}

/// The settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StripeConfigError {
    /// It would have to fit into a header.
    #[error("the Stripe secret key is empty or holds characters that no key has")]
    SecretKey,
    /// Live keys do not travel in the clear.
    #[error("the Stripe API base must be an https URL (http only with a test key)")]
    ApiBase,
    /// TLS could not be set up.
    #[error("the HTTP client for Stripe cannot be built")]
    Client(#[source] reqwest::Error),
}

pub(super) struct Transport {
    client: reqwest::Client,
    /// Without a slash at its end.
    base: String,
    headers: HeaderMap,
    /// After this no further attempt begins.
    budget: Duration,
    retry: RetryPolicy,
}

/// A request that has been spelled out; every attempt sends the same bytes.
pub(super) struct Call {
    method: Method,
    path: String,
    body: Option<Bytes>,
    key: Option<IdempotencyKey>,
}

impl Call {
    pub(super) fn get(request: &impl StripeRequest) -> Self {
        let request = request.build();
        let path = match request.query.filter(|query| !query.is_empty()) {
            Some(query) => format!("{}?{query}", request.path),
            None => request.path,
        };
        Self { method: Method::GET, path, body: None, key: None }
    }

    pub(super) fn post(key: &IdempotencyKey, request: &impl StripeRequest) -> Self {
        let request = request.build();
        let body = in_order(&request.body.unwrap_or_default());
        Self { method: Method::POST, path: request.path, body: Some(body.into()), key: Some(key.clone()) }
    }

    /// GET, POST or DELETE.
    pub(super) fn method(&self) -> &str {
        self.method.as_str()
    }

    /// Ending something needs no key: ending it again changes nothing.
    pub(super) fn delete(path: String) -> Self {
        Self { method: Method::DELETE, path, body: None, key: None }
    }

    fn changes_something(&self) -> bool {
        self.key.is_some()
    }

    /// What is sent, for tests of the requests that are spelled out by hand.
    #[cfg(test)]
    pub(super) fn form(&self) -> &[u8] {
        self.body.as_deref().unwrap_or_default()
    }

    /// The path without its query, for the log.
    pub(super) fn resource(&self) -> &str {
        self.path.split('?').next().unwrap_or_default()
    }
}

/// The builders keep metadata in hash maps; with those fields sorted, the same request has the same bytes whenever it is made
/// again. Lines stay in their order.
fn in_order(form: &str) -> String {
    let is_metadata = |field: &&str| field.split('=').next().is_some_and(|name| name.contains("metadata"));
    let (mut metadata, mut fields): (Vec<&str>, Vec<&str>) = form.split('&').partition(is_metadata);
    metadata.sort_unstable();
    fields.append(&mut metadata);
    fields.join("&")
}

impl Transport {
    pub(super) fn new(
        secret_key: &SecretString,
        api_base: &Url,
        timeout: Duration,
        retry: RetryPolicy,
    ) -> Result<Self, StripeConfigError> {
        let secret = secret_key.expose_secret();
        if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(StripeConfigError::SecretKey);
        }
        let live = secret.contains("_live_");
        match api_base.scheme() {
            "https" => {}
            "http" if !live => {}
            _ => return Err(StripeConfigError::ApiBase),
        }
        let client = http_client::build(Timeouts { connect: timeout.min(MAX_CONNECT_TIMEOUT), total: timeout })
            .map_err(StripeConfigError::Client)?;
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {secret}")).map_err(|_| StripeConfigError::SecretKey)?;
        authorization.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, authorization);
        headers.insert(HeaderName::from_static("stripe-version"), HeaderValue::from_static(STRIPE_VERSION));
        let base = format!("{}/v1", api_base.as_str().trim_end_matches('/'));
        Ok(Self { client, base, headers, budget: timeout.saturating_mul(2), retry })
    }

    /// Makes the call and reads its answer.
    pub(super) async fn call<T: DeserializeOwned>(&self, call: Call) -> Result<T, GatewayError> {
        watched(&call, self.answer(&call)).await
    }

    async fn answer<T: DeserializeOwned>(&self, call: &Call) -> Result<T, GatewayError> {
        let answer = self.send(call).await?;
        read(&answer).map_err(|problem| {
            let doubt = GatewayError::InDoubt {
                doubt: Doubt::UnreadableAnswer { problem },
                request_id: answer.request_id.clone(),
            };
            for_call(call, doubt)
        })
    }

    /// As [`call`](Self::call), and what Stripe's clock said, to the second.
    pub(super) async fn call_with_time<T: DeserializeOwned>(
        &self,
        call: Call,
    ) -> Result<(T, Option<Timestamp>), GatewayError> {
        let answer = self.send(&call).await?;
        let unreadable =
            |problem| GatewayError::Transient { reason: format!("the answer could not be read: {problem}") };
        Ok((read(&answer).map_err(unreadable)?, answer.date))
    }

    /// Attempts until there is a 2xx, a final refusal, or no attempt left.
    async fn send(&self, call: &Call) -> Result<Answer, GatewayError> {
        let give_up_at = Instant::now() + self.budget;
        let mut doubt = None;
        let mut attempt = 1;
        loop {
            let failure = match self.attempt(call).await.and_then(judge) {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let pause = self.pause(attempt, &failure);
            let again = failure.again
                && attempt < self.retry.attempts
                && pause <= self.retry.max_pause
                && Instant::now() + pause < give_up_at;
            if !again {
                return Err(for_call(call, conclude(doubt, *failure.error)));
            }
            tracing::debug!(method = %call.method, resource = call.resource(), attempt, error = %failure.error, "stripe is asked again");
            if matches!(*failure.error, GatewayError::InDoubt { .. }) {
                doubt = Some(*failure.error);
            }
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, call: &Call) -> Result<Answer, Failure> {
        let mut request = self
            .client
            .request(call.method.clone(), format!("{}{}", self.base, call.path))
            .headers(self.headers.clone());
        if let Some(key) = &call.key {
            request = request.header(HeaderName::from_static("idempotency-key"), key.header());
        }
        if let Some(body) = &call.body {
            request = request
                .header(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"))
                .body(body.clone());
        }
        let mut response = request.send().await.map_err(failure_of)?;
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(failure_of)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(Failure::doubt(
                    Doubt::UnreadableAnswer { problem: "longer than any answer of Stripe's".to_owned() },
                    false,
                ));
            }
            body.extend_from_slice(&chunk);
        }
        let headers = response.headers();
        Ok(Answer {
            status: response.status().as_u16(),
            should_retry: header(headers, "stripe-should-retry").and_then(|word| word.parse().ok()),
            retry_after: header(headers, RETRY_AFTER.as_str())
                .and_then(|word| word.parse().ok())
                .map(Duration::from_secs),
            request_id: header(headers, "request-id").map(str::to_owned),
            date: header(headers, DATE.as_str())
                .and_then(|text| jiff::fmt::rfc2822::parse(text).ok())
                .map(|at| at.timestamp()),
            body: body.freeze(),
        })
    }

    /// Doubles from attempt to attempt, half of it by chance, and never shorter than Stripe asked for.
    fn pause(&self, attempt: u32, failure: &Failure) -> Duration {
        let doubled = self.retry.first_pause.saturating_mul(2_u32.saturating_pow(attempt.saturating_sub(1)));
        let half = doubled.min(self.retry.max_pause) / 2;
        let chance = rand::random_range(Duration::ZERO..=half);
        failure.retry_after.unwrap_or_default().max(half + chance)
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Transport").field("base", &self.base).finish_non_exhaustive()
    }
}

/// What a broken exchange means. Only a failure to connect proves that nothing was sent.
fn failure_of(error: reqwest::Error) -> Failure {
    if error.is_builder() {
        return Failure::transient("the request cannot be built".to_owned(), false);
    }
    if error.is_connect() {
        return Failure::transient(format!("no connection ({})", root_cause(&error)), true);
    }
    // A timeout has used the slot's time up; the job comes back with the same key.
    if error.is_timeout() {
        return Failure::doubt(Doubt::TimedOut, false);
    }
    Failure::doubt(Doubt::ConnectionLost, true)
}

/// The innermost error, because the outer ones repeat the URL.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

/// An attempt that may have been executed stays in doubt until an answer under its key settles it.
fn conclude(doubt: Option<GatewayError>, last: GatewayError) -> GatewayError {
    match doubt {
        Some(doubt) if !last.settles_earlier_attempts() => doubt,
        Some(_) | None => last,
    }
}

/// Reading changes nothing, so a read is never in doubt.
fn for_call(call: &Call, error: GatewayError) -> GatewayError {
    if let (GatewayError::InDoubt { doubt, .. }, false) = (&error, call.changes_something()) {
        return GatewayError::Transient { reason: doubt.to_string() };
    }
    error
}

fn read<T: DeserializeOwned>(answer: &Answer) -> Result<T, String> {
    let text = std::str::from_utf8(&answer.body).map_err(|_| "not UTF-8".to_owned())?;
    serde_json::from_str(text).map_err(|error| json_path::describe(text, &error))
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
