//! The daemon's operations as tasks: what each was to bring about is kept in the task's name, as the daemon forgets an
//! operation five seconds after its end.

use std::{fmt, str::FromStr, time::Duration};

use uuid::Uuid;

use super::names::InstanceName;
use crate::{PanelError, TaskRef};

/// How long whoever hears `Pending` waits. Operations that outlast a call take seconds to minutes.
pub(super) const PAUSE: Duration = Duration::from_secs(5);

/// What an operation brings about, by which its success shows when nobody knows of it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// The instance is there.
    There,
    /// The instance is not there.
    Gone,
    Running,
    Stopped,
    /// Something inside of the instance is changed, which does not show.
    Refreshed,
}

impl Goal {
    const ALL: [Self; 5] = [Self::There, Self::Gone, Self::Running, Self::Stopped, Self::Refreshed];

    fn word(self) -> &'static str {
        match self {
            Self::There => "there",
            Self::Gone => "gone",
            Self::Running => "running",
            Self::Stopped => "stopped",
            Self::Refreshed => "refreshed",
        }
    }
}

/// An operation of the daemon's. Written as `there alice 5eb7667c-5409-48d5-b5be-7cb3be71860c`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) goal: Goal,
    pub(super) name: InstanceName,
    pub(super) operation: Uuid,
}

impl Task {
    pub(super) fn new(goal: Goal, name: &InstanceName, operation: &str) -> Result<Self, PanelError> {
        let operation = operation
            .parse()
            .map_err(|_| PanelError::ambiguous(format!("the server's operation is called {operation:?}")))?;
        Ok(Self { goal, name: name.clone(), operation })
    }

    pub(super) fn reference(&self) -> TaskRef {
        TaskRef(self.to_string())
    }

    pub(super) fn read(task: &TaskRef) -> Result<Self, PanelError> {
        task.0.parse().map_err(|()| PanelError::permanent(format!("{:?} is no task of this server's", task.0)))
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.goal.word(), self.name, self.operation)
    }
}

impl FromStr for Task {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut words = text.split(' ');
        let (Some(goal), Some(name), Some(operation), None) = (words.next(), words.next(), words.next(), words.next())
        else {
            return Err(());
        };
        Ok(Self {
            goal: Goal::ALL.into_iter().find(|known| known.word() == goal).ok_or(())?,
            name: InstanceName::parse(name).ok_or(())?,
            operation: operation.parse().map_err(|_| ())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_is_read_as_it_is_written() {
        let name = InstanceName::parse("alice").unwrap();
        for goal in Goal::ALL {
            let task = Task::new(goal, &name, "5eb7667c-5409-48d5-b5be-7cb3be71860c").unwrap();

            assert_eq!(Task::read(&task.reference()).unwrap(), task);
        }
    }

    #[test]
    fn nothing_else_is_a_task() {
        for text in
            ["", "there", "there alice", "there ../x 5eb7667c-5409-48d5-b5be-7cb3be71860c", "there alice 7", "a b c d"]
        {
            let refused = Task::read(&TaskRef(text.to_owned())).unwrap_err();

            assert!(matches!(refused, PanelError::Permanent(_)), "{text}: {refused:?}");
        }
    }
}
