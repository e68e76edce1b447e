//! How a panel's calls fail, named by what the caller can do about it.

use std::{fmt, time::Duration};

type Source = Box<dyn std::error::Error + Send + Sync>;

/// A failure, named by what the caller can do about it. The chain joins at [`std::error::Error::source`].
#[derive(Debug)]
pub enum PanelError {
    /// Nothing was sent or applied (connection refused, server busy, a lock held): try again later.
    Transient(Cause),
    /// It may have been applied (a time-out or reset after sending, a 5xx, an answer that is cut off): observe, then decide.
    Ambiguous(Cause),
    /// Another account holds the username: take a new one, provided that no create under the old one was ambiguous.
    NameTaken(Cause),
    /// The panel will refuse the same request again (bad domain, unknown package, licence limit, unsupported): tell staff.
    Permanent(Cause),
    /// Our credentials or the server's set-up are wrong (401, TLS, a login page): open the breaker, park its jobs.
    Misconfigured(Cause),
    /// The server is full (disk, addresses): place elsewhere, if nothing was created yet.
    Capacity(Cause),
    /// Nothing was applied: wait at least this long; does not count as an attempt.
    RateLimited { retry_after: Duration, cause: Cause },
}

impl PanelError {
    /// A [`PanelError::Transient`] with one layer's message.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::Transient(Cause::new(message))
    }

    /// A [`PanelError::Ambiguous`] with one layer's message.
    pub fn ambiguous(message: impl Into<String>) -> Self {
        Self::Ambiguous(Cause::new(message))
    }

    /// A [`PanelError::NameTaken`] with one layer's message.
    pub fn name_taken(message: impl Into<String>) -> Self {
        Self::NameTaken(Cause::new(message))
    }

    /// A [`PanelError::Permanent`] with one layer's message.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::Permanent(Cause::new(message))
    }

    /// A [`PanelError::Misconfigured`] with one layer's message.
    pub fn misconfigured(message: impl Into<String>) -> Self {
        Self::Misconfigured(Cause::new(message))
    }

    /// A [`PanelError::Capacity`] with one layer's message.
    pub fn capacity(message: impl Into<String>) -> Self {
        Self::Capacity(Cause::new(message))
    }

    /// The message and what lies beneath it, whatever the class.
    #[must_use]
    pub fn cause(&self) -> &Cause {
        match self {
            Self::Transient(cause)
            | Self::Ambiguous(cause)
            | Self::NameTaken(cause)
            | Self::Permanent(cause)
            | Self::Misconfigured(cause)
            | Self::Capacity(cause)
            | Self::RateLimited { cause, .. } => cause,
        }
    }
}

impl fmt::Display for PanelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.cause(), f)
    }
}

impl std::error::Error for PanelError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(self.cause())
    }
}

/// One layer's message, and the failure beneath it where there is one.
#[derive(Debug)]
pub struct Cause {
    message: String,
    source: Option<Source>,
}

impl Cause {
    /// A cause with nothing beneath it. Lower case, no full stop, no secrets.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }

    /// The same message, with the failure that led to it.
    #[must_use]
    pub fn because(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_one_layer_and_keeps_the_next() {
        let beneath = std::io::Error::other("the disk said so");

        let error = PanelError::Ambiguous(Cause::new("the record could not be replaced").because(beneath));

        assert_eq!(error.to_string(), "the record could not be replaced");
        assert_eq!(std::error::Error::source(&error).map(ToString::to_string).as_deref(), Some("the disk said so"));
    }
}
