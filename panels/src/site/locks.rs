//! Locks across threads and processes; the kernel lets go when the holder dies.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::Path,
    thread,
    time::Duration,
};

/// Who waits for five seconds waits for something long, or for a stalled process, and had better come back.
const TRIES: u32 = 500;
const PAUSE: Duration = Duration::from_millis(10);

/// Takes the lock of `key` among that many lock files of a directory, for as long as the file is open; `None` when somebody
/// else keeps it. Keys that share a file only wait for each other.
pub(super) fn lock(dir: &Path, key: &str, files: u32) -> io::Result<Option<File>> {
    let sum = key.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    let path = dir.join((sum % files).to_string());
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    for _ in 0..TRIES {
        match file.try_lock() {
            Ok(()) => return Ok(Some(file)),
            Err(TryLockError::WouldBlock) => thread::sleep(PAUSE),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Ok(None)
}
