//! Backups: a directory each, which appears by one `rename` when all of it is on the disk.
//!
//! ```text
//! <backups>/<account id>-<version>/backup.json        whose it is, and both archives' sizes and SHA-256
//! <backups>/<account id>-<version>/files.tar.gz       the account's public_html
//! <backups>/<account id>-<version>/database.sql.gz    the statements that make its databases anew
//! <backups>/<account id>-<version>/database.ini       the password that the site in it signs in with
//! <backups>/.unfinished/ .locks/                      being made or deleted, one piece of work a backup at a time
//! ```

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Read, Seek as _, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use berth_host::protocol::{AccountName, BackedUp};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{
    accounts::Account,
    config::Config,
    databases::{self, Databases},
    failpoints,
    failure::{Failure, OrFail as _},
    files::{self, ROOT_ONLY},
    homes::{DATABASE_INI, Homes, PUBLIC_HTML},
    locks,
    programs::{Owner, Program},
    record::Record,
    users::{Found, Login},
};

const TAR: &str = "/bin/tar";
const MANIFEST: &str = "backup.json";
const FILES: &str = "files.tar.gz";
const DATABASE: &str = "database.sql.gz";
/// As long as the customer's files are large.
const LONG: Duration = Duration::from_secs(3_600);
/// Who repeats a backup that is being made hears so soon.
const PATIENCE: Duration = Duration::from_secs(60);

/// A backup by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) account_id: Uuid,
    pub(crate) version: u32,
}

/// `backup.json`.
#[derive(Serialize, Deserialize)]
struct Manifest {
    account_id: Uuid,
    version: u32,
    username: String,
    package: String,
    made_at_ms: i64,
    files: Archive,
    database: Archive,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Archive {
    bytes: u64,
    sha256: String,
}

/// What lies under a backup's name.
enum Kept {
    Nothing,
    /// Something that is not, or no longer, what was written.
    Broken,
    Whole(Manifest),
}

pub(crate) struct Backups<'a> {
    config: &'a Config,
}

impl<'a> Backups<'a> {
    pub(crate) fn new(config: &'a Config) -> Self {
        Self { config }
    }

    /// Makes the backup, or answers the one that is there.
    pub(crate) fn make(&self, account: &Account<'_>, version: u32, now_ms: i64) -> Result<BackedUp, Failure> {
        let name = Name { account_id: account.id, version };
        let _lock = self.lock(name)?;
        if let Kept::Whole(manifest) = self.look(name).or_fail("the backup could not be read")? {
            return Ok(manifest.into());
        }
        let record = account.owned()?;
        let manifest = self.stage(account, name, &record, now_ms)?;
        // Whoever removes an account writes that down first: then some of what was copied may have been gone already.
        if account.owned()?.create_id != record.create_id {
            return Err(Failure::transient("the account was made anew while it was copied"));
        }
        self.set_aside(name)
            .and_then(|()| fs::rename(self.staging(name), self.place(name)))
            .and_then(|()| File::open(&self.config.backups)?.sync_all())
            .or_fail("the backup could not be put in place")
            .map_err(Failure::after_changes)?;
        Ok(manifest.into())
    }

    /// Deletes the backup and whatever a killed command left of it.
    pub(crate) fn remove(&self, name: Name) -> Result<(), Failure> {
        let _lock = self.lock(name)?;
        if let Kept::Whole(manifest) = self.look(name).or_fail("the backup could not be read")? {
            self.forget_restore(&manifest)?;
        }
        self.set_aside(name)
            .and_then(|()| delete(&self.staging(name)))
            .or_fail("the backup could not be deleted")
            .map_err(Failure::after_changes)
    }

    /// Puts the backup's files and databases in the place of the account's, once.
    pub(crate) fn restore(&self, account: &Account<'_>, version: u32) -> Result<(), Failure> {
        let name = Name { account_id: account.id, version };
        let _backup = self.lock(name)?;
        let _lock = account.lock()?;
        let mut record = account.owned()?;
        if record.restored == Some(version) {
            return Ok(());
        }
        let manifest = match self.look(name).or_fail("the backup could not be read")? {
            Kept::Whole(manifest) => manifest,
            Kept::Broken => return Err(Failure::permanent(format!("the backup {name} is damaged"))),
            Kept::Nothing => return Err(Failure::permanent(format!("there is no backup {name}"))),
        };
        if manifest.username != record.username {
            return Err(Failure::permanent(format!("the backup's databases belong to {:?}", manifest.username)));
        }
        self.put_back(account, name, &record).map_err(Failure::after_changes)?;
        failpoints::pass("restore_done");
        record.restored = Some(version);
        account.records().save(&account.name, &record).map_err(Failure::after_changes)
    }

    pub(crate) fn prepare(&self) -> Result<(), Failure> {
        [".unfinished", ".locks"]
            .into_iter()
            .try_for_each(|part| files::make_dir(&self.config.backups.join(part)))
            .or_fail("the directory of the backups is not usable")
    }

    fn put_back(&self, account: &Account<'_>, name: Name, record: &Record) -> Result<(), Failure> {
        let owner = owner_of(account)?;
        let homes = Homes::new(self.config);
        let opened = |file: &str| File::open(self.place(name).join(file)).or_fail("the backup could not be read");
        let staged = homes.stage(&account.name, owner)?;
        Program::as_customer(owner, TAR)
            .args(["--extract", "--file=-", "--strip-components=1", "--preserve-permissions", "--no-same-owner"])
            .arg("--directory")
            .arg(&staged)
            .input_from(GzDecoder::new(opened(FILES)?))
            .patience(LONG)
            .run()?;
        let ini = files::read(&self.place(name).join(DATABASE_INI)).or_fail("the backup could not be read")?;
        let password = ini.as_deref().and_then(databases::password_in);
        let password = password.ok_or_else(|| Failure::permanent("the backup has no password for its databases"))?;
        let databases = Databases::new(self.config);
        databases.empty(&account.name)?;
        let login = if record.suspension.is_some() { Login::Shut } else { Login::Open };
        databases.set(&account.name, owner, &password, login)?;
        let statements = GzDecoder::new(opened(DATABASE)?);
        failpoints::pass("restore_emptied");
        account.with_database_open(record, || databases.load(&account.name, owner, statements))?;
        failpoints::pass("restore_loaded");
        homes.put_back(&account.name, &staged)
    }

    /// A backup that is made later under the same version is another one.
    fn forget_restore(&self, manifest: &Manifest) -> Result<(), Failure> {
        let name = AccountName { account_id: manifest.account_id, username: manifest.username.clone() };
        let account = Account::new(self.config, &name)?;
        let _lock = account.lock()?;
        match account.records().find(&account.name)? {
            Some(mut record) if record.account_id == account.id && record.restored == Some(manifest.version) => {
                record.restored = None;
                account.records().save(&account.name, &record)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Builds the whole backup where nobody looks.
    fn stage(&self, account: &Account<'_>, name: Name, record: &Record, now_ms: i64) -> Result<Manifest, Failure> {
        let staged = self.staging(name);
        delete(&staged).and_then(|()| files::make_dir(&staged)).or_fail("the backup could not be staged")?;
        let (to_files, to_database) = (staged.join(FILES), staged.join(DATABASE));
        let files = Program::as_customer(owner_of(account)?, TAR)
            .args(["--create", "--file=-", "--one-file-system", "--directory"])
            .arg(account.homes().of(&account.name))
            .args(["--", PUBLIC_HTML])
            .patience(LONG)
            .stream(|from| keep(from, &to_files))
            .map_err(unreadable)?;
        let databases = Databases::new(self.config);
        let database = databases.dump(&account.name, |from| keep(from, &to_database))?;
        let ini = files::read(&account.homes().of(&account.name).join(DATABASE_INI));
        let ini = ini.or_fail("the database's password could not be read")?.unwrap_or_default();
        let Name { account_id, version } = name;
        let (username, package) = (record.username.clone(), record.package.clone());
        let manifest = Manifest { account_id, version, username, package, made_at_ms: now_ms, files, database };
        files::write(&staged.join(DATABASE_INI), &ini, ROOT_ONLY)
            .and_then(|()| files::write(&staged.join(MANIFEST), &serde_json::to_vec_pretty(&manifest)?, ROOT_ONLY))
            .or_fail("the backup could not be staged")?;
        Ok(manifest)
    }

    /// Reads the archives to their end: a backup is the last copy of a customer's files, or soon will be.
    fn look(&self, name: Name) -> io::Result<Kept> {
        let dir = self.place(name);
        if !files::exists(&dir)? {
            return Ok(Kept::Nothing);
        }
        let Some(text) = files::read(&dir.join(MANIFEST))? else { return Ok(Kept::Broken) };
        let Ok(manifest) = serde_json::from_slice::<Manifest>(&text) else { return Ok(Kept::Broken) };
        let is_its = (manifest.account_id, manifest.version) == (name.account_id, name.version);
        for (file, archive) in [(FILES, &manifest.files), (DATABASE, &manifest.database)] {
            if !is_its || !files::exists(&dir.join(file))? || measure(&dir.join(file))? != *archive {
                return Ok(Kept::Broken);
            }
        }
        Ok(Kept::Whole(manifest))
    }

    /// Out of sight first: a backup that is deleted in part is never seen under its name.
    fn set_aside(&self, name: Name) -> io::Result<()> {
        let aside = self.config.backups.join(".unfinished").join(format!("{name}.gone"));
        delete(&aside)?;
        match fs::rename(self.place(name), &aside) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            moved => moved?,
        }
        File::open(&self.config.backups)?.sync_all()?;
        delete(&aside)
    }

    fn lock(&self, name: Name) -> Result<File, Failure> {
        self.prepare()?;
        let path = self.config.backups.join(".locks").join(name.to_string());
        locks::take(&path, PATIENCE, &format!("the backup {name} is being worked on already"))
    }

    fn place(&self, name: Name) -> PathBuf {
        self.config.backups.join(name.to_string())
    }

    fn staging(&self, name: Name) -> PathBuf {
        self.config.backups.join(".unfinished").join(name.to_string())
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.account_id, self.version)
    }
}

impl From<Manifest> for BackedUp {
    fn from(manifest: Manifest) -> Self {
        Self { bytes: manifest.files.bytes.saturating_add(manifest.database.bytes), made_at_ms: manifest.made_at_ms }
    }
}

/// What the customers themselves cannot read is not the server's fault, and stays so.
fn unreadable(failed: Failure) -> Failure {
    let message = failed.refusal().message;
    if message.contains("Permission denied") { Failure::permanent(message) } else { failed }
}

fn owner_of(account: &Account<'_>) -> Result<Owner, Failure> {
    match account.users().find(&account.name, account.id)? {
        Found::Ours(owner) => Ok(owner),
        Found::Nothing | Found::Stranger => Err(Failure::permanent(format!("{} has no login of ours", account.name))),
    }
}

/// Compresses what is read into a new file, and syncs it.
fn keep(from: &mut impl Read, path: &Path) -> io::Result<Archive> {
    let file = OpenOptions::new().read(true).write(true).create_new(true).mode(ROOT_ONLY).open(path)?;
    let mut packing = GzEncoder::new(Hashing { to: &file, hash: Sha256::new(), bytes: 0 }, Compression::fast());
    io::copy(from, &mut packing)?;
    let Hashing { hash, bytes, .. } = packing.finish()?;
    file.sync_all()?;
    // What was read may have been cut off; what was packed must unpack.
    (&file).seek(SeekFrom::Start(0))?;
    io::copy(&mut GzDecoder::new(&file), &mut io::sink())?;
    Ok(Archive { bytes, sha256: hex::encode(hash.finalize()) })
}

fn measure(path: &Path) -> io::Result<Archive> {
    let mut hashing = Hashing { to: io::sink(), hash: Sha256::new(), bytes: 0 };
    io::copy(&mut File::open(path)?, &mut hashing)?;
    Ok(Archive { bytes: hashing.bytes, sha256: hex::encode(hashing.hash.finalize()) })
}

fn delete(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(missing) if missing.kind() == ErrorKind::NotFound => Ok(()),
        deleted => deleted,
    }
}

/// Hashes and counts what it passes on.
struct Hashing<W> {
    to: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.to.write(buffer)?;
        self.hash.update(buffer.get(..written).unwrap_or(buffer));
        self.bytes = self.bytes.saturating_add(u64::try_from(written).unwrap_or(u64::MAX));
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}
