//! The shapes of the API, as far as the driver reads them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// Every answer's outside.
#[derive(Deserialize)]
pub(super) struct Envelope {
    pub(super) data: Value,
    /// Why not, in the answers of version 8 and later; earlier ones say it in the status line alone.
    #[serde(default)]
    pub(super) message: String,
    /// What is wrong with each parameter.
    #[serde(default)]
    pub(super) errors: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
pub(super) struct Version {
    pub(super) version: String,
}

#[derive(Deserialize)]
pub(super) struct Node {
    pub(super) node: String,
    #[serde(default)]
    pub(super) status: String,
}

/// A machine or a container, as the list of the cluster's guests shows it. Its name is some seconds old there, and missing at
/// first; its number and node are as they are.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Guest {
    pub(super) vmid: u32,
    pub(super) node: String,
    /// `qemu` or `lxc`.
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) name: String,
    /// `running`, also when it is paused, or `stopped`; some seconds old too.
    #[serde(default)]
    pub(super) status: String,
}

impl Guest {
    pub(super) fn is_machine(&self) -> bool {
        self.kind == "qemu"
    }

    /// What it does, as far as the list tells.
    pub(super) fn status(&self) -> Status {
        Status { status: self.status.clone(), qmpstatus: self.status.clone(), lock: None }
    }
}

/// What a machine does now.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Status {
    /// `running`, also when it is paused, or `stopped`.
    pub(super) status: String,
    #[serde(default)]
    pub(super) qmpstatus: String,
    #[serde(default)]
    pub(super) lock: Option<String>,
}

/// A task, at work or ended.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct TaskStatus {
    /// `running` or `stopped`.
    status: String,
    #[serde(default)]
    exitstatus: Option<String>,
}

impl TaskStatus {
    pub(super) fn is_running(&self) -> bool {
        self.status != "stopped"
    }

    /// How it ended. One that has left no word of that was killed.
    pub(super) fn exit(&self) -> &str {
        self.exitstatus.as_deref().unwrap_or("the task has left no exit status")
    }

    /// `OK`, or `WARNINGS: 1`, which is done too.
    pub(super) fn has_succeeded(&self) -> bool {
        self.exit() == "OK" || self.exit().starts_with("WARNINGS: ")
    }
}

/// A task as a node's list shows it: one that runs has neither end nor status.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct ListedTask {
    pub(super) upid: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    endtime: Option<u64>,
    #[serde(default)]
    status: Option<String>,
}

impl ListedTask {
    pub(super) fn is_running(&self) -> bool {
        self.endtime.is_none() && self.status.as_deref().is_none_or(|status| status.eq_ignore_ascii_case("running"))
    }
}

/// A backup in a storage.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Archive {
    /// Such as `local:backup/vzdump-qemu-100-2026_11_26-19_16_48.vma.zst`.
    pub(super) volid: String,
    #[serde(default)]
    pub(super) size: u64,
    /// Seconds since the epoch.
    #[serde(default)]
    pub(super) ctime: i64,
    #[serde(default)]
    notes: String,
    #[serde(default)]
    protected: Option<Value>,
}

impl Archive {
    /// Whether its notes have this line.
    pub(super) fn says(&self, line: &str) -> bool {
        self.notes.lines().any(|found| found.trim() == line)
    }

    /// No schedule may delete it.
    pub(super) fn is_protected(&self) -> bool {
        self.protected.as_ref().is_some_and(|value| !matches!(text_of(value).as_str(), "0" | "false" | "null"))
    }
}

/// One key of a machine's configuration, with what it will be at the next start.
#[derive(Debug, Deserialize)]
pub(super) struct Pending {
    pub(super) key: String,
    #[serde(default)]
    value: Option<Value>,
    #[serde(default)]
    pending: Option<Value>,
}

impl Pending {
    pub(super) fn next(&self) -> Option<String> {
        self.pending.as_ref().or(self.value.as_ref()).map(text_of)
    }
}

/// What the guest agent says of the file systems inside.
#[derive(Deserialize)]
pub(super) struct FileSystems {
    pub(super) result: Vec<FileSystem>,
}

#[derive(Deserialize)]
pub(super) struct FileSystem {
    #[serde(default)]
    pub(super) name: String,
    #[serde(default, rename = "used-bytes")]
    pub(super) used_bytes: Option<u64>,
    /// The disks that it is on; those of memory or of a network have none.
    #[serde(default)]
    pub(super) disk: Vec<Value>,
}

/// A value of a configuration, which is a text or a number, by the whim of the release.
pub(super) fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ended(exit: Option<&str>) -> TaskStatus {
        serde_json::from_value(json!({ "status": "stopped", "exitstatus": exit })).unwrap()
    }

    #[test]
    fn a_task_has_succeeded_when_it_says_so() {
        assert!(ended(Some("OK")).has_succeeded());
        assert!(ended(Some("WARNINGS: 2")).has_succeeded());
        for exit in [Some("clone failed: no space"), Some(""), Some("ok"), Some("NOT OK"), None] {
            assert!(!ended(exit).has_succeeded(), "{exit:?}");
        }
    }

    #[test]
    fn a_listed_task_runs_until_it_has_an_end() {
        let listed = |more: Value| {
            let mut task = json!({ "upid": "UPID:x", "type": "qmclone" });
            task.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            serde_json::from_value::<ListedTask>(task).unwrap()
        };

        assert!(listed(json!({})).is_running());
        assert!(listed(json!({ "status": "RUNNING" })).is_running());
        assert!(!listed(json!({ "status": "OK", "endtime": 1 })).is_running());
        assert!(!listed(json!({ "status": "unexpected status" })).is_running());
    }
}
