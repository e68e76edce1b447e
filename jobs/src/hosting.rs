//! Hosting accounts and the panels that they live on.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Backoff, Class, Job, Queue, ids::AccountId};

/// Makes a pending account exist on its panel, then welcomes the customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProvisionAccount {
    /// The account to make.
    pub account_id: AccountId,
}

impl Job for ProvisionAccount {
    const NAME: &'static str = "provision_account";
    const QUEUE: Queue = Queue::Provisioning;
    const CLASS: Class = Class::Urgent;
    const TRIES: u32 = 20;
    const TIMEOUT: Duration = Duration::from_secs(300);
    const BACKOFF: Backoff = Backoff::seconds(5, 6 * 3600);
    const EXTERNAL: bool = true;

    fn coalesce_key(&self) -> Option<String> {
        Some(format!("provision_account:{}", self.account_id))
    }

    fn serial(&self) -> Option<String> {
        Some(format!("account:{}", self.account_id))
    }
}

/// Makes the panel agree with the account's row, whatever the row says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReconcileAccount {
    /// The account to look at.
    pub account_id: AccountId,
}

impl Job for ReconcileAccount {
    const NAME: &'static str = "reconcile_account";
    const QUEUE: Queue = Queue::Provisioning;
    const TRIES: u32 = 20;
    const TIMEOUT: Duration = Duration::from_secs(300);
    const BACKOFF: Backoff = Backoff::seconds(5, 6 * 3600);
    const EXTERNAL: bool = true;

    fn coalesce_key(&self) -> Option<String> {
        Some(format!("reconcile_account:{}", self.account_id))
    }

    fn serial(&self) -> Option<String> {
        Some(format!("account:{}", self.account_id))
    }
}
