//! Files that are there whole or not at all.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, ErrorKind, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::Path,
};

/// What the command writes is a few kilobytes; more is not its own.
const READ_MAX: u64 = 256 * 1024;
pub(crate) const ROOT_ONLY: u32 = 0o600;
const DIR_ROOT_ONLY: u32 = 0o700;

/// The file's content; `None` where there is none.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut content = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(READ_MAX).read_to_end(&mut content)?,
        Err(missing) if missing.kind() == ErrorKind::NotFound => return Ok(None),
        Err(other) => return Err(other),
    };
    Ok(Some(content))
}

/// Puts a file in place by one rename, and syncs it. Only for directories that are root's.
pub(crate) fn write(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    write_for(path, content, mode, None)
}

/// Like [`write`], for root and a group.
pub(crate) fn write_for(path: &Path, content: &[u8], mode: u32, group: Option<u32>) -> io::Result<()> {
    let name = path.file_name().and_then(|name| name.to_str()).ok_or(ErrorKind::InvalidInput)?;
    let dir = path.parent().ok_or(ErrorKind::InvalidInput)?;
    // Daemons include `*.conf` and nothing else; an account's lock lets one writer in.
    let staged = dir.join(format!(".{name}.new"));
    remove(&staged)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(ROOT_ONLY).open(&staged)?;
    file.write_all(content)?;
    std::os::unix::fs::fchown(&file, Some(0), Some(group.unwrap_or(0)))?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()?;
    fs::rename(&staged, path)?;
    File::open(dir)?.sync_all()
}

/// Deletes a file for good; one that is not there is deleted already.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(missing) if missing.kind() == ErrorKind::NotFound => return Ok(()),
        removed => removed?,
    }
    path.parent().map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// Makes a directory for nobody but root, and those above it.
pub(crate) fn make_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIR_ROOT_ONLY).create(path)
}

/// Whether something is there under a name, be it a link that leads nowhere.
pub(crate) fn exists(path: &Path) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(missing) if missing.kind() == ErrorKind::NotFound => Ok(false),
        Err(other) => Err(other),
    }
}
