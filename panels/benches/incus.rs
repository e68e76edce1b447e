//! The driver `incus` on a daemon of one's own, and its administrator's commands.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    process::{Child, Command},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use berth_panels::{
    Panel,
    http::HttpConfig,
    incus::{IncusConfig, IncusPanel, Package},
    private::incus::{INCUS, LXD, Product, build_image, directory, socket, unmount},
};
use tempfile::TempDir;
use url::Url;

use crate::{
    bare::run,
    server::{Processes, Server, Work},
};

const IMAGE: &str = "tiny";
const UP_WITHIN: Duration = Duration::from_secs(60);

/// Why this machine cannot have one.
pub(crate) fn missing() -> Option<String> {
    product().missing()
}

/// Incus or else LXD.
fn product() -> Product {
    [INCUS, LXD].into_iter().find(|product| product.daemon().is_some()).unwrap_or(INCUS)
}

pub(crate) struct OwnIncus {
    panel: IncusPanel,
    product: Product,
    process: Child,
    dir: TempDir,
}

impl OwnIncus {
    pub(crate) fn start() -> Result<Self> {
        let product = product();
        let dir = tempfile::Builder::new().prefix("berth-bench.").tempdir()?;
        fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o711))?;
        fs::create_dir(directory(dir.path()))?;
        let http = HttpConfig {
            unix_socket: Some(socket(dir.path())),
            ..HttpConfig::new(Url::parse("http://incus").context("an address")?)
        };
        let package =
            |cpu_cores, memory_mib, disk_mib| Package { cpu_cores, memory_mib, disk_mib, image: None, profiles: None };
        let packages =
            BTreeMap::from([("small".to_owned(), package(1, 64, 100)), ("large".to_owned(), package(2, 128, 200))]);
        let panel =
            IncusPanel::new(IncusConfig { packages, grace: Duration::from_secs(5), ..IncusConfig::new(http, IMAGE) })?;
        let log = File::create(dir.path().join("output"))?;
        let process = product.process(dir.path()).stdout(log.try_clone()?).stderr(log).spawn()?;
        let own = Self { panel, product, process, dir };
        let begun = Instant::now();
        while run(&mut product.admin(own.dir.path(), &["waitready", "--timeout", "5"])).is_err() {
            ensure!(begun.elapsed() < UP_WITHIN, "the daemon does not start");
            thread::sleep(Duration::from_millis(100));
        }
        own.cli(&["storage", "create", "default", "btrfs", "size=4GiB"])?;
        let image = build_image(&own.dir.path().join("image"))?.display().to_string();
        own.cli(&["image", "import", &image, "--alias", IMAGE])?;
        Ok(own)
    }

    fn cli(&self, args: &[&str]) -> Result<()> {
        run(&mut self.product.command(self.dir.path(), args))
    }

    /// The processes that each watch over a container; its own are their children.
    fn monitors(&self) -> Vec<u32> {
        let ours = format!("[lxc monitor] {}", directory(self.dir.path()).display());
        let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
        pids.filter(|pid| {
            fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|command| command.starts_with(ours.as_bytes()))
        })
        .collect()
    }
}

impl Server for OwnIncus {
    fn driver(&self) -> &'static str {
        "incus"
    }

    fn panel(&self) -> &dyn Panel {
        &self.panel
    }

    fn packages(&self) -> [&'static str; 2] {
        ["small", "large"]
    }

    fn processes(&self) -> Vec<Processes> {
        vec![
            Processes { name: "daemon", roots: vec![self.process.id()] },
            Processes { name: "containers", roots: self.monitors() },
        ]
    }

    fn bare(&self, work: Work, name: &str, _like: &str) -> Option<Result<()>> {
        let limits = ["-c", "limits.cpu=1", "-c", "limits.memory=64MiB"];
        match work {
            Work::Create => Some(self.cli(&[&["launch", IMAGE, name, "-s", "default"], limits.as_slice()].concat())),
            Work::Observe => Some(self.cli(&["query", &format!("/1.0/instances/{name}")])),
            Work::Password => {
                let mut command: Command =
                    self.product.command(self.dir.path(), &["exec", name, "--", "/bin/chpasswd"]);
                Some(crate::bare::run_with(&mut command, "root:Another-8z-password-wRt4\n"))
            }
            Work::Remove => Some(self.cli(&["delete", "--force", name])),
            Work::Suspend | Work::Unsuspend | Work::Package | Work::Backup => None,
        }
    }

    fn reference(&self) -> &'static str {
        "the daemon's own command line: launch with the same limits but the disk's, query, exec chpasswd, delete"
    }
}

impl Drop for OwnIncus {
    fn drop(&mut self) {
        // Deleted, not only stopped: so the kernel's groups of theirs are gone with them.
        let listed = self.product.command(self.dir.path(), &["list", "-f", "csv", "-c", "n"]).output();
        let names = listed.map(|output| output.stdout).unwrap_or_default();
        let names = String::from_utf8_lossy(&names).into_owned();
        if !names.is_empty() {
            let _ = self.cli(&[&["delete", "--force"], names.lines().collect::<Vec<_>>().as_slice()].concat());
        }
        let _ = run(&mut self.product.admin(self.dir.path(), &["shutdown", "--force", "--timeout", "30"]));
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = unmount(self.dir.path());
    }
}
