//! Why a configuration cannot be used: every fault at once.

use std::fmt;

/// What is wrong with the configuration, all of it at once. `Display` is one line a fault, made for an operator's eyes;
/// it never repeats a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    headline: String,
    faults: Vec<String>,
}

impl ConfigError {
    pub(super) fn new(headline: impl Into<String>, faults: Vec<String>) -> Self {
        Self { headline: headline.into(), faults }
    }

    /// The faults, a sentence each.
    #[must_use]
    pub fn faults(&self) -> &[String] {
        &self.faults
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.headline)?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}
