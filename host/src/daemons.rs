//! Reloads, few for many changes. A change draws a ticket; whoever's turn it is to reload serves every ticket that was drawn
//! by then, and the others find theirs served. A ticket outlives a killed command: the next one that waits serves it.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use uuid::Uuid;

use crate::{
    changes::Changes,
    config::Config,
    failpoints,
    failure::{Failure, OrFail as _},
    files::{self, ROOT_ONLY},
    locks,
    programs::Program,
    users,
};

/// Others reload before us, and each may take its time.
const TURN: Duration = Duration::from_secs(120);
/// A daemon reads its files within a second, but php-fpm first waits for pages, as long as its `process_control_timeout`.
const RELOAD: Duration = Duration::from_secs(60);
/// While a daemon starts anew, its pid file is missing or empty for a moment.
const STARTING: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(5);
/// How a worker of nginx calls itself, and, besides, one that takes no more connections.
const WORKER: &str = "worker";
const RETIRED: &str = "shutting down";

/// A daemon that reads the accounts' files.
pub(crate) struct Daemon<'a> {
    config: &'a Config,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Nginx,
    Php,
}

impl<'a> Daemon<'a> {
    pub(crate) fn nginx(config: &'a Config) -> Self {
        Self { config, kind: Kind::Nginx }
    }

    pub(crate) fn php(config: &'a Config) -> Self {
        Self { config, kind: Kind::Php }
    }

    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Nginx => "nginx",
            Kind::Php => "php-fpm",
        }
    }

    /// Has the daemon test its files.
    pub(crate) fn test(&self) -> Result<(), Failure> {
        let command = match self.kind {
            Kind::Nginx => &self.config.nginx.test,
            Kind::Php => &self.config.php.test,
        };
        Program::of(command).run().map(drop)
    }

    /// Asks for a reload. The lock of the changes must be held.
    pub(crate) fn draw(&self) -> Result<(), Failure> {
        self.set("drawn", self.drawn()? + 1)
    }

    /// The latest ticket.
    pub(crate) fn drawn(&self) -> Result<u64, Failure> {
        self.get("drawn")
    }

    /// Waits until the daemon has read its files as they were when the ticket was drawn, or later.
    pub(crate) fn await_served(&self, ticket: u64) -> Result<(), Failure> {
        if self.get("served")? >= ticket {
            return Ok(());
        }
        let busy = format!("{} is being reloaded", self.name());
        let _turn = locks::take(&self.path("turn"), TURN, &busy)?;
        if self.get("served")? >= ticket {
            return Ok(());
        }
        self.gather()?;
        let _held = Changes::new(self.config).hold()?;
        let drawn = self.drawn()?;
        failpoints::pass("before_reload");
        // php-fpm ends when it reads files that do not pass, and when a pool's user is not there.
        self.test()?;
        if self.kind == Kind::Php {
            users::all_there(&pools(&self.config.php.pools).or_fail("the pools could not be listed")?)?;
        }
        self.reload()?;
        failpoints::pass("after_reload");
        self.set("served", drawn)
    }

    /// Gives the changes that are under way a moment to draw their tickets.
    fn gather(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + Duration::from_millis(self.config.reload_patience_ms);
        while Instant::now() < deadline && UnderWay::any(self.config).or_fail("the changes could not be listed")? {
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    /// The daemon's main process, if it runs.
    pub(crate) fn process(&self) -> Result<Pid, Failure> {
        let deadline = Instant::now() + STARTING;
        loop {
            if let Some(pid) = self.running().or_fail("a pid file could not be read")? {
                return Ok(pid);
            }
            if Instant::now() >= deadline {
                let path = self.pid_file().display();
                return Err(Failure::misconfigured(format!("{} is not running: see {path}", self.name())));
            }
            thread::sleep(PAUSE);
        }
    }

    fn running(&self) -> io::Result<Option<Pid>> {
        let text = files::read(self.pid_file())?.unwrap_or_default();
        let pid = String::from_utf8_lossy(&text).trim().parse::<i32>().ok().filter(|pid| *pid > 1);
        let is_it =
            |pid: &i32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.starts_with(self.name()));
        Ok(pid.filter(is_it).map(Pid::from_raw))
    }

    fn pid_file(&self) -> &Path {
        match self.kind {
            Kind::Nginx => &self.config.nginx.pid_file,
            Kind::Php => &self.config.php.pid_file,
        }
    }

    fn reload(&self) -> Result<(), Failure> {
        let pid = self.process()?;
        match self.kind {
            Kind::Nginx => {
                // One that has just begun calls itself as its parent does for a moment, and has the old files all the same.
                let before: Vec<i32> =
                    children(pid).or_fail("the processes could not be listed")?.into_keys().collect();
                signal(pid, Signal::SIGHUP)?;
                self.until(|| {
                    let now = children(pid)?;
                    let is_new = |(child, title): (&i32, &String)| title.contains(WORKER) && !before.contains(child);
                    let is_old = |child: &i32| now.get(child).is_some_and(|title| !title.contains(RETIRED));
                    Ok(now.iter().any(is_new) && !before.iter().any(is_old))
                })
            }
            Kind::Php => {
                // It becomes itself anew, under the same number, and says so when its sockets are open.
                let stamp = stamp(self.pid_file()).or_fail("a pid file could not be read")?;
                signal(pid, Signal::SIGUSR2)?;
                self.until(|| Ok(crate::daemons::stamp(self.pid_file()).is_ok_and(|now| now != stamp)))?;
                self.process().map(drop)
            }
        }
    }

    fn until(&self, is_done: impl Fn() -> io::Result<bool>) -> Result<(), Failure> {
        let deadline = Instant::now() + RELOAD;
        while !is_done().or_fail("the processes could not be listed")? {
            if Instant::now() >= deadline {
                return Err(Failure::transient(format!("{} did not read its files in time", self.name())));
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }

    fn get(&self, what: &str) -> Result<u64, Failure> {
        let text = files::read(&self.path(what)).or_fail("a ticket could not be read")?;
        // Damaged by a power cut: then a daemon has started anew since, and read everything.
        Ok(text.and_then(|text| String::from_utf8(text).ok()?.trim().parse().ok()).unwrap_or(0))
    }

    fn set(&self, what: &str, number: u64) -> Result<(), Failure> {
        files::write(&self.path(what), number.to_string().as_bytes(), ROOT_ONLY)
            .or_fail("a ticket could not be written")
    }

    fn path(&self, what: &str) -> PathBuf {
        self.config.state.join(format!("{}.{what}", self.name()))
    }
}

/// A change that will draw tickets soon. Over when dropped, and when the process dies.
pub(crate) struct UnderWay {
    path: PathBuf,
    _held: File,
}

impl UnderWay {
    pub(crate) fn begin(config: &Config) -> Result<Self, Failure> {
        let path = config.state.join("under-way").join(Uuid::new_v4().to_string());
        let held = locks::take(&path, RELOAD, "a lock of our own is held")?;
        Ok(Self { path, _held: held })
    }

    fn any(config: &Config) -> io::Result<bool> {
        for entry in fs::read_dir(config.state.join("under-way"))? {
            let path = entry?.path();
            match locks::try_take(&path)? {
                None => return Ok(true),
                // Its owner is dead, or has just ended.
                Some(_dead) => files::remove(&path)?,
            }
        }
        Ok(false)
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        // What stays is taken for a dead one's, and deleted by the next who looks.
        let _ = fs::remove_file(&self.path);
    }
}

/// The users of our pools.
fn pools(dir: &Path) -> io::Result<Vec<String>> {
    let mut users = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let text = files::read(&path)?.unwrap_or_default();
        let name = path.file_stem().and_then(|name| name.to_str());
        if path.extension().is_some_and(|extension| extension == "conf") && text.starts_with(b"; berth ") {
            users.extend(name.map(str::to_owned));
        }
    }
    Ok(users)
}

fn signal(pid: Pid, signal: Signal) -> Result<(), Failure> {
    kill(pid, signal).or_fail("a daemon could not be told to reload")
}

fn stamp(path: &Path) -> io::Result<(u64, i64, i64)> {
    let metadata = fs::metadata(path)?;
    Ok((metadata.ino(), metadata.mtime(), metadata.mtime_nsec()))
}

/// The children of a process, and how each calls itself.
fn children(of: Pid) -> io::Result<BTreeMap<i32, String>> {
    let mut children = BTreeMap::new();
    for entry in fs::read_dir("/proc")? {
        let Some(pid) = entry?.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let (Ok(stat), Ok(title)) =
            (fs::read_to_string(format!("/proc/{pid}/stat")), fs::read(format!("/proc/{pid}/cmdline")))
        else {
            continue;
        };
        // After the name in parentheses, which may hold anything: the state and the parent.
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse::<i32>().ok());
        if parent == Some(of.as_raw()) {
            children.insert(pid, String::from_utf8_lossy(&title).into_owned());
        }
    }
    Ok(children)
}
