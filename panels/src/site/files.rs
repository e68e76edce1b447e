//! Single steps on files: each durable when it returns, none of them following links.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

use super::Usage;

/// Beyond this many files counting is refused rather than done slowly.
pub(super) const USAGE_ENTRIES: u64 = 1_000_000;

/// Whether something of that type is there itself: a link is a link, wherever it leads.
pub(super) fn is_real(path: &Path, of_type: impl FnOnce(&fs::FileType) -> bool) -> io::Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(of_type(&metadata.file_type())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Sums up a tree without following links; `None` beyond [`USAGE_ENTRIES`].
pub(super) fn count(top: PathBuf) -> io::Result<Option<Usage>> {
    let (mut disk_bytes, mut inodes) = (0_u64, 0);
    let mut dirs = vec![top];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            inodes += 1;
            if inodes > USAGE_ENTRIES {
                return Ok(None);
            }
            if metadata.is_dir() {
                dirs.push(entry.path());
            } else {
                disk_bytes = disk_bytes.saturating_add(metadata.len());
            }
        }
    }
    Ok(Some(Usage { disk_bytes, inodes: Some(inodes), traffic_bytes: None }))
}

/// A new directory with the first page in it, synced.
pub(super) fn write_site(dir: &Path, page: &str) -> io::Result<()> {
    fs::create_dir(dir)?;
    write_new(&dir.join("index.html"), page.as_bytes())?;
    sync_dir(dir)
}

/// A new file, synced.
pub(super) fn write_new(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Makes the names in a directory durable.
pub(super) fn sync_dir(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Deletes a tree or a file; already gone is a success (another process sweeps too).
pub(super) fn delete(path: &Path) -> io::Result<()> {
    let deleted = if is_real(path, fs::FileType::is_dir)? { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match deleted {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    }
}
