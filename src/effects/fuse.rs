//! Plans that wait for a person.

use berth_jobs::ids::{AccountId, FusePlanId};
use jiff::Timestamp;

use super::Effects;
use crate::domain::{fuse::Fused, money::Money};

/// What a sweep was about to do to too many accounts. Ignored while another plan of the sort waits to be confirmed.
#[derive(Clone, Debug)]
pub struct NewFusePlan {
    /// Its id.
    pub id: FusePlanId,
    /// What.
    pub what: Fused,
    /// When.
    pub planned_at: Timestamp,
    /// How many it would have been in a day.
    pub count: u64,
    /// Of how many.
    pub of_accounts: u64,
    /// To which accounts, and how much it was about.
    pub rows: Vec<(AccountId, Option<Money>)>,
}

impl Effects {
    /// Keeps a plan, and tells a person.
    #[must_use]
    pub fn keep_plan(mut self, plan: NewFusePlan) -> Self {
        self.fuse_plans.push(plan);
        self
    }

    /// Says that a person has confirmed a plan.
    #[must_use]
    pub fn confirm_plan(mut self, plan: FusePlanId, by: impl Into<String>, at: Timestamp) -> Self {
        self.confirmed_plans.push((plan, by.into(), at));
        self
    }
}
