//! The site panel's own record of every create that it performed, for audits: one JSON line each, only ever appended to.

use std::{
    collections::BTreeMap,
    fs::{File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use berth_jobs::ids::AccountId;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Longer lines are not ours.
const LINE_MAX: u64 = 4096;

/// One account that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Create {
    /// Unique per create; the same as in the `account.json` that it made.
    pub create_id: Uuid,
    /// Whose account.
    pub account_id: AccountId,
    /// Under which name.
    pub username: String,
    /// The server's own time.
    pub at: Timestamp,
}

/// How often each account was created, ever. Nothing but ones, or something is wrong. Blocks on files.
pub fn count_by_account(sites_dir: &Path) -> io::Result<BTreeMap<AccountId, u64>> {
    let mut counts = BTreeMap::new();
    each(&path(sites_dir), |create| {
        *counts.entry(create.account_id).or_default() += 1;
    })?;
    Ok(counts)
}

pub(super) fn path(sites_dir: &Path) -> PathBuf {
    sites_dir.join(".log").join("creates.jsonl")
}

/// Appends and syncs, so that a line which was answered for is never lost.
pub(super) fn append(sites_dir: &Path, create: &Create) -> io::Result<()> {
    let mut log = OpenOptions::new().create(true).append(true).read(true).open(path(sites_dir))?;
    let mut line = Vec::new();
    if ends_torn(&mut log)? {
        line.push(b'\n');
    }
    serde_json::to_writer(&mut line, create)?;
    line.push(b'\n');
    // One write: lines of concurrent appenders do not mix.
    log.write_all(&line)?;
    log.sync_data()
}

/// Whether this very create is in the log.
pub(super) fn contains(sites_dir: &Path, create_id: Uuid) -> io::Result<bool> {
    let mut found = false;
    each(&path(sites_dir), |create| found |= create.create_id == create_id)?;
    Ok(found)
}

/// A power cut may leave a last line without its end; the next one must not continue it.
fn ends_torn(log: &mut File) -> io::Result<bool> {
    if log.seek(SeekFrom::End(0))? == 0 {
        return Ok(false);
    }
    log.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    log.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

fn each(path: &Path, mut visit: impl FnMut(Create)) -> io::Result<()> {
    let mut log = match File::open(path) {
        Ok(file) => BufReader::new(file),
        Err(missing) if missing.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(other) => return Err(other),
    };
    let mut line = Vec::new();
    while log.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)? > 0 {
        match serde_json::from_slice(&line) {
            Ok(create) => visit(create),
            // Torn by a power cut before it was answered for: its create is logged again when the account is adopted.
            Err(error) => tracing::warn!(%error, path = %path.display(), "a line of the creates log is unreadable"),
        }
        line.clear();
    }
    Ok(())
}
