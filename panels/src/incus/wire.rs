//! The shapes of the API, as far as the driver reads them, and the keys that it keeps on an instance.

use std::collections::BTreeMap;

use berth_jobs::ids::AccountId;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// The proof of ownership: the account's id. A copy takes it along.
pub(super) const ACCOUNT: &str = "user.berth.account";
/// The package's name.
pub(super) const PACKAGE: &str = "user.berth.package";
/// What was bought beyond the package, as JSON: a change of the package keeps it.
pub(super) const OPTIONS: &str = "user.berth.options";
/// The process id of the daemon that was told to create the instance.
pub(super) const DAEMON: &str = "user.berth.daemon";
/// `true` once the instance has run and has its password. Until then it is half-created.
pub(super) const READY: &str = "user.berth.ready";
/// The reason of our suspension, while there is one.
pub(super) const SUSPENDED: &str = "user.berth.suspended";
/// The backup whose files the instance has been given.
pub(super) const RESTORED: &str = "user.berth.restored";
/// The backup that is being restored, and whether the instance runs again afterwards.
pub(super) const RESTORING: &str = "user.berth.restoring";
/// On a backup: its name.
pub(super) const BACKUP: &str = "user.berth.backup";
/// On a backup: what it takes, once it is whole.
pub(super) const BYTES: &str = "user.berth.bytes";
/// Of the API's own: whether the instance starts with the server. Unsaid, it does so if it ran when the server ended.
pub(super) const AUTOSTART: &str = "boot.autostart";

/// Every answer's outside.
#[derive(Deserialize)]
pub(super) struct Envelope {
    #[serde(rename = "type")]
    pub(super) kind: Kind,
    #[serde(default)]
    pub(super) error_code: u16,
    #[serde(default)]
    pub(super) error: String,
    #[serde(default)]
    pub(super) metadata: Value,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Sync,
    Async,
    Error,
}

/// Work of the daemon's. It is forgotten five seconds after its end, and when the daemon ends.
#[derive(Debug, Deserialize)]
pub(super) struct Operation {
    pub(super) id: String,
    #[serde(default)]
    pub(super) class: String,
    #[serde(default)]
    pub(super) description: String,
    pub(super) status_code: u16,
    /// Paths by kind, such as `instances` to `/1.0/instances/alice?project=hosting`.
    #[serde(default)]
    pub(super) resources: Option<BTreeMap<String, Vec<String>>>,
    #[serde(default)]
    pub(super) metadata: Value,
    #[serde(default)]
    pub(super) err: String,
}

impl Operation {
    pub(super) fn is_running(&self) -> bool {
        self.status_code < 200
    }

    pub(super) fn has_succeeded(&self) -> bool {
        (200..300).contains(&self.status_code)
    }

    /// Whether it makes, changes or ends the instance. A command that somebody runs inside does not.
    pub(super) fn is_about(&self, name: &str) -> bool {
        let paths = self.resources.as_ref().and_then(|resources| resources.get("instances"));
        let named = paths.is_some_and(|paths| {
            paths.iter().any(|path| path.split('?').next().and_then(|path| path.rsplit('/').next()) == Some(name))
        });
        named && self.class == "task" && self.description != "Executing command"
    }
}

/// What the daemon says of itself.
#[derive(Deserialize)]
pub(super) struct Server {
    pub(super) auth: String,
    #[serde(default)]
    pub(super) environment: Environment,
}

/// Empty for a client that is not trusted.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Environment {
    pub(super) server: String,
    pub(super) server_version: String,
    pub(super) server_name: String,
    pub(super) server_pid: u32,
}

/// A container.
#[derive(Debug, Deserialize)]
pub(super) struct Instance {
    pub(super) status_code: u16,
    pub(super) config: BTreeMap<String, String>,
    pub(super) devices: BTreeMap<String, BTreeMap<String, String>>,
    pub(super) created_at: Timestamp,
    /// The epoch for one that was never started.
    pub(super) last_used_at: Timestamp,
}

/// A container, as the list of all has it.
#[derive(Debug, Deserialize)]
pub(super) struct Named {
    pub(super) name: String,
    #[serde(flatten)]
    pub(super) instance: Instance,
}

impl Instance {
    /// What one of our keys says; an empty one says nothing.
    pub(super) fn key(&self, key: &str) -> Option<&str> {
        self.config.get(key).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// Whose account it is, as it is written there; `None` for somebody else's instance, and for a backup.
    pub(super) fn account(&self) -> Option<&str> {
        self.key(ACCOUNT).filter(|_| self.key(BACKUP).is_none())
    }

    pub(super) fn is_of(&self, account: AccountId) -> bool {
        self.account() == Some(account.to_string().as_str())
    }

    /// `Running`, or `Ready`, which is running and has said that it is up.
    pub(super) fn is_running(&self) -> bool {
        matches!(self.status_code, 103 | 113)
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.status_code == 102
    }

    pub(super) fn is_ready(&self) -> bool {
        self.key(READY).is_some()
    }

    pub(super) fn was_never_started(&self) -> bool {
        self.last_used_at <= Timestamp::UNIX_EPOCH
    }
}

/// What an instance uses now.
#[derive(Deserialize)]
pub(super) struct State {
    #[serde(default)]
    disk: Option<BTreeMap<String, DiskUsage>>,
}

#[derive(Deserialize)]
struct DiskUsage {
    #[serde(default)]
    usage: Option<i64>,
}

impl State {
    /// Bytes of the root disk; `None` where the storage pool does not count them.
    pub(super) fn root_bytes(&self) -> Option<u64> {
        let usage = self.disk.as_ref()?.get("root")?.usage?;
        u64::try_from(usage).ok()
    }
}
