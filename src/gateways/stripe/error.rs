//! How a call to Stripe can end badly, named by what the caller can do about it.

use std::time::Duration;

use crate::domain::decline::DeclineClass;

/// Neither `Display` nor `Debug` holds a secret, a client secret, or the body of an answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GatewayError {
    /// The issuer said no (HTTP 402): dunning decides what comes next.
    #[error("card declined ({class:?}): {}", decline_code.as_deref().or(code.as_deref()).unwrap_or("no code"))]
    Declined {
        /// What can be done about it.
        class: DeclineClass,
        /// Stripe's code, mostly `card_declined`.
        code: Option<String>,
        /// The issuer's reason.
        decline_code: Option<String>,
        /// The card scheme's advice.
        advice_code: Option<String>,
        /// The intent that was declined, which may be confirmed again.
        payment_intent: Option<String>,
    },

    /// Stripe wants fewer requests; nothing was executed.
    #[error("stripe limits the rate of requests")]
    RateLimited {
        /// How long Stripe asked to wait, when it said so.
        retry_after: Option<Duration>,
    },

    /// Nothing was executed, or only something was read: the same call with the same key may be made again.
    #[error("stripe could not be asked: {reason}")]
    Transient {
        /// One line for the log.
        reason: String,
    },

    /// Asking again would be refused again (3xx, 400, 401, 403, 404 …).
    ///
    /// An argument that Berth itself finds wrong is refused as status 400 with [`BAD_ARGUMENT`] as code, before anything is sent.
    #[error(
        "stripe refused the request ({status} {}): {}",
        code.as_deref().unwrap_or("no code"),
        message.as_deref().unwrap_or("no message")
    )]
    Refused {
        /// The HTTP status.
        status: u16,
        /// Stripe's code, such as `resource_missing`; where there is none, its type. `idempotency_error` says that the key was
        /// used before with other parameters, and that earlier request may well have been executed.
        code: Option<String>,
        /// The parameter that was at fault.
        param: Option<String>,
        /// Stripe's sentence, shortened, with everything that looks like a secret or an address removed.
        message: Option<String>,
        /// The id to quote to Stripe's support.
        request_id: Option<String>,
    },

    /// A POST whose outcome is not known: money may have moved. Look it up, or repeat it with the same key; never use a new one.
    #[error("the outcome of the request is unknown: {doubt}")]
    InDoubt {
        /// Why it is unknown.
        doubt: Doubt,
        /// The id to quote to Stripe's support.
        request_id: Option<String>,
    },
}

/// The code of a [`GatewayError::Refused`] that Berth issued itself.
pub const BAD_ARGUMENT: &str = "berth_bad_argument";

/// Why the outcome of a POST is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// Sent, and no answer came in time.
    #[error("no answer in time")]
    TimedOut,
    /// Sent, and the connection ended before a whole answer had come.
    #[error("the connection was lost before the answer")]
    ConnectionLost,
    /// A failure on Stripe's side (5xx), also after repeating it under the same key.
    #[error("stripe failed with status {status}")]
    ServerError {
        /// The HTTP status.
        status: u16,
    },
    /// Stripe executed it, and the answer could not be read.
    #[error("the answer could not be read: {problem}")]
    UnreadableAnswer {
        /// The place in the JSON and what was wrong there; no values.
        problem: String,
    },
    /// Another request with the same key is being executed.
    #[error("the same idempotency key is in use by another request")]
    KeyInUse,
}

impl GatewayError {
    /// The key or its rights are wrong: every call will fail, so the queue should stop and somebody be woken.
    #[must_use]
    pub fn is_misconfigured(&self) -> bool {
        matches!(self, Self::Refused { status: 401 | 403, .. })
    }

    /// An argument that must not be sent.
    pub(super) fn bad_argument(param: &str, message: &str) -> Self {
        Self::Refused {
            status: 400,
            code: Some(BAD_ARGUMENT.to_owned()),
            param: Some(param.to_owned()),
            message: Some(message.to_owned()),
            request_id: None,
        }
    }

    /// Whether this answer tells how an earlier attempt under the same key ended: Stripe looks the key up after it has checked
    /// the caller and the rate, and replays what it stored.
    pub(super) fn settles_earlier_attempts(&self) -> bool {
        match self {
            Self::Declined { .. } => true,
            Self::Refused { .. } => !self.is_misconfigured(),
            Self::RateLimited { .. } | Self::Transient { .. } | Self::InDoubt { .. } => false,
        }
    }
}
