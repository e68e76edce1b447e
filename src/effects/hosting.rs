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
    /// That its backup was deleted then. Its secrets, and what the backup was called, go with it.
    pub purged_at: Option<Timestamp>,
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

    /// Sets something of an account.
    #[must_use]
    pub fn edit_account(mut self, edit: AccountEdit) -> Self {
        self.account_edits.push(edit);
        self
    }
}
