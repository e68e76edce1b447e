//! The idempotency key that every POST to Stripe has to carry.

use std::fmt;

use reqwest::header::HeaderValue;
use uuid::Uuid;

/// Stripe's limit.
const MAX_LENGTH: usize = 255;

/// Names one intended effect. Stripe answers a repeated key with the first answer for at least 24 h, so a key must be stored
/// with the row that caused it and never be made anew for the same intent.
#[derive(Clone, PartialEq, Eq)]
pub struct IdempotencyKey(HeaderValue);

/// A key is 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key is 1 to 255 visible ASCII characters")]
pub struct InvalidIdempotencyKey;

impl IdempotencyKey {
    /// # Errors
    /// When the text is empty, too long, or holds anything but visible ASCII.
    pub fn new(text: &str) -> Result<Self, InvalidIdempotencyKey> {
        if text.is_empty() || text.len() > MAX_LENGTH || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(InvalidIdempotencyKey);
        }
        HeaderValue::from_str(text).map(Self).map_err(|_| InvalidIdempotencyKey)
    }

    /// The key of the row `id`, for one purpose such as `pi` or `refund`: `berth:pi:0190…`.
    ///
    /// # Errors
    /// When `purpose` is not visible ASCII.
    pub fn of_row(purpose: &str, id: Uuid) -> Result<Self, InvalidIdempotencyKey> {
        Self::new(&format!("berth:{purpose}:{id}"))
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "IdempotencyKey({})", self.0.to_str().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_stripe_would_not_take_cannot_be_made() {
        for text in ["", "two words", "line\nbreak", "clé", &"k".repeat(256)] {
            assert_eq!(IdempotencyKey::new(text), Err(InvalidIdempotencyKey), "{text}");
        }
        assert!(IdempotencyKey::new(&"k".repeat(255)).is_ok());
    }

    #[test]
    fn the_key_of_a_row_is_the_same_each_time() {
        let id = Uuid::from_u128(7);

        let key = IdempotencyKey::of_row("pi", id).unwrap();

        assert_eq!(key, IdempotencyKey::of_row("pi", id).unwrap());
        assert_eq!(key.header(), "berth:pi:00000000-0000-0000-0000-000000000007");
    }
}
