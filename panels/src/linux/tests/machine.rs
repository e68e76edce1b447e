//! A server of our own for a test: nginx, php-fpm, MariaDB and sshd in a scratch directory, on ports of their own.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, File, Permissions},
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, Uid, User},
};
use tempfile::TempDir;
use uuid::Uuid;

use super::super::{LinuxConfig, LinuxPanel};

/// Customers' homes must lie below directories that are root's alone, or sshd lets nobody in.
const BASE: &str = "/srv";
const PREFIX: &str = "berth-test.";
const GROUP: &str = "berthtestsftp";
pub(super) const DOMAIN: &str = "linux.test";
/// Daemons start within seconds; this is for machines that are busy with something else.
const PATIENCE: Duration = Duration::from_secs(30);

const PROGRAMS: [&str; 9] = [
    "/usr/sbin/nginx",
    "/usr/sbin/php-fpm8.2",
    "/usr/bin/php8.2",
    "/usr/sbin/mariadbd",
    "/usr/bin/mariadb-dump",
    "/usr/sbin/sshd",
    "/usr/bin/sftp",
    "/usr/bin/sshpass",
    "/usr/share/wordpress/wp-content/themes",
];
const INSTALL: &str = "apt-get install --no-install-recommends nginx-light php8.2-fpm php8.2-cli php8.2-mysql \
                       mariadb-server openssh-server openssh-client sshpass wordpress wordpress-theme-twentytwentythree";

pub(super) struct Machine {
    daemons: Vec<Child>,
    dir: TempDir,
    http: u16,
    ssh: u16,
    host: PathBuf,
    /// Users and ports are the whole machine's: one test at a time.
    _turn: File,
}

pub(super) struct Page {
    pub(super) status: u16,
    pub(super) headers: String,
    pub(super) body: String,
}

impl Machine {
    /// Starts it; `None`, and says so, where something is missing that no test may install.
    pub(super) fn start() -> Option<Self> {
        Self::start_with(|_| true)
    }

    /// Starts it with homes on a small btrfs that counts; `None`, and says so, where none can be mounted.
    pub(super) fn start_on_btrfs() -> Option<Self> {
        if !Path::new("/usr/sbin/mkfs.btrfs").exists() {
            eprintln!("SKIPPED: disk limits cannot be tested without btrfs; as root: apt-get install btrfs-progs");
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
            eprintln!("SKIPPED: disk limits cannot be tested where no btrfs can be mounted");
        }
        machine
    }

    fn start_with(prepare: impl FnOnce(&Path) -> bool) -> Option<Self> {
        let mut missing: Vec<_> = PROGRAMS.into_iter().filter(|path| !Path::new(path).exists()).collect();
        if !Uid::effective().is_root() {
            missing.push("root");
        }
        if !missing.is_empty() {
            let message = format!("the linux panel cannot be tested without {missing:?}; as root: {INSTALL}");
            assert!(env::var_os("BERTH_TEST_LINUX").is_none_or(|how| how != "required"), "{message}");
            eprintln!("SKIPPED: {message}");
            return None;
        }
        let turn = File::create("/run/berth-test-linux.lock").unwrap();
        turn.lock().unwrap();
        sweep();
        run(Command::new("/usr/sbin/groupadd").args(["--force", GROUP]));
        let dir = tempfile::Builder::new().prefix(PREFIX).permissions(Permissions::from_mode(0o755)).tempdir_in(BASE);
        let dir = dir.unwrap();
        if !prepare(dir.path()) {
            return None;
        }
        let [http, ssh] = free_ports();
        let mut machine = Self { daemons: Vec::new(), dir, http, ssh, host: build_host(), _turn: turn };
        machine.write_files();
        machine.start_daemons();
        Some(machine)
    }

    fn write_files(&self) {
        for part in ["homes", "state", "vhosts", "pools", "run", "db", "mysql", "log"] {
            fs::create_dir_all(self.path(part)).unwrap();
        }
        let texts = [
            ("nginx.conf", include_str!("machine/nginx.conf")),
            ("php-fpm.conf", include_str!("machine/php-fpm.conf")),
            ("sshd_config", include_str!("machine/sshd_config")),
            ("host.toml", include_str!("machine/host.toml")),
        ];
        for (name, text) in texts {
            let text = text
                .replace("{{dir}}", self.dir.path().to_str().unwrap())
                .replace("{{http}}", &self.http.to_string())
                .replace("{{ssh}}", &self.ssh.to_string())
                .replace("{{group}}", GROUP)
                .replace("{{domain}}", DOMAIN);
            fs::write(self.path(name), text).unwrap();
        }
        let key = self.path("host_key");
        run(Command::new("/usr/bin/ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(key));
        // Debian's sshd separates its privileges there.
        fs::create_dir_all("/run/sshd").unwrap();
    }

    fn start_daemons(&mut self) {
        let data = self.path("mysql");
        run(Command::new("/bin/chown").arg("mysql:").arg(self.path("db")));
        run(Command::new("/usr/bin/mariadb-install-db")
            .args(["--no-defaults", "--user=mysql", "--auth-root-authentication-method=socket", "--skip-test-db"])
            .arg(format!("--datadir={}", data.display())));
        let socket = self.path("db/mysqld.sock");
        self.spawn(
            "/usr/sbin/mariadbd",
            &[
                "--no-defaults",
                "--user=mysql",
                "--skip-networking",
                "--innodb-buffer-pool-size=32M",
                "--innodb-flush-log-at-trx-commit=0",
                &format!("--datadir={}", data.display()),
                &format!("--socket={}", socket.display()),
                &format!("--pid-file={}", data.join("mysqld.pid").display()),
            ],
        );
        let path = |name: &str| self.path(name).to_str().unwrap().to_owned();
        let (nginx, php, sshd) = (path("nginx.conf"), path("php-fpm.conf"), path("sshd_config"));
        self.spawn("/usr/sbin/nginx", &["-c", &nginx]);
        self.spawn("/usr/sbin/php-fpm8.2", &["--nodaemonize", "--fpm-config", &php]);
        self.spawn("/usr/sbin/sshd", &["-D", "-e", "-f", &sshd]);
        await_that("the daemons run", || {
            socket.exists()
                && [self.http, self.ssh].iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok())
                && self.path("run/php-fpm.pid").exists()
        });
    }

    /// A daemon that ends with us, however we end.
    fn spawn(&mut self, program: &str, args: &[&str]) {
        let log = || File::options().create(true).append(true).open(self.path("log/daemons.log")).unwrap();
        let child = Command::new("/usr/bin/setpriv")
            .args(["--pdeathsig=TERM", "--", program])
            .args(args)
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

    pub(super) fn creates_of(&self, account: Uuid) -> u64 {
        let log = fs::read_to_string(self.path("state/creates.jsonl")).unwrap_or_default();
        let lines = log.lines().filter(|line| line.contains(&account.to_string())).count();
        lines.try_into().unwrap()
    }

    /// Writes a file as the customer.
    pub(super) fn write(&self, username: &str, path: &str, text: &str) {
        let user = User::from_name(username).unwrap().expect("the customer has a login");
        let file = self.home(username).join("public_html").join(path);
        let as_customer = || {
            let mut command = Command::new("/usr/bin/setpriv");
            let ids = [format!("--reuid={}", user.uid), format!("--regid={}", user.gid)];
            command.args(ids).args(["--clear-groups", "--"]);
            command
        };
        run(as_customer().args(["/bin/mkdir", "-p"]).arg(file.parent().unwrap()));
        let to = format!("of={}", file.display());
        let mut child = as_customer().args(["/bin/dd", "status=none", &to]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }

    pub(super) fn files(&self, username: &str) -> BTreeMap<String, String> {
        let mut files = texts(&self.home(username).join("public_html"));
        files.remove("index.html");
        files
    }

    /// A page as a browser gets it.
    pub(super) fn get(&self, host: &str, path: &str) -> Page {
        self.request("GET", host, path, "")
    }

    pub(super) fn request(&self, method: &str, host: &str, path: &str, form: &str) -> Page {
        let mut stream = TcpStream::connect(("127.0.0.1", self.http)).unwrap();
        let (length, port) = (form.len(), self.http);
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: {host}:{port}\r\nCookie: wordpress_test_cookie=WP%20Cookie%20check\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n{form}"
        );
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let (headers, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = headers.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Page { status, headers: headers.to_owned(), body: body.to_owned() }
    }

    /// Runs a page of PHP as the customer's site does, and answers what it prints.
    pub(super) fn php(&self, username: &str, code: &str) -> String {
        self.write(username, "page.php", &format!("<?php {code}"));
        let page = self.get(&host(username), "/page.php");
        assert_eq!(page.status, 200, "{}", page.body);
        page.body
    }

    /// Runs commands of `sftp` as the customer.
    pub(super) fn sftp(&self, username: &str, password: &str, commands: &str) -> Output {
        let mut child = Command::new("/usr/bin/sshpass")
            .env("SSHPASS", password)
            .args(["-e", "/usr/bin/sftp", "-F", "none", "-q", "-P", &self.ssh.to_string()])
            .args(["-oBatchMode=no", "-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null"])
            .args(["-oPubkeyAuthentication=no", "-oNumberOfPasswordPrompts=1", "-b", "-"])
            .arg(format!("{username}@127.0.0.1"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A client that is refused reads nothing.
        let _ = child.stdin.take().unwrap().write_all(commands.as_bytes());
        child.wait_with_output().unwrap()
    }

    /// What a statement of root's answers.
    pub(super) fn sql(&self, statement: &str) -> String {
        let output = Command::new("/usr/bin/mariadb")
            .args(["--no-defaults", "--batch", "--skip-column-names"])
            .arg(format!("--socket={}", self.path("db/mysqld.sock").display()))
            .args(["--execute", statement])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// How often nginx and php-fpm were reloaded, by their own logs.
    pub(super) fn reloads(&self) -> (usize, usize) {
        let count = |log: &str, what: &str| fs::read_to_string(self.path(log)).unwrap().matches(what).count();
        (count("log/nginx.log", "reconfiguring"), count("log/php-fpm.log", "Reloading in progress"))
    }

    /// Everything on the machine that bears a name.
    pub(super) fn traces(&self, username: &str) -> Vec<String> {
        let mut traces = Vec::new();
        let files = ["homes", "vhosts", "pools", "run", "state/accounts"].map(|dir| self.path(dir));
        for dir in files {
            let entries = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
            traces.extend(entries.map(|path| path.display().to_string()).filter(|path| path.contains(username)));
        }
        for file in ["/etc/passwd", "/etc/shadow", "/etc/group", "/etc/gshadow"] {
            let text = fs::read_to_string(file).unwrap();
            traces.extend(text.lines().filter(|line| line.contains(username)).map(|line| format!("{file}: {line}")));
        }
        let statement = format!(
            "select user from mysql.global_priv where user = '{username}' union \
             select db from mysql.db where user = '{username}' union \
             select schema_name from information_schema.schemata where schema_name like '{username}%'"
        );
        traces.extend(self.sql(&statement).lines().map(|line| format!("mariadb: {line}")));
        traces
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
        unmount(&self.path("homes"));
    }
}

/// The name of a customer's site.
pub(super) fn host(username: &str) -> String {
    format!("{username}.{DOMAIN}")
}

/// Waits for something that happens soon, and only looks.
pub(super) fn await_that(what: &str, happened: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !happened() {
        assert!(Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(10));
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

fn texts(top: &Path) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    for entry in fs::read_dir(top).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            let below = self::texts(&entry.path());
            texts.extend(below.into_iter().map(|(path, text)| (format!("{name}/{path}"), text)));
        } else {
            texts.insert(name, fs::read_to_string(entry.path()).unwrap());
        }
    }
    texts
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
