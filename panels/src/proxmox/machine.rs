//! A machine as its node shows it, and in which state an account with it is.

use std::collections::BTreeMap;

use super::{
    notes::{Notes, Stage},
    wire::Status,
};
use crate::RemoteState;

/// A machine's configuration, and what it does now.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) vmid: u32,
    pub(super) node: String,
    pub(super) notes: Notes,
    /// The configuration by its keys. Its changes that wait for the next start are not in it, or are, by the release.
    pub(super) config: BTreeMap<String, String>,
    status: Status,
}

impl Machine {
    pub(super) fn new(vmid: u32, node: String, config: BTreeMap<String, String>, status: Status) -> Self {
        let notes = Notes::read(config.get("description").map_or("", String::as_str));
        Self { vmid, node, notes, config, status }
    }

    /// The machine's number is the account's id at the server.
    pub(super) fn remote_id(&self) -> String {
        self.vmid.to_string()
    }

    /// By which the server tells whether somebody else has changed the configuration meanwhile.
    pub(super) fn digest(&self) -> Option<&str> {
        self.config.get("digest").map(String::as_str)
    }

    /// It has power, whether or not it is paused.
    pub(super) fn has_power(&self) -> bool {
        self.status.status == "running"
    }

    pub(super) fn is_paused(&self) -> bool {
        self.has_power() && self.status.qmpstatus == "paused"
    }

    pub(super) fn runs(&self) -> bool {
        self.has_power() && !self.is_paused()
    }

    /// What somebody is doing with it, such as `backup`.
    fn lock(&self) -> Option<&str> {
        self.status.lock.as_deref().or_else(|| self.config.get("lock").map(String::as_str))
    }

    /// It is being made, or was when whoever made it was killed.
    pub(super) fn is_being_made(&self) -> bool {
        matches!(self.lock(), Some("clone" | "create"))
    }

    fn starts_with_the_server(&self) -> bool {
        self.config.get("onboot").is_some_and(|value| value == "1")
    }

    pub(super) fn is_ready(&self) -> bool {
        self.notes.stage() == Stage::Ready
    }

    /// A machine that runs is active, whatever was recorded: somebody has started it. One that is off is active as well, if its
    /// owner has turned it off: it still starts with the server. What staff suspend for good does not.
    pub(super) fn state(&self) -> RemoteState {
        if self.runs() {
            return RemoteState::Active;
        }
        if let Some(reason) = self.notes.suspended() {
            return RemoteState::Suspended { reason: Some(reason.to_owned()), ours: true };
        }
        if self.notes.is_restarting() && !self.has_power() {
            return RemoteState::Suspended { reason: Some("restarting".to_owned()), ours: true };
        }
        let theirs = if self.is_paused() {
            "paused"
        } else if self.lock() == Some("suspended") {
            "hibernated"
        } else if self.starts_with_the_server() {
            return RemoteState::Active;
        } else {
            "stopped"
        };
        RemoteState::Suspended { reason: Some(theirs.to_owned()), ours: false }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn machine(status: &str, qmpstatus: &str, lock: Option<&str>, onboot: &str, notes: &str) -> Machine {
        let config =
            [("onboot", onboot), ("description", notes)].map(|(key, value)| (key.to_owned(), value.to_owned()));
        let status = json!({ "status": status, "qmpstatus": qmpstatus, "lock": lock });
        Machine::new(100, "pve1".to_owned(), config.into(), serde_json::from_value(status).unwrap())
    }

    #[test]
    fn who_has_suspended_a_machine_shows_in_how_it_was_left() {
        let (ours, theirs) = (Some(true), Some(false));
        for (machine, expected) in [
            (machine("running", "running", None, "1", ""), None),
            (machine("running", "running", None, "0", "berth.suspended=abuse"), None),
            (machine("stopped", "stopped", None, "0", "berth.suspended=abuse"), ours),
            (machine("running", "paused", None, "0", "berth.suspended=abuse"), ours),
            (machine("stopped", "stopped", None, "1", "berth.restarting=true"), ours),
            (machine("stopped", "stopped", None, "1", ""), None),
            (machine("stopped", "stopped", None, "0", ""), theirs),
            (machine("stopped", "stopped", Some("suspended"), "1", ""), theirs),
            (machine("running", "paused", None, "1", ""), theirs),
        ] {
            let is_ours = match machine.state() {
                RemoteState::Active => None,
                RemoteState::Suspended { ours, .. } => Some(ours),
            };

            assert_eq!(is_ours, expected, "{machine:?}");
        }
    }
}
