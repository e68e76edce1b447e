//! What customers are told of an account besides its beginning: that it stops, works again or ends, and what they decided
//! of that themselves. Each is told once for the moment at which it happened.

use berth_jobs::ids::AccountId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Tells the customer that an account serves a notice, why, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountSuspended {
    pub account_id: AccountId,
    pub customer_name: Option<String>,
    /// What was bought, in the catalogue's words: `Shared Hosting`.
    pub service_name: String,
    /// Where its site is.
    pub site_url: Option<String>,
    /// `non_payment`, `dispute`, `fraud`, `abuse` or `staff`. What staff has noted of it is not told.
    pub reason: String,
    pub suspended_at: Timestamp,
    /// What is to be paid: `"9.99 EUR"`; only where a renewal is open.
    pub amount_due: Option<String>,
    /// Where it is paid, or else where the account is looked at.
    pub action_url: String,
}

impl AccountSuspended {
    /// The key under which it is said of an account that was suspended then.
    #[must_use]
    pub fn key(account_id: AccountId, suspended_at: Timestamp) -> String {
        format!("account_suspended:{account_id}:{suspended_at}")
    }
}

/// Tells the customer that an account works again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountUnsuspended {
    pub account_id: AccountId,
    pub customer_name: Option<String>,
    pub service_name: String,
    pub site_url: Option<String>,
    pub unsuspended_at: Timestamp,
    /// The end of the period that is paid for, while it is still to come.
    pub paid_until: Option<Timestamp>,
    pub account_url: String,
}

/// Tells the customer that an account has a new password, and where it is shown once: it is not in the mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordChanged {
    pub account_id: AccountId,
    pub customer_name: Option<String>,
    pub service_name: String,
    pub username: String,
    pub changed_at: Timestamp,
    /// Until when it can be revealed.
    pub reveal_until: Timestamp,
    pub reveal_url: String,
}

/// Tells the customer that an account is gone, and until when a backup of it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountTerminated {
    pub account_id: AccountId,
    pub customer_name: Option<String>,
    pub service_name: String,
    /// `cancelled`, `lapsed` or `staff`.
    pub cause: String,
    pub terminated_at: Timestamp,
    /// None where there is no backup.
    pub backup_until: Option<Timestamp>,
}

/// Tells the customer that an account ends by their wish.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancellationConfirmed {
    pub account_id: AccountId,
    pub customer_name: Option<String>,
    pub service_name: String,
    pub requested_at: Timestamp,
    /// When it ends, who may take it back until then; none where it ends at once.
    pub ends_at: Option<Timestamp>,
    /// What the days that are left were credited with: `"4.50 EUR"`.
    pub credit: Option<String>,
    pub account_url: String,
}

/// Tells the customer that an account does not end after all.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CancellationUndone {
    pub account_id: AccountId,
    pub customer_name: Option<String>,
    pub service_name: String,
    pub undone_at: Timestamp,
    /// The end of the period that is paid for.
    pub paid_until: Option<Timestamp>,
    /// Whether it is renewed by itself then.
    pub auto_renew: bool,
    pub account_url: String,
}
