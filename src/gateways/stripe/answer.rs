//! What an answer of Stripe's means: its status, its error object, and its word on whether to retry.

use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;

use super::error::{Doubt, GatewayError};
use crate::domain::decline::Declined;

/// Longer sentences are cut: they are for a log line.
const MAX_MESSAGE_CHARS: usize = 300;

/// Longer codes and ids are cut: what is shown must not become a body.
const MAX_WORD_CHARS: usize = 128;

/// What marks a word that nobody may read: keys, client secrets, webhook secrets, addresses.
const SECRET_MARKS: &[&str] = &["sk_", "rk_", "whsec_", "_secret_", "@", "Bearer"];

/// A whole answer.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) should_retry: Option<bool>,
    pub(super) retry_after: Option<Duration>,
    pub(super) request_id: Option<String>,
    /// By Stripe's clock, to the second.
    pub(super) date: Option<Timestamp>,
    pub(super) body: Bytes,
}

/// An attempt that brought no result, and whether the same call may be made again at once.
pub(super) struct Failure {
    pub(super) error: Box<GatewayError>,
    pub(super) again: bool,
    pub(super) retry_after: Option<Duration>,
}

impl Failure {
    pub(super) fn transient(reason: String, again: bool) -> Self {
        Self { error: Box::new(GatewayError::Transient { reason }), again, retry_after: None }
    }

    pub(super) fn doubt(doubt: Doubt, again: bool) -> Self {
        Self { error: Box::new(GatewayError::InDoubt { doubt, request_id: None }), again, retry_after: None }
    }
}

/// `{"error": {…}}`, of which a decline holds the whole intent: only these fields are ever read.
#[derive(Deserialize, Default)]
struct ErrorBody {
    #[serde(default)]
    error: ErrorObject,
}

#[derive(Deserialize, Default)]
struct ErrorObject {
    #[serde(rename = "type")]
    kind: Option<String>,
    code: Option<String>,
    decline_code: Option<String>,
    advice_code: Option<String>,
    param: Option<String>,
    message: Option<String>,
    payment_intent: Option<IntentId>,
}

#[derive(Deserialize)]
struct IntentId {
    id: Option<String>,
}

/// Tells a result from a failure.
pub(super) fn judge(answer: Answer) -> Result<Answer, Failure> {
    if (200..300).contains(&answer.status) {
        return Ok(answer);
    }
    // A proxy's HTML has no error object; the status still says enough.
    let error = serde_json::from_slice::<ErrorBody>(&answer.body).unwrap_or_default().error;
    let stops = answer.should_retry == Some(false);
    let retry_after = answer.retry_after;
    if answer.status == 402 || error.kind.as_deref() == Some("card_error") {
        return Err(Failure { error: Box::new(declined(error)), again: false, retry_after: None });
    }
    let (error, again) = match answer.status {
        429 => (GatewayError::RateLimited { retry_after }, !stops),
        409 if error.code.as_deref() == Some("lock_timeout") => (asked_to_retry(409), !stops),
        409 => (in_doubt(Doubt::KeyInUse, answer.request_id), !stops),
        // 408 and 424 come from what stands before and behind Stripe's front: as unclear as a 5xx.
        status @ (408 | 424 | 500..) => (in_doubt(Doubt::ServerError { status }, answer.request_id), !stops),
        status if answer.should_retry == Some(true) => (asked_to_retry(status), true),
        status => (refused(status, error, answer.request_id), false),
    };
    Err(Failure { error: Box::new(error), again, retry_after })
}

fn declined(error: ErrorObject) -> GatewayError {
    let (code, decline_code) = (error.code.as_deref(), error.decline_code.as_deref());
    GatewayError::Declined {
        class: Declined { code, decline_code, advice_code: error.advice_code.as_deref() }.class(),
        code: error.code.map(word),
        decline_code: error.decline_code.map(word),
        advice_code: error.advice_code.map(word),
        payment_intent: error.payment_intent.and_then(|intent| intent.id).map(word),
    }
}

fn refused(status: u16, error: ErrorObject, request_id: Option<String>) -> GatewayError {
    GatewayError::Refused {
        status,
        code: error.code.or(error.kind).map(word),
        param: error.param.map(word),
        message: error.message.as_deref().map(scrubbed),
        request_id,
    }
}

fn in_doubt(doubt: Doubt, request_id: Option<String>) -> GatewayError {
    GatewayError::InDoubt { doubt, request_id }
}

fn asked_to_retry(status: u16) -> GatewayError {
    GatewayError::Transient { reason: format!("stripe answered {status} and asks to retry") }
}

fn word(text: String) -> String {
    if is_secret(&text) {
        return REDACTED.to_owned();
    }
    if text.chars().nth(MAX_WORD_CHARS).is_none() { text } else { text.chars().take(MAX_WORD_CHARS).collect() }
}

const REDACTED: &str = "[redacted]";

/// Stripe's sentence without the words that nobody may read.
fn scrubbed(message: &str) -> String {
    let words: Vec<&str> =
        message.split_whitespace().map(|word| if is_secret(word) { REDACTED } else { word }).collect();
    words.join(" ").chars().take(MAX_MESSAGE_CHARS).collect()
}

fn is_secret(word: &str) -> bool {
    SECRET_MARKS.iter().any(|mark| word.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_loses_its_secrets_and_its_length() {
        let message =
            format!("Invalid API Key provided: sk_live_abc for pi_1_secret_x of a@b.example {}", "x".repeat(500));

        let scrubbed = scrubbed(&message);

        assert!(
            scrubbed.starts_with("Invalid API Key provided: [redacted] for [redacted] of [redacted] xxx"),
            "{scrubbed}"
        );
        assert_eq!(scrubbed.chars().count(), MAX_MESSAGE_CHARS);
    }
}
