//! What is measured: a server of one's own, its panel, and what it is compared with.

use anyhow::Result;
use berth_panels::Panel;

/// What is done to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Work {
    Create,
    Observe,
    Suspend,
    Unsuspend,
    Password,
    Package,
    Backup,
    Remove,
}

impl Work {
    pub(crate) const ALL: [Self; 8] = [
        Self::Create,
        Self::Observe,
        Self::Suspend,
        Self::Unsuspend,
        Self::Password,
        Self::Package,
        Self::Backup,
        Self::Remove,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Observe => "observe",
            Self::Suspend => "suspend",
            Self::Unsuspend => "unsuspend",
            Self::Password => "password",
            Self::Package => "package",
            Self::Backup => "backup",
            Self::Remove => "remove",
        }
    }
}

/// Some of a server's processes.
pub(crate) struct Processes {
    /// What they are called in a table.
    pub(crate) name: &'static str,
    /// These and their children.
    pub(crate) roots: Vec<u32>,
}

/// A server that ends, with all its accounts, when it is dropped.
pub(crate) trait Server {
    fn driver(&self) -> &'static str;

    fn panel(&self) -> &dyn Panel;

    /// The usual package, and another one.
    fn packages(&self) -> [&'static str; 2];

    /// Its own processes, besides Berth's.
    fn processes(&self) -> Vec<Processes>;

    /// The work on an account of that name without the driver, by what the [reference](Self::reference) says; nothing where
    /// that is not simple. `like` is an account of the driver's that is there.
    fn bare(&self, work: Work, name: &str, like: &str) -> Option<Result<()>>;

    /// What the driver is compared with.
    fn reference(&self) -> &'static str;
}
