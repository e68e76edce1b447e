//! The directory of one private server: who may use it, who owns it, and which process serves it.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::{User, geteuid};
use rand::Rng;
use sha2::{Digest, Sha256};

use super::{ServerError, failed_to};

/// Where a server's directory goes when the user it must run as cannot reach the one that was asked for. Unlike
/// `/tmp` it outlives a reboot.
const FALLBACK_FOLDER: &str = "/var/tmp";

/// A log past this size is put aside when the server starts; one older log is kept.
const LOG_BYTES: u64 = 8 << 20;
/// How much of the log an error shows.
const TAIL_BYTES: u64 = 2_000;

/// The user a server runs as when its owner is root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RunAs {
    uid: u32,
    gid: u32,
}

impl RunAs {
    /// For a server that refuses root: `None` unless we are root. Data of an earlier run stays with its owner.
    pub(super) fn unless_root(data: &Path) -> Result<Option<Self>, ServerError> {
        if !geteuid().is_root() {
            return Ok(None);
        }
        if let Ok(owner) = fs::metadata(data)
            && owner.uid() != 0
        {
            return Ok(Some(Self { uid: owner.uid(), gid: owner.gid() }));
        }
        for name in ["postgres", "nobody"] {
            let user = User::from_name(name)
                .map_err(std::io::Error::from)
                .map_err(failed_to("look up the users in", Path::new("/etc/passwd")))?;
            if let Some(user) = user {
                return Ok(Some(Self { uid: user.uid.as_raw(), gid: user.gid.as_raw() }));
            }
        }
        Err(ServerError::NoUser)
    }

    pub(super) fn apply(self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    fn can_enter(self, folder: &Path) -> Result<bool, ServerError> {
        let mut test = Command::new("/bin/sh");
        test.args(["-c", "test -x \"$1\"", "sh"]).arg(folder).current_dir("/");
        self.apply(&mut test);
        Ok(test.status().map_err(failed_to("look into", folder))?.success())
    }
}

/// A locked directory; the lock goes with this value or with the process.
#[derive(Debug)]
pub(super) struct Home {
    directory: PathBuf,
    run_as: Option<RunAs>,
    _lock: File,
}

impl Home {
    /// Makes the directory when it is missing and locks it. As root with a user to run as, it is handed to that
    /// user, or lies under [`FALLBACK_FOLDER`] when that user cannot reach it.
    pub(super) fn claim(wanted: &Path, run_as: Option<RunAs>) -> Result<Self, ServerError> {
        let wanted = std::path::absolute(wanted).map_err(failed_to("resolve", wanted))?;
        let directory = reachable(&wanted, run_as)?;
        make_private(&directory, run_as)?;
        if let Some(user) = run_as {
            hand_over(&directory, user)?;
        }

        let path = directory.join("owner.lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed_to("open", &path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { directory, run_as, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(ServerError::InUse(directory)),
            Err(TryLockError::Error(error)) => Err(failed_to("lock", &path)(error)),
        }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    pub(super) fn run_as(&self) -> Option<RunAs> {
        self.run_as
    }

    /// The server's password: generated once, then read back.
    pub(super) fn password(&self) -> Result<String, ServerError> {
        let path = self.password_file();
        match fs::read_to_string(&path) {
            Ok(password) => Ok(password),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let password = hex::encode(rand::rng().random::<[u8; 16]>());
                self.write_private("password", &password)?;
                Ok(password)
            }
            Err(error) => Err(failed_to("read", &path)(error)),
        }
    }

    pub(super) fn password_file(&self) -> PathBuf {
        self.directory.join("password")
    }

    /// Writes a file that only the server's user (and root) can read; returns its path.
    pub(super) fn write_private(&self, name: &str, content: &str) -> Result<PathBuf, ServerError> {
        let path = self.directory.join(name);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .mode(0o600)
            .open(&path)
            .map_err(failed_to("create", &path))?;
        std::io::Write::write_all(&mut file, content.as_bytes()).map_err(failed_to("write", &path))?;
        if let Some(user) = self.run_as {
            hand_over(&path, user)?;
        }
        Ok(path)
    }

    pub(super) fn record(&self, pid: u32) -> Result<(), ServerError> {
        self.write_private("server.pid", &format!("{pid}\n")).map(|_| ())
    }

    pub(super) fn forget(&self) -> Result<(), ServerError> {
        remove_if_there(&self.directory.join("server.pid"))
    }

    /// The process that the last owner of this directory started.
    pub(super) fn recorded(&self) -> Option<u32> {
        fs::read_to_string(self.directory.join("server.pid")).ok()?.trim().parse().ok()
    }

    /// Opens the log for appending, after putting an overlong one aside.
    pub(super) fn open_log(&self) -> Result<File, ServerError> {
        let path = self.log();
        if fs::metadata(&path).is_ok_and(|log| log.len() > LOG_BYTES) {
            fs::rename(&path, path.with_extension("log.old")).map_err(failed_to("put aside", &path))?;
        }
        OpenOptions::new().create(true).append(true).mode(0o600).open(&path).map_err(failed_to("open", &path))
    }

    pub(super) fn log(&self) -> PathBuf {
        self.directory.join("server.log")
    }

    pub(super) fn log_tail(&self) -> Result<String, ServerError> {
        let path = self.log();
        let mut file = File::open(&path).map_err(failed_to("open", &path))?;
        let bytes = file.metadata().map_err(failed_to("read", &path))?.len();
        file.seek(SeekFrom::Start(bytes.saturating_sub(TAIL_BYTES))).map_err(failed_to("read", &path))?;
        let mut tail = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut tail).map_err(failed_to("read", &path))?;
        Ok(String::from_utf8_lossy(&tail).trim().to_owned())
    }
}

/// A directory for a server that is thrown away, under the temporary folder. Its parent is the folder itself, so that
/// another user can reach it.
pub(super) fn throwaway(server: &str) -> PathBuf {
    std::env::temp_dir().join(format!("berth-{server}-{}", hex::encode(rand::rng().random::<[u8; 8]>())))
}

pub(super) fn remove_if_there(path: &Path) -> Result<(), ServerError> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other.map_err(failed_to("remove", path)),
    }
}

fn reachable(wanted: &Path, run_as: Option<RunAs>) -> Result<PathBuf, ServerError> {
    let parent = wanted.parent().unwrap_or(wanted);
    fs::create_dir_all(parent).map_err(failed_to("create", parent))?;
    let Some(user) = run_as else {
        return Ok(wanted.to_owned());
    };
    if user.can_enter(parent)? {
        return Ok(wanted.to_owned());
    }

    let key = hex::encode(Sha256::digest(wanted.as_os_str().as_encoded_bytes()));
    let fallback = Path::new(FALLBACK_FOLDER).join(format!("berth-{}", &key[..16]));
    tracing::warn!(
        wanted = %wanted.display(),
        used = %fallback.display(),
        "the user that PostgreSQL runs as cannot enter the wanted directory; the data lies elsewhere"
    );
    Ok(fallback)
}

/// Makes the directory for its owner alone. In the fallback folder, where anybody may have made it before us, one that
/// is there already must be ours.
fn make_private(directory: &Path, run_as: Option<RunAs>) -> Result<(), ServerError> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let found = fs::symlink_metadata(directory).map_err(failed_to("look at", directory))?;
            let ours = found.uid() == geteuid().as_raw() || run_as.is_some_and(|user| user.uid == found.uid());
            let private = ours && found.mode() & 0o077 == 0;
            if found.is_dir() && (private || !directory.starts_with(FALLBACK_FOLDER)) {
                Ok(())
            } else {
                Err(ServerError::ForeignDirectory(directory.to_owned()))
            }
        }
        Err(error) => Err(failed_to("create", directory)(error)),
    }
}

fn hand_over(path: &Path, user: RunAs) -> Result<(), ServerError> {
    chown(path, Some(user.uid), Some(user.gid)).map_err(failed_to("change the owner of", path))
}
