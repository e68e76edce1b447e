//! What becomes of accounts besides their phase: the job that goes on with a move, and what is set of them by hand.

use berth_jobs::{
    AnyJob,
    hosting::{ChangePackage, ProvisionAccount, SuspendAccount, TerminateAccount, UnsuspendAccount},
    ids::AccountId,
};
use jiff::Timestamp;

use super::Effects;
use crate::domain::{
    account::{AccountMove, AccountPhase},
    timetable::TimetableChanges,
};

/// What is set of an account, from one version to the next. Refused when it is at another one.
#[derive(Clone, Debug)]
pub struct AccountEdit {
    /// Which.
    pub account_id: AccountId,
    /// The version that it is set at; in a unit that also moves the account, the one after that move.
    pub version: i32,
    /// Why, for the history.
    pub reason: &'static str,
    /// What is set.
    pub settings: AccountSettings,
}

/// What may be set of an account. What is not said stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountSettings {
    /// Whether it is renewed by itself.
    pub auto_renew: Option<bool>,
    /// Whether it is never suspended, nor removed, for non-payment.
    pub exempt: Option<bool>,
    /// Whether staff keeps it from being removed.
    pub kept: Option<bool>,
    /// What its timetable has otherwise than its plan's, as a whole.
    pub timetable: Option<TimetableChanges>,
    /// Until when it is not suspended for non-payment.
    pub spared_until: Option<Timestamp>,
    /// Whether it may be removed without a backup.
    pub backup_waived: Option<bool>,
    /// What happens to its password. Refused where nobody waits for a new one, but for the wish itself.
    pub password: Option<PasswordStep>,
    /// That its backup was deleted then. Its secrets, and what the backup was called, go with it.
    pub purged_at: Option<Timestamp>,
}

/// What happens to an account's password after its first one, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordStep {
    /// Its customer wants another one since then. What is sealed of the old one is forgotten.
    Asked(Timestamp),
    /// The new one, sealed: it is about to be set, and set again by whoever cannot tell whether it was.
    Sealed(String),
    /// It is in force since then, and can be revealed. Refused where what was sealed is forgotten already.
    Set(Timestamp),
    /// It will not be set after all.
    Dropped,
}

/// What an account uses, by its panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageSample {
    /// Which.
    pub account_id: AccountId,
    /// Bytes of its files.
    pub disk_bytes: u64,
    /// Files and directories; `None` where its panel does not count them.
    pub inodes: Option<u64>,
    /// Bytes sent in this calendar month; `None` where its panel does not count them.
    pub traffic_bytes: Option<u64>,
    /// When it was looked at.
    pub at: Timestamp,
}

/// The job that goes on with an account of that phase; none where nothing is asked of a panel.
#[must_use]
pub fn job_of(account_id: AccountId, phase: AccountPhase) -> Option<AnyJob> {
    match phase {
        AccountPhase::Provisioning => Some(ProvisionAccount { account_id }.into()),
        AccountPhase::Suspending => Some(SuspendAccount { account_id }.into()),
        AccountPhase::Unsuspending => Some(UnsuspendAccount { account_id }.into()),
        AccountPhase::Changing => Some(ChangePackage { account_id }.into()),
        AccountPhase::Terminating => Some(TerminateAccount { account_id }.into()),
        AccountPhase::Pending
        | AccountPhase::Active
        | AccountPhase::Grace
        | AccountPhase::Suspended
        | AccountPhase::Failed
        | AccountPhase::Terminated => None,
    }
}

impl Effects {
    /// Moves an account and adds the job that its new phase asks for. A wish that is recorded while its panel is at work
    /// wakes the job that waits for the panel.
    #[must_use]
    pub fn begin(self, step: AccountMove) -> Self {
        let job = job_of(step.id(), step.to());
        let effects = self.move_account(step);
        match job {
            Some(job) => effects.enqueue(job),
            None => effects,
        }
    }

    /// Adds a sample of what an account uses: the latest one of a day is kept.
    #[must_use]
    pub fn sample(mut self, sample: UsageSample) -> Self {
        self.usage.push(sample);
        self
    }

    /// Sets something of an account.
    #[must_use]
    pub fn edit_account(mut self, edit: AccountEdit) -> Self {
        self.account_edits.push(edit);
        self
    }
}
