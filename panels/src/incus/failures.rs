//! What a refusal of the daemon's means for whoever asked.

use crate::{Cause, PanelError, http::Effect};

/// An error that the daemon has put into words: of a request, or of an operation at its end.
#[derive(Debug)]
pub(super) struct Refusal {
    /// As of HTTP.
    pub(super) status: u16,
    pub(super) error: String,
}

impl Refusal {
    /// What an operation says at its end. Its own status is 400 whatever went wrong.
    pub(super) fn of_operation(error: String) -> Self {
        Self { status: 500, error }
    }
}

/// What the daemon says when a disk is full, in the words of the file systems beneath it.
const FULL: [&str; 4] = ["no space left", "disk quota exceeded", "not enough space", "insufficient free space"];
/// Somebody else is at work on the instance, or has just ended or removed it, or the daemon is starting or stopping.
const BUSY: [&str; 8] = [
    "instance not found",
    "is busy running",
    "matching non-reusable operation",
    "instance is not running",
    "daemon is starting up",
    "daemon is shutting down",
    "database is locked",
    "already in progress",
];
/// What the configuration names and the server does not have.
const MISSING: [&str; 5] =
    ["failed getting image", "image not provided", "doesn't exist", "storage pool not found", "alias not found"];
/// The request itself is at fault, although the daemon calls it an error of its own.
const REFUSED: [&str; 4] = ["is protected", "invalid ", "exceeds maximum", "command not found"];

impl Refusal {
    /// The class of a refusal, after which nothing of this request holds, or of which that is not sure.
    pub(super) fn error(self, effect: Effect, what: &str) -> PanelError {
        let text = self.error.to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
        let cause = Cause::new(format!("{what}: the server said {:?}", self.error));
        if says(&FULL) {
            return PanelError::Capacity(cause);
        }
        if says(&BUSY) {
            return PanelError::Transient(cause);
        }
        if says(&MISSING) {
            return PanelError::Misconfigured(cause);
        }
        if says(&REFUSED) {
            return PanelError::Permanent(cause);
        }
        match self.status {
            401 | 403 => PanelError::Misconfigured(cause),
            409 | 412 | 423 | 429 | 503 => PanelError::Transient(cause),
            500.. => effect.unanswered(cause),
            _ => PanelError::Permanent(cause),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_classed_by_what_can_be_done_about_it() {
        for (status, text, class) in [
            (500, "Failed to run: btrfs qgroup limit: Disk quota exceeded", "Capacity"),
            (500, "write /var/lib/x: no space left on device", "Capacity"),
            (400, "Instance is busy running a \"create\" operation", "Transient"),
            (503, "Incus daemon is shutting down", "Transient"),
            (404, "Failed to fetch instance \"x\" in project \"default\": Instance not found", "Transient"),
            (500, "Requested profile \"nope\" doesn't exist", "Misconfigured"),
            (404, "Failed getting image: Image alias not found", "Misconfigured"),
            (403, "not authorized", "Misconfigured"),
            (400, "Invalid instance name", "Permanent"),
            (500, "Instance is protected from being deleted", "Permanent"),
            (500, "Failed to run: forkstart: exit status 1", "Ambiguous"),
        ] {
            let error = Refusal { status, error: text.to_owned() }.error(Effect::Mutation, "it failed");

            assert!(format!("{error:?}").starts_with(class), "{text}: {error:?}");
        }
    }
}
