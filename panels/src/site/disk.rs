//! The site panel's files: every change is staged, synced and renamed into place, one change an account at a time.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, SystemTime},
};

use berth_jobs::ids::AccountId;
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    BackupRef, PanelError, Usage,
    creates::{self, Create},
    failures::{maybe_applied, not_applied},
    files::{USAGE_ENTRIES, count, delete, is_real, sync_dir, write_new, write_site},
    locks::lock,
    record::{Record, SiteName, State},
};

pub(super) const PUBLIC_HTML: &str = "public_html";
const ACCOUNT_FILE: &str = "account.json";
/// In an account's directory until its create is in the log.
const UNLOGGED: &str = ".unlogged";
const TMP: &str = ".tmp";
const TRASH: &str = ".trash";
const LOCKS: &str = ".locks";
/// Apart from `.tmp`, which is swept by age: to unpack a backup may take long. The next try deletes what is left here.
const RESTORING: &str = ".restoring";

/// An `account.json` is a few hundred bytes; more is not ours.
const ACCOUNT_FILE_MAX: u64 = 64 * 1024;
/// Lock files; accounts that share one only wait for each other.
const LOCK_STRIPES: u32 = 64;
/// A create stages for milliseconds; what is this old belongs to a process that died.
const LEFTOVER_AGE: Duration = Duration::from_secs(60 * 60);
/// Entries that one sweep looks at; the next sweep goes on.
const SWEEP_ENTRIES: usize = 1_000;

/// The directory of all sites. Its methods block.
pub(super) struct Disk {
    pub(super) root: PathBuf,
    swept: AtomicBool,
}

/// What lies under a username.
pub(super) enum Found {
    Nothing,
    /// Something that is no account: a file, a link, a directory without `account.json`.
    Stranger,
    Account {
        record: Record,
        has_files: bool,
    },
}

/// The state of the account under a name, for whoever serves it; `None` when there is none. Blocks.
pub fn account_of(sites_dir: &Path, name: &SiteName) -> io::Result<Option<State>> {
    match look(sites_dir, name)? {
        Found::Account { record, has_files: true } => Ok(Some(record.state)),
        Found::Account { has_files: false, .. } | Found::Stranger | Found::Nothing => Ok(None),
    }
}

/// Where an account's public files are.
pub fn public_html(sites_dir: &Path, name: &SiteName) -> PathBuf {
    sites_dir.join(name.as_str()).join(PUBLIC_HTML)
}

impl Disk {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, swept: AtomicBool::new(false) }
    }

    /// Shows that the directory can be written to, and sweeps what dead processes left.
    pub(super) fn probe(&self) -> Result<(), PanelError> {
        self.prepare().and_then(|()| self.sweep()).map_err(not_applied("the sites directory is not usable"))
    }

    pub(super) fn look(&self, name: &SiteName) -> Result<Found, PanelError> {
        look(&self.root, name).map_err(not_applied("the account's files could not be read"))
    }

    /// Makes the account, or adopts it (`true`) when it is there and `id`'s.
    pub(super) fn create(
        &self,
        name: &SiteName,
        id: AccountId,
        package: String,
        page: &str,
    ) -> Result<bool, PanelError> {
        let _lock = self.lock(name)?;
        match self.look(name)? {
            Found::Account { record, has_files } if record.account_id == id => {
                self.complete(name, &record, has_files, page)
                    .map_err(maybe_applied("the account could not be completed"))?;
                return Ok(true);
            }
            Found::Account { .. } | Found::Stranger => return Err(taken(name)),
            Found::Nothing => {}
        }
        let record = record(name, id, package);
        let staged = self.stage(name, &record, page).map_err(not_applied("the account could not be staged"))?;
        match fs::rename(&staged, self.root.join(name.as_str())) {
            Ok(()) => {}
            // Only somebody who ignores the lock can have come between.
            Err(error) if is_occupied(&error) => return Err(taken(name)),
            Err(error) => return Err(not_applied("the account could not be put in place")(error)),
        }
        self.settle(name, &record).map_err(maybe_applied("the create could not be recorded"))?;
        Ok(false)
    }

    /// Rewrites the account's record; writes nothing when `change` changes nothing.
    pub(super) fn update(
        &self,
        name: &SiteName,
        id: AccountId,
        change: impl FnOnce(&mut Record) -> Result<(), PanelError>,
    ) -> Result<(), PanelError> {
        let _lock = self.lock(name)?;
        let before = self.owned(name, id)?;
        let mut after = before.clone();
        change(&mut after)?;
        if after == before {
            return Ok(());
        }
        self.replace(name, &after).map_err(maybe_applied("the account's record could not be replaced"))?;
        if self.owned(name, id)? == after {
            return Ok(());
        }
        Err(PanelError::ambiguous("the account's record reads back differently"))
    }

    /// Takes the account out of sight at once, then deletes it. Repeating it finishes a deletion that was cut short.
    pub(super) fn remove(&self, name: &SiteName, id: AccountId) -> Result<(), PanelError> {
        let undeleted = || maybe_applied("the removed account's files could not be deleted");
        let away = self.trash(name, id);
        {
            let _lock = self.lock(name)?;
            if !matches!(self.look(name)?, Found::Nothing) {
                self.owned(name, id)?;
                fs::rename(self.root.join(name.as_str()), &away)
                    .map_err(not_applied("the account could not be moved away"))?;
                sync_dir(&self.root).map_err(maybe_applied("the removal could not be synced"))?;
            }
        }
        delete(&away).map_err(undeleted())?;
        self.empty_trash(&format!("{name}.{id}.")).map_err(undeleted())
    }

    /// The directory of the account's files, once the account is proved to be `id`'s; `None` when it has none.
    pub(super) fn files_of(&self, name: &SiteName, id: AccountId) -> Result<(Record, Option<PathBuf>), PanelError> {
        let record = self.owned(name, id)?;
        let files = public_html(&self.root, name);
        let there = is_real(&files, fs::FileType::is_dir).map_err(not_applied("the account's files could not be read"));
        Ok((record, there?.then_some(files)))
    }

    /// Where files for the account may be put together, until [`Disk::put_back`]; what an earlier try left is deleted. The
    /// caller holds the lock of the backup.
    pub(super) fn stage_restore(&self, backup: &BackupRef) -> io::Result<PathBuf> {
        let staged = self.restoring(backup);
        delete(&staged)?;
        fs::create_dir_all(&staged)?;
        Ok(staged)
    }

    /// Deletes what a restore from the backup has left half-done.
    pub(super) fn forget_restore(&self, backup: &BackupRef) -> io::Result<()> {
        delete(&self.restoring(backup))
    }

    /// Puts staged files in the place of the account's, and notes whose they are, so that it is done once.
    pub(super) fn put_back(
        &self,
        name: &SiteName,
        id: AccountId,
        backup: &BackupRef,
        staged: &Path,
    ) -> Result<(), PanelError> {
        let away = self.trash(name, id);
        {
            let _lock = self.lock(name)?;
            let mut record = self.owned(name, id)?;
            record.restored = Some(*backup);
            self.swap(name, staged, &away).map_err(maybe_applied("the files could not be put in place"))?;
            self.replace(name, &record).map_err(maybe_applied("the restore could not be recorded"))?;
        }
        delete(&away).map_err(maybe_applied("the files that were replaced could not be deleted"))
    }

    /// A process that dies between the two renames leaves an account without files: repeating it puts them there.
    fn swap(&self, name: &SiteName, staged: &Path, away: &Path) -> io::Result<()> {
        let files = public_html(&self.root, name);
        match fs::rename(&files, away) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            moved => moved?,
        }
        fs::rename(staged, &files)?;
        sync_dir(&self.root.join(name.as_str()))
    }

    fn trash(&self, name: &SiteName, id: AccountId) -> PathBuf {
        self.root.join(TRASH).join(format!("{name}.{id}.{}", Uuid::now_v7()))
    }

    fn restoring(&self, backup: &BackupRef) -> PathBuf {
        self.root.join(RESTORING).join(backup.to_string())
    }

    pub(super) fn usage(&self, name: &SiteName, id: AccountId) -> Result<Usage, PanelError> {
        self.owned(name, id)?;
        let counted =
            count(public_html(&self.root, name)).map_err(not_applied("the account's files could not be counted"))?;
        counted.ok_or_else(|| PanelError::permanent(format!("the account has more than {USAGE_ENTRIES} files")))
    }

    /// The account's record, once it is proved to be `id`'s.
    pub(super) fn owned(&self, name: &SiteName, id: AccountId) -> Result<Record, PanelError> {
        match self.look(name)? {
            Found::Account { record, .. } if record.account_id == id => Ok(record),
            Found::Account { .. } | Found::Stranger => {
                Err(PanelError::permanent(format!("{name} is somebody else's account")))
            }
            Found::Nothing => Err(PanelError::permanent(format!("there is no account {name}"))),
        }
    }

    /// Across threads and processes; the kernel lets go when the holder dies.
    fn lock(&self, name: &SiteName) -> Result<File, PanelError> {
        let unusable = || not_applied("the sites directory is not usable");
        self.begin().map_err(unusable())?;
        let dir = self.root.join(LOCKS);
        let taken = match lock(&dir, name.as_str(), LOCK_STRIPES) {
            // The sites directory was emptied under us.
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.prepare().and_then(|()| lock(&dir, name.as_str(), LOCK_STRIPES))
            }
            taken => taken,
        };
        let taken = taken.map_err(unusable())?;
        taken.ok_or_else(|| PanelError::transient(format!("another change of {name} is under way")))
    }

    /// The first change of this process prepares and sweeps; a sweep that fails is no reason to refuse the change.
    fn begin(&self) -> io::Result<()> {
        if self.swept.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        self.prepare()?;
        if let Err(error) = self.sweep() {
            tracing::warn!(%error, "leftovers of dead processes could not be swept from the sites directory");
        }
        Ok(())
    }

    fn prepare(&self) -> io::Result<()> {
        for part in [TMP, TRASH, LOCKS, ".log"] {
            fs::create_dir_all(self.root.join(part))?;
        }
        sync_dir(&self.root)
    }

    /// Builds the whole account where nobody looks.
    fn stage(&self, name: &SiteName, record: &Record, page: &str) -> io::Result<PathBuf> {
        let staged = self.staging(name);
        fs::create_dir(&staged)?;
        write_new(&staged.join(ACCOUNT_FILE), &serde_json::to_vec_pretty(record)?)?;
        write_new(&staged.join(UNLOGGED), b"")?;
        write_site(&staged.join(PUBLIC_HTML), page)?;
        sync_dir(&staged)?;
        Ok(staged)
    }

    /// Puts the create into the log once and only once, however often it is cut short.
    fn settle(&self, name: &SiteName, record: &Record) -> io::Result<()> {
        sync_dir(&self.root)?;
        let create = Create {
            create_id: record.create_id,
            account_id: record.account_id,
            username: record.username.clone(),
            at: record.created_at,
        };
        creates::append(&self.root, &create)?;
        fs::remove_file(self.root.join(name.as_str()).join(UNLOGGED))
    }

    /// Finishes what an earlier create was cut short in, or what was deleted since.
    fn complete(&self, name: &SiteName, record: &Record, has_files: bool, page: &str) -> io::Result<()> {
        let dir = self.root.join(name.as_str());
        if !has_files {
            let staged = self.staging(name);
            write_site(&staged, page)?;
            fs::rename(&staged, dir.join(PUBLIC_HTML))?;
            sync_dir(&dir)?;
        }
        if !dir.join(UNLOGGED).try_exists()? {
            return Ok(());
        }
        if creates::contains(&self.root, record.create_id)? {
            return fs::remove_file(dir.join(UNLOGGED));
        }
        self.settle(name, record)
    }

    fn replace(&self, name: &SiteName, record: &Record) -> io::Result<()> {
        let dir = self.root.join(name.as_str());
        let staged = self.staging(name);
        write_new(&staged, &serde_json::to_vec_pretty(record)?)?;
        fs::rename(&staged, dir.join(ACCOUNT_FILE))?;
        sync_dir(&dir)
    }

    fn staging(&self, name: &SiteName) -> PathBuf {
        self.root.join(TMP).join(format!("{name}.{}", Uuid::now_v7()))
    }

    fn empty_trash(&self, prefix: &str) -> io::Result<()> {
        for entry in fs::read_dir(self.root.join(TRASH))?.take(SWEEP_ENTRIES) {
            let entry = entry?;
            if entry.file_name().to_str().is_some_and(|name| name.starts_with(prefix)) {
                delete(&entry.path())?;
            }
        }
        Ok(())
    }

    /// Deletes what dead processes left, if it is old enough that nobody can be at work on it.
    fn sweep(&self) -> io::Result<()> {
        let now = self.disk_time()?;
        for part in [TMP, TRASH] {
            for entry in fs::read_dir(self.root.join(part))?.take(SWEEP_ENTRIES) {
                let path = entry?.path();
                let touched = match fs::symlink_metadata(&path) {
                    Ok(metadata) => metadata.modified()?,
                    Err(gone) if gone.kind() == ErrorKind::NotFound => continue,
                    Err(other) => return Err(other),
                };
                // A time in the future is not old.
                if now.duration_since(touched).is_ok_and(|age| age >= LEFTOVER_AGE) {
                    delete(&path)?;
                }
            }
        }
        Ok(())
    }

    /// What time it is by the clock that files are dated with, which another process's or another machine's may be: to one
    /// that is weeks ahead all that others are at work on is old.
    fn disk_time(&self) -> io::Result<SystemTime> {
        let path = self.root.join(TMP).join(format!("time.{}", Uuid::now_v7()));
        let written = File::create_new(&path)?.metadata()?.modified();
        delete(&path)?;
        written
    }
}

fn record(name: &SiteName, account_id: AccountId, package: String) -> Record {
    #[expect(clippy::disallowed_methods, reason = "a panel keeps its own, real time, as a server elsewhere would")]
    let created_at = Timestamp::now();
    let (username, create_id) = (name.as_str().to_owned(), Uuid::now_v7());
    Record { account_id, username, package, state: State::Active, create_id, created_at, restored: None }
}

pub(super) fn look(root: &Path, name: &SiteName) -> io::Result<Found> {
    let dir = root.join(name.as_str());
    if !is_real(&dir, fs::FileType::is_dir)? {
        return Ok(if is_real(&dir, |_| true)? { Found::Stranger } else { Found::Nothing });
    }
    let file = dir.join(ACCOUNT_FILE);
    if !is_real(&file, fs::FileType::is_file)? {
        // It may have been removed since the line before last.
        return Ok(if is_real(&dir, |_| true)? { Found::Stranger } else { Found::Nothing });
    }
    let mut text = Vec::new();
    match File::open(&file) {
        Ok(opened) => opened.take(ACCOUNT_FILE_MAX).read_to_end(&mut text)?,
        Err(gone) if gone.kind() == ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(other) => return Err(other),
    };
    let record = serde_json::from_slice(&text)?;
    Ok(Found::Account { record, has_files: is_real(&dir.join(PUBLIC_HTML), fs::FileType::is_dir)? })
}

fn is_occupied(error: &io::Error) -> bool {
    [ErrorKind::AlreadyExists, ErrorKind::DirectoryNotEmpty, ErrorKind::NotADirectory].contains(&error.kind())
}

fn taken(name: &SiteName) -> PanelError {
    PanelError::name_taken(format!("{name} is somebody else's account"))
}
