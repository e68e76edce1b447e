//! Locks across processes. The kernel lets go when the holder dies; no program that the holder starts inherits one, because
//! every file is opened to be closed on `exec`.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::{
    failure::{Failure, OrFail as _},
    files::ROOT_ONLY,
};

const PAUSE: Duration = Duration::from_millis(5);

/// Takes a lock for as long as the file is open, or says what is under way when that takes too long.
pub(crate) fn take(path: &Path, patience: Duration, busy: &str) -> Result<File, Failure> {
    let deadline = Instant::now() + patience;
    loop {
        match try_take(path).or_fail("a lock could not be opened")? {
            Some(held) => return Ok(held),
            None if Instant::now() < deadline => thread::sleep(PAUSE),
            None => return Err(Failure::transient(busy)),
        }
    }
}

/// Takes a lock if nobody has it.
pub(crate) fn try_take(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).mode(ROOT_ONLY).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_lock_is_held_once_and_no_child_keeps_it() {
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("lock");

        let held = try_take(&path).unwrap().unwrap();
        assert!(try_take(&path).unwrap().is_none());
        let mut child = Command::new("/bin/cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        drop(held);
        let again = try_take(&path).unwrap();
        drop(child.stdin.take());
        child.wait().unwrap();

        assert!(again.is_some(), "the child was alive and had no part in it");
    }
}
