//! The server's tasks: what each was to bring about is kept in the task's name, as it shows that too when a task's end does not.

use std::{fmt, str::FromStr, time::Duration};

use crate::{PanelError, TaskRef};

/// How long whoever hears `Pending` waits. Tasks that outlast a call take seconds to minutes.
pub(super) const PAUSE: Duration = Duration::from_secs(5);

/// What a task brings about, by which its success shows when nobody knows of it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// The machine is there, and not being cloned any more.
    There,
    /// The machine is not there.
    Gone,
    Running,
    Stopped,
    /// A disk has grown, a backup is made or gone, or one is restored: a later look shows that.
    Changed,
}

impl Goal {
    const ALL: [Self; 5] = [Self::There, Self::Gone, Self::Running, Self::Stopped, Self::Changed];

    fn word(self) -> &'static str {
        match self {
            Self::There => "there",
            Self::Gone => "gone",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Changed => "changed",
        }
    }
}

/// The server's name for a task, such as `UPID:pve1:0000C350:002DFA1F:69272A31:qmclone:9000:berth@pve!hosting:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Upid(String);

impl Upid {
    const BEGINNING: &str = "UPID:";

    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix(Self::BEGINNING)?.split(':');
        let node = parts.next()?;
        let is_node = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'.';
        let has_node = !node.is_empty() && node.bytes().all(is_node);
        let is_whole = parts.count() >= 6 && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
        (has_node && is_whole).then(|| Self(text.to_owned()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }

    /// The node that it runs on.
    pub(super) fn node(&self) -> &str {
        self.0.split(':').nth(1).unwrap_or_default()
    }
}

impl fmt::Display for Upid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A task of the server's. Written as `there 1234567 UPID:…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) goal: Goal,
    pub(super) vmid: u32,
    pub(super) upid: Upid,
}

impl Task {
    pub(super) fn reference(&self) -> TaskRef {
        TaskRef(self.to_string())
    }

    pub(super) fn read(task: &TaskRef) -> Result<Self, PanelError> {
        task.0.parse().map_err(|()| PanelError::permanent(format!("{:?} is no task of this server's", task.0)))
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.goal.word(), self.vmid, self.upid)
    }
}

impl FromStr for Task {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut words = text.split(' ');
        let (Some(goal), Some(vmid), Some(upid), None) = (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(());
        };
        Ok(Self {
            goal: Goal::ALL.into_iter().find(|known| known.word() == goal).ok_or(())?,
            vmid: vmid.parse().map_err(|_| ())?,
            upid: Upid::parse(upid).ok_or(())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPID: &str = "UPID:pve-1:0000C350:002DFA1F:69272A31:qmclone:9000:berth@pve!hosting:";

    #[test]
    fn a_task_is_read_as_it_is_written() {
        for goal in Goal::ALL {
            let task = Task { goal, vmid: 1_234_567, upid: Upid::parse(UPID).unwrap() };

            assert_eq!(Task::read(&task.reference()).unwrap(), task);
            assert_eq!(task.upid.node(), "pve-1");
        }
    }

    #[test]
    fn nothing_else_is_a_task() {
        for text in [
            "",
            "there",
            "there 1 UPID",
            "there 1 UPID:pve1:",
            "there 1 UPID:../x:1:2:3:qmclone:9000:berth@pve:",
            "there x UPID:pve1:1:2:3:qmclone:9000:berth@pve:",
            "a b c d",
        ] {
            let refused = Task::read(&TaskRef(text.to_owned())).unwrap_err();

            assert!(matches!(refused, PanelError::Permanent(_)), "{text}: {refused:?}");
        }
    }
}
