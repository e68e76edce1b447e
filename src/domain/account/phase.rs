//! The account's machine: every phase, every event, and where each leads.

use std::{fmt, str::FromStr};

use crate::domain::order::UnknownPhase;

/// Where an account stands.
///
/// ```text
/// pending ──▶ provisioning ──▶ active ◀──────▶ changing
///    │            │  ▲          │  ▲ ▲
///    │            ▼  │   lapsed ▼  │ └ paid ────────────┐
///    │          failed        grace ┘                   │
///    │            │             │                       │
///    │            │      active, grace ──▶ suspending ──▶ suspended ──▶ unsuspending ──▶ active
///    │            │             │                           │
///    └────────────┴─────────────┴───────────────────────────┴──▶ terminating ──▶ terminated
/// ```
/// While a panel is at work (`provisioning`, `changing`, `suspending`, `unsuspending`, `terminating`) only its answer leads
/// on. What happens meanwhile is recorded in the account's [`Standing`](super::Standing) and acted upon next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccountPhase {
    /// Paid for; nothing was sent to a panel yet.
    Pending,
    /// Its creation is intended and may be under way.
    Provisioning,
    /// The panel has confirmed it.
    Active,
    /// Works, though what was paid for is over and the renewal is not paid yet.
    Grace,
    /// Is to serve a notice; the panel has not confirmed it.
    Suspending,
    /// Exists, but serves a notice instead of the site.
    Suspended,
    /// Is to work again; the panel has not confirmed it.
    Unsuspending,
    /// Gets another package; the panel has not confirmed it.
    Changing,
    /// The panel refused it for good, or every attempt failed. A person decides.
    Failed,
    /// Is to be removed from its panel. Nothing leads back from here.
    Terminating,
    /// Removed from its panel.
    Terminated,
}

impl AccountPhase {
    /// Every phase.
    pub const ALL: [Self; 11] = [
        Self::Pending,
        Self::Provisioning,
        Self::Active,
        Self::Grace,
        Self::Suspending,
        Self::Suspended,
        Self::Unsuspending,
        Self::Changing,
        Self::Failed,
        Self::Terminating,
        Self::Terminated,
    ];

    /// The name in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Provisioning => "provisioning",
            Self::Active => "active",
            Self::Grace => "grace",
            Self::Suspending => "suspending",
            Self::Suspended => "suspended",
            Self::Unsuspending => "unsuspending",
            Self::Changing => "changing",
            Self::Failed => "failed",
            Self::Terminating => "terminating",
            Self::Terminated => "terminated",
        }
    }

    /// The status that customers see: `pending`, `active`, `suspended` or `cancelled`. Between two of them it is still the
    /// former, until the panel has confirmed the latter; an account that is being removed is cancelled at once.
    #[must_use]
    pub const fn status(self) -> &'static str {
        match self {
            Self::Pending | Self::Provisioning | Self::Failed => "pending",
            Self::Active | Self::Grace | Self::Suspending | Self::Changing => "active",
            Self::Suspended | Self::Unsuspending => "suspended",
            Self::Terminating | Self::Terminated => "cancelled",
        }
    }

    /// Whether it is on its panel to be used: from its activation until its end.
    #[must_use]
    pub const fn is_live(self) -> bool {
        match self {
            Self::Active | Self::Grace | Self::Suspending | Self::Suspended | Self::Unsuspending | Self::Changing => {
                true
            }
            Self::Pending | Self::Provisioning | Self::Failed | Self::Terminating | Self::Terminated => false,
        }
    }

    /// Whether its end is decided or behind it.
    #[must_use]
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Terminating | Self::Terminated)
    }

    /// Whether a panel is at work on it, so that only the panel's answer leads on.
    #[must_use]
    pub const fn is_busy(self) -> bool {
        match self {
            Self::Provisioning | Self::Suspending | Self::Unsuspending | Self::Changing | Self::Terminating => true,
            Self::Pending | Self::Active | Self::Grace | Self::Suspended | Self::Failed | Self::Terminated => false,
        }
    }

    /// The whole machine: where an event leads from here, or `None` when it is refused.
    #[must_use]
    pub const fn next(self, event: AccountEvent) -> Option<Self> {
        use AccountEvent as E;
        let (possible, to) = match event {
            E::ProvisioningStarted => {
                (matches!(self, Self::Pending | Self::Provisioning | Self::Failed), Self::Provisioning)
            }
            E::Provisioned => (matches!(self, Self::Provisioning), Self::Active),
            E::ProvisioningFailed => (matches!(self, Self::Provisioning), Self::Failed),
            E::Lapsed => (matches!(self, Self::Active), Self::Grace),
            E::Renewed => (self.is_live(), if matches!(self, Self::Grace) { Self::Active } else { self }),
            E::ReasonRecorded => (self.records_reasons(), self),
            E::ReasonLifted => (self.records_reasons(), self),
            E::SuspensionStarted => (matches!(self, Self::Active | Self::Grace), Self::Suspending),
            E::Suspended => (matches!(self, Self::Suspending), Self::Suspended),
            E::UnsuspensionStarted => (matches!(self, Self::Suspended), Self::Unsuspending),
            E::Unsuspended => (matches!(self, Self::Unsuspending), Self::Active),
            E::ChangeStarted => (matches!(self, Self::Active), Self::Changing),
            E::Changed | E::ChangeRefused => (matches!(self, Self::Changing), Self::Active),
            E::CancelScheduled => (matches!(self, Self::Active | Self::Grace), self),
            E::CancelUndone => (self.is_live(), self),
            E::EndRecorded => (self.is_busy() && !self.is_over(), self),
            E::TerminationStarted => (!self.is_busy() && !self.is_over(), Self::Terminating),
            E::Terminated => (matches!(self, Self::Terminating), Self::Terminated),
        };
        if possible { Some(to) } else { None }
    }

    /// A reason to be suspended is kept here until it can be acted upon; at rest and working, it is acted upon at once.
    const fn records_reasons(self) -> bool {
        match self {
            Self::Pending
            | Self::Provisioning
            | Self::Failed
            | Self::Suspending
            | Self::Suspended
            | Self::Unsuspending
            | Self::Changing => true,
            Self::Active | Self::Grace | Self::Terminating | Self::Terminated => false,
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
    /// What was paid for is over, and its renewal is not paid.
    Lapsed,
    /// Another period has been paid for.
    Renewed,
    /// There is a reason to suspend it, which is acted upon later or stands beside others.
    ReasonRecorded,
    /// A reason to suspend it is gone; another one stands, or its panel is at work.
    ReasonLifted,
    /// There is a reason to suspend it, and it works.
    SuspensionStarted,
    /// The panel has confirmed that it serves a notice.
    Suspended,
    /// The last reason to suspend it is gone.
    UnsuspensionStarted,
    /// The panel has confirmed that it works again.
    Unsuspended,
    /// Another package is about to be asked of the panel.
    ChangeStarted,
    /// The panel has confirmed the other package.
    Changed,
    /// The panel refused the other package: it keeps the one that it has.
    ChangeRefused,
    /// It is to end with what is paid for.
    CancelScheduled,
    /// It is not to end with what is paid for, after all.
    CancelUndone,
    /// It is to end as soon as its panel has answered.
    EndRecorded,
    /// It is to be removed now.
    TerminationStarted,
    /// The panel has confirmed that it is gone.
    Terminated,
}

impl AccountEvent {
    /// Every event.
    pub const ALL: [Self; 19] = [
        Self::ProvisioningStarted,
        Self::Provisioned,
        Self::ProvisioningFailed,
        Self::Lapsed,
        Self::Renewed,
        Self::ReasonRecorded,
        Self::ReasonLifted,
        Self::SuspensionStarted,
        Self::Suspended,
        Self::UnsuspensionStarted,
        Self::Unsuspended,
        Self::ChangeStarted,
        Self::Changed,
        Self::ChangeRefused,
        Self::CancelScheduled,
        Self::CancelUndone,
        Self::EndRecorded,
        Self::TerminationStarted,
        Self::Terminated,
    ];

    /// The reason that the account's history shows.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::ProvisioningStarted => "creation intended",
            Self::Provisioned => "confirmed by the panel",
            Self::ProvisioningFailed => "creation failed",
            Self::Lapsed => "not renewed in time",
            Self::Renewed => "renewed",
            Self::ReasonRecorded => "reason to suspend recorded",
            Self::ReasonLifted => "reason to suspend lifted",
            Self::SuspensionStarted => "to be suspended",
            Self::Suspended => "suspended on the panel",
            Self::UnsuspensionStarted => "to work again",
            Self::Unsuspended => "works again on the panel",
            Self::ChangeStarted => "other package intended",
            Self::Changed => "other package confirmed",
            Self::ChangeRefused => "other package refused",
            Self::CancelScheduled => "to end with the paid period",
            Self::CancelUndone => "end taken back",
            Self::EndRecorded => "to end when the panel has answered",
            Self::TerminationStarted => "to be removed",
            Self::Terminated => "removed from the panel",
        }
    }
}
