//! The embedded panel: an account is a directory of static files, served by Berth itself. No root, no login, no quota.
//!
//! ```text
//! <sites_dir>/<username>/account.json     whose it is, its package, its state
//! <sites_dir>/<username>/public_html/     what the world sees
//! <sites_dir>/.log/creates.jsonl          one line for every create that was performed
//! <sites_dir>/.tmp/ .trash/ .locks/       being made, being deleted, one change an account at a time
//! <sites_dir>/.restoring/                 being unpacked from a backup
//! <backups_dir>/                          see `backups.rs`
//! ```
//!
//! An account appears and disappears by one `rename`, so a process killed at any moment leaves a whole account or none.

use std::{path::PathBuf, sync::Arc};

use berth_jobs::ids::AccountId;
use secrecy::SecretString;
use tokio::sync::Semaphore;

use super::{
    AccountRef, Backup, BackupRef, Caps, Cause, CreateSpec, Created, Listed, Observed, OneTimeUrl, Panel, PanelError,
    PanelFuture, RemoteState, ServerInfo, Step, TaskOutcome, TaskRef, Usage,
};

mod archive;
mod backups;
pub mod creates;
mod disk;
mod failures;
mod files;
mod listing;
mod locks;
mod page;
mod record;
mod tree;

pub use disk::{account_of, public_html};
pub use record::{SiteName, State};

pub use backups::NewestBackup;

use backups::Backups;
use disk::{Disk, Found, PUBLIC_HTML};

/// Changes and reads of files that may run at once: they occupy threads of tokio's blocking pool.
const DISK_SLOTS: usize = 32;
/// Backups and restores that may run at once: they take as long as the files are large, and nobody should wait for them.
const BACKUP_SLOTS: usize = 4;

/// Where the sites live and how they are reached.
#[derive(Clone, Debug)]
pub struct SiteConfig {
    /// The directory of all sites; made when missing.
    pub sites_dir: PathBuf,
    /// The directory of all backups; made when missing, for nobody but the own user. May be another disk's.
    pub backups_dir: PathBuf,
    /// A site's address, with `{username}` in it, such as `http://{username}.localhost:8080/`.
    pub url: String,
}

/// The driver `site`.
pub struct SitePanel {
    disk: Arc<Disk>,
    backups: Arc<Backups>,
    url: String,
    slots: Arc<Semaphore>,
    backup_slots: Arc<Semaphore>,
}

impl SitePanel {
    /// Touches no file yet: a wrong configuration is answered by the first call, `probe` at the latest.
    #[must_use]
    pub fn new(config: SiteConfig) -> Self {
        Self {
            disk: Arc::new(Disk::new(config.sites_dir)),
            backups: Arc::new(Backups::new(config.backups_dir)),
            url: config.url,
            slots: Arc::new(Semaphore::new(DISK_SLOTS)),
            backup_slots: Arc::new(Semaphore::new(BACKUP_SLOTS)),
        }
    }

    /// Reads the newest backup to its end; none where there is no backup. May take as long as it is large.
    ///
    /// # Errors
    /// When the directory of backups, or what is in it, cannot be read.
    pub async fn check_newest_backup(&self) -> Result<Option<NewestBackup>, PanelError> {
        let backups = Arc::clone(&self.backups);
        blocking(&self.backup_slots, move || backups.check_newest()).await
    }

    /// The address of an account's site.
    fn site_url(&self, name: &SiteName) -> Result<String, PanelError> {
        if !self.url.contains("{username}") {
            return Err(PanelError::misconfigured("the site panel's url has no {username} in it"));
        }
        Ok(self.url.replace("{username}", name.as_str()))
    }

    async fn on_disk<T, W>(&self, work: W) -> Result<T, PanelError>
    where
        T: Send + 'static,
        W: FnOnce(&Disk) -> Result<T, PanelError> + Send + 'static,
    {
        let disk = Arc::clone(&self.disk);
        blocking(&self.slots, move || work(&disk)).await
    }

    /// Like `on_disk`, for work that may be long. Whoever repeats it while it goes on hears that it does.
    async fn on_backups<T, W>(&self, work: W) -> Result<Step<T>, PanelError>
    where
        T: Send + 'static,
        W: FnOnce(&Backups, &Disk) -> Result<T, PanelError> + Send + 'static,
    {
        let (backups, disk) = (Arc::clone(&self.backups), Arc::clone(&self.disk));
        blocking(&self.backup_slots, move || work(&backups, &disk)).await.map(Step::Done)
    }

    async fn change<W>(&self, account: &AccountRef, work: W) -> Result<Step<()>, PanelError>
    where
        W: FnOnce(&Disk, &SiteName, AccountId) -> Result<(), PanelError> + Send + 'static,
    {
        let (name, id) = (name_of(account)?, account.account_id);
        self.on_disk(move |disk| work(disk, &name, id)).await.map(Step::Done)
    }

    async fn create(&self, spec: &CreateSpec) -> Result<Step<Created>, PanelError> {
        let name = name_of(&spec.account)?;
        let site_url = self.site_url(&name)?;
        let page = page::welcome(spec.account.domain.as_deref().unwrap_or(&site_url));
        let (id, package, remote_id) = (spec.account.account_id, spec.package.clone(), name.as_str().to_owned());
        let adopted = self.on_disk(move |disk| disk.create(&name, id, package, &page)).await?;
        Ok(Step::Done(Created { remote_id, site_url: Some(site_url), control_panel_url: None, adopted }))
    }
}

/// Runs file work on a thread that may block. The slot goes with the work, which finishes even if the caller gives up.
async fn blocking<T: Send + 'static>(
    slots: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, PanelError> + Send + 'static,
) -> Result<T, PanelError> {
    let slot = Arc::clone(slots)
        .acquire_owned()
        .await
        .map_err(|closed| PanelError::Transient(Cause::new("the site panel is shutting down").because(closed)))?;
    let running = tokio::task::spawn_blocking(move || {
        let _slot = slot;
        work()
    });
    running.await.map_err(|died| PanelError::Ambiguous(Cause::new("the site panel's file work died").because(died)))?
}

/// The account's name, once the backup is proved to be the account's.
fn name_for_backup(account: &AccountRef, backup: &BackupRef) -> Result<SiteName, PanelError> {
    if backup.account_id() != account.account_id {
        return Err(PanelError::permanent(format!("{backup} is another account's backup")));
    }
    name_of(account)
}

/// The username as a name that may become part of a path.
fn name_of(account: &AccountRef) -> Result<SiteName, PanelError> {
    SiteName::parse(&account.username).ok_or_else(|| {
        PanelError::permanent(format!(
            "the username {:?} is not 3 to 16 lower-case letters and digits, a letter first",
            account.username
        ))
    })
}

fn observed(found: Found, name: &SiteName, id: AccountId) -> Observed {
    match found {
        Found::Nothing => Observed::Absent,
        Found::Stranger => Observed::Foreign,
        Found::Account { record, .. } if record.account_id != id => Observed::Foreign,
        Found::Account { has_files: false, .. } => Observed::Partial { missing: vec![PUBLIC_HTML.to_owned()] },
        Found::Account { record, has_files: true } => Observed::Present {
            remote_id: name.as_str().to_owned(),
            package: record.package,
            state: match record.state {
                State::Active => RemoteState::Active,
                State::Suspended { reason, by } => {
                    RemoteState::Suspended { reason: Some(reason), ours: by == record::BERTH }
                }
            },
        },
    }
}

impl Panel for SitePanel {
    fn caps(&self) -> Caps {
        // No quota and no login: the package is recorded, the password is not even kept.
        Caps {
            passwords: false,
            login_url: false,
            usage: true,
            backups: true,
            enforces_packages: false,
            tasks: false,
            username_max: record::USERNAME_MAX,
        }
    }

    fn probe(&self) -> PanelFuture<'_, ServerInfo> {
        Box::pin(async move {
            if !self.url.contains("{username}") {
                return Err(PanelError::misconfigured("the site panel's url has no {username} in it"));
            }
            self.on_disk(Disk::probe).await?;
            self.on_backups(|backups, _| backups.probe()).await?;
            let version = concat!("berth-site ", env!("CARGO_PKG_VERSION")).to_owned();
            Ok(ServerInfo { version, hostname: None, nameservers: Vec::new() })
        })
    }

    fn observe<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Observed> {
        Box::pin(async move {
            let (name, id) = (name_of(account)?, account.account_id);
            self.on_disk(move |disk| Ok(observed(disk.look(&name)?, &name, id))).await
        })
    }

    fn list(&self) -> PanelFuture<'_, Vec<Listed>> {
        Box::pin(self.on_disk(Disk::list))
    }

    fn ensure_created<'a>(&'a self, spec: &'a CreateSpec) -> PanelFuture<'a, Step<Created>> {
        Box::pin(self.create(spec))
    }

    fn ensure_suspended<'a>(&'a self, account: &'a AccountRef, reason: &'a str) -> PanelFuture<'a, Step<()>> {
        let reason = reason.to_owned();
        Box::pin(self.change(account, move |disk, name, id| disk.update(name, id, |record| record.suspend(reason))))
    }

    fn ensure_active<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Step<()>> {
        Box::pin(self.change(account, |disk, name, id| disk.update(name, id, record::Record::activate)))
    }

    fn ensure_package<'a>(&'a self, account: &'a AccountRef, package: &'a str) -> PanelFuture<'a, Step<()>> {
        let package = package.to_owned();
        Box::pin(self.change(account, move |disk, name, id| {
            disk.update(name, id, |record| {
                record.package = package;
                Ok(())
            })
        }))
    }

    fn ensure_absent<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Step<()>> {
        Box::pin(self.change(account, Disk::remove))
    }

    fn ensure_backup<'a>(&'a self, account: &'a AccountRef, backup: &'a BackupRef) -> PanelFuture<'a, Step<Backup>> {
        let backup = *backup;
        Box::pin(async move {
            let name = name_for_backup(account, &backup)?;
            self.on_backups(move |backups, disk| backups.make(disk, &name, &backup)).await
        })
    }

    fn ensure_backup_absent<'a>(&'a self, backup: &'a BackupRef) -> PanelFuture<'a, Step<()>> {
        let backup = *backup;
        Box::pin(self.on_backups(move |backups, disk| backups.remove(disk, &backup)))
    }

    fn ensure_restored<'a>(&'a self, account: &'a AccountRef, backup: &'a BackupRef) -> PanelFuture<'a, Step<()>> {
        let backup = *backup;
        Box::pin(async move {
            let name = name_for_backup(account, &backup)?;
            self.on_backups(move |backups, disk| backups.restore(disk, &name, &backup)).await
        })
    }

    fn set_password<'a>(&'a self, _: &'a AccountRef, _: &'a SecretString) -> PanelFuture<'a, Step<()>> {
        Box::pin(async { Err(PanelError::permanent("an account of the site panel has no login, so no password")) })
    }

    fn login_url<'a>(&'a self, _: &'a AccountRef) -> PanelFuture<'a, OneTimeUrl> {
        Box::pin(async { Err(PanelError::permanent("an account of the site panel has no login")) })
    }

    fn usage<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Usage> {
        Box::pin(async move {
            let (name, id) = (name_of(account)?, account.account_id);
            self.on_disk(move |disk| disk.usage(&name, id)).await
        })
    }

    fn poll<'a>(&'a self, task: &'a TaskRef) -> PanelFuture<'a, Step<TaskOutcome>> {
        Box::pin(async move { Err(PanelError::permanent(format!("the site panel has no task {:?}", task.0))) })
    }
}

#[cfg(test)]
mod tests;
