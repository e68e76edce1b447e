//! The system's users: one an account, marked with the account's id, without a shell, let in by SFTP only.

use std::{
    collections::HashSet,
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use berth_host::protocol::Class;
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Group, Pid, User},
};
use uuid::Uuid;

use crate::{
    config::Config,
    failure::{Failure, OrFail as _},
    locks,
    names::Username,
    programs::{Owner, Program},
};

const USERADD: &str = "/usr/sbin/useradd";
const USERMOD: &str = "/usr/sbin/usermod";
const USERDEL: &str = "/usr/sbin/userdel";
const CHPASSWD: &str = "/usr/sbin/chpasswd";
const NOLOGIN: &str = "/usr/sbin/nologin";
const PASSWD: &str = "/etc/passwd";
const SHADOW: &str = "/etc/shadow";

/// The system's users are one for all configurations. The tools themselves wait for each other in whole seconds.
const LOCK: &str = "/run/berth-host.users.lock";
const PATIENCE: Duration = Duration::from_secs(60);
/// A tool that a killed command left behind ends within that.
const STRAGGLER: Duration = Duration::from_secs(3);
/// Processes end at once; who does not is stuck in the kernel.
const ENDING: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(10);
/// The second day of 1970: expired for ever.
const EXPIRED: &str = "1";

/// What bears an account's name in the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Nothing,
    Stranger,
    Ours(Owner),
}

/// Whether the login opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Login {
    Open,
    Shut,
}

pub(crate) struct Users<'a> {
    config: &'a Config,
}

impl<'a> Users<'a> {
    pub(crate) fn new(config: &'a Config) -> Self {
        Self { config }
    }

    pub(crate) fn find(&self, name: &Username, id: Uuid) -> Result<Found, Failure> {
        let user = User::from_name(name.as_str()).or_fail("the system's users could not be read")?;
        let Some(user) = user else {
            let group = Group::from_name(name.as_str()).or_fail("the system's groups could not be read")?;
            return Ok(if group.is_some() { Found::Stranger } else { Found::Nothing });
        };
        let owner = Owner { uid: user.uid.as_raw(), gid: user.gid.as_raw() };
        let (first, last) = self.config.uids;
        let marked = user.gecos.to_bytes() == mark(id).as_bytes();
        let in_range = (first..=last).contains(&owner.uid) && owner.gid >= first;
        Ok(if marked && in_range { Found::Ours(owner) } else { Found::Stranger })
    }

    /// The user, made when missing.
    pub(crate) fn ensure(&self, name: &Username, id: Uuid) -> Result<Owner, Failure> {
        if let Found::Ours(owner) = self.find(name, id)? {
            return Ok(owner);
        }
        let added = self.add(name, id);
        let deadline = Instant::now() + STRAGGLER;
        loop {
            match (self.find(name, id)?, &added) {
                (Found::Ours(owner), _) => return Ok(owner),
                (Found::Nothing | Found::Stranger, Err(_)) if Instant::now() < deadline => thread::sleep(PAUSE),
                (Found::Nothing | Found::Stranger, _) => {
                    added?;
                    return Err(Failure::new(Class::NameTaken, format!("{name} is somebody else's login")));
                }
            }
        }
    }

    fn add(&self, name: &Username, id: Uuid) -> Result<(), Failure> {
        let (first, last) = self.config.uids;
        let _lock = self.lock()?;
        // A group of the customer's own, so that no customer is in another's.
        Program::new(USERADD)
            .args(["--no-log-init", "--no-create-home", "--user-group", "--shell", NOLOGIN])
            .args(["--groups", &self.config.sftp_group, "--comment", &mark(id)])
            .arg("--home-dir")
            .arg(self.config.homes.join(name.as_str()))
            .args(["--key", &format!("UID_MIN={first}"), "--key", &format!("UID_MAX={last}")])
            .args(["--key", &format!("GID_MIN={first}"), "--key", &format!("GID_MAX={last}")])
            // They are for containers, and soon run out.
            .args(["--key", "SUB_UID_COUNT=0", "--key", "SUB_GID_COUNT=0"])
            .args(["--", name.as_str()])
            .run()
            .map(drop)
    }

    pub(crate) fn set_password(&self, name: &Username, password: &str, login: Login) -> Result<(), Failure> {
        let _lock = self.lock()?;
        let line = format!("{name}:{password}\n");
        Program::new(CHPASSWD).input(line).secret(password).run()?;
        // A new password unlocks; the login stays expired meanwhile.
        match login {
            Login::Open => Ok(()),
            Login::Shut => modify(name, ["--lock", "--expiredate", EXPIRED]),
        }
    }

    pub(crate) fn login(&self, name: &Username) -> Result<Login, Failure> {
        let shadow = fs::read_to_string(SHADOW).or_fail("the system's passwords could not be read")?;
        let line = shadow.lines().map(|line| line.split(':').collect::<Vec<_>>());
        let fields = line.into_iter().find(|fields| fields.first() == Some(&name.as_str())).unwrap_or_default();
        let locked = fields.get(1).is_none_or(|hash| hash.starts_with('!'));
        let expired = fields.get(7) == Some(&EXPIRED);
        Ok(if locked && expired { Login::Shut } else { Login::Open })
    }

    /// Whether a password was ever set.
    pub(crate) fn has_password(&self, name: &Username) -> Result<bool, Failure> {
        let shadow = fs::read_to_string(SHADOW).or_fail("the system's passwords could not be read")?;
        let hash =
            shadow.lines().find_map(|line| line.strip_prefix(name.as_str())?.strip_prefix(':')?.split(':').next());
        Ok(hash.is_some_and(|hash| hash.trim_start_matches('!').len() > 1))
    }

    pub(crate) fn set_login(&self, name: &Username, login: Login) -> Result<(), Failure> {
        if self.login(name)? == login {
            return Ok(());
        }
        let _lock = self.lock()?;
        match login {
            Login::Shut => modify(name, ["--lock", "--expiredate", EXPIRED]),
            Login::Open if self.has_password(name)? => modify(name, ["--unlock", "--expiredate", ""]),
            // Without a password, to unlock would be to let everybody in.
            Login::Open => Ok(()),
        }
    }

    /// Ends whatever runs as the customer, and looks again until nothing does.
    pub(crate) fn end_processes(&self, owner: Owner) -> Result<(), Failure> {
        let deadline = Instant::now() + ENDING;
        loop {
            if processes_of(owner.uid).or_fail("the processes could not be listed")?.is_empty() {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(Failure::transient("a process of the customer's does not end"));
            }
            self.kill_processes(owner)?;
            thread::sleep(PAUSE);
        }
    }

    /// Kills whatever runs as the customer now. Whoever has started it may start it again.
    pub(crate) fn kill_processes(&self, owner: Owner) -> Result<(), Failure> {
        if owner.uid < self.config.uids.0 {
            return Err(Failure::permanent("the login's uid is not a customer's"));
        }
        for pid in processes_of(owner.uid).or_fail("the processes could not be listed")? {
            // It may have ended by itself.
            let _ = kill(pid, Signal::SIGKILL);
        }
        Ok(())
    }

    /// Deletes the user and its group.
    pub(crate) fn delete(&self, name: &Username, id: Uuid) -> Result<(), Failure> {
        let deadline = Instant::now() + STRAGGLER;
        loop {
            let lock = self.lock()?;
            let Found::Ours(owner) = self.find(name, id)? else { return Ok(()) };
            self.end_processes(owner)?;
            match Program::new(USERDEL).args(["--", name.as_str()]).run() {
                Ok(_) => return Ok(()),
                Err(failed) if Instant::now() >= deadline => return Err(failed),
                Err(_) => {
                    drop(lock);
                    thread::sleep(PAUSE);
                }
            }
        }
    }

    fn lock(&self) -> Result<fs::File, Failure> {
        locks::take(Path::new(LOCK), PATIENCE, "the system's users are being changed by others")
    }
}

/// The gid of the group that nginx serves as.
pub(crate) fn web_gid(config: &Config) -> Result<u32, Failure> {
    let user = User::from_name(&config.web_user).or_fail("the system's users could not be read")?;
    user.map(|user| user.gid.as_raw())
        .ok_or_else(|| Failure::misconfigured(format!("there is no user {}", config.web_user)))
}

/// Shows that the group of the customers is there.
pub(crate) fn check_group(config: &Config) -> Result<(), Failure> {
    match Group::from_name(&config.sftp_group).or_fail("the system's groups could not be read")? {
        Some(_) => Ok(()),
        None => Err(Failure::misconfigured(format!("there is no group {}", config.sftp_group))),
    }
}

/// Shows that every one of these users is there.
pub(crate) fn all_there(names: &[String]) -> Result<(), Failure> {
    let passwd = fs::read_to_string(PASSWD).or_fail("the system's users could not be read")?;
    let known: HashSet<_> = passwd.lines().filter_map(|line| line.split(':').next()).collect();
    for name in names.iter().filter(|name| !known.contains(name.as_str())) {
        // It may be known from elsewhere.
        if User::from_name(name).or_fail("the system's users could not be read")?.is_none() {
            return Err(Failure::misconfigured(format!("php-fpm has a pool for {name}, but there is no such user")));
        }
    }
    Ok(())
}

fn modify<const N: usize>(name: &Username, how: [&str; N]) -> Result<(), Failure> {
    Program::new(USERMOD).args(how).args(["--", name.as_str()]).run().map(drop)
}

fn mark(id: Uuid) -> String {
    format!("berth {id}")
}

fn processes_of(uid: u32) -> std::io::Result<Vec<Pid>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        match fs::read_to_string(PathBuf::from("/proc").join(pid.to_string()).join("status")) {
            Ok(status) if is_of(&status, uid) => found.push(Pid::from_raw(pid)),
            Ok(_) => {}
            // It has ended meanwhile.
            Err(gone) if gone.kind() == ErrorKind::NotFound || gone.raw_os_error() == Some(3) => {}
            Err(other) => return Err(other),
        }
    }
    Ok(found)
}

/// Whether any of a process' uids is that one, and it still runs.
fn is_of(status: &str, uid: u32) -> bool {
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    let dead = field("State:").starts_with(['Z', 'X']);
    let uid = uid.to_string();
    !dead && field("Uid:").split_whitespace().any(|number| number == uid)
}
