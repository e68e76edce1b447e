//! What Berth keeps in a machine's notes (its `description`): lines such as `berth.account=acc_…`. What staff write there besides
//! stays.

use std::{collections::BTreeMap, fmt};

use berth_jobs::ids::AccountId;

use super::limits::Options;
use crate::{BackupRef, PanelError};

/// What our lines begin with.
const OURS: &str = "berth.";
/// The proof of ownership: the account's id.
const ACCOUNT: &str = "account";
/// The machine's own number. Staff who clone a machine clone its notes too, and the clone is nobody's account.
const VMID: &str = "vmid";
/// The package's name.
const PACKAGE: &str = "package";
/// What was bought beyond the package, as JSON: a change of the package keeps it.
const OPTIONS: &str = "options";
/// How far a create has come: [`Stage`].
const STAGE: &str = "stage";
/// The reason of our suspension, while there is one.
const SUSPENDED: &str = "suspended";
/// There while the machine is stopped by us in order to be started anew.
const RESTARTING: &str = "restarting";

/// The backup whose files the machine has been given.
const RESTORED: &str = "restored";

/// How far a create has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Cloned,
    /// It has its resources and its first password.
    Configured,
    /// It has run, and is its owner's.
    Ready,
}

impl Stage {
    fn word(self) -> &'static str {
        match self {
            Self::Cloned => "cloned",
            Self::Configured => "configured",
            Self::Ready => "ready",
        }
    }
}

/// A machine's notes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Notes {
    others: Vec<String>,
    ours: BTreeMap<String, String>,
}

impl Notes {
    /// Those of a machine that is about to be cloned.
    pub(super) fn of_clone(account: AccountId, vmid: u32, package: &str, options: Options) -> Self {
        let mut notes = Self::default();
        notes.others.push("An account of Berth's, which reads and writes the lines below.".to_owned());
        notes.set(ACCOUNT, &account.to_string());
        notes.set(VMID, &vmid.to_string());
        notes.set(OPTIONS, &options.written());
        notes.with_package(package).with_stage(Stage::Cloned)
    }

    pub(super) fn read(text: &str) -> Self {
        let mut notes = Self::default();
        for line in text.lines() {
            match line.trim().strip_prefix(OURS).and_then(|line| line.split_once('=')) {
                Some((key, value)) => {
                    notes.ours.insert(key.to_owned(), value.to_owned());
                }
                None => notes.others.push(line.to_owned()),
            }
        }
        notes
    }

    /// Whether they prove that the machine of this number is the account's.
    pub(super) fn prove(&self, account: AccountId, vmid: u32) -> bool {
        self.account_at(vmid) == Some(account.to_string().as_str())
    }

    /// Whose account the machine of this number is, as it is written there.
    pub(super) fn account_at(&self, vmid: u32) -> Option<&str> {
        self.get(ACCOUNT).filter(|_| self.get(VMID) == Some(vmid.to_string().as_str()))
    }

    /// Whether they name any account.
    pub(super) fn name_an_account(&self) -> bool {
        self.get(ACCOUNT).is_some()
    }

    pub(super) fn package(&self) -> &str {
        self.get(PACKAGE).unwrap_or_default()
    }

    pub(super) fn options(&self) -> Result<Options, PanelError> {
        let Some(text) = self.get(OPTIONS) else { return Ok(Options::default()) };
        serde_json::from_str(text)
            .map_err(|_| PanelError::permanent("the machine's notes do not say what Berth has written of its options"))
    }

    /// A stage that nobody has written counts as none at all.
    pub(super) fn stage(&self) -> Stage {
        let stages = [Stage::Configured, Stage::Ready];
        stages.into_iter().find(|stage| self.get(STAGE) == Some(stage.word())).unwrap_or(Stage::Cloned)
    }

    pub(super) fn suspended(&self) -> Option<&str> {
        self.get(SUSPENDED)
    }

    pub(super) fn restored(&self) -> Option<&str> {
        self.get(RESTORED)
    }

    pub(super) fn is_restarting(&self) -> bool {
        self.get(RESTARTING).is_some()
    }

    pub(super) fn with_package(mut self, package: &str) -> Self {
        self.set(PACKAGE, package);
        self
    }

    pub(super) fn with_stage(mut self, stage: Stage) -> Self {
        self.set(STAGE, stage.word());
        self
    }

    /// A reason that is empty is one all the same.
    pub(super) fn with_suspension(mut self, reason: &str) -> Self {
        self.set(SUSPENDED, reason);
        self
    }

    pub(super) fn with_restart(mut self) -> Self {
        self.set(RESTARTING, "true");
        self
    }

    pub(super) fn with_restored(mut self, backup: &BackupRef) -> Self {
        self.set(RESTORED, &backup.to_string());
        self
    }

    /// Without a suspension and without a restart that is to come.
    pub(super) fn running(mut self) -> Self {
        self.ours.remove(SUSPENDED);
        self.ours.remove(RESTARTING);
        self
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.ours.get(key).map(String::as_str)
    }

    fn set(&mut self, key: &str, value: &str) {
        self.ours.insert(key.to_owned(), one_line(value));
    }
}

/// A value as it is kept: what would end its line, or be lost at an end of it, is none of it.
pub(super) fn one_line(value: &str) -> String {
    let line: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    line.trim().to_owned()
}

impl fmt::Display for Notes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.others {
            writeln!(f, "{line}")?;
        }
        for (key, value) in &self.ours {
            writeln!(f, "{OURS}{key}={value}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notes(account: AccountId) -> Notes {
        Notes::of_clone(account, 1_000_000, "small", Options::default())
    }

    #[test]
    fn notes_are_read_as_they_are_written_and_keep_what_staff_have_written() {
        let account = AccountId::new();
        let written = notes(account).with_suspension("line\none = 1").to_string();

        let read = Notes::read(&format!("call alice first\n{written}\nand bob\r\n"));
        let again = Notes::read(&read.clone().with_stage(Stage::Ready).running().to_string());

        assert!(read.prove(account, 1_000_000));
        assert_eq!(read.suspended(), Some("line one = 1"));
        assert_eq!((read.package(), read.stage()), ("small", Stage::Cloned));
        assert_eq!((again.stage(), again.suspended()), (Stage::Ready, None));
        for line in ["call alice first", "and bob"] {
            assert!(again.to_string().lines().any(|found| found == line), "{again}");
        }
    }

    #[test]
    fn neither_another_account_nor_a_copy_of_a_machine_is_proved() {
        let account = AccountId::new();

        assert!(!notes(account).prove(AccountId::new(), 1_000_000));
        assert!(!notes(account).prove(account, 1_000_001));
        assert_eq!(notes(account).account_at(1_000_001), None);
        assert!(!Notes::read("").prove(account, 1_000_000));
        assert!(!Notes::read("qmclone temporary file").name_an_account());
    }
}
