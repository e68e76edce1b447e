//! Proxmox VE: an account is a virtual machine, cloned from a template and set up by its cloud-init.
//!
//! What Berth has to remember of a machine is kept in its notes, as lines of `berth.…` (see `notes.rs`): whose it is, its
//! package, our suspension. The machine is called as the account's username; its number (VMID) is worked out from the account's
//! id (see `slots.rs`), so a create that is sent again asks for the same number, and the server refuses the second. What takes
//! time the server does in tasks: a call follows one for a while ([`ProxmoxConfig::patience`]), then answers [`Step::Pending`].
//!
//! Some things a virtual machine decides. Its disk only grows: a smaller package leaves it as it is. Cores and memory change at
//! its next restart, unless the template's `hotplug` takes them at once. A machine that its owner has turned off is active; one
//! that staff have stopped for good, without `onboot`, is suspended by somebody else. There is no sign-in link, as the server's
//! own page has no logins for customers.
//!
//! The token's user needs, on `/vms` with propagation: `VM.Audit`, `VM.Allocate`, `VM.Clone`, `VM.PowerMgmt`,
//! `VM.Config.Options`, `VM.Config.CPU`, `VM.Config.Memory`, `VM.Config.Disk`, `VM.Config.Cloudinit`, `VM.Config.Network`; with
//! the guest agent `VM.GuestAgent.Unrestricted` and `VM.GuestAgent.Audit`; with backups `VM.Backup`. Besides,
//! `Datastore.AllocateSpace` on the storages and `SDN.Use` on the template's network. It must see every machine: one that it
//! does not see would hold a number that seems free. Versions before 8 say in no answer why they refuse, and are not supported.

use std::{collections::BTreeMap, fmt, ops::RangeInclusive, time::Duration};

use berth_jobs::ids::AccountId;
use secrecy::SecretString;
use tokio::sync::Mutex;

use crate::{
    AccountRef, Backup, BackupRef, Caps, CreateSpec, Created, Listed, Observed, OneTimeUrl, Panel, PanelError,
    PanelFuture, ServerInfo, Step, TaskOutcome, TaskRef, Usage, http::HttpConfig,
};

mod api;
mod backups;
mod failures;
mod limits;
mod listing;
mod lives;
mod machine;
mod notes;
mod password;
mod probe;
mod slots;
mod tasks;
mod wire;
mod work;

pub use limits::Package;

use api::Api;
use slots::Slots;
use work::Work;

/// Accounts that share a lock only wait for each other.
const LOCKS: usize = 64;
/// A change of a configuration waits up to ten seconds for the machine's lock; all that takes longer is a task.
const MUTATION_TIMEOUT: Duration = Duration::from_secs(30);
/// All guests of a cluster are listed at once, with about 600 bytes each.
const BODY_MAX: usize = 16 * 1024 * 1024;
/// What a host's name may have, as the machine is given it.
const NAME_MAX: usize = 63;

/// One node of a cluster, and what is sold on it.
#[derive(Clone)]
pub struct ProxmoxConfig {
    /// The endpoint, such as `https://pve1.example.net:8006`, and how it is reached. A node's own certificate is signed by the
    /// cluster's own authority: [`crate::http::Trust`] names that, or pins the certificate.
    pub http: HttpConfig,
    /// The API token's id, such as `berth@pve!hosting`.
    pub token_id: String,
    /// The token's secret.
    pub token_secret: SecretString,
    /// The node that machines are made on, where the templates are. They are found wherever the cluster moves them.
    pub node: String,
    /// The numbers that Berth gives, and nobody else. At least [`ProxmoxConfig::VMIDS_MIN`] of them, and a hundred times as many
    /// as there will be machines.
    pub vmids: RangeInclusive<u32>,
    /// The usual template, by its number. It has a disk and a cloud-init drive.
    pub template: u32,
    /// Which of the template's disks is the package's, such as `scsi0`.
    pub disk: String,
    /// Whether machines get disks of their own, instead of such as build upon the template's.
    pub full_clones: bool,
    /// Where the disks of full clones go; `None` for where the template's are.
    pub storage: Option<String>,
    /// Where backups go, whichever node a machine is on; `None` for none: [`Caps::backups`] is false then.
    pub backup_storage: Option<String>,
    /// The resource pool that machines are put into.
    pub resource_pool: Option<String>,
    /// Who logs in with the account's password: cloud-init makes the user.
    pub login: String,
    /// The operator's own SSH keys, which each machine takes besides the password.
    pub ssh_keys: Vec<String>,
    /// The first interface's addresses, as `ipconfig0` takes them, such as `ip=dhcp`; `None` for the template's own.
    pub ip_config: Option<String>,
    /// Whether the templates have QEMU's guest agent. With it a password changes without a restart, and usage is known.
    pub guest_agent: bool,
    /// What is sold, by the packages' names.
    pub packages: BTreeMap<String, Package>,
    /// How long a machine may take to end by itself when it is suspended, or started anew for a password.
    pub grace: Duration,
    /// How long a call follows a task before it answers that it is pending.
    pub patience: Duration,
}

impl ProxmoxConfig {
    /// The fewest numbers that a server can do with.
    pub const VMIDS_MIN: u32 = 10_000;

    /// A node with the usual numbers and times, and a template without packages.
    #[must_use]
    pub fn new(
        http: HttpConfig,
        token_id: impl Into<String>,
        token_secret: SecretString,
        node: impl Into<String>,
    ) -> Self {
        Self {
            http: HttpConfig { body_max: BODY_MAX, mutation_timeout: MUTATION_TIMEOUT, ..http },
            token_id: token_id.into(),
            token_secret,
            node: node.into(),
            vmids: 1_000_000..=9_999_999,
            template: 9000,
            disk: "scsi0".to_owned(),
            full_clones: true,
            storage: None,
            backup_storage: None,
            resource_pool: None,
            login: "root".to_owned(),
            ssh_keys: Vec::new(),
            ip_config: Some("ip=dhcp".to_owned()),
            guest_agent: false,
            packages: BTreeMap::new(),
            grace: Duration::from_secs(60),
            patience: Duration::from_secs(20),
        }
    }
}

impl fmt::Debug for ProxmoxConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxmoxConfig")
            .field("http", &self.http)
            .field("token_id", &self.token_id)
            .field("node", &self.node)
            .field("vmids", &self.vmids)
            .field("packages", &self.packages)
            .finish_non_exhaustive()
    }
}

/// The driver `proxmox`.
pub struct ProxmoxPanel {
    config: ProxmoxConfig,
    slots: Slots,
    api: Api,
    locks: Vec<Mutex<()>>,
}

impl ProxmoxPanel {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// [`PanelError::Misconfigured`] where the endpoint, a certificate, the token, the range of numbers or the storage cannot
    /// be used.
    pub fn new(config: ProxmoxConfig) -> Result<Self, PanelError> {
        let slots = Slots::new(&config.vmids)?;
        if config.storage.is_some() && !config.full_clones {
            let why = "linked clones stay on their template's storage: only full ones go to another";
            return Err(PanelError::misconfigured(why));
        }
        let api = Api::new(config.http.clone(), &config.token_id, &config.token_secret)?;
        Ok(Self { config, slots, api, locks: (0..LOCKS).map(|_| Mutex::new(())).collect() })
    }

    /// A call that changes something holds the account's lock of this process: between processes, the jobs see to it that one
    /// account is changed by one call at a time.
    async fn work(&self, account: AccountId) -> Work<'_> {
        let sum = account.to_string().bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let lock = self.locks[sum % LOCKS].lock().await;
        Work { lock: Some(lock), ..self.look() }
    }

    /// A call that changes nothing.
    fn look(&self) -> Work<'_> {
        Work { config: &self.config, slots: &self.slots, api: &self.api, patience: self.config.patience, lock: None }
    }
}

/// The machine's name, which is its host name too.
fn name_of(account: &AccountRef) -> Result<&str, PanelError> {
    let name = account.username.as_str();
    let is_plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let begins_well = name.starts_with(|first: char| first.is_ascii_lowercase());
    if is_plain && begins_well && name.len() <= NAME_MAX {
        return Ok(name);
    }
    Err(PanelError::permanent(format!(
        "the username {name:?} is not 1 to {NAME_MAX} lower-case letters and digits, a letter first"
    )))
}

impl Panel for ProxmoxPanel {
    fn caps(&self) -> Caps {
        Caps {
            passwords: true,
            login_url: false,
            usage: self.config.guest_agent,
            backups: self.config.backup_storage.is_some(),
            enforces_packages: true,
            tasks: true,
            username_max: NAME_MAX,
        }
    }

    fn probe(&self) -> PanelFuture<'_, ServerInfo> {
        Box::pin(async { self.look().server_info().await })
    }

    fn observe<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Observed> {
        Box::pin(async move { self.look().observed(account).await })
    }

    fn list(&self) -> PanelFuture<'_, Vec<Listed>> {
        Box::pin(async { self.look().accounts().await })
    }

    fn ensure_created<'a>(&'a self, spec: &'a CreateSpec) -> PanelFuture<'a, Step<Created>> {
        Box::pin(async move { work::answer(self.work(spec.account.account_id).await.create(spec).await) })
    }

    fn ensure_suspended<'a>(&'a self, account: &'a AccountRef, reason: &'a str) -> PanelFuture<'a, Step<()>> {
        Box::pin(async move { work::answer(self.work(account.account_id).await.suspend(account, reason).await) })
    }

    fn ensure_active<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Step<()>> {
        Box::pin(async move { work::answer(self.work(account.account_id).await.activate(account).await) })
    }

    fn ensure_package<'a>(&'a self, account: &'a AccountRef, package: &'a str) -> PanelFuture<'a, Step<()>> {
        Box::pin(async move { work::answer(self.work(account.account_id).await.put_on(account, package).await) })
    }

    fn ensure_absent<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Step<()>> {
        Box::pin(async move { work::answer(self.work(account.account_id).await.remove(account).await) })
    }

    fn ensure_backup<'a>(&'a self, account: &'a AccountRef, backup: &'a BackupRef) -> PanelFuture<'a, Step<Backup>> {
        Box::pin(async move { work::answer(self.work(account.account_id).await.back_up(account, backup).await) })
    }

    fn ensure_backup_absent<'a>(&'a self, backup: &'a BackupRef) -> PanelFuture<'a, Step<()>> {
        Box::pin(async move { work::answer(self.work(backup.account_id()).await.remove_backup(backup).await) })
    }

    fn ensure_restored<'a>(&'a self, account: &'a AccountRef, backup: &'a BackupRef) -> PanelFuture<'a, Step<()>> {
        Box::pin(async move { work::answer(self.work(account.account_id).await.restore(account, backup).await) })
    }

    fn set_password<'a>(&'a self, account: &'a AccountRef, password: &'a SecretString) -> PanelFuture<'a, Step<()>> {
        Box::pin(async move { work::answer(self.work(account.account_id).await.set_password(account, password).await) })
    }

    fn login_url<'a>(&'a self, _: &'a AccountRef) -> PanelFuture<'a, OneTimeUrl> {
        Box::pin(async { Err(PanelError::permanent("a machine has no page that a customer could sign in at")) })
    }

    fn usage<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Usage> {
        Box::pin(async move { self.look().used(account).await })
    }

    fn poll<'a>(&'a self, task: &'a TaskRef) -> PanelFuture<'a, Step<TaskOutcome>> {
        Box::pin(async move { self.look().poll(task).await })
    }
}

#[cfg(test)]
mod tests;
