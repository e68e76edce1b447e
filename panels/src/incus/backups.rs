//! Backups: copies of an account's instance that never run, each with its name on it. A snapshot would die with its instance,
//! and an export would have to be carried through Berth; a copy is made, kept and given back by the server itself, on a pool of
//! its own if one is named, and takes no more than what differs where the pool shares blocks.

use std::time::Duration;

use serde_json::json;

use super::{
    names::InstanceName,
    tasks::Goal,
    wire::{ACCOUNT, AUTOSTART, BACKUP, BYTES, DAEMON, Instance, READY, RESTORED, RESTORING, SUSPENDED},
    work::{Ended, Halt, Work},
};
use crate::{AccountRef, Backup, BackupRef, PanelError};

/// A restore is followed to its end by the call that began it, as afterwards nothing would say whether it had succeeded.
const RESTORE_MAX: Duration = Duration::from_secs(30 * 60);
/// What [`RESTORING`] says of an instance that runs again afterwards, and of one that does not.
const RUNNING: &str = "running";
const STOPPED: &str = "stopped";

impl Work<'_> {
    pub(super) async fn back_up(&self, account: &AccountRef, backup: &BackupRef) -> Result<Backup, Halt> {
        of_the_account(account, backup)?;
        let (name, copy) = (InstanceName::of(account)?, InstanceName::of_backup(backup)?);
        if let Some(found) = self.find_backup(backup, &copy).await? {
            if let Some(whole) = whole(backup, &found) {
                return Ok(whole);
            }
            self.idle(&copy, Goal::There).await?;
            if !self.is_torn(&found).await? {
                return self.seal(backup, &copy).await;
            }
            self.delete(&copy).await?;
        }
        let instance = self.owned(account, &name, Goal::There).await?;
        self.copy(backup, &name, &instance, &copy).await?;
        self.seal(backup, &copy).await
    }

    async fn copy(
        &self,
        backup: &BackupRef,
        name: &InstanceName,
        instance: &Instance,
        copy: &InstanceName,
    ) -> Result<(), Halt> {
        let daemon = self.api.server().await?.environment.server_pid;
        let pool = self.config.backup_pool.as_ref().unwrap_or(&self.config.pool);
        let mut root = instance.devices.get("root").cloned().unwrap_or_default();
        root.extend([("type".to_owned(), "disk".to_owned()), ("path".to_owned(), "/".to_owned())]);
        root.insert("pool".to_owned(), pool.clone());
        let body = json!({
            "name": copy.as_str(),
            "source": { "type": "copy", "source": name.as_str(), "instance_only": true },
            "profiles": [],
            "config": {
                ACCOUNT: backup.account_id().to_string(),
                BACKUP: backup.to_string(),
                DAEMON: daemon.to_string(),
                // What the instance has of these says nothing of a copy.
                READY: "", SUSPENDED: "", RESTORED: "", RESTORING: "", BYTES: "",
                AUTOSTART: "false",
                "security.protection.delete": "",
            },
            "devices": { "root": root },
        });
        let reply = self.api.create(&body).await?;
        match self.end_of(Goal::There, copy, reply).await? {
            Ended::Well(_) => Ok(()),
            ended @ (Ended::Badly(_) | Ended::Lost) => Err(ended.error("the instance could not be copied").into()),
        }
    }

    /// Marks a copy as whole, with what it takes.
    async fn seal(&self, backup: &BackupRef, copy: &InstanceName) -> Result<Backup, Halt> {
        let bytes = self.api.state(copy).await?.and_then(|state| state.root_bytes()).unwrap_or(0);
        self.set(copy, json!({ BYTES: bytes.to_string() }), "the backup could not be marked as whole").await?;
        let found = self.find_backup(backup, copy).await?;
        let sealed = found.and_then(|found| whole(backup, &found));
        sealed.ok_or_else(|| PanelError::ambiguous(format!("{copy} is gone as soon as it was made")).into())
    }

    pub(super) async fn remove_backup(&self, backup: &BackupRef) -> Result<(), Halt> {
        let copy = InstanceName::of_backup(backup)?;
        if self.find_backup(backup, &copy).await?.is_none() {
            return Ok(());
        }
        self.idle(&copy, Goal::Gone).await?;
        self.delete(&copy).await
    }

    pub(super) async fn restore(&self, account: &AccountRef, backup: &BackupRef) -> Result<(), Halt> {
        of_the_account(account, backup)?;
        let (name, copy) = (InstanceName::of(account)?, InstanceName::of_backup(backup)?);
        let found = self.find_backup(backup, &copy).await?;
        if found.is_none_or(|found| whole(backup, &found).is_none()) {
            return Err(PanelError::permanent(format!("there is no whole backup {backup}")).into());
        }
        let instance = self.owned(account, &name, Goal::Refreshed).await?;
        if instance.key(RESTORED) != Some(backup.to_string().as_str()) {
            self.empty_and_fill(backup, &name, &instance, &copy).await?;
        }
        self.run_restored(account, &name).await
    }

    /// Puts the backup's files in the place of the instance's own, which needs it stopped.
    async fn empty_and_fill(
        &self,
        backup: &BackupRef,
        name: &InstanceName,
        instance: &Instance,
        copy: &InstanceName,
    ) -> Result<(), Halt> {
        if instance.key(RESTORING).is_none() {
            let then = if instance.is_running() { RUNNING } else { STOPPED };
            self.set(name, json!({ RESTORING: then }), "the restore could not be recorded").await?;
        }
        if !instance.is_stopped() {
            self.kill(name).await?;
        }
        let body = json!({
            "name": name.as_str(),
            "source": { "type": "copy", "source": copy.as_str(), "instance_only": true, "refresh": true },
        });
        let reply = self.api.create(&body).await?;
        self.end_here(RESTORE_MAX, name, reply, "the backup could not be restored").await?;
        // Before it runs: what is written then must not be lost to a repetition.
        self.set(name, json!({ RESTORED: backup.to_string() }), "the restore could not be recorded").await
    }

    /// Ends a restore: the instance runs again if it ran before, and was not suspended since.
    async fn run_restored(&self, account: &AccountRef, name: &InstanceName) -> Result<(), Halt> {
        let instance = self.owned(account, name, Goal::Running).await?;
        let Some(then) = instance.key(RESTORING) else { return Ok(()) };
        if then == RUNNING && !instance.is_running() && instance.key(SUSPENDED).is_none() {
            self.start(name).await?;
        }
        self.set(name, json!({ RESTORING: "" }), "the end of the restore could not be recorded").await
    }

    /// The copy under a backup's name, whole or not.
    async fn find_backup(&self, backup: &BackupRef, copy: &InstanceName) -> Result<Option<Instance>, PanelError> {
        match self.api.instance(copy).await? {
            Some(found) if found.key(BACKUP) != Some(backup.to_string().as_str()) => {
                Err(PanelError::permanent(format!("{copy} is somebody else's instance")))
            }
            found => Ok(found),
        }
    }
}

fn whole(reference: &BackupRef, found: &Instance) -> Option<Backup> {
    let bytes = found.key(BYTES)?.parse().ok()?;
    Some(Backup { reference: *reference, bytes, made_at: found.created_at })
}

fn of_the_account(account: &AccountRef, backup: &BackupRef) -> Result<(), PanelError> {
    if backup.account_id() == account.account_id {
        return Ok(());
    }
    Err(PanelError::permanent(format!("{backup} is another account's backup")))
}
