//! What customers are told of an account's timetable, by name.

use std::{fmt, str::FromStr};

/// What customers are told, each once for a D. Those of a kind are numbered from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Notice {
    /// An annual renewal is near, and what it costs.
    HeadsUp,
    /// The account expires, for it is not renewed by itself.
    Expiring(usize),
    /// The renewal is not paid yet.
    Reminder(usize),
    /// The renewal is due today.
    DueToday,
    /// The renewal is overdue.
    Overdue(usize),
    /// The account is about to be suspended.
    FinalWarning,
    /// The suspended account is about to be removed.
    TerminationWarning(usize),
}

impl fmt::Display for Notice {
    /// The step's name in the database: with the account and D, it is told once.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HeadsUp => f.write_str("heads_up"),
            Self::Expiring(n) => write!(f, "expiring_{n}"),
            Self::Reminder(n) => write!(f, "reminder_{n}"),
            Self::DueToday => f.write_str("due_today"),
            Self::Overdue(n) => write!(f, "overdue_{n}"),
            Self::FinalWarning => f.write_str("final_warning"),
            Self::TerminationWarning(n) => write!(f, "termination_warning_{n}"),
        }
    }
}

/// A text in the database that is no such notice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no notice that this version knows")]
pub struct UnknownNotice(pub String);

impl FromStr for Notice {
    type Err = UnknownNotice;

    fn from_str(step: &str) -> Result<Self, UnknownNotice> {
        let unknown = || UnknownNotice(step.to_owned());
        let (kind, number) = match step.rsplit_once('_') {
            Some((kind, number)) if number.bytes().all(|byte| byte.is_ascii_digit()) => (kind, number.parse().ok()),
            _ => (step, None),
        };
        match (kind, number) {
            ("heads_up", None) => Ok(Self::HeadsUp),
            ("due_today", None) => Ok(Self::DueToday),
            ("final_warning", None) => Ok(Self::FinalWarning),
            ("expiring", Some(n)) => Ok(Self::Expiring(n)),
            ("reminder", Some(n)) => Ok(Self::Reminder(n)),
            ("overdue", Some(n)) => Ok(Self::Overdue(n)),
            ("termination_warning", Some(n)) => Ok(Self::TerminationWarning(n)),
            _ => Err(unknown()),
        }
    }
}
