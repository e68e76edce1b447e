//! The driver `linux` on nginx, php-fpm, MariaDB and sshd of one's own, and an administrator's commands for the same.

use std::{
    env,
    fs::{self, File, Permissions},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use berth_panels::{
    Panel,
    linux::{LinuxConfig, LinuxPanel},
    private::linux::{Daemon, INSTALL, LinuxServer},
};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::{
    bare::{run, run_with},
    server::{Processes, Server, Work},
};

/// Customers' homes must lie below directories that are root's alone, or sshd lets nobody in.
const BASE: &str = "/srv";
const PREFIX: &str = "berth-bench.";
const GROUP: &str = "berthbenchsftp";
const PACKAGES: &str = "[packages.small]\nphp_children = 2\nmemory_mb = 128\ndisk_mb = 512\n\n\
                        [packages.large]\nphp_children = 8\nmemory_mb = 256\ndisk_mb = 4096\n";
const PATIENCE: Duration = Duration::from_secs(30);

/// Why this machine cannot have one.
pub(crate) fn missing() -> Option<String> {
    let missing = berth_panels::private::linux::missing();
    if !missing.is_empty() {
        return Some(format!("it lacks {}; on Debian 12, as root: {INSTALL}", missing.join(", ")));
    }
    host().err().map(|error| error.to_string())
}

/// The privileged command, which is built beside this program.
fn host() -> Result<PathBuf> {
    let program = env::current_exe()?;
    let host = program.ancestors().nth(2).context("a bench lies in a directory of cargo's")?.join("berth-host");
    ensure!(host.is_file(), "{} is not there: cargo build --release -p berth-host", host.display());
    Ok(host)
}

pub(crate) struct OwnLinux {
    panel: LinuxPanel,
    daemons: Vec<(&'static str, Child)>,
    server: LinuxServer,
    _dir: TempDir,
    /// Users are the whole machine's: one bench or test of theirs at a time.
    _turn: File,
}

impl OwnLinux {
    pub(crate) fn start() -> Result<Self> {
        let turn = File::create("/run/berth-test-linux.lock")?;
        turn.lock()?;
        remove_users()?;
        let root_only = Permissions::from_mode(0o755);
        let dir = tempfile::Builder::new().prefix(PREFIX).permissions(root_only).tempdir_in(BASE)?;
        let [http, ssh] = free_ports()?;
        let server = LinuxServer {
            dir: dir.path().to_owned(),
            http,
            ssh,
            group: GROUP,
            domain: "linux.bench",
            uids: (30_000, 34_999),
            packages: PACKAGES,
        };
        let settings = server.path("host.toml").display().to_string();
        let panel = LinuxPanel::new(LinuxConfig {
            command: vec![host()?.display().to_string(), "--config".to_owned(), settings],
            timeout: Duration::from_secs(120),
            backup_timeout: Duration::from_secs(300),
            enforces_quota: false,
        });
        let mut own = Self { panel, daemons: Vec::new(), server, _dir: dir, _turn: turn };
        own.server.prepare()?;
        for daemon in own.server.daemons() {
            own.launch(&daemon)?;
        }
        Ok(own)
    }

    /// A daemon that ends with us, however we end.
    fn launch(&mut self, daemon: &Daemon) -> Result<()> {
        let log = File::options().create(true).append(true).open(self.server.path("log/daemons.log"))?;
        let child = Command::new("/usr/bin/setpriv")
            .args(["--pdeathsig=TERM", "--", daemon.program])
            .args(&daemon.args)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.daemons.push((daemon.name, child));
        let begun = Instant::now();
        while !self.server.is_ready(daemon) {
            ensure!(begun.elapsed() < PATIENCE, "{} does not start", daemon.name);
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    fn signal(&self, pid_file: &str, signal: Signal) -> Result<()> {
        let pid = fs::read_to_string(self.server.path(pid_file))?;
        Ok(kill(Pid::from_raw(pid.trim().parse()?), signal)?)
    }

    fn statements(&self, statements: &str) -> Result<()> {
        let socket = format!("--socket={}", self.server.path("db/mysqld.sock").display());
        run_with(Command::new("/usr/bin/mariadb").args(["--no-defaults", &socket]), statements)
    }

    /// Checks and reloads what serves sites.
    fn reload(&self) -> Result<()> {
        let path = |name: &str| self.server.path(name);
        run(Command::new("/usr/sbin/php-fpm8.2").args(["-t", "--fpm-config"]).arg(path("php-fpm/php-fpm.conf")))?;
        self.signal("run/php-fpm.pid", Signal::SIGUSR2)?;
        run(Command::new("/usr/sbin/nginx").args(["-t", "-q", "-c"]).arg(path("nginx/nginx.conf")))?;
        self.signal("run/nginx.pid", Signal::SIGHUP)
    }

    fn create(&self, name: &str, like: &str) -> Result<()> {
        let home = self.server.path("homes").join(name);
        run(Command::new("/usr/sbin/useradd")
            .args(["--create-home", "--user-group", "--shell", "/usr/sbin/nologin", "--groups", GROUP, "--home-dir"])
            .arg(&home)
            .args(["--key", "UID_MIN=35000", "--key", "UID_MAX=39999", "--key", "SUB_UID_COUNT=0"])
            .args(["--key", "SUB_GID_COUNT=0", name]))?;
        run_with(&mut Command::new("/usr/sbin/chpasswd"), &format!("{name}:Xk2mPq9wRt4vLs8z-hJn\n"))?;
        fs::create_dir(home.join("public_html"))?;
        fs::write(home.join("public_html/index.php"), "<?php echo 'hello';\n")?;
        for (dir, end) in CONFIGURATION {
            let text = fs::read_to_string(self.server.path(dir).join(format!("{like}.{end}")))?;
            fs::write(self.server.path(dir).join(format!("{name}.{end}")), text.replace(like, name))?;
        }
        self.statements(&format!(
            "create database {name}_main; create user '{name}'@'localhost' identified by 'a password'; \
             grant all on `{name}\\_%`.* to '{name}'@'localhost';"
        ))?;
        self.reload()
    }

    fn remove(&self, name: &str) -> Result<()> {
        for (dir, end) in CONFIGURATION {
            fs::remove_file(self.server.path(dir).join(format!("{name}.{end}")))?;
        }
        self.reload()?;
        self.statements(&format!("drop database {name}_main; drop user '{name}'@'localhost';"))?;
        run(Command::new("/usr/sbin/userdel").args(["--remove", name]))
    }
}

/// What an account has for nginx and php-fpm: directories, and how its files there end.
const CONFIGURATION: [(&str, &str); 2] = [("pools", "conf"), ("vhosts", "conf")];

impl Server for OwnLinux {
    fn driver(&self) -> &'static str {
        "linux"
    }

    fn panel(&self) -> &dyn Panel {
        &self.panel
    }

    fn packages(&self) -> [&'static str; 2] {
        ["small", "large"]
    }

    fn processes(&self) -> Vec<Processes> {
        self.daemons.iter().map(|(name, child)| Processes { name, roots: vec![child.id()] }).collect()
    }

    fn bare(&self, work: Work, name: &str, like: &str) -> Option<Result<()>> {
        match work {
            Work::Create => Some(self.create(name, like)),
            Work::Password => {
                Some(run_with(&mut Command::new("/usr/sbin/chpasswd"), &format!("{name}:Another-8z-password-wRt4\n")))
            }
            Work::Remove => Some(self.remove(name)),
            Work::Observe | Work::Suspend | Work::Unsuspend | Work::Package | Work::Backup => None,
        }
    }

    fn reference(&self) -> &'static str {
        "useradd, chpasswd, the same two files, two statements, and both daemons checked and told to reload, whose reload \
         is not waited for"
    }
}

impl Drop for OwnLinux {
    fn drop(&mut self) {
        while let Some((_, mut child)) = self.daemons.pop() {
            if let Ok(pid) = child.id().try_into() {
                let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
            }
            let _ = child.wait();
        }
        if let Err(error) = remove_users() {
            eprintln!("customers of the bench's are left: {error:#}");
        }
        let _ = run(Command::new("/usr/sbin/groupdel").arg(GROUP));
    }
}

fn free_ports() -> Result<[u16; 2]> {
    let held = [TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?];
    let [http, ssh] = &held;
    Ok([http.local_addr()?.port(), ssh.local_addr()?.port()])
}

/// Removes the users whose home is or was in a bench's directory, and such directories: those of a bench that was killed.
fn remove_users() -> Result<()> {
    let users = fs::read_to_string("/etc/passwd")?;
    for user in users.lines().map(|line| line.split(':').collect::<Vec<_>>()) {
        if let [name, _, _, _, _, home, _] = *user
            && Path::new(home).starts_with(BASE)
            && home.contains(PREFIX)
        {
            run(Command::new("/usr/sbin/userdel").arg(name))?;
        }
    }
    for entry in fs::read_dir(BASE)?.filter_map(Result::ok) {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}
