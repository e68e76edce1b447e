//! Backups of accounts, under names that Berth gives.

use std::{fmt, str::FromStr};

use berth_jobs::ids::AccountId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Our name for a backup: whose it is, and at which version of the account's row it was asked for. Shown as `acc_…-7`,
/// which is safe in a path. Equal on every retry: it is committed before the first call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct BackupRef {
    account_id: AccountId,
    version: i32,
}

impl BackupRef {
    /// The name for a backup of an account that is asked for at a version of its row.
    #[must_use]
    pub fn new(account_id: AccountId, version: i32) -> Self {
        Self { account_id, version }
    }

    /// Whose files are in it.
    #[must_use]
    pub fn account_id(&self) -> AccountId {
        self.account_id
    }

    /// What tells the backups of one account apart.
    #[must_use]
    pub fn version(&self) -> i32 {
        self.version
    }
}

impl fmt::Display for BackupRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.account_id, self.version)
    }
}

/// A text that names no backup.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no name of a backup, such as acc_01k9z3m6sne5y8r7q2w4x6t8va-7")]
pub struct InvalidBackupRef(String);

impl FromStr for BackupRef {
    type Err = InvalidBackupRef;

    fn from_str(text: &str) -> Result<Self, InvalidBackupRef> {
        let parsed = text.split_once('-').and_then(|(account, version)| {
            Some(Self { account_id: account.parse().ok()?, version: version.parse().ok()? })
        });
        // One name has one writing: `+7` and `07` are none.
        parsed.filter(|backup| backup.to_string() == text).ok_or_else(|| InvalidBackupRef(text.to_owned()))
    }
}

impl TryFrom<String> for BackupRef {
    type Error = InvalidBackupRef;

    fn try_from(text: String) -> Result<Self, InvalidBackupRef> {
        text.parse()
    }
}

impl From<BackupRef> for String {
    fn from(backup: BackupRef) -> Self {
        backup.to_string()
    }
}

/// A whole backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backup {
    /// Its name.
    pub reference: BackupRef,
    /// What it takes where it is kept.
    pub bytes: u64,
    /// The server's own time.
    pub made_at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backups_name_is_read_as_it_is_written() {
        let backup = BackupRef::new(AccountId::new(), 7);

        let text = backup.to_string();
        let json = serde_json::to_string(&backup).unwrap();

        assert_eq!(text.parse(), Ok(backup));
        assert_eq!(json, format!("\"{text}\""));
        assert_eq!(serde_json::from_str::<BackupRef>(&json).unwrap(), backup);
    }

    #[test]
    fn nothing_else_is_a_backups_name() {
        let account = AccountId::new();

        for text in ["", "-", "-1", "../x-1", "acc_-1", &account.to_string()] {
            assert!(text.parse::<BackupRef>().is_err(), "{text}");
        }
        for version in ["", "+7", "07", "7/../8", "7.json", "4294967296"] {
            assert!(format!("{account}-{version}").parse::<BackupRef>().is_err(), "{version}");
        }
        assert!(account.to_string().to_uppercase().parse::<BackupRef>().is_err());
    }
}
