//! A customer's tree of files, entered name by name below one open directory, so that no link leads out of it: also not
//! one that is put there while somebody looks.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
};

use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::{AtFlags, OFlag, open, openat, readlinkat},
    sys::stat::{Mode, SFlag, fstatat, mkdirat},
    unistd::symlinkat,
};

/// What lies deeper cannot be named in a call, so it cannot be served either (Linux's `PATH_MAX`).
const PATH_MAX: usize = 4096;
/// Names of one directory that are held in memory, to be visited in order.
const NAMES_MAX: usize = 1_000_000;

/// An open directory and what is below it. Blocks.
pub(super) struct Tree {
    top: OwnedFd,
}

/// One thing in a tree. Paths are below its top.
pub(super) enum Seen<'a> {
    /// A directory, before what is in it.
    Dir { path: &'a Path, dir: &'a OwnedFd },
    /// A plain file.
    File { path: &'a Path, parent: &'a OwnedFd, name: &'a OsStr },
    /// A link, wherever it leads.
    Link { path: &'a Path, parent: &'a OwnedFd, name: &'a OsStr },
    /// A pipe, a socket, a device.
    Special,
}

impl Tree {
    /// Opens a directory. Its last name may be no link; those before it are ours.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { top: open(path, directory(), Mode::empty())? })
    }

    /// The directory at a path of plain names; fails where one of them is a link.
    pub(super) fn dir(&self, path: &Path) -> io::Result<OwnedFd> {
        let mut here = self.top.try_clone()?;
        for name in path {
            here = openat(&here, name, directory(), Mode::empty())?;
        }
        Ok(here)
    }

    /// Visits everything below the top, names in order, a directory before what is in it.
    pub(super) fn walk(&self, mut visit: impl FnMut(Seen<'_>) -> io::Result<()>) -> io::Result<()> {
        // Only names wait, so that a tree made deep on purpose costs no more memory than a flat one.
        let mut waiting = vec![(0_usize, OsString::new())];
        let mut here: Vec<OsString> = Vec::new();
        while let Some((depth, name)) = waiting.pop() {
            here.truncate(depth);
            here.push(name);
            let path: PathBuf = here.iter().collect();
            let dir = self.dir(&path)?;
            visit(Seen::Dir { path: &path, dir: &dir })?;
            for name in names(&dir)? {
                let below = path.join(&name);
                if below.as_os_str().len() > PATH_MAX {
                    return Err(io::Error::new(io::ErrorKind::InvalidData, "the tree is too deep"));
                }
                match kind(&dir, &name)? {
                    SFlag::S_IFDIR => waiting.push((here.len(), name)),
                    SFlag::S_IFREG => visit(Seen::File { path: &below, parent: &dir, name: &name })?,
                    SFlag::S_IFLNK => visit(Seen::Link { path: &below, parent: &dir, name: &name })?,
                    _ => visit(Seen::Special)?,
                }
            }
        }
        Ok(())
    }
}

/// Opens a plain file for reading. What has become something else since it was seen is refused, and not waited for.
pub(super) fn read_file(parent: &impl AsFd, name: &OsStr) -> io::Result<File> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
    let file = File::from(openat(parent, name, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(Errno::ELOOP.into());
    }
    Ok(file)
}

/// Makes a file that was not there, open to nobody else yet.
pub(super) fn new_file(parent: &impl AsFd, name: &OsStr) -> io::Result<File> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    Ok(File::from(openat(parent, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?))
}

/// Makes a directory that was not there, open to nobody else yet.
pub(super) fn new_dir(parent: &impl AsFd, name: &OsStr) -> io::Result<File> {
    mkdirat(parent, name, Mode::S_IRWXU)?;
    Ok(File::from(openat(parent, name, directory(), Mode::empty())?))
}

/// Makes a link that was not there, to wherever it says.
pub(super) fn new_link(parent: &impl AsFd, name: &OsStr, target: &OsStr) -> io::Result<()> {
    Ok(symlinkat(target, parent, name)?)
}

/// Where a link leads, in its own bytes.
pub(super) fn read_link(parent: &impl AsFd, name: &OsStr) -> io::Result<OsString> {
    Ok(readlinkat(parent, name)?)
}

fn directory() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC
}

fn names(dir: &OwnedFd) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in Dir::from_fd(dir.try_clone()?)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if ![b".".as_slice(), b".."].contains(&name) {
            names.push(OsStr::from_bytes(name).to_owned());
        }
        if names.len() > NAMES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a directory has too many files"));
        }
    }
    names.sort_unstable();
    Ok(names)
}

fn kind(parent: &OwnedFd, name: &OsStr) -> io::Result<SFlag> {
    let mode = fstatat(parent, name, AtFlags::AT_SYMLINK_NOFOLLOW)?.st_mode;
    Ok(SFlag::from_bits_truncate(mode) & SFlag::S_IFMT)
}
