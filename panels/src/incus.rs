//! Incus, and LXD, which has the same API: an account is a container, whose root is nobody on the server.
//!
//! What Berth has to remember of a container is kept on it, under keys of `user.berth` (see `wire.rs`): whose it is, its
//! package, our suspension. The container is called as the account's username; its backups are containers too, named
//! `backup-acc-…` (see `backups.rs`). The daemon does what takes time in operations: a call follows one for a while
//! ([`IncusConfig::patience`]), then answers [`Step::Pending`].
//!
//! What is not in limits comes from profiles of the operator's: networks and their filters, nesting, cloud-init's
//! `cloud-init.user-data` for images that read it (such as `ssh_pwauth: true`, without which most of them take no password).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use berth_jobs::ids::AccountId;
use secrecy::SecretString;
use tokio::sync::Mutex;

use super::{
    AccountRef, Backup, BackupRef, Caps, CreateSpec, Created, Listed, Observed, OneTimeUrl, Panel, PanelError,
    PanelFuture, ServerInfo, Step, TaskOutcome, TaskRef, Usage,
};
use crate::http::{Http, HttpConfig};

mod api;
mod backups;
mod failures;
pub(crate) mod limits;
mod lives;
mod names;
mod password;
mod tasks;
mod wire;
mod work;

pub use limits::Package;

use api::Api;
use names::InstanceName;
use work::Work;

/// Accounts that share a lock only wait for each other.
const LOCKS: usize = 64;

/// Which server, and what is sold on it.
#[derive(Clone)]
pub struct IncusConfig {
    /// The unix socket (of `incus`, usually `/var/lib/incus/unix.socket`), or an HTTPS endpoint with the client's certificate,
    /// which the server has to trust, and the server's own as [`crate::http::Trust::Certificate`].
    pub http: HttpConfig,
    /// The project, which is there already; `default` where nothing else is set up.
    pub project: String,
    /// The pool of the accounts' root disks.
    pub pool: String,
    /// Whether the pool counts and limits what a disk takes: btrfs, ZFS, LVM and Ceph do, `dir` only upon a file system with
    /// project quotas. Without it neither [`Caps::usage`] nor [`Caps::enforces_packages`] holds, and no backup's size is known.
    pub quotas: bool,
    /// The pool of the backups; `None` for that of the accounts.
    pub backup_pool: Option<String>,
    /// The usual image, by its alias on the server.
    pub image: String,
    /// The usual profiles.
    pub profiles: Vec<String>,
    /// What is sold, by the packages' names.
    pub packages: BTreeMap<String, Package>,
    /// Who logs in with the account's password, such as `root`: a user of the image.
    pub login: String,
    /// How long an instance may take to end by itself when it is suspended. It is part of the call.
    pub grace: Duration,
    /// How long a call follows an operation before it answers that it is pending.
    pub patience: Duration,
}

impl IncusConfig {
    /// A server with the project `default`, a pool `default` with quotas, an image without packages, and the usual times.
    #[must_use]
    pub fn new(http: HttpConfig, image: impl Into<String>) -> Self {
        Self {
            http,
            project: "default".to_owned(),
            pool: "default".to_owned(),
            quotas: true,
            backup_pool: None,
            image: image.into(),
            profiles: vec!["default".to_owned()],
            packages: BTreeMap::new(),
            login: "root".to_owned(),
            grace: Duration::from_secs(15),
            patience: Duration::from_secs(20),
        }
    }
}

impl fmt::Debug for IncusConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IncusConfig")
            .field("http", &self.http)
            .field("project", &self.project)
            .field("pool", &self.pool)
            .field("packages", &self.packages)
            .finish_non_exhaustive()
    }
}

/// The driver `incus`.
pub struct IncusPanel {
    config: IncusConfig,
    api: Api,
    locks: Vec<Mutex<()>>,
}

impl IncusPanel {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// [`PanelError::Misconfigured`] where the endpoint, a certificate or a key cannot be used.
    pub fn new(config: IncusConfig) -> Result<Self, PanelError> {
        let api = Api::new(Http::new(config.http.clone())?, config.project.clone());
        Ok(Self { config, api, locks: (0..LOCKS).map(|_| Mutex::new(())).collect() })
    }

    async fn work(&self, account: AccountId) -> Work<'_> {
        let sum = account.to_string().bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let lock = &self.locks[sum % LOCKS];
        Work { config: &self.config, api: self.api.again(), _lock: lock.lock().await }
    }

    /// That all is there which the configuration names.
    async fn check_names(&self) -> Result<(), PanelError> {
        for path in self.named() {
            let path: Vec<_> = path.iter().map(String::as_str).collect();
            if !self.api.has(&path).await? {
                return Err(PanelError::misconfigured(format!("the server has no {}", path.join("/"))));
            }
        }
        Ok(())
    }

    /// The paths of what the configuration names.
    fn named(&self) -> BTreeSet<Vec<String>> {
        let path =
            |kind: &[&str], name: &String| kind.iter().copied().chain([name.as_str()]).map(str::to_owned).collect();
        let pools = [&self.config.pool].into_iter().chain(&self.config.backup_pool);
        let mut named: BTreeSet<_> = pools.map(|pool| path(&["storage-pools"], pool)).collect();
        for package in self.config.packages.values() {
            let image = package.image.as_ref().unwrap_or(&self.config.image);
            named.insert(path(&["images", "aliases"], image));
            let profiles = package.profiles.as_ref().unwrap_or(&self.config.profiles);
            named.extend(profiles.iter().map(|profile| path(&["profiles"], profile)));
        }
        named
    }

    async fn info(&self) -> Result<ServerInfo, PanelError> {
        let server = self.api.server().await?;
        if server.auth != "trusted" {
            return Err(PanelError::misconfigured("the server does not trust the client's certificate"));
        }
        self.check_names().await?;
        let environment = server.environment;
        let product = if environment.server.is_empty() { "lxd" } else { &environment.server };
        Ok(ServerInfo {
            version: format!("{product} {}", environment.server_version),
            hostname: Some(environment.server_name),
            nameservers: Vec::new(),
        })
    }

    async fn use_of(&self, account: &AccountRef) -> Result<Usage, PanelError> {
        if !self.config.quotas {
            return Err(PanelError::permanent("the server's storage pool does not count what an instance takes"));
        }
        let name = InstanceName::of(account)?;
        work::owned(&self.api, account, &name).await?;
        let bytes = self.api.state(&name).await?.and_then(|state| state.root_bytes());
        let disk_bytes = bytes.ok_or_else(|| {
            PanelError::misconfigured("the server's storage pool is said to have quotas, and does not count")
        })?;
        // Neither files nor a month's traffic are counted: the network's counters begin anew with every start.
        Ok(Usage { disk_bytes, inodes: None, traffic_bytes: None })
    }
}

impl Panel for IncusPanel {
    fn caps(&self) -> Caps {
        Caps {
            passwords: true,
            login_url: false,
            usage: self.config.quotas,
            backups: true,
            enforces_packages: self.config.quotas,
            tasks: true,
            username_max: names::NAME_MAX,
        }
    }

    fn probe(&self) -> PanelFuture<'_, ServerInfo> {
        Box::pin(self.info())
    }

    fn observe<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Observed> {
        Box::pin(async move {
            let name = InstanceName::of(account)?;
            Ok(lives::observed(work::find_settled(&self.api, account, &name).await?, &name))
        })
    }

    fn list(&self) -> PanelFuture<'_, Vec<Listed>> {
        Box::pin(async { Ok(self.api.instances().await?.into_iter().filter_map(lives::listed).collect()) })
    }

    fn ensure_created<'a>(&'a self, spec: &'a CreateSpec) -> PanelFuture<'a, Step<Created>> {
        Box::pin(async move {
            let work = self.work(spec.account.account_id).await;
            work.answer(work.create(spec).await)
        })
    }

    fn ensure_suspended<'a>(&'a self, account: &'a AccountRef, reason: &'a str) -> PanelFuture<'a, Step<()>> {
        Box::pin(async move {
            let work = self.work(account.account_id).await;
            work.answer(work.suspend(account, reason).await)
        })
    }

    fn ensure_active<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Step<()>> {
        Box::pin(async move {
            let work = self.work(account.account_id).await;
            work.answer(work.activate(account).await)
        })
    }

    fn ensure_package<'a>(&'a self, account: &'a AccountRef, package: &'a str) -> PanelFuture<'a, Step<()>> {
        Box::pin(async move {
            let work = self.work(account.account_id).await;
            work.answer(work.put_on(account, package).await)
        })
    }

    fn ensure_absent<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Step<()>> {
        Box::pin(async move {
            let work = self.work(account.account_id).await;
            work.answer(work.remove(account).await)
        })
    }

    fn ensure_backup<'a>(&'a self, account: &'a AccountRef, backup: &'a BackupRef) -> PanelFuture<'a, Step<Backup>> {
        Box::pin(async move {
            let work = self.work(account.account_id).await;
            work.answer(work.back_up(account, backup).await)
        })
    }

    fn ensure_backup_absent<'a>(&'a self, backup: &'a BackupRef) -> PanelFuture<'a, Step<()>> {
        Box::pin(async move {
            let work = self.work(backup.account_id()).await;
            work.answer(work.remove_backup(backup).await)
        })
    }

    fn ensure_restored<'a>(&'a self, account: &'a AccountRef, backup: &'a BackupRef) -> PanelFuture<'a, Step<()>> {
        Box::pin(async move {
            let work = self.work(account.account_id).await;
            work.answer(work.restore(account, backup).await)
        })
    }

    fn set_password<'a>(&'a self, account: &'a AccountRef, password: &'a SecretString) -> PanelFuture<'a, Step<()>> {
        Box::pin(async move {
            let work = self.work(account.account_id).await;
            work.answer(work.set_password(account, password).await)
        })
    }

    fn login_url<'a>(&'a self, _: &'a AccountRef) -> PanelFuture<'a, OneTimeUrl> {
        Box::pin(async { Err(PanelError::permanent("a container has no page to sign in at")) })
    }

    fn usage<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Usage> {
        Box::pin(self.use_of(account))
    }

    fn poll<'a>(&'a self, task: &'a TaskRef) -> PanelFuture<'a, Step<TaskOutcome>> {
        Box::pin(work::poll(&self.api, task))
    }
}

#[cfg(test)]
mod tests;
