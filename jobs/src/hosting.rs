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

/// Has an account that is to be suspended serve a notice, then tells its customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SuspendAccount {
    /// The account to suspend.
    pub account_id: AccountId,
}

impl Job for SuspendAccount {
    const NAME: &'static str = "suspend_account";
    const QUEUE: Queue = Queue::Provisioning;
    const TRIES: u32 = 20;
    const TIMEOUT: Duration = Duration::from_secs(300);
    // What is paid meanwhile waits for this job's end, so it never pauses for long.
    const BACKOFF: Backoff = Backoff::seconds(5, 15 * 60);
    const EXTERNAL: bool = true;

    fn coalesce_key(&self) -> Option<String> {
        Some(format!("suspend_account:{}", self.account_id))
    }

    fn serial(&self) -> Option<String> {
        Some(format!("account:{}", self.account_id))
    }
}

/// Lets an account that is to work again do so, then tells its customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnsuspendAccount {
    /// The account to let work again.
    pub account_id: AccountId,
}

impl Job for UnsuspendAccount {
    const NAME: &'static str = "unsuspend_account";
    const QUEUE: Queue = Queue::Provisioning;
    const CLASS: Class = Class::Urgent;
    const TRIES: u32 = 30;
    const TIMEOUT: Duration = Duration::from_secs(300);
    // Whoever has paid looks at the site within the minute: six tries fall into it.
    const BACKOFF: Backoff = Backoff::seconds(1, 10 * 60);
    const EXTERNAL: bool = true;

    fn coalesce_key(&self) -> Option<String> {
        Some(format!("unsuspend_account:{}", self.account_id))
    }

    fn serial(&self) -> Option<String> {
        Some(format!("account:{}", self.account_id))
    }
}

/// Makes an account what its customer has changed it to, then tells them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangePackage {
    /// The account to change.
    pub account_id: AccountId,
}

impl Job for ChangePackage {
    const NAME: &'static str = "change_package";
    const QUEUE: Queue = Queue::Provisioning;
    const CLASS: Class = Class::Urgent;
    const TRIES: u32 = 20;
    const TIMEOUT: Duration = Duration::from_secs(300);
    const BACKOFF: Backoff = Backoff::seconds(5, 15 * 60);
    const EXTERNAL: bool = true;

    fn coalesce_key(&self) -> Option<String> {
        Some(format!("change_package:{}", self.account_id))
    }

    fn serial(&self) -> Option<String> {
        Some(format!("account:{}", self.account_id))
    }
}

/// Makes a backup of an account that is to end, removes it from its panel, then tells its customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TerminateAccount {
    /// The account to remove.
    pub account_id: AccountId,
}

impl Job for TerminateAccount {
    const NAME: &'static str = "terminate_account";
    const QUEUE: Queue = Queue::Provisioning;
    const TRIES: u32 = 20;
    // A backup reads all that a customer has.
    const TIMEOUT: Duration = Duration::from_secs(3600);
    const BACKOFF: Backoff = Backoff::seconds(30, 6 * 3600);
    const EXTERNAL: bool = true;

    fn coalesce_key(&self) -> Option<String> {
        Some(format!("terminate_account:{}", self.account_id))
    }

    fn serial(&self) -> Option<String> {
        Some(format!("account:{}", self.account_id))
    }
}

/// Deletes the backup and the secrets of an account that ended long ago.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PurgeAccount {
    /// The account to forget.
    pub account_id: AccountId,
}

impl Job for PurgeAccount {
    const NAME: &'static str = "purge_account";
    const QUEUE: Queue = Queue::Provisioning;
    const CLASS: Class = Class::Bulk;
    const TRIES: u32 = 20;
    const TIMEOUT: Duration = Duration::from_secs(300);
    const BACKOFF: Backoff = Backoff::seconds(30, 6 * 3600);
    const EXTERNAL: bool = true;

    fn coalesce_key(&self) -> Option<String> {
        Some(format!("purge_account:{}", self.account_id))
    }

    fn serial(&self) -> Option<String> {
        Some(format!("account:{}", self.account_id))
    }
}

/// Gives an account the new password that its customer has asked for, then tells them. Without such a wish it does nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResetPassword {
    /// The account whose password is reset.
    pub account_id: AccountId,
}

impl Job for ResetPassword {
    const NAME: &'static str = "reset_password";
    const QUEUE: Queue = Queue::Provisioning;
    const CLASS: Class = Class::Urgent;
    const TRIES: u32 = 20;
    const TIMEOUT: Duration = Duration::from_secs(300);
    // Somebody is locked out and waits.
    const BACKOFF: Backoff = Backoff::seconds(2, 15 * 60);
    const EXTERNAL: bool = true;

    fn coalesce_key(&self) -> Option<String> {
        Some(format!("reset_password:{}", self.account_id))
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

/// Finds the accounts that lie on a server under Berth's mark and that the database does not know there, and tells a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReconcileServer {
    /// Its name in the configuration.
    pub server: String,
}

impl Job for ReconcileServer {
    const NAME: &'static str = "reconcile_server";
    const QUEUE: Queue = Queue::Provisioning;
    const CLASS: Class = Class::Bulk;
    const TRIES: u32 = 5;
    // Some servers have to be asked for each of their accounts.
    const TIMEOUT: Duration = Duration::from_secs(900);
    const BACKOFF: Backoff = Backoff::seconds(60, 3600);
    const EXTERNAL: bool = true;

    fn coalesce_key(&self) -> Option<String> {
        Some(format!("reconcile_server:{}", self.server))
    }

    fn serial(&self) -> Option<String> {
        // Not the probe's: whoever waits for a server that is broken must not wait for a list.
        Some(format!("list:{}", self.server))
    }
}

/// Asks a broken server whether it lives, until it does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProbeServer {
    /// Its name in the configuration.
    pub server: String,
}

impl Job for ProbeServer {
    const NAME: &'static str = "probe_server";
    const QUEUE: Queue = Queue::Provisioning;
    const CLASS: Class = Class::Urgent;
    const TRIES: u32 = 20;
    const TIMEOUT: Duration = Duration::from_secs(60);
    const BACKOFF: Backoff = Backoff::seconds(15, 15 * 60);

    fn coalesce_key(&self) -> Option<String> {
        Some(format!("probe_server:{}", self.server))
    }

    fn serial(&self) -> Option<String> {
        Some(format!("server:{}", self.server))
    }
}
