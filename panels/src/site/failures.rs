//! What a failure of files means for whoever asked.

use std::io::{self, ErrorKind};

use super::{Cause, PanelError};

/// Classifies a failure before anything changed.
pub(super) fn not_applied(message: &'static str) -> impl FnOnce(io::Error) -> PanelError {
    move |error| {
        let kind = error.kind();
        let cause = Cause::new(message).because(error);
        if [ErrorKind::StorageFull, ErrorKind::QuotaExceeded].contains(&kind) {
            PanelError::Capacity(cause)
        } else if [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem, ErrorKind::NotADirectory].contains(&kind)
        {
            PanelError::Misconfigured(cause)
        } else if [ErrorKind::InvalidData, ErrorKind::UnexpectedEof].contains(&kind) {
            PanelError::Permanent(cause)
        } else {
            PanelError::Transient(cause)
        }
    }
}

/// Classifies a failure after something may have changed.
pub(super) fn maybe_applied(message: &'static str) -> impl FnOnce(io::Error) -> PanelError {
    move |error| PanelError::Ambiguous(Cause::new(message).because(error))
}

/// Classifies a failure to copy a customer's files, after which nothing has changed. What the customer's own files are to
/// blame for is no fault of the server: it must not keep other accounts waiting.
pub(super) fn not_copied(message: &'static str) -> impl FnOnce(io::Error) -> PanelError {
    move |error| {
        if [ErrorKind::PermissionDenied, ErrorKind::InvalidInput].contains(&error.kind()) {
            return PanelError::Permanent(Cause::new(message).because(error));
        }
        // Files that have changed since they were seen look like this.
        if [ErrorKind::NotADirectory, ErrorKind::UnexpectedEof].contains(&error.kind()) {
            return PanelError::Transient(Cause::new(message).because(error));
        }
        not_applied(message)(error)
    }
}
