//! Names of instances: an account's is its username, a backup's has a hyphen in it, so the two never meet.

use std::fmt;

use crate::{AccountRef, BackupRef, PanelError};

/// What the daemon takes, as it makes a host name of it.
pub(super) const NAME_MAX: usize = 63;

/// A name that is safe in a path of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct InstanceName(String);

impl InstanceName {
    /// `[a-z][a-z0-9-]*`, not ending in a hyphen.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let fits = (1..=NAME_MAX).contains(&text.len());
        let ends = text.starts_with(|first: char| first.is_ascii_lowercase()) && !text.ends_with('-');
        let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        (fits && ends && plain).then(|| Self(text.to_owned()))
    }

    /// The instance of an account.
    pub(super) fn of(account: &AccountRef) -> Result<Self, PanelError> {
        let name = Self::parse(&account.username).filter(|name| !name.0.contains('-'));
        name.ok_or_else(|| {
            PanelError::permanent(format!(
                "the username {:?} is not 1 to {NAME_MAX} lower-case letters and digits, a letter first",
                account.username
            ))
        })
    }

    /// The instance that is a backup.
    pub(super) fn of_backup(backup: &BackupRef) -> Result<Self, PanelError> {
        let text = format!("backup-{backup}").replace('_', "-");
        Self::parse(&text).ok_or_else(|| PanelError::permanent(format!("{backup} can be no instance's name")))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use berth_jobs::ids::AccountId;

    use super::*;

    #[test]
    fn an_accounts_name_is_plain_and_a_backups_is_none_of_an_account() {
        let account = |username: &str| AccountRef {
            account_id: AccountId::new(),
            username: username.to_owned(),
            remote_id: None,
            domain: None,
        };

        for username in ["", "1a", "A", "a_b", "a-b", "../a", "a?x=1", "a b", &"a".repeat(64)] {
            let refused = InstanceName::of(&account(username)).unwrap_err();

            assert!(matches!(refused, PanelError::Permanent(_)), "{username}: {refused:?}");
        }
        let backup = InstanceName::of_backup(&BackupRef::new(AccountId::new(), i32::MAX)).unwrap();
        assert!(InstanceName::of(&account(backup.as_str())).is_err());
        assert!(InstanceName::of(&account("alice7")).is_ok());
    }
}
