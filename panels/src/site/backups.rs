//! The site panel's backups: a directory each, which appears by one `rename` when all of it is on the disk.
//!
//! ```text
//! <backups_dir>/acc_…-7/backup.json         whose it is, and the archive's size and SHA-256
//! <backups_dir>/acc_…-7/files.tar.gz        the account's public_html
//! <backups_dir>/.unfinished/                being made or deleted
//! <backups_dir>/.backup-locks/              one piece of work a backup at a time
//! ```
//!
//! No name is one of the sites directory's, so that both may be one.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Backup, BackupRef, PanelError,
    archive::{self, Contents},
    disk::Disk,
    failures::{maybe_applied, not_applied, not_copied},
    files::{delete, is_real, sync_dir},
    locks::lock,
    record::{Record, SiteName},
    tree::Tree,
};

const MANIFEST: &str = "backup.json";
const ARCHIVE: &str = "files.tar.gz";
const UNFINISHED: &str = ".unfinished";
const LOCKS: &str = ".backup-locks";

/// Customers' files are for nobody but Berth.
const DIR_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// A manifest is a few hundred bytes; more is not ours.
const MANIFEST_MAX: u64 = 64 * 1024;
/// Lock files. They are held for as long as a backup takes, so that few should share one.
const LOCK_FILES: u32 = 1024;

/// The directory of all backups. Its methods block.
pub(super) struct Backups {
    root: PathBuf,
}

/// `backup.json`.
#[derive(Serialize, Deserialize)]
struct Manifest {
    backup: BackupRef,
    /// What the account was when the backup was made, for people.
    username: String,
    package: String,
    made_at: Timestamp,
    archive_bytes: u64,
    sha256: String,
    #[serde(flatten)]
    contents: Contents,
    /// Pipes, sockets and devices, which are not in it.
    skipped: u64,
}

/// The newest backup, and whether it could be restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewestBackup {
    /// Its name, such as `acc_…-7`.
    pub name: String,
    /// Whether it is what was written, and its archive holds what was put into it.
    pub whole: bool,
    /// Of its archive.
    pub bytes: u64,
}

/// What lies under a backup's name.
enum Kept {
    Nothing,
    /// Something that is not, or no longer, what was written.
    Broken,
    Whole(Manifest, File),
}

impl Backups {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Shows that the directory can be written to.
    pub(super) fn probe(&self) -> Result<(), PanelError> {
        self.prepare().map_err(not_applied("the backups directory is not usable"))
    }

    /// Reads the backup that was put in place last to its end, as a restore would, and writes nothing.
    pub(super) fn check_newest(&self) -> Result<Option<NewestBackup>, PanelError> {
        let Some(newest) = self.newest().map_err(unread())? else { return Ok(None) };
        let found = |whole, bytes| Ok(Some(NewestBackup { name: newest.to_string(), whole, bytes }));
        match self.look(&newest).map_err(unread())? {
            // It was deleted just now.
            Kept::Nothing => Ok(None),
            Kept::Broken => found(false, 0),
            Kept::Whole(manifest, archive) => {
                let holds = archive::check(&archive).is_ok_and(|contents| contents == manifest.contents);
                found(holds, manifest.archive_bytes)
            }
        }
    }

    /// The backup that was put in place last.
    fn newest(&self) -> io::Result<Option<BackupRef>> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            entries => entries?,
        };
        let mut newest = None;
        for entry in entries {
            let entry = entry?;
            let Some(backup) = entry.file_name().to_str().and_then(|name| name.parse::<BackupRef>().ok()) else {
                continue;
            };
            let made = match entry.metadata() {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                metadata => metadata?.modified()?,
            };
            newest = newest.max(Some((made, backup)));
        }
        Ok(newest.map(|(_, backup)| backup))
    }

    /// Makes the backup, or answers the one that is there.
    pub(super) fn make(&self, disk: &Disk, name: &SiteName, backup: &BackupRef) -> Result<Backup, PanelError> {
        let _lock = self.lock(backup)?;
        let broken = match self.look(backup).map_err(unread())? {
            Kept::Whole(manifest, _) => return Ok(manifest.into()),
            Kept::Broken => true,
            Kept::Nothing => false,
        };
        let (record, files) = disk.files_of(name, backup.account_id())?;
        let manifest = self.stage(backup, &record, files.as_deref())?;
        // Whoever removes an account moves it away first: then some of what was copied may have been gone already.
        if disk.owned(name, backup.account_id())?.create_id != record.create_id {
            return Err(PanelError::transient("the account was made anew while it was copied"));
        }
        if broken {
            tracing::warn!(%backup, "a damaged backup is replaced");
        }
        self.put_in_place(backup).map_err(maybe_applied("the backup could not be put in place"))?;
        Ok(manifest.into())
    }

    /// Deletes the backup and whatever a dead process left of it.
    pub(super) fn remove(&self, disk: &Disk, backup: &BackupRef) -> Result<(), PanelError> {
        let _lock = self.lock(backup)?;
        disk.forget_restore(backup)
            .and_then(|()| self.take_away(backup))
            .map_err(maybe_applied("the backup could not be deleted"))
    }

    /// Puts the backup's files in the place of the account's, once.
    pub(super) fn restore(&self, disk: &Disk, name: &SiteName, backup: &BackupRef) -> Result<(), PanelError> {
        let _lock = self.lock(backup)?;
        if disk.owned(name, backup.account_id())?.restored == Some(*backup) {
            return Ok(());
        }
        let (manifest, archive) = match self.look(backup).map_err(unread())? {
            Kept::Whole(manifest, archive) => (manifest, archive),
            Kept::Broken => return Err(PanelError::permanent(format!("the backup {backup} is damaged"))),
            Kept::Nothing => return Err(PanelError::permanent(format!("there is no backup {backup}"))),
        };
        let staged = disk.stage_restore(backup).map_err(not_applied("the restore could not be staged"))?;
        let unpacked = archive::unpack(&archive, &staged).map_err(not_copied("the backup could not be unpacked"))?;
        if unpacked != manifest.contents {
            return Err(PanelError::permanent("the backup's archive does not hold what was put into it"));
        }
        disk.put_back(name, backup.account_id(), backup, &staged)
    }

    fn lock(&self, backup: &BackupRef) -> Result<File, PanelError> {
        let taken = self.prepare().and_then(|()| lock(&self.root.join(LOCKS), &backup.to_string(), LOCK_FILES));
        let taken = taken.map_err(not_applied("the backups directory is not usable"))?;
        taken.ok_or_else(|| PanelError::transient(format!("the backup {backup} is being worked on already")))
    }

    fn prepare(&self) -> io::Result<()> {
        for part in [UNFINISHED, LOCKS] {
            DirBuilder::new().recursive(true).mode(DIR_MODE).create(self.root.join(part))?;
        }
        Ok(())
    }

    /// Reads the archive to its end: a backup is the last copy of a customer's files, or soon will be.
    fn look(&self, backup: &BackupRef) -> io::Result<Kept> {
        let dir = self.place(backup);
        if !is_real(&dir, |_| true)? {
            return Ok(Kept::Nothing);
        }
        let (text, archive) = (dir.join(MANIFEST), dir.join(ARCHIVE));
        if !is_real(&dir, fs::FileType::is_dir)? {
            return Ok(Kept::Broken);
        }
        if !is_real(&text, fs::FileType::is_file)? || !is_real(&archive, fs::FileType::is_file)? {
            return Ok(Kept::Broken);
        }
        let mut manifest = Vec::new();
        File::open(text)?.take(MANIFEST_MAX).read_to_end(&mut manifest)?;
        let Ok(manifest) = serde_json::from_slice::<Manifest>(&manifest) else { return Ok(Kept::Broken) };
        let archive = File::open(archive)?;
        let whole = manifest.backup == *backup
            && manifest.archive_bytes == archive.metadata()?.len()
            && manifest.sha256 == archive::hash(&archive)?;
        Ok(if whole { Kept::Whole(manifest, archive) } else { Kept::Broken })
    }

    /// Builds the whole backup where nobody looks.
    fn stage(&self, backup: &BackupRef, record: &Record, files: Option<&Path>) -> Result<Manifest, PanelError> {
        let staged = self.staging(backup);
        let unstaged = || not_applied("the backup could not be staged");
        delete(&staged).map_err(unstaged())?;
        DirBuilder::new().mode(DIR_MODE).create(&staged).map_err(unstaged())?;
        let archive = new_file(&staged.join(ARCHIVE)).map_err(unstaged())?;
        let uncopied = || not_copied("the account's files could not be copied");
        let tree = files.map(Tree::open).transpose().map_err(uncopied())?;
        let packed = archive::pack(tree.as_ref(), &archive).map_err(uncopied())?;
        if archive::check(&archive).map_err(unstaged())? != packed.contents {
            return Err(PanelError::transient("the backup's archive does not hold what was put into it"));
        }
        #[expect(clippy::disallowed_methods, reason = "a panel keeps its own, real time, as a server elsewhere would")]
        let made_at = Timestamp::now();
        let (username, package) = (record.username.clone(), record.package.clone());
        let archive::Packed { contents, skipped, sha256, archive_bytes } = packed;
        let manifest =
            Manifest { backup: *backup, username, package, made_at, archive_bytes, sha256, contents, skipped };
        seal(&staged, &manifest).map_err(unstaged())?;
        Ok(manifest)
    }

    fn put_in_place(&self, backup: &BackupRef) -> io::Result<()> {
        let place = self.place(backup);
        if is_real(&place, |_| true)? {
            self.set_aside(backup)?;
        }
        fs::rename(self.staging(backup), &place)?;
        sync_dir(&self.root)
    }

    fn take_away(&self, backup: &BackupRef) -> io::Result<()> {
        self.set_aside(backup)?;
        delete(&self.staging(backup))
    }

    /// Out of sight first: a backup that is deleted in part is never seen under its name.
    fn set_aside(&self, backup: &BackupRef) -> io::Result<()> {
        let aside = self.root.join(UNFINISHED).join(format!("{backup}.gone"));
        delete(&aside)?;
        match fs::rename(self.place(backup), &aside) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            moved => moved?,
        }
        sync_dir(&self.root)?;
        delete(&aside)
    }

    fn place(&self, backup: &BackupRef) -> PathBuf {
        self.root.join(backup.to_string())
    }

    fn staging(&self, backup: &BackupRef) -> PathBuf {
        self.root.join(UNFINISHED).join(backup.to_string())
    }
}

impl From<Manifest> for Backup {
    fn from(manifest: Manifest) -> Self {
        Self { reference: manifest.backup, bytes: manifest.archive_bytes, made_at: manifest.made_at }
    }
}

fn unread() -> impl FnOnce(io::Error) -> PanelError {
    not_applied("the backup could not be read")
}

fn seal(staged: &Path, manifest: &Manifest) -> io::Result<()> {
    let mut file = new_file(&staged.join(MANIFEST))?;
    file.write_all(&serde_json::to_vec_pretty(manifest)?)?;
    file.sync_all()?;
    sync_dir(staged)
}

/// A new file that can be written and read back.
fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(FILE_MODE).open(path)
}

#[cfg(test)]
mod tests;
