//! What this server knows of an account: written before anything of it is made, deleted after everything of it is gone.
//! So whatever bears a name without a record was not made here.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use berth_host::protocol::Suspension;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    config::Config,
    failure::{Failure, OrFail as _},
    files::{self, ROOT_ONLY},
    names::Username,
};

/// The maker of a suspension which Berth may lift.
pub(crate) const BERTH: &str = "berth";

/// `<state>/accounts/<username>.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    /// The proof of ownership.
    pub(crate) account_id: Uuid,
    pub(crate) username: String,
    pub(crate) package: String,
    pub(crate) domain: Option<String>,
    pub(crate) email: String,
    pub(crate) phase: Phase,
    pub(crate) suspension: Option<Suspension>,
    /// Names this one create in the log of creates.
    pub(crate) create_id: Uuid,
    pub(crate) intended_at_ms: i64,
    pub(crate) created_at_ms: i64,
    /// Whether it was sold with WordPress, and how far that is.
    pub(crate) wordpress: Wordpress,
    /// The version of the backup that it has been given, if any.
    pub(crate) restored: Option<u32>,
}

/// How far an account's life is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Phase {
    Creating,
    Whole,
    Removing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Wordpress {
    None,
    /// Nobody has used it yet: it may be made anew.
    Wanted,
    Installed,
}

impl Record {
    pub(crate) fn suspend(&mut self, reason: String) {
        // Somebody else's suspension stays theirs.
        if self.suspension.as_ref().is_none_or(|suspension| suspension.by == BERTH) {
            self.suspension = Some(Suspension { reason, by: BERTH.to_owned() });
        }
    }

    pub(crate) fn activate(&mut self) -> Result<(), Failure> {
        match &self.suspension {
            Some(suspension) if suspension.by != BERTH => {
                Err(Failure::permanent(format!("the account was suspended by {:?}, not by Berth", suspension.by)))
            }
            Some(_) | None => {
                self.suspension = None;
                Ok(())
            }
        }
    }

    /// The names that its site answers to; the first is the server's own.
    pub(crate) fn hosts(&self, config: &Config) -> Vec<String> {
        hosts(config, &self.username, self.domain.as_deref())
    }
}

/// The names that a site answers to.
pub(crate) fn hosts(config: &Config, username: &str, domain: Option<&str>) -> Vec<String> {
    let mut hosts = vec![format!("{username}.{}", config.base_domain)];
    if let Some(domain) = domain {
        hosts.push(domain.to_owned());
        if !domain.starts_with("www.") {
            hosts.push(format!("www.{domain}"));
        }
    }
    hosts
}

/// The directory of all records.
pub(crate) struct Records<'a> {
    config: &'a Config,
}

impl<'a> Records<'a> {
    pub(crate) fn new(config: &'a Config) -> Self {
        Self { config }
    }

    pub(crate) fn find(&self, name: &Username) -> Result<Option<Record>, Failure> {
        let Some(text) = files::read(&self.path(name)).or_fail("the account's record could not be read")? else {
            return Ok(None);
        };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(io::Error::from)
            .or_fail(format!("the record of {name} is damaged"))
    }

    pub(crate) fn save(&self, name: &Username, record: &Record) -> Result<(), Failure> {
        let text = serde_json::to_vec_pretty(record).map_err(io::Error::from);
        text.and_then(|text| files::write(&self.path(name), &text, ROOT_ONLY))
            .or_fail("the account's record could not be written")
    }

    pub(crate) fn delete(&self, name: &Username) -> Result<(), Failure> {
        files::remove(&self.path(name)).or_fail("the account's record could not be deleted")
    }

    /// Refuses names that another account answers to: nginx would give them to whichever file comes first.
    pub(crate) fn check_hosts(&self, name: &Username, hosts: &[String]) -> Result<(), Failure> {
        for entry in fs::read_dir(self.dir()).or_fail("the records could not be listed")? {
            let entry = entry.or_fail("the records could not be listed")?.file_name();
            let Some(other) = entry.to_str().and_then(|entry| entry.strip_suffix(".json")) else { continue };
            let Ok(other) = Username::parse(other) else { continue };
            if other == *name {
                continue;
            }
            let Some(record) = self.find(&other)? else { continue };
            if let Some(host) = record.hosts(self.config).iter().find(|host| hosts.contains(host)) {
                return Err(Failure::permanent(format!("{host} is another account's name on this server")));
            }
        }
        Ok(())
    }

    /// Puts a create into the log of creates, once and only once. Only one that was begun before can be there already.
    pub(crate) fn log_create(&self, record: &Record, begun_before: bool) -> Result<(), Failure> {
        self.append(record, begun_before).or_fail("the log of creates could not be written")
    }

    fn append(&self, record: &Record, begun_before: bool) -> io::Result<()> {
        let path = self.config.state.join("creates.jsonl");
        let mut log = OpenOptions::new().create(true).append(true).read(true).mode(ROOT_ONLY).open(&path)?;
        if begun_before && contains(&log, record.create_id)? {
            return Ok(());
        }
        let mut line = Vec::new();
        if ends_torn(&mut log)? {
            line.push(b'\n');
        }
        let create = Create {
            create_id: record.create_id,
            account_id: record.account_id,
            username: record.username.clone(),
            at_ms: record.created_at_ms,
        };
        serde_json::to_writer(&mut line, &create)?;
        line.push(b'\n');
        // One write: lines of concurrent appenders do not mix.
        log.write_all(&line)?;
        log.sync_data()
    }

    fn dir(&self) -> PathBuf {
        self.config.state.join("accounts")
    }

    fn path(&self, name: &Username) -> PathBuf {
        self.dir().join(format!("{name}.json"))
    }
}

/// A line of `creates.jsonl`.
#[derive(Serialize, Deserialize)]
struct Create {
    create_id: Uuid,
    account_id: Uuid,
    username: String,
    at_ms: i64,
}

fn contains(log: &File, create_id: Uuid) -> io::Result<bool> {
    for line in BufReader::new(log).split(b'\n') {
        // A line that was torn by a power cut was not answered for.
        if serde_json::from_slice::<Create>(&line?).is_ok_and(|create| create.create_id == create_id) {
            return Ok(true);
        }
    }
    Ok(false)
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
