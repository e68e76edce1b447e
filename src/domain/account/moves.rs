//! The account's moves: what each writes, and the token that only the machine makes.

use berth_jobs::ids::AccountId;
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::Value;

use super::{AccountPhase, Intent, Standing};

/// What an account is to become when its customer changes what they buy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageChange {
    /// The service, by the catalogue's id.
    pub service_id: String,
    /// The panel's package of it.
    pub package: String,
}

/// What an account is once it was changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPackage {
    /// The service, by the catalogue's id.
    pub service_id: String,
    /// The name at the time of the sale.
    pub service_name: String,
    /// The tier.
    pub plan_name: String,
    /// The panel's package of it.
    pub package: String,
    /// The options chosen: an object.
    pub configuration: Value,
    /// The add-ons, each an object of id, name and price: an array.
    pub addons: Value,
    /// What a renewal costs, before discount and tax; `None` is what the catalogue says by then.
    pub renewal_price: Option<Decimal>,
}

/// What a move writes besides the phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The intention to create it.
    Intended(Intent),
    /// Its first period.
    Activated {
        /// From when it is active.
        at: Timestamp,
        /// What its periods count from: when it became active, or the end of its trial.
        anchor: Timestamp,
        /// The end of its first period, or of its trial.
        expires_at: Timestamp,
    },
    /// Why it failed.
    Failed(String),
    /// Nothing else.
    None,
    /// The end of what is paid for, counted from its anchor.
    Renewed {
        /// The end of the period that was paid.
        expires_at: Timestamp,
    },
    /// Since when it serves a notice.
    Suspended {
        /// When the panel confirmed it.
        at: Timestamp,
    },
    /// That it no longer serves a notice.
    Unsuspended,
    /// Which package it is to have.
    ChangeIntended(PackageChange),
    /// That it is what was intended.
    Changed(NewPackage),
    /// Why it keeps its package.
    ChangeRefused(String),
    /// Since when it is gone.
    Terminated {
        /// When the panel confirmed it.
        at: Timestamp,
    },
}

impl Change {
    /// The intention to create it, if that is written.
    #[must_use]
    pub const fn intent(&self) -> Option<&Intent> {
        if let Self::Intended(intent) = self { Some(intent) } else { None }
    }

    /// From when it is active and what its periods count from, if that is written.
    #[must_use]
    pub const fn activation(&self) -> Option<(Timestamp, Timestamp)> {
        if let Self::Activated { at, anchor, .. } = self { Some((*at, *anchor)) } else { None }
    }

    /// The end of what is paid for, if that is written.
    #[must_use]
    pub const fn expires_at(&self) -> Option<Timestamp> {
        if let Self::Activated { expires_at, .. } | Self::Renewed { expires_at } = self {
            Some(*expires_at)
        } else {
            None
        }
    }

    /// Since when it serves a notice, if that is written.
    #[must_use]
    pub const fn suspended_at(&self) -> Option<Timestamp> {
        if let Self::Suspended { at } = self { Some(*at) } else { None }
    }

    /// Since when it is gone, if that is written.
    #[must_use]
    pub const fn terminated_at(&self) -> Option<Timestamp> {
        if let Self::Terminated { at } = self { Some(*at) } else { None }
    }

    /// What it is to become, if that is written.
    #[must_use]
    pub const fn intended_package(&self) -> Option<&PackageChange> {
        if let Self::ChangeIntended(to) = self { Some(to) } else { None }
    }

    /// What it is from then on, if that is written.
    #[must_use]
    pub const fn new_package(&self) -> Option<&NewPackage> {
        if let Self::Changed(to) = self { Some(to) } else { None }
    }

    /// Why it, or another package for it, was refused, if that is written.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        if let Self::Failed(why) | Self::ChangeRefused(why) = self { Some(why) } else { None }
    }
}

/// A move of an account from one version to the next; only [`AccountState`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a move becomes true when it is committed"]
pub struct AccountMove {
    pub(super) id: AccountId,
    pub(super) version: i32,
    pub(super) from: AccountPhase,
    pub(super) to: AccountPhase,
    pub(super) reason: &'static str,
    pub(super) standing: Standing,
    pub(super) change: Change,
}

impl AccountMove {
    /// Which account moves.
    #[must_use]
    pub const fn id(&self) -> AccountId {
        self.id
    }

    /// The version that it moves from.
    #[must_use]
    pub const fn version(&self) -> i32 {
        self.version
    }

    /// The phase that it leaves.
    #[must_use]
    pub const fn from(&self) -> AccountPhase {
        self.from
    }

    /// The phase that it reaches.
    #[must_use]
    pub const fn to(&self) -> AccountPhase {
        self.to
    }

    /// Why, for the history.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        self.reason
    }

    /// What is wished of the account from then on; every move writes it.
    #[must_use]
    pub const fn standing(&self) -> &Standing {
        &self.standing
    }

    /// What it writes besides.
    #[must_use]
    pub const fn change(&self) -> &Change {
        &self.change
    }
}
