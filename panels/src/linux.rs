//! The panel of one real server: nginx, php-fpm, MariaDB and SFTP, by way of the privileged command `berth-host`, so that
//! whoever talks to the internet need not be root.

use std::{sync::Arc, time::Duration};

use berth_host::protocol::{self, Quota, Verb};
use berth_jobs::ids::AccountId;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Semaphore;

use super::{
    AccountRef, Backup, BackupRef, Caps, CreateSpec, Created, Listed, Observed, OneTimeUrl, Panel, PanelError,
    PanelFuture, RemoteState, ServerInfo, Step, TaskOutcome, TaskRef, Usage,
};

mod command;

use command::Command;

/// The longest name that the command takes.
const USERNAME_MAX: usize = 16;
/// The maker of a suspension which Berth may lift.
const BERTH: &str = "berth";
/// Commands that may run at once; each works on another account, and more only wait for the same locks.
const SLOTS: usize = 8;
/// Backups and restores that may run at once: they take as long as the files are large, and nobody should wait for them.
const BACKUP_SLOTS: usize = 2;

/// How the server is reached.
#[derive(Clone, Debug)]
pub struct LinuxConfig {
    /// The privileged command before its verb: `["/usr/bin/sudo", "-n", "/usr/sbin/berth-host"]`, or without sudo for a
    /// worker that is root. By absolute path.
    pub command: Vec<String>,
    /// How long a command is waited for; one with WordPress takes seconds, and it may wait for others.
    pub timeout: Duration,
    /// The same for backups and restores.
    pub backup_timeout: Duration,
    /// Whether the server's file system enforces the packages' disk limits: said to be so here, and held against what
    /// the server says by [`Panel::probe`].
    pub enforces_quota: bool,
}

/// The driver `linux`.
pub struct LinuxPanel {
    command: Command,
    config: LinuxConfig,
    slots: Arc<Semaphore>,
    backup_slots: Arc<Semaphore>,
}

impl LinuxPanel {
    /// Runs nothing yet: a wrong configuration is answered by the first call, `probe` at the latest.
    #[must_use]
    pub fn new(config: LinuxConfig) -> Self {
        Self {
            command: Command::new(config.command.clone()),
            config,
            slots: Arc::new(Semaphore::new(SLOTS)),
            backup_slots: Arc::new(Semaphore::new(BACKUP_SLOTS)),
        }
    }

    async fn ask<T: serde::de::DeserializeOwned>(
        &self,
        verb: Verb,
        request: &(impl serde::Serialize + Sync),
    ) -> Result<T, PanelError> {
        self.command.run(&self.slots, self.config.timeout, verb, request).await
    }

    async fn ask_for_long<T: serde::de::DeserializeOwned>(
        &self,
        verb: Verb,
        request: &(impl serde::Serialize + Sync),
    ) -> Result<T, PanelError> {
        self.command.run(&self.backup_slots, self.config.backup_timeout, verb, request).await
    }

    async fn probe_server(&self) -> Result<ServerInfo, PanelError> {
        let probed: protocol::Probed = self.ask(Verb::Probe, &protocol::Probe {}).await?;
        if self.config.enforces_quota && probed.quota == Quota::Unenforced {
            return Err(PanelError::misconfigured("the server's file system does not enforce disk limits"));
        }
        let quota = match probed.quota {
            Quota::Enforced => "enforced",
            Quota::Unenforced => "unenforced",
        };
        let version = format!("{}, quota: {quota}", probed.version);
        Ok(ServerInfo { version, hostname: Some(probed.hostname), nameservers: Vec::new() })
    }

    async fn accounts(&self) -> Result<Vec<Listed>, PanelError> {
        let protocol::Listing { accounts } = self.ask(Verb::List, &protocol::List {}).await?;
        let listed = accounts.into_iter().map(|account| Listed {
            account_id: account.account_id.map(AccountId),
            remote_id: Some(account.username.clone()),
            username: account.username,
            suspended: account.suspended,
        });
        Ok(listed.collect())
    }

    async fn create(&self, spec: &CreateSpec) -> Result<Step<Created>, PanelError> {
        let request = protocol::Create {
            account: name_of(&spec.account),
            password: secret(&spec.password),
            package: spec.package.clone(),
            email: spec.owner_email.clone(),
            domain: spec.account.domain.clone(),
            intended_at_ms: spec.intended_at.as_millisecond(),
        };
        let protocol::Created { site_url, control_panel_url, adopted } = self.ask(Verb::Create, &request).await?;
        let remote_id = spec.account.username.clone();
        Ok(Step::Done(Created { remote_id, site_url: Some(site_url), control_panel_url, adopted }))
    }

    async fn change(
        &self,
        verb: Verb,
        username: &str,
        request: &(impl serde::Serialize + Sync),
    ) -> Result<Step<()>, PanelError> {
        let protocol::Done { notes } = self.ask(verb, request).await?;
        for note in notes {
            tracing::warn!(username, verb = verb.as_str(), note, "the server could not reach everything");
        }
        Ok(Step::Done(()))
    }

    async fn back_up(&self, account: &AccountRef, backup: &BackupRef) -> Result<Step<Backup>, PanelError> {
        let request = backup_of(account, backup)?;
        let protocol::BackedUp { bytes, made_at_ms } = self.ask_for_long(Verb::Backup, &request).await?;
        let made_at = Timestamp::from_millisecond(made_at_ms)
            .map_err(|_| PanelError::ambiguous("the server's clock says a time that there is not"))?;
        Ok(Step::Done(Backup { reference: *backup, bytes, made_at }))
    }

    async fn restore(&self, account: &AccountRef, backup: &BackupRef) -> Result<Step<()>, PanelError> {
        let request = backup_of(account, backup)?;
        let protocol::Done { .. } = self.ask_for_long(Verb::Restore, &request).await?;
        Ok(Step::Done(()))
    }
}

fn name_of(account: &AccountRef) -> protocol::AccountName {
    protocol::AccountName { account_id: account.account_id.0, username: account.username.clone() }
}

fn of(account: &AccountRef) -> protocol::OfAccount {
    protocol::OfAccount { account: name_of(account) }
}

fn secret(secret: &SecretString) -> protocol::Secret {
    protocol::Secret(secret.expose_secret().to_owned())
}

fn version_of(backup: &BackupRef) -> Result<u32, PanelError> {
    u32::try_from(backup.version()).map_err(|_| PanelError::permanent(format!("{backup} is no backup's name")))
}

/// The request for a backup, once it is proved to be the account's.
fn backup_of(account: &AccountRef, backup: &BackupRef) -> Result<protocol::OfBackup, PanelError> {
    if backup.account_id() != account.account_id {
        return Err(PanelError::permanent(format!("{backup} is another account's backup")));
    }
    Ok(protocol::OfBackup { account: name_of(account), version: version_of(backup)? })
}

fn observed(found: protocol::Observed, account: &AccountRef) -> Observed {
    match found {
        protocol::Observed::Absent => Observed::Absent,
        protocol::Observed::Foreign => Observed::Foreign,
        protocol::Observed::Partial { missing } => Observed::Partial { missing },
        protocol::Observed::Present { package, suspension, quota: _ } => Observed::Present {
            remote_id: account.username.clone(),
            package,
            state: match suspension {
                None => RemoteState::Active,
                Some(protocol::Suspension { reason, by }) => {
                    RemoteState::Suspended { reason: Some(reason), ours: by == BERTH }
                }
            },
        },
    }
}

impl Panel for LinuxPanel {
    fn caps(&self) -> Caps {
        Caps {
            passwords: true,
            login_url: false,
            usage: true,
            backups: true,
            enforces_packages: self.config.enforces_quota,
            tasks: false,
            username_max: USERNAME_MAX,
        }
    }

    fn probe(&self) -> PanelFuture<'_, ServerInfo> {
        Box::pin(self.probe_server())
    }

    fn observe<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Observed> {
        Box::pin(async move { Ok(observed(self.ask(Verb::Observe, &of(account)).await?, account)) })
    }

    fn list(&self) -> PanelFuture<'_, Vec<Listed>> {
        Box::pin(self.accounts())
    }

    fn ensure_created<'a>(&'a self, spec: &'a CreateSpec) -> PanelFuture<'a, Step<Created>> {
        Box::pin(self.create(spec))
    }

    fn ensure_suspended<'a>(&'a self, account: &'a AccountRef, reason: &'a str) -> PanelFuture<'a, Step<()>> {
        let request = protocol::Suspend { account: name_of(account), reason: reason.to_owned() };
        Box::pin(async move { self.change(Verb::Suspend, &account.username, &request).await })
    }

    fn ensure_active<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Step<()>> {
        Box::pin(async move { self.change(Verb::Activate, &account.username, &of(account)).await })
    }

    fn ensure_package<'a>(&'a self, account: &'a AccountRef, package: &'a str) -> PanelFuture<'a, Step<()>> {
        let request = protocol::SetPackage { account: name_of(account), package: package.to_owned() };
        Box::pin(async move { self.change(Verb::Package, &account.username, &request).await })
    }

    fn ensure_absent<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Step<()>> {
        Box::pin(async move { self.change(Verb::Remove, &account.username, &of(account)).await })
    }

    fn ensure_backup<'a>(&'a self, account: &'a AccountRef, backup: &'a BackupRef) -> PanelFuture<'a, Step<Backup>> {
        Box::pin(self.back_up(account, backup))
    }

    fn ensure_backup_absent<'a>(&'a self, backup: &'a BackupRef) -> PanelFuture<'a, Step<()>> {
        Box::pin(async move {
            let request = protocol::DeleteBackup { account_id: backup.account_id().0, version: version_of(backup)? };
            self.change(Verb::DeleteBackup, "", &request).await
        })
    }

    fn ensure_restored<'a>(&'a self, account: &'a AccountRef, backup: &'a BackupRef) -> PanelFuture<'a, Step<()>> {
        Box::pin(self.restore(account, backup))
    }

    fn set_password<'a>(&'a self, account: &'a AccountRef, password: &'a SecretString) -> PanelFuture<'a, Step<()>> {
        Box::pin(async move {
            let request = protocol::SetPassword { account: name_of(account), password: secret(password) };
            self.change(Verb::Password, &account.username, &request).await
        })
    }

    fn login_url<'a>(&'a self, _: &'a AccountRef) -> PanelFuture<'a, OneTimeUrl> {
        Box::pin(async { Err(PanelError::permanent("an account of the linux panel signs in by its password only")) })
    }

    fn usage<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Usage> {
        Box::pin(async move {
            let protocol::Usage { disk_bytes, inodes } = self.ask(Verb::Usage, &of(account)).await?;
            Ok(Usage { disk_bytes, inodes: Some(inodes), traffic_bytes: None })
        })
    }

    fn poll<'a>(&'a self, task: &'a TaskRef) -> PanelFuture<'a, Step<TaskOutcome>> {
        Box::pin(async move { Err(PanelError::permanent(format!("the linux panel has no task {:?}", task.0))) })
    }
}

#[cfg(test)]
mod tests;
