//! The driver `site`, which has no processes of its own, and the bare work on the same files.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Result;
use berth_panels::{
    Panel,
    site::{SiteConfig, SitePanel},
};
use tempfile::TempDir;

use crate::server::{Processes, Server, Work};

const RECORD: &str = "account.json";
const FILES: &str = "public_html";
const PAGE: &str = "index.html";

pub(crate) struct SiteServer {
    panel: SitePanel,
    dir: TempDir,
}

impl SiteServer {
    pub(crate) fn start() -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("berth-bench.").tempdir()?;
        fs::create_dir(dir.path().join("bare"))?;
        let config = SiteConfig {
            sites_dir: dir.path().join("sites"),
            backups_dir: dir.path().join("backups"),
            url: "http://{username}.localhost/".to_owned(),
        };
        Ok(Self { panel: SitePanel::new(config), dir })
    }

    fn like(&self, like: &str, path: &[&str]) -> io::Result<Vec<u8>> {
        fs::read(path.iter().fold(self.dir.path().join("sites").join(like), |path, part| path.join(part)))
    }

    /// Staged, synced and renamed into place, as the driver does.
    fn create(&self, name: &str, like: &str) -> io::Result<()> {
        let (staged, root) = (self.dir.path().join("staged"), self.dir.path().join("bare"));
        fs::create_dir_all(staged.join(FILES))?;
        write(&staged.join(FILES).join(PAGE), &self.like(like, &[FILES, PAGE])?)?;
        sync(&staged.join(FILES))?;
        write(&staged.join(RECORD), &self.like(like, &[RECORD])?)?;
        sync(&staged)?;
        fs::rename(&staged, root.join(name))?;
        sync(&root)
    }

    fn replace(&self, name: &str, like: &str) -> io::Result<()> {
        let account = self.dir.path().join("bare").join(name);
        let staged: PathBuf = account.join("staged");
        write(&staged, &self.like(like, &[RECORD])?)?;
        fs::rename(&staged, account.join(RECORD))?;
        sync(&account)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let (root, away) = (self.dir.path().join("bare"), self.dir.path().join("away"));
        fs::rename(root.join(name), &away)?;
        sync(&root)?;
        fs::remove_dir_all(away)
    }
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn sync(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

impl Server for SiteServer {
    fn driver(&self) -> &'static str {
        "site"
    }

    fn panel(&self) -> &dyn Panel {
        &self.panel
    }

    fn packages(&self) -> [&'static str; 2] {
        ["small", "large"]
    }

    fn processes(&self) -> Vec<Processes> {
        Vec::new()
    }

    fn bare(&self, work: Work, name: &str, like: &str) -> Option<Result<()>> {
        let done = match work {
            Work::Create => self.create(name, like),
            Work::Observe => fs::read(self.dir.path().join("bare").join(name).join(RECORD)).map(drop),
            Work::Suspend | Work::Unsuspend | Work::Package => self.replace(name, like),
            Work::Remove => self.remove(name),
            Work::Password | Work::Backup => return None,
        };
        Some(done.map_err(Into::into))
    }

    fn reference(&self) -> &'static str {
        "the same files written, synced and renamed, without locks, proof of ownership or log"
    }
}
