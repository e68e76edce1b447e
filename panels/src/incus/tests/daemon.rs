//! A daemon of a test's own: in a directory of its own, with a pool, an image of busybox, and a record of what it created.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Condvar, Mutex},
    thread,
    time::{Duration, Instant},
};

use futures::future::{BoxFuture, ready};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::{
    AccountRef,
    conformance::{Server, cases::Skip},
    private::incus::{BUSYBOX, INCUS, LXD, Product, build_image, directory, pack, socket, unmount},
};

/// A daemon is up within a second; a machine with much to do may need longer.
const UP_WITHIN: Duration = Duration::from_secs(60);
/// The image's alias.
pub(super) const IMAGE: &str = "tiny";

/// Where the disks are.
#[derive(Clone, Copy)]
pub(super) enum Pool {
    /// With quotas, in a file.
    Btrfs,
    /// Plain directories.
    Dir,
}

/// A running daemon. It ends with all that it made when this is dropped.
pub(super) struct Daemon {
    product: Product,
    dir: TempDir,
    process: Mutex<Option<Child>>,
    monitor: Mutex<Option<Child>>,
    seen: Arc<Seen>,
}

/// What the daemon's own record of events says.
#[derive(Default)]
struct Seen {
    events: Mutex<Events>,
    more: Condvar,
}

#[derive(Default)]
struct Events {
    /// Accounts by what was created for them, ever.
    created: Vec<String>,
    markers: u64,
}

impl Daemon {
    /// A fresh one; `None`, said aloud, where the machine cannot have one and the test is not required.
    pub(super) fn start(pool: Pool) -> Option<Self> {
        let product = chosen();
        if let Some(missing) = product.missing() {
            let required = env::var_os("BERTH_TEST_INCUS").is_some_and(|value| value == "required");
            assert!(!required, "the driver incus cannot be tested: {missing}");
            println!("conformance: incus: machine: skip: {missing}");
            return None;
        }
        let dir = tempfile::Builder::new().prefix("incus").tempdir().unwrap();
        let (process, monitor) = (Mutex::new(None), Mutex::new(None));
        let daemon = Self { product, dir, process, monitor, seen: Arc::new(Seen::default()) };
        daemon.run();
        match pool {
            Pool::Btrfs => daemon.cli(&["storage", "create", "default", "btrfs", "size=2GiB"]),
            Pool::Dir => daemon.cli(&["storage", "create", "default", "dir"]),
        };
        let image = build_image(&daemon.dir.path().join("image")).unwrap();
        daemon.cli(&["image", "import", image.to_str().unwrap(), "--alias", IMAGE]);
        daemon.cli(&["profile", "create", "marker"]);
        daemon.watch();
        Some(daemon)
    }

    /// Starts the process, anew if it was killed.
    pub(super) fn run(&self) {
        let log = File::create(self.dir.path().join("output")).unwrap();
        fs::create_dir_all(self.incus_dir()).unwrap();
        let mut command = self.product.process(self.dir.path());
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        *self.process.lock().unwrap() = Some(child);
        let end = Instant::now() + UP_WITHIN;
        while !self.admin(&["waitready", "--timeout", "10"]).output().unwrap().status.success() {
            assert!(Instant::now() < end, "the daemon is not up: {}", self.log());
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Ends the process as a crash would. Its containers run on.
    pub(super) fn crash(&self) {
        if let Some(mut process) = self.process.lock().unwrap().take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Ends the process as the machine's own end would.
    pub(super) fn shut_down(&self) {
        assert!(self.admin(&["shutdown", "--timeout", "30"]).status().unwrap().success());
        if let Some(mut process) = self.process.lock().unwrap().take() {
            process.wait().unwrap();
        }
    }

    /// An image like the usual one, with a file of that size.
    pub(super) fn import_heavy(&self, alias: &str, mib: u64) {
        let dir = self.dir.path().join("image");
        File::create(dir.join("rootfs/heavy")).unwrap().set_len(mib * 1024 * 1024).unwrap();
        let image = pack(&dir, &self.dir.path().join("heavy.tar"), "-cf").unwrap();
        self.cli(&["image", "import", image.to_str().unwrap(), "--alias", alias]);
    }

    pub(super) fn incus_dir(&self) -> PathBuf {
        directory(self.dir.path())
    }

    pub(super) fn socket(&self) -> PathBuf {
        socket(self.dir.path())
    }

    /// A path for something of the test's own.
    pub(super) fn scratch(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// What a command of the administrator's prints.
    pub(super) fn cli(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "incus {args:?}: {}\n{}", text(&output.stderr), self.log());
        text(&output.stdout)
    }

    /// The same, where it may fail.
    pub(super) fn cli_succeeds(&self, args: &[&str]) -> bool {
        self.command(args).output().unwrap().status.success()
    }

    /// What the API says at a path.
    pub(super) fn query(&self, path: &str) -> Value {
        serde_json::from_str(&self.cli(&["query", path])).unwrap()
    }

    /// A key of an instance's.
    pub(super) fn key(&self, name: &str, key: &str) -> String {
        self.cli(&["config", "get", name, key]).trim().to_owned()
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.cli(&["list", "-f", "csv", "-c", "n"]).lines().map(str::to_owned).collect()
    }

    pub(super) fn rootfs(&self, name: &str) -> PathBuf {
        self.incus_dir().join("storage-pools/default/containers").join(name).join("rootfs")
    }

    fn command(&self, args: &[&str]) -> Command {
        self.product.command(self.dir.path(), args)
    }

    fn admin(&self, args: &[&str]) -> Command {
        self.product.admin(self.dir.path(), args)
    }

    /// What adds a client's certificate, after `config trust`.
    pub(super) fn trust(&self) -> &'static str {
        self.product.trust
    }

    /// What the daemon calls itself.
    pub(super) fn product(&self) -> &'static str {
        self.product.name
    }

    /// Follows the daemon's events, and notes for whom each instance is created, while it is there.
    fn watch(&self) {
        let mut monitor =
            self.command(&["monitor", "--type=lifecycle", "--format=json"]).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(monitor.stdout.take().unwrap()).lines();
        *self.monitor.lock().unwrap() = Some(monitor);
        let (seen, ask) = (Arc::clone(&self.seen), self.asker());
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let Ok(event) = serde_json::from_str::<Value>(&line) else { continue };
                let event = &event["metadata"];
                match event["action"].as_str() {
                    Some("instance-created") => {
                        let name = event["source"].as_str().unwrap().rsplit('/').next().unwrap();
                        if !name.starts_with("backup-")
                            && let Some(account) = ask(name)
                        {
                            seen.events.lock().unwrap().created.push(account);
                        }
                    }
                    Some("profile-updated") => seen.events.lock().unwrap().markers += 1,
                    _ => continue,
                }
                seen.more.notify_all();
            }
        });
        // Only what comes after the monitor has begun is seen.
        while self.mark(Duration::from_millis(300)).is_err() {}
    }

    /// Ends what the daemon could not: each container has a process that watches over it, and says whose it is.
    fn kill_containers(&self) {
        let ours = format!("[lxc monitor] {}", self.incus_dir().display());
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            let Ok(pid) = entry.file_name().to_str().unwrap_or_default().parse::<i32>() else { continue };
            let command = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            if !command.starts_with(ours.as_bytes()) {
                continue;
            }
            let children = fs::read_to_string(entry.path().join(format!("task/{pid}/children"))).unwrap_or_default();
            for child in children.split_whitespace().filter_map(|child| child.parse().ok()).chain([pid]) {
                kill(Pid::from_raw(child), Signal::SIGKILL).ok();
            }
        }
    }

    fn asker(&self) -> impl Fn(&str) -> Option<String> + Send + 'static {
        let (product, below) = (self.product, self.dir.path().to_owned());
        move |name| {
            let mut command = product.command(&below, &["config", "get", name, "user.berth.account"]);
            let output = command.output().unwrap();
            output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
        }
    }

    /// Makes an event and waits for it: all that happened before has been seen then.
    fn mark(&self, patience: Duration) -> Result<(), ()> {
        let before = self.seen.events.lock().unwrap().markers;
        self.cli(&["profile", "set", "marker", "user.marker=x"]);
        let events = self.seen.events.lock().unwrap();
        let waited = self.seen.more.wait_timeout_while(events, patience, |events| events.markers == before).unwrap();
        if waited.1.timed_out() { Err(()) } else { Ok(()) }
    }
}

impl Server for Daemon {
    fn driver(&self) -> &'static str {
        "incus"
    }

    fn creates_of(&self, account: &AccountRef) -> u64 {
        self.mark(Duration::from_secs(10)).expect("the daemon tells its events");
        let events = self.seen.events.lock().unwrap();
        let id = account.account_id.to_string();
        events.created.iter().filter(|created| **created == id).count().try_into().unwrap()
    }

    fn write(&self, username: &str, path: &str, text: &str) {
        let path = self.rootfs(username).join("srv").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn files(&self, username: &str) -> BTreeMap<String, String> {
        let mut texts = BTreeMap::new();
        let top = self.rootfs(username).join("srv");
        let mut dirs = vec![top.clone()];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    dirs.push(path);
                } else {
                    let below = path.strip_prefix(&top).unwrap().to_str().unwrap().to_owned();
                    texts.insert(below, fs::read_to_string(path).unwrap());
                }
            }
        }
        texts
    }

    fn opens<'a>(&'a self, username: &'a str, password: &'a str) -> BoxFuture<'a, Result<bool, Skip>> {
        let shadow = fs::read_to_string(self.rootfs(username).join("etc/shadow")).unwrap();
        let hash = shadow.split(':').nth(1).unwrap();
        // As `$6$salt$hash`; anything else opens to nothing.
        let salt = hash.strip_prefix("$6$").and_then(|rest| rest.split('$').next());
        let opens = salt.is_some_and(|salt| {
            let hashed =
                Command::new(BUSYBOX).args(["mkpasswd", "-m", "sha512", "-S", salt, password]).output().unwrap();
            String::from_utf8(hashed.stdout).unwrap().trim() == hash
        });
        Box::pin(ready(Ok(opens)))
    }

    fn make_foreign(&self, username: &str) -> Result<(), Skip> {
        self.cli(&["launch", IMAGE, username, "-s", "default"]);
        Ok(())
    }

    fn image(&self, username: &str) -> String {
        self.cli(&["query", &format!("/1.0/instances/{username}")])
    }

    fn suspend_foreign(&self, username: &str) -> Result<(), Skip> {
        self.cli(&["stop", "--force", username]);
        Ok(())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if let Some(mut monitor) = self.monitor.lock().unwrap().take() {
            drop(monitor.kill());
            drop(monitor.wait());
        }
        if self.process.lock().unwrap().is_none() {
            // It has left containers behind, which only a daemon can end.
            self.run();
        }
        // Deleted, not only stopped: so the kernel's groups of theirs are gone with them.
        let names =
            self.command(&["list", "-f", "csv", "-c", "n"]).output().map(|output| output.stdout).unwrap_or_default();
        let names = String::from_utf8_lossy(&names).into_owned();
        drop(self.command(&[&["delete", "--force"], &*names.lines().collect::<Vec<_>>()].concat()).output());
        drop(self.admin(&["shutdown", "--force", "--timeout", "30"]).output());
        if let Some(mut process) = self.process.lock().unwrap().take() {
            drop(process.kill());
            drop(process.wait());
        }
        self.kill_containers();
        drop(unmount(self.dir.path()));
    }
}

/// Incus, unless `BERTH_TEST_INCUS_DAEMON` says `lxd`.
fn chosen() -> Product {
    let lxd = env::var_os("BERTH_TEST_INCUS_DAEMON").is_some_and(|value| value == "lxd");
    if lxd { LXD } else { INCUS }
}
