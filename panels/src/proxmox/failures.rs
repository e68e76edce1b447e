//! What a refusal of the server's means for whoever asked.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::{Cause, PanelError, http::Effect};

/// The connection from the node that was asked to the one that should do it failed: the request was not passed on.
const NO_ROUTE: u16 = 595;

/// An error that the server has put into words: of a request, or of a task at its end.
#[derive(Debug)]
pub(super) struct Refusal {
    /// As of HTTP, and a few of Proxmox VE's own from 595 on.
    status: u16,
    message: String,
}

/// Somebody else is at work on the machine, or the cluster or the node is in trouble; nothing was done.
const BUSY: [&str; 13] = [
    "is locked (",
    "can't lock file",
    "no quorum",
    "got timeout",
    "timed out",
    "checksum mismatch (file change",
    "detected modified configuration",
    "is running - destroy failed",
    " not running",
    "already running",
    "is paused - cannot shutdown",
    "no route to host",
    "connection refused",
];
/// A storage is full.
const FULL: [&str; 6] = [
    "no space left",
    "not enough free space",
    "not enough space",
    "insufficient free space",
    "out of space",
    "quota exceeded",
];
/// What the configuration names and the server does not have.
const MISSING: [&str; 13] = [
    "storage '",
    "disk '",
    "no storage id",
    "no such storage",
    "pool '",
    "no such cluster node",
    "hostname lookup",
    "unable to find configuration file",
    "configuration file '",
    "does not support vm images",
    "linked clone feature is not supported",
    "not allowed for linked clones",
    "couldn't connect to cluster",
];
/// The request itself is at fault, although the server calls it an error of its own.
const REFUSED: [&str; 7] = [
    "protection mode enabled",
    "shrinking disks is not supported",
    "only root can",
    "balloon value too large",
    "you can't",
    "invalid bootorder",
    "still in use",
];

impl Refusal {
    /// What a request was answered with. What the caller has told the server in confidence is taken out of it.
    pub(super) fn new(status: u16, message: &str, errors: &BTreeMap<String, Value>, secrets: &[&SecretString]) -> Self {
        let mut message = message.trim().to_owned();
        for (parameter, error) in errors {
            let error = error.as_str().map_or_else(|| error.to_string(), |text| text.trim().to_owned());
            message.push_str(&format!(" {parameter}: {error}"));
        }
        for secret in secrets {
            message = message.replace(secret.expose_secret(), "[redacted]");
        }
        Self { status, message }
    }

    /// What a task says at its end.
    pub(super) fn of_task(exit_status: &str) -> Self {
        Self { status: 500, message: exit_status.trim().to_owned() }
    }

    fn says(&self, words: &[&str]) -> bool {
        let text = self.message.to_lowercase();
        words.iter().any(|word| text.contains(word))
    }

    pub(super) fn message(&self) -> &str {
        &self.message
    }

    /// A machine's number is taken.
    pub(super) fn is_taken(&self) -> bool {
        self.says(&["config file already exists", "already exists on node"])
    }

    /// There is no such machine on this node. The server says so with 500.
    pub(super) fn is_absent(&self) -> bool {
        let text = self.message.to_lowercase();
        let is_of_file = text.contains("configuration file '") && text.contains("does not exist");
        is_of_file || text.contains("unable to find configuration file")
    }

    /// There is no such task.
    pub(super) fn is_no_task(&self) -> bool {
        self.says(&["no such task", "unable to parse worker upid"])
    }

    /// Somebody else is at work on the machine.
    pub(super) fn is_lock(&self) -> bool {
        self.says(&["is locked (", "can't lock file"])
    }

    /// No guest agent answers in the machine.
    pub(super) fn is_no_agent(&self) -> bool {
        self.says(&["guest agent is not running", "no qemu guest agent configured", "qmp command 'guest-"])
    }

    /// The class of a refusal, after which nothing of this request holds, or of which that is not sure.
    pub(super) fn error(self, effect: Effect, what: &str) -> PanelError {
        let cause = Cause::new(format!("{what}: the server said {:?}", self.message));
        match self.status {
            401 | 403 => return PanelError::Misconfigured(cause),
            NO_ROUTE => return PanelError::Transient(cause),
            400..=499 if !self.says(&FULL) && !self.says(&BUSY) && !self.says(&MISSING) => {
                return PanelError::Permanent(cause);
            }
            501 => return PanelError::Permanent(cause),
            _ => {}
        }
        // In this order: a full storage is named in words that name a missing one too.
        if self.says(&FULL) {
            return PanelError::Capacity(cause);
        }
        if self.says(&BUSY) {
            return PanelError::Transient(cause);
        }
        if self.says(&REFUSED) {
            return PanelError::Permanent(cause);
        }
        if self.says(&MISSING) {
            return PanelError::Misconfigured(cause);
        }
        effect.unanswered(cause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_classed_by_what_can_be_done_about_it() {
        for (status, text, class) in [
            (500, "VM is locked (backup)", "Transient"),
            (500, "can't lock file '/var/lock/qemu-server/lock-100.conf' - got timeout", "Transient"),
            (500, "cluster not ready - no quorum?", "Transient"),
            (500, "VM 100 is running - destroy failed", "Transient"),
            (500, "VM quit/powerdown failed - got timeout", "Transient"),
            (500, "checksum mismatch (file change by other user?)", "Transient"),
            (595, "No route to host", "Transient"),
            (595, "", "Transient"),
            (500, "clone failed: unable to write to storage 'local-lvm': No space left on device", "Capacity"),
            (500, "storage 'none' does not exist", "Misconfigured"),
            (
                400,
                "Parameter verification failed. storage: storage 'local' does not support vm images",
                "Misconfigured",
            ),
            (500, "unable to find configuration file for VM 9000 on node 'pve1'", "Misconfigured"),
            (500, "hostname lookup 'pve9' failed - failed to get address info for: pve9", "Misconfigured"),
            (401, "authentication failure", "Misconfigured"),
            (403, "Permission check failed (/vms/100, VM.Clone)", "Misconfigured"),
            (400, "Parameter verification failed. cores: value must have a minimum value of 1", "Permanent"),
            (500, "can't remove VM 100 - protection mode enabled", "Permanent"),
            (500, "disk 'scsi0' does not exist", "Misconfigured"),
            (501, "Method 'POST /x' not implemented", "Permanent"),
            (500, "start failed: QEMU exited with code 1", "Ambiguous"),
            (596, "", "Ambiguous"),
        ] {
            let refusal = Refusal::new(status, text, &BTreeMap::new(), &[]);

            let error = refusal.error(Effect::Mutation, "it failed");

            assert!(format!("{error:?}").starts_with(class), "{text}: {error:?}");
        }
    }

    #[test]
    fn what_was_told_in_confidence_is_not_repeated() {
        let secret = SecretString::from("Xk2mPq9wRt4vLs8z");
        let errors = BTreeMap::from([("cipassword".to_owned(), "Xk2mPq9wRt4vLs8z is too short".into())]);

        let refusal = Refusal::new(400, "no 'Xk2mPq9wRt4vLs8z'\n", &errors, &[&secret]);

        assert_eq!(refusal.message(), "no '[redacted]' cipassword: [redacted] is too short");
    }
}
