//! The issuer's published keys (JWKS), fetched when they are needed and seldom.

use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
    time::Duration,
};

use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};
use url::Url;

use super::{
    Refusal,
    fetch::{self, FetchError},
};

/// Unknown key ids cause one fetch in this time, however many tokens name them.
const AFTER_SUCCESS: Duration = Duration::from_secs(300);
/// How long a failed fetch is not repeated: short, because new keys cannot be learnt meanwhile.
const AFTER_FAILURE: Duration = Duration::from_secs(15);
/// Keys older than this are fetched again, so that a withdrawn key stops working.
const MAX_AGE: Duration = Duration::from_secs(3_600);
const MAX_KEYS: usize = 64;
/// 2048 bits: shorter RSA keys are within reach.
const MIN_RSA_MODULUS_BYTES: usize = 256;

/// How often the keys may be asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) after_success: Duration,
    pub(super) after_failure: Duration,
    pub(super) max_age: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { after_success: AFTER_SUCCESS, after_failure: AFTER_FAILURE, max_age: MAX_AGE }
    }
}

#[derive(Debug)]
pub(super) struct Jwks {
    url: Url,
    http: reqwest::Client,
    pace: Pace,
    known: RwLock<Known>,
    /// Held during a fetch: the others wait for its outcome. Guards when the next may be.
    next_fetch: Mutex<Option<Instant>>,
}

#[derive(Debug, Default)]
struct Known {
    keys: HashMap<String, (DecodingKey, Algorithm)>,
    fetched_at: Option<Instant>,
}

/// The keys stay unparsed at first: one of a kind unknown to us must not spoil the others.
#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

impl Jwks {
    pub(super) fn new(url: Url, http: reqwest::Client, pace: Pace) -> Self {
        Self { url, http, pace, known: RwLock::default(), next_fetch: Mutex::default() }
    }

    /// The key of this id and the one algorithm it is for.
    pub(super) async fn key(&self, kid: &str) -> Result<(DecodingKey, Algorithm), Refusal> {
        let (key, fresh) = self.look_up(kid);
        match key {
            Some(key) if fresh => return Ok(key),
            // Old: whoever comes first refreshes, all others go on with what they have.
            Some(key) => {
                let Ok(mut next_fetch) = self.next_fetch.try_lock() else {
                    return Ok(key);
                };
                self.refresh(&mut next_fetch).await;
            }
            None => {
                let mut next_fetch = self.next_fetch.lock().await;
                if self.look_up(kid).0.is_none() {
                    self.refresh(&mut next_fetch).await;
                }
            }
        }
        match self.look_up(kid).0 {
            Some(key) => Ok(key),
            None if self.known().fetched_at.is_none() => {
                Err(Refusal::NoKeysYet { retry_after: self.pace.after_failure })
            }
            None => Err(Refusal::Token("its key is not published")),
        }
    }

    fn look_up(&self, kid: &str) -> (Option<(DecodingKey, Algorithm)>, bool) {
        let known = self.known();
        let fresh = known.fetched_at.is_some_and(|at| at.elapsed() < self.pace.max_age);
        (known.keys.get(kid).cloned(), fresh)
    }

    fn known(&self) -> std::sync::RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Fetches, unless it is too early. After a failure the keys stay as they were.
    async fn refresh(&self, next_fetch: &mut Option<Instant>) {
        if next_fetch.is_some_and(|at| Instant::now() < at) {
            return;
        }
        // Set before the fetch: a client that hangs up cancels it here and must not cause another at once.
        *next_fetch = Some(Instant::now() + self.pace.after_failure);
        match self.fetch().await {
            Ok(keys) => {
                *next_fetch = Some(Instant::now() + self.pace.after_success);
                tracing::debug!(keys = keys.len(), "fetched the issuer's keys");
                let known = Known { keys, fetched_at: Some(Instant::now()) };
                *self.known.write().unwrap_or_else(PoisonError::into_inner) = known;
            }
            Err(error) => {
                tracing::warn!(error = ?error, host = self.url.host_str(), "the issuer's keys could not be fetched: those known stay in use");
            }
        }
    }

    /// The keys as they are published now.
    pub(super) async fn fetch(&self) -> Result<HashMap<String, (DecodingKey, Algorithm)>, FetchError> {
        let document: Document = serde_json::from_slice(&fetch::document(&self.http, &self.url).await?)?;
        let keys: HashMap<_, _> = document.keys.into_iter().take(MAX_KEYS).filter_map(usable).collect();
        if keys.is_empty() { Err(FetchError::Unusable("has no key that can be used")) } else { Ok(keys) }
    }
}

/// A public key that signs, with its id. Symmetric keys are never taken from a published document.
fn usable(key: serde_json::Value) -> Option<(String, (DecodingKey, Algorithm))> {
    let jwk: Jwk = serde_json::from_value(key).ok()?;
    let algorithm = if matches!(jwk.algorithm, AlgorithmParameters::RSA(_)) {
        Algorithm::RS256
    } else if matches!(&jwk.algorithm, AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256)
    {
        Algorithm::ES256
    } else {
        return None;
    };
    let for_this = jwk.common.key_algorithm.is_none_or(|named| named == KeyAlgorithm::from(algorithm));
    let for_signing = jwk.common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature);
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    let strong = match key.kind() {
        jsonwebtoken::DecodingKeyKind::RsaModulusExponent { n, .. } => n.len() >= MIN_RSA_MODULUS_BYTES,
        jsonwebtoken::DecodingKeyKind::SecretOrDer(_) => true,
    };
    (for_this && for_signing && strong).then_some(())?;
    Some((jwk.common.key_id?, (key, algorithm)))
}
