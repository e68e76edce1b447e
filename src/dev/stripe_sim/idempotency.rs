//! Idempotency keys: the first answer to a key is the answer, for a day.

use std::collections::{HashMap, VecDeque};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::error::StripeError;

const KEYS: usize = 200_000;
const KEY_LETTERS: usize = 255;
const KEPT_SECONDS: i64 = 24 * 60 * 60;

/// A finished answer, as a key remembers it.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Value,
    pub(super) request_id: String,
    pub(super) replayed: bool,
}

#[derive(Debug)]
struct Entry {
    path: String,
    fingerprint: String,
    at: i64,
    /// `None` while the first request is in flight.
    answer: Option<Answer>,
}

/// What a key says to a request that carries it.
pub(super) enum Claim {
    /// First seen: execute, then `finish`.
    Execute,
    Replay(Answer),
}

#[derive(Debug)]
pub(super) struct Keys {
    entries: HashMap<String, Entry>,
    order: VecDeque<String>,
    pub(super) kept_seconds: i64,
}

impl Default for Keys {
    fn default() -> Self {
        Self { entries: HashMap::new(), order: VecDeque::new(), kept_seconds: KEPT_SECONDS }
    }
}

impl Keys {
    /// Takes a key for one request, or says what became of the request that took it before.
    pub(super) fn claim(&mut self, key: &str, path: &str, fingerprint: &str, now: i64) -> Result<Claim, StripeError> {
        if key.len() > KEY_LETTERS {
            return Err(StripeError::refused(format!(
                "Idempotency key is too long (at most {KEY_LETTERS} characters)."
            ))
            .not_kept());
        }
        let stale =
            self.entries.get(key).is_some_and(|entry| entry.answer.is_some() && now - entry.at >= self.kept_seconds);
        if stale {
            self.forget(key);
        }
        let Some(entry) = self.entries.get(key) else {
            self.insert(key, Entry { path: path.into(), fingerprint: fingerprint.into(), at: now, answer: None });
            return Ok(Claim::Execute);
        };
        let other = |what: String| {
            let message =
                format!("{what} Try using a key other than '{key}' if you meant to execute a different request.");
            Err(StripeError::new(400, "idempotency_error", message).not_kept())
        };
        if entry.path != path {
            return other(format!(
                "Keys for idempotent requests can only be used for the same endpoint they were first used for ('{path}' vs '{}').",
                entry.path
            ));
        }
        if entry.fingerprint != fingerprint {
            return other(
                "Keys for idempotent requests can only be used with the same parameters they were first used with."
                    .into(),
            );
        }
        match &entry.answer {
            Some(answer) => Ok(Claim::Replay(Answer { replayed: true, ..answer.clone() })),
            None => {
                let message = "There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, and the other request is still going through). Please try again later.";
                Err(StripeError::new(409, "invalid_request_error", message).code("idempotency_key_in_use").not_kept())
            }
        }
    }

    /// Stores the answer of a claimed key.
    pub(super) fn finish(&mut self, key: &str, answer: &Answer) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.answer = Some(answer.clone());
        }
    }

    /// Frees a key whose request was refused before it was executed.
    pub(super) fn forget(&mut self, key: &str) {
        if self.entries.remove(key).is_some() {
            self.order.retain(|known| known != key);
        }
    }

    fn insert(&mut self, key: &str, entry: Entry) {
        if self.order.len() >= KEYS
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
        }
        self.order.push_back(key.to_owned());
        self.entries.insert(key.to_owned(), entry);
    }
}

/// What makes two requests the same: their parameters in any order.
pub(super) fn fingerprint(sources: &[&[u8]]) -> String {
    let mut pairs: Vec<(String, String)> = sources
        .iter()
        .flat_map(|source| url::form_urlencoded::parse(source))
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    pairs.sort_unstable();
    let mut hash = Sha256::new();
    for (key, value) in pairs {
        for part in [key, value] {
            hash.update(part.len().to_be_bytes());
            hash.update(part);
        }
    }
    hex::encode(hash.finalize())
}
