//! What this server knows of an account: written before anything of it is made, deleted after everything of it is gone.
//! So whatever bears a name without a record was not made here.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::PathBuf,
};

use berth_host::protocol::{Listed, Listing, Suspension};
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
        let Some(text) = self.read(name)? else { return Ok(None) };
        serde_json::from_slice(&text)
            .map(Some)
            .map_err(io::Error::from)
            .or_fail(format!("the record of {name} is damaged"))
    }

    fn read(&self, name: &Username) -> Result<Option<Vec<u8>>, Failure> {
        files::read(&self.path(name)).or_fail("the account's record could not be read")
    }

    pub(crate) fn save(&self, name: &Username, record: &Record) -> Result<(), Failure> {
        let text = serde_json::to_vec_pretty(record).map_err(io::Error::from);
        text.and_then(|text| files::write(&self.path(name), &text, ROOT_ONLY))
            .or_fail("the account's record could not be written")
    }

    pub(crate) fn delete(&self, name: &Username) -> Result<(), Failure> {
        files::remove(&self.path(name)).or_fail("the account's record could not be deleted")
    }

    /// All accounts that there are records of.
    pub(crate) fn list(&self) -> Result<Listing, Failure> {
        let mut accounts = Vec::new();
        for name in self.names()? {
            let Some(text) = self.read(&name)? else { continue };
            // A record that is damaged is a record: whose it is, is all that is not known.
            let record: Option<Record> = serde_json::from_slice(&text).ok();
            accounts.push(Listed {
                account_id: record.as_ref().map(|record| record.account_id),
                username: name.as_str().to_owned(),
                suspended: record.is_some_and(|record| record.suspension.is_some()),
            });
        }
        Ok(Listing { accounts })
    }

    fn names(&self) -> Result<Vec<Username>, Failure> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.dir()).or_fail("the records could not be listed")? {
            let entry = entry.or_fail("the records could not be listed")?.file_name();
            let name = entry.to_str().and_then(|entry| entry.strip_suffix(".json"));
            names.extend(name.and_then(|name| Username::parse(name).ok()));
        }
        Ok(names)
    }

    /// Refuses names that another account answers to: nginx would give them to whichever file comes first.
    pub(crate) fn check_hosts(&self, name: &Username, hosts: &[String]) -> Result<(), Failure> {
        for other in self.names()? {
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

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::config::tests::config;

    #[test]
    fn all_that_have_a_record_are_listed_and_a_damaged_one_hides_none() {
        let dir = TempDir::new().unwrap();
        let config = Config { state: dir.path().to_owned(), ..config() };
        let records = Records::new(&config);
        fs::create_dir(records.dir()).unwrap();
        let id = Uuid::new_v4();
        for (username, suspension) in [("alice", None), ("bob", Some("abuse"))] {
            let record = Record {
                account_id: id,
                username: username.to_owned(),
                package: "small".to_owned(),
                domain: None,
                email: "owner@example.org".to_owned(),
                phase: Phase::Whole,
                suspension: suspension
                    .map(|reason| Suspension { reason: reason.to_owned(), by: "operator".to_owned() }),
                create_id: Uuid::new_v4(),
                intended_at_ms: 0,
                created_at_ms: 0,
                wordpress: Wordpress::None,
                restored: None,
            };
            records.save(&Username::parse(username).unwrap(), &record).unwrap();
        }
        fs::write(records.dir().join("carol.json"), "{").unwrap();
        fs::write(records.dir().join("Not a name.json"), "{}").unwrap();
        fs::write(records.dir().join("alice.json.new"), "{}").unwrap();

        let mut accounts = records.list().unwrap().accounts;
        accounts.sort_by(|one, other| one.username.cmp(&other.username));

        let listed: Vec<_> =
            accounts.iter().map(|account| (account.username.as_str(), account.account_id, account.suspended)).collect();
        assert_eq!(listed, [("alice", Some(id), false), ("bob", Some(id), true), ("carol", None, false)]);
    }
}
