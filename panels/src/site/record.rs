//! What `account.json` says: whose the account is, its package and its state.

use std::fmt;

use berth_jobs::ids::AccountId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{BackupRef, PanelError};

/// Fits every panel that Berth knows, and a DNS label.
pub(super) const USERNAME_MAX: usize = 16;
const USERNAME_MIN: usize = 3;

/// The maker of a suspension which Berth may lift. Somebody else's, written by hand, is left alone.
pub(super) const BERTH: &str = "berth";

/// A username that is safe in a path and in a host name: `[a-z][a-z0-9]{2,15}`. Only these ever become paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SiteName(String);

impl SiteName {
    /// `None` for anything else, upper case included.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = (USERNAME_MIN..=USERNAME_MAX).contains(&text.len());
        let starts = text.starts_with(|first: char| first.is_ascii_lowercase());
        let plain = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        (fits && starts && plain).then(|| Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SiteName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `account.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The proof of ownership.
    pub(super) account_id: AccountId,
    pub(super) username: String,
    pub(super) package: String,
    #[serde(flatten)]
    pub(crate) state: State,
    /// Names this one create in the log of creates.
    pub(super) create_id: Uuid,
    /// The server's own time, as any panel would say it.
    pub(super) created_at: Timestamp,
    /// The backup whose files it has been given, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) restored: Option<BackupRef>,
}

/// Whether the site is served.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    Active,
    Suspended {
        #[serde(rename = "suspension_reason")]
        reason: String,
        #[serde(rename = "suspended_by")]
        by: String,
    },
}

impl Record {
    /// Records our suspension and its latest reason; somebody else's stays as it is.
    pub(super) fn suspend(&mut self, reason: String) -> Result<(), PanelError> {
        let theirs = matches!(&self.state, State::Suspended { by, .. } if by != BERTH);
        if !theirs {
            self.state = State::Suspended { reason, by: BERTH.to_owned() };
        }
        Ok(())
    }

    /// Lifts our suspension.
    pub(super) fn activate(&mut self) -> Result<(), PanelError> {
        match &self.state {
            State::Suspended { by, .. } if by != BERTH => {
                Err(PanelError::permanent(format!("the account was suspended by {by:?}, not by Berth")))
            }
            State::Suspended { .. } | State::Active => {
                self.state = State::Active;
                Ok(())
            }
        }
    }
}
