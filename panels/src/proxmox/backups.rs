//! Backups: the server's own (`vzdump`), in a storage that is named for them, each with our name for it in its notes, and
//! protected from what a schedule prunes. A backup gets its notes last: one that has them is whole.

use jiff::Timestamp;

use super::{
    limits::Limits,
    machine::Machine,
    notes::Notes,
    tasks::{Goal, Task},
    wire::Archive,
    work::{Halt, Work},
};
use crate::{AccountRef, Backup, BackupRef, PanelError};

impl Work<'_> {
    pub(super) async fn back_up(&self, account: &AccountRef, backup: &BackupRef) -> Result<Backup, Halt> {
        let storage = self.storage()?;
        of_the_account(account, backup)?;
        if let Some(archive) = self.archives_of(backup).await?.first() {
            return Ok(as_backup(backup, archive)?);
        }
        let machine = self.owned(account).await?;
        let machine = self.made(machine).await?;
        let (goal, vmid) = (Goal::Changed, machine.vmid);
        if let Some(upid) = self.api.running(&machine.node, "vzdump", vmid).await? {
            // That of an earlier call, or of a schedule: a node makes one at a time anyway.
            return Err(Halt::Waiting(Task { goal, vmid, upid }));
        }
        // Looked for again: one that was at work when it was first looked for may have ended since.
        if let Some(archive) = self.archives_of(backup).await?.first() {
            return Ok(as_backup(backup, archive)?);
        }
        let said = self.api.dump(&machine, storage, &note(backup)).await?;
        let ended = self.end_of(goal, vmid, said).await?;
        match self.archives_of(backup).await?.first() {
            Some(archive) => Ok(as_backup(backup, archive)?),
            None => Err(ended.error("the machine could not be backed up").into()),
        }
    }

    pub(super) async fn remove_backup(&self, backup: &BackupRef) -> Result<(), Halt> {
        let (storage, node) = (self.storage()?, self.config.node.as_str());
        for archive in self.archives_of(backup).await? {
            if archive.is_protected() {
                let said = self.api.unprotect(node, storage, &archive).await?;
                self.end_of(Goal::Changed, 0, said).await?.well("the backup could not be freed for its deletion")?;
            }
            let said = self.api.delete_archive(node, storage, &archive).await?;
            self.end_of(Goal::Changed, 0, said).await?.well("the backup could not be deleted")?;
        }
        if self.archives_of(backup).await?.is_empty() {
            return Ok(());
        }
        Err(PanelError::ambiguous("the server says that it deleted the backup, which is there").into())
    }

    pub(super) async fn restore(&self, account: &AccountRef, backup: &BackupRef) -> Result<(), Halt> {
        self.storage()?;
        of_the_account(account, backup)?;
        let archives = self.archives_of(backup).await?;
        let missing = || PanelError::permanent(format!("there is no backup {backup}"));
        let archive = archives.first().ok_or_else(missing)?;
        let machine = self.owned(account).await?;
        let mut machine = self.made(machine).await?;
        if machine.notes.restored() != Some(backup.to_string().as_str()) {
            machine = self.replace(machine, backup, archive).await?;
        }
        let limits = Limits::new(self.package(machine.notes.package())?, machine.notes.options()?);
        let machine = self.grow_to(limits, machine).await?;
        if machine.notes.is_restarting() { self.run_again(&machine).await } else { Ok(()) }
    }

    /// Puts the backup in the machine's place. The notes go with the request: whose it is, its suspension and that this backup
    /// was restored are said from the moment in which its new files are there.
    async fn replace(&self, machine: Machine, backup: &BackupRef, archive: &Archive) -> Result<Machine, Halt> {
        let machine = self.without_power(machine).await?;
        let notes = machine.notes.clone().with_restored(backup);
        let limits = Limits::new(self.package(notes.package())?, notes.options()?);
        let mut form = vec![("description", notes.to_string())];
        form.extend(limits.parameters());
        let onboot = machine.config.get("onboot").map_or("0", String::as_str);
        form.push(("onboot", onboot.to_owned()));
        form.extend(self.config.storage.iter().map(|storage| ("storage", storage.clone())));
        let said = self.api.restore(&machine, archive, form).await?;
        let ended = self.end_of(Goal::Changed, machine.vmid, said).await?;
        let again = self.again(&machine).await?;
        if again.notes == notes {
            return Ok(again);
        }
        ended.well("the backup could not be restored")?;
        // A server that keeps to what the backup says of the notes.
        self.set(&again, &notes, vec![("onboot", onboot.to_owned())], "the restore could not be recorded").await
    }

    /// Takes the power from a machine that is about to lose its files anyway; it remembers that it ran.
    async fn without_power(&self, machine: Machine) -> Result<Machine, Halt> {
        if !machine.has_power() {
            return Ok(machine);
        }
        let notes: Notes = match machine.notes.suspended() {
            None => machine.notes.clone().with_restart(),
            Some(_) => machine.notes.clone(),
        };
        let machine = self.set(&machine, &notes, Vec::new(), "the restore could not be recorded").await?;
        self.cut_power(&machine).await?;
        Ok(self.again(&machine).await?)
    }

    /// The backups of this name, the first one first: of two, which two processes at once may make, that is the one.
    async fn archives_of(&self, backup: &BackupRef) -> Result<Vec<Archive>, PanelError> {
        let note = note(backup);
        let mut archives = self.api.archives(&self.config.node, self.storage()?).await?;
        archives.retain(|archive| archive.says(&note));
        archives.sort_by(|one, other| (one.ctime, &one.volid).cmp(&(other.ctime, &other.volid)));
        Ok(archives)
    }

    fn storage(&self) -> Result<&str, PanelError> {
        let named = self.config.backup_storage.as_deref();
        named.ok_or_else(|| PanelError::permanent("no storage is named that Berth's backups would go to"))
    }
}

fn note(backup: &BackupRef) -> String {
    format!("berth.backup={backup}")
}

fn as_backup(reference: &BackupRef, archive: &Archive) -> Result<Backup, PanelError> {
    let made_at = Timestamp::from_second(archive.ctime)
        .map_err(|_| PanelError::permanent("the server's backup has no time at which it can have been made"))?;
    Ok(Backup { reference: *reference, bytes: archive.size, made_at })
}

fn of_the_account(account: &AccountRef, backup: &BackupRef) -> Result<(), PanelError> {
    if backup.account_id() == account.account_id {
        return Ok(());
    }
    Err(PanelError::permanent(format!("{backup} is another account's backup")))
}
