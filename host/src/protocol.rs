//! One JSON request on standard input, one JSON answer on standard output, and an exit code by class of failure.

use std::fmt;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

/// A request is a few hundred bytes; more is not read.
pub const REQUEST_MAX: u64 = 64 * 1024;

/// What the command can be told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    Probe,
    Observe,
    List,
    Create,
    Suspend,
    Activate,
    Package,
    Password,
    Usage,
    Backup,
    DeleteBackup,
    Restore,
    Remove,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Self; 13] = [
        Self::Probe,
        Self::Observe,
        Self::List,
        Self::Create,
        Self::Suspend,
        Self::Activate,
        Self::Package,
        Self::Password,
        Self::Usage,
        Self::Backup,
        Self::DeleteBackup,
        Self::Restore,
        Self::Remove,
    ];

    /// The word on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Probe => "probe",
            Self::Observe => "observe",
            Self::List => "list",
            Self::Create => "create",
            Self::Suspend => "suspend",
            Self::Activate => "activate",
            Self::Package => "package",
            Self::Password => "password",
            Self::Usage => "usage",
            Self::Backup => "backup",
            Self::DeleteBackup => "delete-backup",
            Self::Restore => "restore",
            Self::Remove => "remove",
        }
    }

    /// The verb of a word, if it is one.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.as_str() == word)
    }

    /// Whether it changes nothing, so that a lost answer means nothing either.
    #[must_use]
    pub fn only_reads(self) -> bool {
        match self {
            Self::Probe | Self::Observe | Self::List | Self::Usage => true,
            Self::Create
            | Self::Suspend
            | Self::Activate
            | Self::Package
            | Self::Password
            | Self::Backup
            | Self::DeleteBackup
            | Self::Restore
            | Self::Remove => false,
        }
    }
}

/// How a request fails, by what the caller can do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Nothing was changed: try again later.
    Transient,
    /// Something may have been changed: observe, then decide.
    Ambiguous,
    /// The name is somebody else's.
    NameTaken,
    /// The same request will be refused again.
    Permanent,
    /// The server is not set up for it.
    Misconfigured,
    /// The server is full, and nothing was changed.
    Capacity,
}

impl Class {
    /// The command's exit code. Success is 0; 1 and 2 are what shells, sudo and panics use.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Transient => 10,
            Self::Ambiguous => 11,
            Self::NameTaken => 12,
            Self::Permanent => 13,
            Self::Misconfigured => 14,
            Self::Capacity => 15,
        }
    }
}

/// An answer to a request that failed. Standard output holds either this or the verb's own answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// What the caller can do.
    pub class: Class,
    /// Why, for staff: lower case, without secrets.
    pub message: String,
}

/// A text that no log may show.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Whose account, under which name.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountName {
    /// Berth's id: the proof of ownership.
    pub account_id: Uuid,
    /// The login: `[a-z][a-z0-9]{2,15}`.
    pub username: String,
}

/// `probe`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probe {}

/// `list`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {}

/// `observe`, `activate`, `usage` and `remove`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfAccount {
    pub account: AccountName,
}

/// `create`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Create {
    pub account: AccountName,
    /// The initial password of SFTP and, where the package has it, WordPress.
    pub password: Secret,
    /// One of the configured packages.
    pub package: String,
    /// The owner's address, for WordPress.
    pub email: String,
    /// The customer's own domain.
    pub domain: Option<String>,
    /// When the intent was committed, in milliseconds since 1970.
    pub intended_at_ms: i64,
}

/// `suspend`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspend {
    pub account: AccountName,
    /// A word for staff, such as `non_payment`.
    pub reason: String,
}

/// `package`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetPackage {
    pub account: AccountName,
    pub package: String,
}

/// `password`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetPassword {
    pub account: AccountName,
    pub password: Secret,
}

/// `backup` and `restore`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OfBackup {
    pub account: AccountName,
    /// Tells the backups of one account apart.
    pub version: u32,
}

/// `delete-backup`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteBackup {
    pub account_id: Uuid,
    pub version: u32,
}

/// Whether disk limits hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quota {
    /// By the file system.
    Enforced,
    /// The file system of the homes has none that is switched on: limits are only recorded.
    Unenforced,
}

/// The answer to `probe`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Probed {
    /// Of this command.
    pub version: String,
    pub hostname: String,
    pub quota: Quota,
}

/// The answer to `observe`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "found", rename_all = "snake_case", deny_unknown_fields)]
pub enum Observed {
    Absent,
    Foreign,
    /// Ours, but some of its parts are missing, or are not as the record says.
    Partial {
        missing: Vec<String>,
    },
    Present {
        package: String,
        suspension: Option<Suspension>,
        quota: Quota,
    },
}

/// The answer to `list`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listing {
    /// All that have a record here, also those that are being made or removed.
    pub accounts: Vec<Listed>,
}

/// An account that has a record on the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// Whose it is; `None` where the record is damaged.
    pub account_id: Option<Uuid>,
    pub username: String,
    pub suspended: bool,
}

/// Why an account is suspended, and who did it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspension {
    pub reason: String,
    /// `berth`, or whoever wrote themselves into the record.
    pub by: String,
}

/// The answer to `create`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Created {
    pub site_url: String,
    /// Where the owner of a WordPress signs in.
    pub control_panel_url: Option<String>,
    /// An earlier call had begun or made it.
    pub adopted: bool,
}

/// The answer to changes that have nothing to tell.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Done {
    /// What the change could not reach and did not need to, for staff.
    pub notes: Vec<String>,
}

/// The answer to `usage`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    pub disk_bytes: u64,
    pub inodes: u64,
}

/// The answer to `backup`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackedUp {
    /// What it takes where it is kept.
    pub bytes: u64,
    /// By the server's clock, in milliseconds since 1970.
    pub made_at_ms: i64,
}

/// Reads an answer: the verb's own, when the exit code was 0, or a [`Refusal`].
pub fn read<T: DeserializeOwned>(answer: &[u8]) -> Result<T, serde_json::Error> {
    serde_json::from_slice(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_is_read_as_it_is_written_and_nothing_else_is() {
        for verb in Verb::ALL {
            assert_eq!(Verb::parse(verb.as_str()), Some(verb));
        }
        for word in ["", "Create", "create ", "--help", "sh"] {
            assert_eq!(Verb::parse(word), None, "{word}");
        }
    }

    #[test]
    fn a_password_is_in_no_debug_text() {
        let request = SetPassword {
            account: AccountName { account_id: Uuid::nil(), username: "alice".to_owned() },
            password: Secret("hunter2".to_owned()),
        };

        assert!(!format!("{request:?}").contains("hunter2"));
    }
}
