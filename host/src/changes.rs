//! Changes of the daemons' files, one at a time: what does not pass the daemon's own test is taken out again, and what a
//! killed command left untested is taken out by the next. So whenever nobody holds the lock, the files pass.

use std::{
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

use berth_host::protocol::Class;
use serde::{Deserialize, Serialize};

use crate::{
    config::Config,
    daemons::Daemon,
    failpoints,
    failure::{Failure, OrFail as _},
    files::{self, ROOT_ONLY},
    locks,
};

/// A reload is waited for with this lock held.
const PATIENCE: Duration = Duration::from_secs(120);
const EVERYBODY_READS: u32 = 0o644;

/// A file of a daemon's, and what is to be in it: nothing, for one that is to go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Change {
    pub(crate) path: PathBuf,
    pub(crate) content: Option<Vec<u8>>,
}

/// What to wait for after a change.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tickets {
    pub(crate) nginx: u64,
    pub(crate) php: u64,
}

pub(crate) struct Changes<'a> {
    config: &'a Config,
}

impl<'a> Changes<'a> {
    pub(crate) fn new(config: &'a Config) -> Self {
        Self { config }
    }

    /// Holds every change of the daemons' files off, with none of them half done.
    pub(crate) fn hold(&self) -> Result<File, Failure> {
        let held =
            locks::take(&self.config.state.join("changes.lock"), PATIENCE, "the daemons' files are being changed")?;
        self.roll_back()?;
        Ok(held)
    }

    /// Makes the changes that are not made yet.
    pub(crate) fn put(&self, wanted: &[Change]) -> Result<Tickets, Failure> {
        let _held = self.hold()?;
        let mut changed = Vec::new();
        let mut before = Vec::new();
        for change in wanted {
            let content = files::read(&change.path).or_fail("the daemons' files could not be read")?;
            if content != change.content {
                before.push(Change { path: change.path.clone(), content });
                changed.push(change);
            }
        }
        if !changed.is_empty() {
            self.note(&before)?;
            for change in &changed {
                apply(change)?;
                failpoints::pass("written");
            }
            if let Err(refused) = self.test(&before) {
                self.roll_back()?;
                return Err(refused);
            }
            failpoints::pass("tested");
            self.draw(&before)?;
            files::remove(&self.journal()).or_fail("the journal could not be deleted")?;
        }
        let (nginx, php) = (Daemon::nginx(self.config).drawn()?, Daemon::php(self.config).drawn()?);
        Ok(Tickets { nginx, php })
    }

    fn test(&self, changed: &[Change]) -> Result<(), Failure> {
        self.daemons(changed).try_for_each(|daemon| {
            daemon.test().map_err(|refused| {
                let refusal = refused.refusal().message;
                Failure::new(Class::Misconfigured, format!("the account's file was taken out again: {refusal}"))
            })
        })
    }

    fn draw(&self, changed: &[Change]) -> Result<(), Failure> {
        self.daemons(changed).try_for_each(|daemon| daemon.draw())
    }

    fn daemons(&self, changed: &[Change]) -> impl Iterator<Item = Daemon<'a>> {
        let touches = |dir: &Path| changed.iter().any(|change| change.path.parent() == Some(dir));
        let nginx = touches(&self.config.nginx.vhosts).then(|| Daemon::nginx(self.config));
        let php = touches(&self.config.php.pools).then(|| Daemon::php(self.config));
        nginx.into_iter().chain(php)
    }

    fn note(&self, before: &[Change]) -> Result<(), Failure> {
        let text = serde_json::to_vec(before).map_err(std::io::Error::from);
        text.and_then(|text| files::write(&self.journal(), &text, ROOT_ONLY))
            .or_fail("the journal could not be written")
    }

    /// Puts back what was there before a change that was not finished.
    fn roll_back(&self) -> Result<(), Failure> {
        let Some(text) = files::read(&self.journal()).or_fail("the journal could not be read")? else { return Ok(()) };
        let before: Vec<Change> =
            serde_json::from_slice(&text).map_err(std::io::Error::from).or_fail("the journal is damaged")?;
        before.iter().try_for_each(apply)?;
        // A daemon may have been told to read meanwhile, by somebody else than us.
        self.draw(&before)?;
        files::remove(&self.journal()).or_fail("the journal could not be deleted")
    }

    fn journal(&self) -> PathBuf {
        self.config.state.join("changes.json")
    }
}

fn apply(change: &Change) -> Result<(), Failure> {
    let applied = match &change.content {
        Some(content) => files::write(&change.path, content, EVERYBODY_READS),
        None => files::remove(&change.path),
    };
    applied.or_fail("the daemons' files could not be written")
}
