//! A hosting account's life: what may become of it, decided from where it stands.

use std::{fmt, str::FromStr};

use berth_jobs::ids::AccountId;
use jiff::Timestamp;

use super::{
    order::UnknownPhase,
    period::{self, BillingCycle, PeriodError},
    username::Username,
};

/// Where an account stands.
///
/// ```text
/// pending ──▶ provisioning ──▶ active        suspended, terminated: later in life
///                │  ▲ (tried again)
///                ▼  │
///              failed
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccountPhase {
    /// Paid for; nothing was sent to a panel yet.
    Pending,
    /// Its creation is intended and may be under way.
    Provisioning,
    /// The panel has confirmed it.
    Active,
    /// Exists, but serves a notice instead of the site.
    Suspended,
    /// The panel refused it for good, or every attempt failed. A person decides.
    Failed,
    /// Removed from its panel.
    Terminated,
}

impl AccountPhase {
    /// Every phase.
    pub const ALL: [Self; 6] =
        [Self::Pending, Self::Provisioning, Self::Active, Self::Suspended, Self::Failed, Self::Terminated];

    /// The name in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Provisioning => "provisioning",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Failed => "failed",
            Self::Terminated => "terminated",
        }
    }

    /// The status that customers see: `pending`, `active`, `suspended` or `cancelled`.
    #[must_use]
    pub const fn status(self) -> &'static str {
        match self {
            Self::Pending | Self::Provisioning | Self::Failed => "pending",
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Terminated => "cancelled",
        }
    }

    /// The whole machine: where an event leads from here, or `None` when it is refused.
    #[must_use]
    pub const fn next(self, event: AccountEvent) -> Option<Self> {
        use AccountEvent as E;
        match (self, event) {
            (Self::Pending | Self::Provisioning | Self::Failed, E::ProvisioningStarted) => Some(Self::Provisioning),
            (Self::Provisioning, E::Provisioned) => Some(Self::Active),
            (Self::Provisioning, E::ProvisioningFailed) => Some(Self::Failed),
            (Self::Pending | Self::Failed, E::Provisioned | E::ProvisioningFailed)
            | (Self::Active | Self::Suspended | Self::Terminated, _) => None,
        }
    }
}

impl fmt::Display for AccountPhase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for AccountPhase {
    type Err = UnknownPhase;

    fn from_str(name: &str) -> Result<Self, UnknownPhase> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == name).ok_or_else(|| UnknownPhase(name.to_owned()))
    }
}

/// What can happen to an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccountEvent {
    /// Its creation is about to be asked of a panel.
    ProvisioningStarted,
    /// The panel has confirmed that it exists and is ours.
    Provisioned,
    /// It cannot be made without a person's help.
    ProvisioningFailed,
}

impl AccountEvent {
    /// Every event.
    pub const ALL: [Self; 3] = [Self::ProvisioningStarted, Self::Provisioned, Self::ProvisioningFailed];

    const fn reason(self) -> &'static str {
        match self {
            Self::ProvisioningStarted => "creation intended",
            Self::Provisioned => "confirmed by the panel",
            Self::ProvisioningFailed => "creation failed",
        }
    }
}

/// Under which name, where and with which password an account is to be created. Committed before the panel
/// hears of it, and reused by every later attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Intent {
    /// The panel's name in the configuration.
    pub server: String,
    /// The login on the panel.
    pub username: Username,
    /// How many names were found taken before this one.
    pub username_salt: i32,
    /// The password, sealed.
    pub sealed_password: String,
    /// When it was first intended.
    pub intended_at: Timestamp,
}

/// An account, as far as its own life goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountState {
    /// Which account.
    pub id: AccountId,
    /// Where it stands.
    pub phase: AccountPhase,
    /// Raised by every move.
    pub version: i32,
    /// What was bought lasts this long at a time.
    pub cycle: BillingCycle,
    /// So many days are a trial, before its first period that is paid; usually none.
    pub trial_days: u32,
}

impl AccountState {
    /// The move that commits the intention to create the account; `None` when it is past that.
    #[must_use]
    pub fn begin(&self, intent: Intent) -> Option<AccountMove> {
        self.apply(AccountEvent::ProvisioningStarted, Change::Intended(intent))
    }

    /// The move that makes it active from `now` until the end of its first period, or of its trial; `None` when it has
    /// moved on.
    ///
    /// # Errors
    /// When that end is beyond the calendar.
    pub fn provisioned(&self, now: Timestamp) -> Result<Option<AccountMove>, PeriodError> {
        let (anchor, expires_at) = self.first_period(now)?;
        Ok(self.apply(AccountEvent::Provisioned, Change::Activated { at: now, anchor, expires_at }))
    }

    /// What its periods count from, and the end of what is paid for when it begins `now`.
    ///
    /// # Errors
    /// When that end is beyond the calendar.
    pub fn first_period(&self, now: Timestamp) -> Result<(Timestamp, Timestamp), PeriodError> {
        if self.trial_days == 0 {
            return Ok((now, period::after_cycles(now, self.cycle, 1)?));
        }
        let end = period::after_trial(now, self.trial_days)?;
        Ok((end, end))
    }

    /// The move that gives it to a person, with the reason; `None` when it has moved on.
    #[must_use]
    pub fn failed(&self, failure: String) -> Option<AccountMove> {
        self.apply(AccountEvent::ProvisioningFailed, Change::Failed(failure))
    }

    /// The state after `step` is committed.
    #[must_use]
    pub fn after(&self, step: &AccountMove) -> Self {
        Self { phase: step.to, version: step.version + 1, ..self.clone() }
    }

    fn apply(&self, event: AccountEvent, change: Change) -> Option<AccountMove> {
        let to = self.phase.next(event)?;
        Some(AccountMove { id: self.id, version: self.version, from: self.phase, to, reason: event.reason(), change })
    }
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
}

/// A move of an account from one version to the next; only [`AccountState`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a move becomes true when it is committed"]
pub struct AccountMove {
    id: AccountId,
    version: i32,
    from: AccountPhase,
    to: AccountPhase,
    reason: &'static str,
    change: Change,
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

    /// What it writes besides.
    #[must_use]
    pub const fn change(&self) -> &Change {
        &self.change
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_in_every_phase() {
        let mut table = String::new();
        for phase in AccountPhase::ALL {
            for event in AccountEvent::ALL {
                let to = phase.next(event).map_or("-", AccountPhase::as_str);
                table.push_str(&format!("{:<13} {:<20} {to}\n", phase.as_str(), format!("{event:?}")));
            }
        }

        insta::assert_snapshot!(table);
    }

    #[test]
    fn periods_count_from_the_activation_or_from_the_end_of_the_trial() {
        let state = |trial_days| AccountState {
            id: AccountId::new(),
            phase: AccountPhase::Provisioning,
            version: 2,
            cycle: BillingCycle::Monthly,
            trial_days,
        };
        let now: Timestamp = "2026-01-31T10:00:00Z".parse().unwrap();
        let period = |trial_days| match state(trial_days).provisioned(now).unwrap().unwrap().change() {
            Change::Activated { at, anchor, expires_at } => [at, anchor, expires_at].map(ToString::to_string),
            other @ (Change::Intended(_) | Change::Failed(_)) => panic!("{other:?}"),
        };

        assert_eq!(period(0), ["2026-01-31T10:00:00Z", "2026-01-31T10:00:00Z", "2026-02-28T10:00:00Z"]);
        assert_eq!(period(14), ["2026-01-31T10:00:00Z", "2026-02-14T10:00:00Z", "2026-02-14T10:00:00Z"]);
    }

    #[test]
    fn names_read_back() {
        for phase in AccountPhase::ALL {
            assert_eq!(phase.as_str().parse(), Ok(phase));
        }
        assert!("live".parse::<AccountPhase>().is_err());
    }
}
