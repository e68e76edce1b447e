//! How a request fails: a class for the caller, a sentence for staff.

use std::{
    error::Error,
    io::{self, ErrorKind},
};

use berth_host::protocol::{Class, Refusal};

/// One layer's message, and what lies beneath it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    pub(crate) class: Class,
    message: String,
    source: Option<io::Error>,
}

impl Failure {
    pub(crate) fn new(class: Class, message: impl Into<String>) -> Self {
        Self { class, message: message.into(), source: None }
    }

    pub(crate) fn transient(message: impl Into<String>) -> Self {
        Self::new(Class::Transient, message)
    }

    pub(crate) fn permanent(message: impl Into<String>) -> Self {
        Self::new(Class::Permanent, message)
    }

    pub(crate) fn misconfigured(message: impl Into<String>) -> Self {
        Self::new(Class::Misconfigured, message)
    }

    pub(crate) fn because(mut self, source: io::Error) -> Self {
        self.source = Some(source);
        self
    }

    /// The same failure, after something was changed: whoever called must look before they decide.
    pub(crate) fn after_changes(mut self) -> Self {
        self.class = match self.class {
            Class::Transient | Class::Ambiguous | Class::NameTaken | Class::Capacity => Class::Ambiguous,
            Class::Permanent => Class::Permanent,
            Class::Misconfigured => Class::Misconfigured,
        };
        self
    }

    /// The whole chain as one answer.
    pub(crate) fn refusal(&self) -> Refusal {
        let mut message = self.message.clone();
        let mut beneath = Error::source(self);
        while let Some(source) = beneath {
            message = format!("{message}: {source}");
            beneath = source.source();
        }
        Refusal { class: self.class, message }
    }
}

/// Gives a failure of files its class and its sentence.
pub(crate) trait OrFail<T> {
    fn or_fail(self, message: impl Into<String>) -> Result<T, Failure>;
}

impl<T> OrFail<T> for io::Result<T> {
    fn or_fail(self, message: impl Into<String>) -> Result<T, Failure> {
        self.map_err(|error| {
            let kind = error.kind();
            let class = if [ErrorKind::StorageFull, ErrorKind::QuotaExceeded].contains(&kind) {
                Class::Capacity
            } else if [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem, ErrorKind::NotADirectory]
                .contains(&kind)
            {
                Class::Misconfigured
            } else if [ErrorKind::InvalidData, ErrorKind::UnexpectedEof].contains(&kind) {
                Class::Permanent
            } else {
                Class::Transient
            };
            Failure::new(class, message).because(error)
        })
    }
}

impl<T> OrFail<T> for nix::Result<T> {
    fn or_fail(self, message: impl Into<String>) -> Result<T, Failure> {
        self.map_err(io::Error::from).or_fail(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_asks_for_another_server_only_before_the_first_change() {
        let full = || io::Result::<()>::Err(ErrorKind::StorageFull.into()).or_fail("no room").unwrap_err();

        assert_eq!(full().class, Class::Capacity);
        assert_eq!(full().after_changes().class, Class::Ambiguous);
    }

    #[test]
    fn a_refusal_tells_the_whole_chain() {
        let failure = Failure::transient("the record is unreadable").because(io::Error::other("the disk said so"));

        assert_eq!(failure.refusal().message, "the record is unreadable: the disk said so");
    }
}
