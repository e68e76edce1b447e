//! A server of our own for a test: nginx, php-fpm, MariaDB and sshd in a scratch directory, on ports of their own.

use std::{
    env,
    fs::{self, File, Permissions},
    net::TcpListener,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use super::super::{LinuxConfig, LinuxPanel};
use crate::private::linux::{Daemon, INSTALL, LinuxServer, missing};

mod views;

pub(super) use views::host;

/// Customers' homes must lie below directories that are root's alone, or sshd lets nobody in.
const BASE: &str = "/srv";
const PREFIX: &str = "berth-test.";
const GROUP: &str = "berthtestsftp";
pub(super) const DOMAIN: &str = "linux.test";
/// Daemons start within seconds; this is for machines that are busy with something else.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) struct Machine {
    daemons: Vec<Child>,
    server: LinuxServer,
    dir: TempDir,
    http: u16,
    ssh: u16,
    host: PathBuf,
    /// Users and ports are the whole machine's: one test at a time.
    _turn: File,
}

impl Machine {
    /// Starts it; `None`, and says so, where something is missing that no test may install.
    pub(super) fn start() -> Option<Self> {
        Self::start_with(|_| true)
    }

    /// Starts it with homes on a small btrfs that counts; `None`, and says so, where none can be mounted.
    pub(super) fn start_on_btrfs() -> Option<Self> {
        if !Path::new("/usr/sbin/mkfs.btrfs").exists() {
            println!(
                "conformance: linux: disk_limits: skip: disk limits cannot be tested without btrfs; as root: apt-get install btrfs-progs"
            );
            return None;
        }
        let machine = Self::start_with(|dir| {
            let (image, homes) = (dir.join("homes.img"), dir.join("homes"));
            File::create(&image).unwrap().set_len(300 * 1024 * 1024).unwrap();
            run(Command::new("/usr/sbin/mkfs.btrfs").arg("--quiet").arg(&image));
            fs::create_dir(&homes).unwrap();
            let mounted = Command::new("/bin/mount").args(["-o", "loop"]).arg(&image).arg(&homes).status().unwrap();
            mounted.success() && {
                run(Command::new("/usr/bin/btrfs").args(["quota", "enable"]).arg(&homes));
                true
            }
        });
        if machine.is_none() {
            println!(
                "conformance: linux: disk_limits: skip: disk limits cannot be tested where no btrfs can be mounted"
            );
        }
        machine
    }

    fn start_with(prepare: impl FnOnce(&Path) -> bool) -> Option<Self> {
        let missing = missing();
        if !missing.is_empty() {
            let message = format!("the linux panel cannot be tested without {missing:?}; as root: {INSTALL}");
            assert!(env::var_os("BERTH_TEST_LINUX").is_none_or(|how| how != "required"), "{message}");
            println!("conformance: linux: machine: skip: {message}");
            return None;
        }
        let turn = File::create("/run/berth-test-linux.lock").unwrap();
        turn.lock().unwrap();
        sweep();
        let dir = tempfile::Builder::new().prefix(PREFIX).permissions(Permissions::from_mode(0o755)).tempdir_in(BASE);
        let dir = dir.unwrap();
        if !prepare(dir.path()) {
            return None;
        }
        let [http, ssh] = free_ports();
        let server = LinuxServer {
            dir: dir.path().to_owned(),
            http,
            ssh,
            group: GROUP,
            domain: DOMAIN,
            uids: (40_000, 49_999),
            packages: include_str!("machine/packages.toml"),
        };
        let mut machine = Self { daemons: Vec::new(), server, dir, http, ssh, host: build_host(), _turn: turn };
        machine.start_daemons();
        Some(machine)
    }

    fn start_daemons(&mut self) {
        self.server.prepare().unwrap();
        let daemons = self.server.daemons();
        for daemon in &daemons {
            self.spawn(daemon);
        }
        await_that("the daemons run", || daemons.iter().all(|daemon| self.server.is_ready(daemon)));
    }

    /// A daemon that ends with us, however we end.
    fn spawn(&mut self, daemon: &Daemon) {
        let log = || File::options().create(true).append(true).open(self.path("log/daemons.log")).unwrap();
        let child = Command::new("/usr/bin/setpriv")
            .args(["--pdeathsig=TERM", "--", daemon.program])
            .args(&daemon.args)
            .stdin(Stdio::null())
            .stdout(log())
            .stderr(log())
            .spawn()
            .unwrap();
        self.daemons.push(child);
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn home(&self, username: &str) -> PathBuf {
        self.path("homes").join(username)
    }

    pub(super) fn panel(&self) -> LinuxPanel {
        LinuxPanel::new(self.config(&[]))
    }

    /// A panel whose command dies, as by `kill -9`, when it comes by that place.
    pub(super) fn panel_that_dies_at(&self, place: &str) -> LinuxPanel {
        LinuxPanel::new(self.config(&["/usr/bin/env", &format!("BERTH_HOST_DIES_AT={place}")]))
    }

    /// How a panel reaches it, with something before the command.
    pub(super) fn config(&self, before: &[&str]) -> LinuxConfig {
        let settings = self.path("host.toml");
        let command = [self.host.to_str().unwrap(), "--config", settings.to_str().unwrap()];
        LinuxConfig {
            command: before.iter().chain(&command).map(|&word| word.to_owned()).collect(),
            timeout: Duration::from_secs(120),
            backup_timeout: Duration::from_secs(300),
            enforces_quota: false,
        }
    }

    /// The command itself, for a test that kills it.
    pub(super) fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.host);
        command.arg("--config").arg(self.path("host.toml")).arg(verb);
        command
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for daemon in &mut self.daemons {
            let _ = kill(Pid::from_raw(daemon.id().try_into().unwrap()), Signal::SIGTERM);
            let _ = daemon.wait();
        }
        if thread::panicking() {
            for log in ["log/daemons.log", "log/nginx.log", "log/php-fpm.log"] {
                let text = fs::read_to_string(self.path(log)).unwrap_or_default();
                let last: Vec<_> = text.lines().rev().take(15).collect();
                eprintln!("{log}, latest first:\n{}", last.join("\n"));
            }
        }
        remove_users();
        run(Command::new("/usr/sbin/groupdel").arg(GROUP));
        unmount(&self.path("homes"));
    }
}

/// Waits for something that happens soon, and only looks.
pub(super) fn await_that(what: &str, happened: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !happened() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The command, built as the tests are.
fn build_host() -> PathBuf {
    let target = env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    run(Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--package", "berth-host", "--target-dir"])
        .arg(&target)
        .current_dir(env!("CARGO_MANIFEST_DIR")));
    target.join("debug/berth-host")
}

fn free_ports() -> [u16; 2] {
    let held = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    held.map(|listener| listener.local_addr().unwrap().port())
}

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Removes what a killed test has left. Its daemons have ended with it.
fn sweep() {
    remove_users();
    for entry in fs::read_dir(BASE).unwrap().filter_map(Result::ok) {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            unmount(&entry.path().join("homes"));
            fs::remove_dir_all(entry.path()).unwrap();
        }
    }
}

/// Unmounts a directory, if something is mounted there.
fn unmount(dir: &Path) {
    let is_mounted = fs::read_to_string("/proc/mounts").unwrap().contains(dir.to_str().unwrap());
    if is_mounted {
        run(Command::new("/bin/umount").arg(dir));
    }
}

/// Removes the users whose home was in a test's directory, and their processes.
fn remove_users() {
    let users = fs::read_to_string("/etc/passwd").unwrap();
    let prefix = format!("{BASE}/{PREFIX}");
    for fields in users.lines().map(|line| line.split(':').collect::<Vec<_>>()) {
        if !fields[5].starts_with(&prefix) {
            continue;
        }
        await_that("the customer's processes end", || {
            for entry in fs::read_dir("/proc").unwrap().filter_map(Result::ok) {
                let Ok(pid) = entry.file_name().to_string_lossy().parse::<i32>() else { continue };
                if entry.metadata().is_ok_and(|metadata| metadata.uid().to_string() == fields[2]) {
                    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                }
            }
            processes_of(fields[2].parse().unwrap()) == 0
        });
        run(Command::new("/usr/sbin/userdel").arg(fields[0]));
    }
}

/// The processes of a login.
pub(super) fn processes_of(uid: u32) -> usize {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let of_it = |entry: &fs::DirEntry| {
        let is_process = entry.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok());
        is_process && entry.metadata().is_ok_and(|metadata| metadata.uid() == uid)
    };
    processes.filter(of_it).count()
}
