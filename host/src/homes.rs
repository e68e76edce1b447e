//! The homes: a directory that is root's, as sshd wants it for a jail, and in it those that are the customer's.
//!
//! ```text
//! <homes>/<username>/                root:root 0755
//! <homes>/<username>/public_html/    customer:web 2750, what the world sees
//! <homes>/<username>/tmp/            customer 0700, PHP's sessions and uploads
//! <homes>/<username>/logs/           customer 0750, PHP's errors
//! <homes>/<username>/database.ini    root:customer 0640, the database's password
//! ```
//!
//! Because the home is root's, no customer can put a link in the place of one of its directories. What is below them is
//! touched as the customer only.

use std::{
    fs::{self, Permissions},
    io::{self, ErrorKind},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _, lchown},
    path::{Path, PathBuf},
    time::Duration,
};

use berth_host::protocol::{Quota, Usage};
use nix::sys::statfs::{BTRFS_SUPER_MAGIC, statfs};

use crate::{
    config::Config,
    failpoints,
    failure::{Failure, OrFail as _},
    files,
    names::Username,
    programs::{Owner, Program},
    users,
};

pub(crate) const PUBLIC_HTML: &str = "public_html";
pub(crate) const DATABASE_INI: &str = "database.ini";
const BTRFS: &str = "/usr/bin/btrfs";
const RM: &str = "/bin/rm";
const DU: &str = "/usr/bin/du";
const DD: &str = "/bin/dd";
/// A home may have millions of files.
const LONG: Duration = Duration::from_secs(600);
/// Btrfs gives the top of every subvolume this number.
const SUBVOLUME: u64 = 256;

pub(crate) struct Homes<'a> {
    config: &'a Config,
}

impl<'a> Homes<'a> {
    pub(crate) fn new(config: &'a Config) -> Self {
        Self { config }
    }

    pub(crate) fn of(&self, name: &Username) -> PathBuf {
        self.config.homes.join(name.as_str())
    }

    pub(crate) fn public_html(&self, name: &Username) -> PathBuf {
        self.of(name).join(PUBLIC_HTML)
    }

    /// Which of a home's parts are missing or are not as they should be.
    pub(crate) fn missing(&self, name: &Username, owner: Owner) -> Result<Vec<&'static str>, Failure> {
        let home = self.of(name);
        let web = users::web_gid(self.config)?;
        let mut missing = Vec::new();
        for part in parts(owner, web) {
            let is_as_it_should = match fs::symlink_metadata(home.join(part.name)) {
                Ok(found) => found.is_dir() && (found.uid(), found.gid()) == (part.uid, part.gid),
                Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => false,
                Err(other) => return Err(other).or_fail("the home could not be looked at"),
            };
            if !is_as_it_should {
                missing.push(if part.name.is_empty() { "home" } else { part.name });
            }
        }
        Ok(missing)
    }

    pub(crate) fn ensure(&self, name: &Username, owner: Owner, disk_mb: u64) -> Result<(), Failure> {
        let home = self.of(name);
        let web = users::web_gid(self.config)?;
        let quota = self.quota()?;
        if quota == Quota::Enforced && !files::exists(&home).or_fail("the home could not be looked at")? {
            Program::new(BTRFS).args(["subvolume", "create"]).arg(&home).run()?;
        }
        for part in parts(owner, web) {
            make(&home.join(part.name), &part).or_fail("the home could not be made")?;
        }
        if quota == Quota::Enforced && is_subvolume(&home).or_fail("the home could not be looked at")? {
            Program::new(BTRFS).args(["qgroup", "limit", &format!("{disk_mb}M")]).arg(&home).run()?;
        }
        Ok(())
    }

    /// A directory for a customer's files that nobody sees yet, empty.
    pub(crate) fn stage(&self, name: &Username, owner: Owner) -> Result<PathBuf, Failure> {
        let staged = self.of(name).join(".restoring");
        delete(&staged)?;
        let web = users::web_gid(self.config)?;
        make(&staged, &public_html(owner, web)).or_fail("the files could not be staged")?;
        Ok(staged)
    }

    /// Puts staged files in the place of the customer's.
    pub(crate) fn put_back(&self, name: &Username, staged: &Path) -> Result<(), Failure> {
        let public = self.public_html(name);
        let old = self.of(name).join(".replaced");
        delete(&old)?;
        let moved = || -> io::Result<()> {
            match fs::rename(&public, &old) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            failpoints::pass("restore_moved");
            fs::rename(staged, &public)
        };
        moved().or_fail("the files could not be put in place")?;
        delete(&old)
    }

    /// Writes a file among the customer's, as the customer.
    pub(crate) fn write(&self, name: &Username, owner: Owner, file: &str, content: &str) -> Result<(), Failure> {
        Program::as_customer(owner, DD)
            .dir(&self.public_html(name))
            .args([&format!("of={file}"), "status=none"])
            .input(content)
            .run()
            .map(drop)
    }

    pub(crate) fn usage(&self, name: &Username) -> Result<Usage, Failure> {
        let home = self.of(name);
        let measure = |how: &[&str]| {
            let printed = Program::new(DU).args(how).arg("--").arg(&home).patience(LONG).run()?;
            let number = printed.split_whitespace().next().and_then(|number| number.parse().ok());
            number.ok_or_else(|| Failure::transient("du printed no number"))
        };
        let disk_bytes = measure(&["--summarize", "--one-file-system", "--apparent-size", "--block-size=1"])?;
        let inodes = measure(&["--summarize", "--one-file-system", "--inodes"])?;
        Ok(Usage { disk_bytes, inodes })
    }

    pub(crate) fn delete(&self, name: &Username) -> Result<(), Failure> {
        let home = self.of(name);
        if is_subvolume(&home).or_fail("the home could not be looked at")? {
            return Program::new(BTRFS).args(["subvolume", "delete"]).arg(&home).run().map(drop);
        }
        delete(&home)
    }

    /// Whether a limit on a home would hold.
    pub(crate) fn quota(&self) -> Result<Quota, Failure> {
        let is_btrfs =
            statfs(&self.config.homes).or_fail("the homes' file system could not be looked at")?.filesystem_type()
                == BTRFS_SUPER_MAGIC;
        if !is_btrfs || !files::exists(Path::new(BTRFS)).or_fail("the btrfs tools could not be looked for")? {
            return Ok(Quota::Unenforced);
        }
        let shown = Program::new(BTRFS).args(["qgroup", "show"]).arg(&self.config.homes).end();
        let on = shown.or_fail("btrfs could not be run")?.status.success();
        Ok(if on { Quota::Enforced } else { Quota::Unenforced })
    }
}

struct Part {
    name: &'static str,
    uid: u32,
    gid: u32,
    mode: u32,
}

fn public_html(owner: Owner, web: u32) -> Part {
    // What is made in it belongs to the group that nginx serves as, and nobody else looks in.
    Part { name: PUBLIC_HTML, uid: owner.uid, gid: web, mode: 0o2750 }
}

fn parts(owner: Owner, web: u32) -> [Part; 4] {
    let Owner { uid, gid } = owner;
    [
        Part { name: "", uid: 0, gid: 0, mode: 0o755 },
        public_html(owner, web),
        Part { name: "tmp", uid, gid, mode: 0o700 },
        Part { name: "logs", uid, gid, mode: 0o750 },
    ]
}

fn make(path: &Path, part: &Part) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let found = fs::symlink_metadata(path)?;
    if !found.is_dir() {
        return Err(io::Error::new(ErrorKind::InvalidData, "something else than a directory is in its place"));
    }
    if (found.uid(), found.gid()) != (part.uid, part.gid) {
        lchown(path, Some(part.uid), Some(part.gid))?;
    }
    // The customer may have opened or closed it; what is in the way of serving and of others' privacy is set right.
    if found.permissions().mode() & 0o7777 != part.mode {
        fs::set_permissions(path, Permissions::from_mode(part.mode))?;
    }
    Ok(())
}

fn is_subvolume(home: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(home) {
        Ok(found) => Ok(found.is_dir()
            && found.ino() == SUBVOLUME
            && statfs(home).map_err(io::Error::from)?.filesystem_type() == BTRFS_SUPER_MAGIC),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(other) => Err(other),
    }
}

/// Deletes a tree without following its links; one that is not there is deleted already.
fn delete(path: &Path) -> Result<(), Failure> {
    Program::new(RM).args(["-rf", "--one-file-system", "--"]).arg(path).patience(LONG).run().map(drop)
}
