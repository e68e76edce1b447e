//! Checks that a webhook body comes from Stripe, before anything in it is read.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use subtle::{Choice, ConstantTimeEq};

/// How old a signature may be. Stripe signs each retry anew, so an older one is a replay.
pub const TOLERANCE_SECONDS: u64 = 300;

/// Stripe's own headers have some 150 bytes.
const MAX_HEADER_BYTES: usize = 4096;

/// One per active secret; there are two while a secret is being rolled.
const MAX_SIGNATURES: usize = 8;

/// Enough until the year 33658, and far below an overflow.
const MAX_TIMESTAMP_DIGITS: usize = 12;

const SIGNATURE_BYTES: usize = 32;

/// Why a body is not to be believed. The endpoint answers 400 to all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No header.
    #[error("no Stripe-Signature header")]
    Missing,
    /// Not `t=…,v1=…` with exactly one time and one to eight signatures.
    #[error("malformed Stripe-Signature header")]
    Malformed,
    /// None of the signatures was made with one of our secrets.
    #[error("no signature matches")]
    NoMatch,
    /// Genuine but old: a replay, or our clock is fast.
    #[error("signed {age_seconds} s ago")]
    TooOld {
        /// How long ago it was signed.
        age_seconds: u64,
    },
    /// Genuine but from the future: our clock is slow, which deserves an alarm.
    #[error("signed {ahead_seconds} s in the future")]
    FromFuture {
        /// How far ahead its time is.
        ahead_seconds: u64,
    },
}

struct Header<'a> {
    /// The digits as sent: they are part of what was signed.
    timestamp: &'a [u8],
    signatures: [[u8; SIGNATURE_BYTES]; MAX_SIGNATURES],
    count: usize,
}

/// Verifies the raw bytes of a body against the `Stripe-Signature` header, at `now_seconds` since 1970. Any signature made with
/// any of the secrets will do; the time is looked at only when one is genuine.
///
/// # Errors
/// See [`SignatureError`].
pub fn verify(
    payload: &[u8],
    header: Option<&[u8]>,
    secrets: &[SecretString],
    now_seconds: i64,
    tolerance_seconds: u64,
) -> Result<(), SignatureError> {
    let header = header.filter(|header| !header.is_empty()).ok_or(SignatureError::Missing)?;
    let header = parse(header).ok_or(SignatureError::Malformed)?;
    if !bool::from(any_matches(payload, &header, secrets)) {
        return Err(SignatureError::NoMatch);
    }
    let signed_at = seconds(header.timestamp).ok_or(SignatureError::Malformed)?;
    let distance = now_seconds.abs_diff(signed_at);
    match (distance > tolerance_seconds, signed_at > now_seconds) {
        (false, _) => Ok(()),
        (true, false) => Err(SignatureError::TooOld { age_seconds: distance }),
        (true, true) => Err(SignatureError::FromFuture { ahead_seconds: distance }),
    }
}

/// All secrets against all signatures, without stopping at the first match, so that the time taken tells nothing.
fn any_matches(payload: &[u8], header: &Header<'_>, secrets: &[SecretString]) -> Choice {
    let mut found = Choice::from(0);
    // Anyone can sign with an empty secret.
    for secret in secrets.iter().map(|secret| secret.expose_secret().as_bytes()).filter(|secret| !secret.is_empty()) {
        // HMAC takes keys of every length, so this never skips one.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else {
            continue;
        };
        mac.update(header.timestamp);
        mac.update(b".");
        mac.update(payload);
        let expected = mac.finalize().into_bytes();
        for signature in header.signatures.iter().take(header.count) {
            found |= expected.as_slice().ct_eq(signature);
        }
    }
    found
}

/// Unknown schemes (`v0` among them: accepting it would be a downgrade) and parts without `=` are passed over.
fn parse(header: &[u8]) -> Option<Header<'_>> {
    if header.len() > MAX_HEADER_BYTES {
        return None;
    }
    let mut timestamp = None;
    let mut parsed = Header { timestamp: b"", signatures: [[0; SIGNATURE_BYTES]; MAX_SIGNATURES], count: 0 };
    for part in header.split(|byte| *byte == b',') {
        if let Some(digits) = part.strip_prefix(b"t=") {
            if timestamp.replace(digits).is_some() {
                return None;
            }
        } else if let Some(signature) = part.strip_prefix(b"v1=") {
            let slot = parsed.signatures.get_mut(parsed.count)?;
            if hex::decode_to_slice(signature, slot).is_ok() {
                parsed.count += 1;
            }
        }
    }
    parsed.timestamp = timestamp.filter(|digits| seconds(digits).is_some())?;
    (parsed.count > 0).then_some(parsed)
}

/// One to twelve ASCII digits: no sign, no spaces.
fn seconds(digits: &[u8]) -> Option<i64> {
    let fits = !digits.is_empty() && digits.len() <= MAX_TIMESTAMP_DIGITS;
    let digits =
        std::str::from_utf8(digits).ok().filter(|digits| fits && digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok()
}

/// Signs a body as Stripe does, for the simulator and for tests.
#[must_use]
pub fn sign(payload: &[u8], secret: &SecretString, now_seconds: i64) -> String {
    let timestamp = now_seconds.to_string();
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.expose_secret().as_bytes()) else {
        return String::new();
    };
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(payload);
    format!("t={timestamp},v1={}", hex::encode(mac.finalize().into_bytes()))
}
