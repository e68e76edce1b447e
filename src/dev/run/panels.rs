//! The servers that an instance sells on: sites of Berth's own, or real ones, as `--panels` says.

use std::{
    fs,
    io::ErrorKind,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{
    super::servers::{IMAGE, PrivateIncus, PrivateLinux},
    write_private,
};

/// Where real servers lie: their customers' homes must be below directories that are root's alone.
const BASE: &str = "/srv";
/// Which ones the last start had.
const CHOSEN: &str = "panels";
const SERVERS: &str = "servers.toml";
/// The catalogue's pools, by what they are sold on.
const LINUX_POOLS: [&str; 2] = ["shared", "wordpress"];
const INCUS_POOLS: [&str; 2] = ["vps", "cloud"];
/// The catalogue's packages of virtual machines: cores, MiB of memory, MiB of disk.
const INCUS_PACKAGES: [(&str, u64, u64, u64); 6] = [
    ("vps-starter", 1, 2_048, 40_960),
    ("vps-professional", 2, 4_096, 81_920),
    ("vps-enterprise", 4, 8_192, 163_840),
    ("cloud-starter", 2, 4_096, 81_920),
    ("cloud-professional", 4, 8_192, 163_840),
    ("cloud-enterprise", 8, 16_384, 327_680),
];

/// What an instance sells on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DevPanel {
    /// Sites that Berth serves itself, for whatever the others do not sell.
    Site,
    /// Shared hosting and WordPress on nginx, php-fpm, MariaDB and SFTP.
    Linux,
    /// VPS and cloud servers as containers of Incus or LXD.
    Incus,
}

impl DevPanel {
    const ALL: [Self; 3] = [Self::Site, Self::Linux, Self::Incus];

    fn as_str(self) -> &'static str {
        match self {
            Self::Site => "site",
            Self::Linux => "linux",
            Self::Incus => "incus",
        }
    }
}

/// What an instance is to sell on, by what was asked and what its earlier starts had.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    panels: Vec<DevPanel>,
    /// Real servers of earlier starts that were not asked for this time.
    unwanted: Vec<DevPanel>,
}

impl Wanted {
    /// What was asked for, or else what the last start had: accounts of that one live there.
    ///
    /// # Errors
    /// When the machine cannot have it, or accounts would be left behind on real servers that do not run.
    pub(super) fn of(home: &Path, asked: &[DevPanel], reset: bool) -> anyhow::Result<Self> {
        let before = chosen_before(home)?;
        let panels = if asked.is_empty() { before.clone() } else { asked.to_vec() };
        let is_unwanted = |panel: &DevPanel| *panel != DevPanel::Site && !panels.contains(panel);
        let unwanted: Vec<DevPanel> = before.into_iter().filter(is_unwanted).collect();
        if let Some(left) = unwanted.first().filter(|_| !reset) {
            let left = left.as_str();
            bail!("accounts were sold on {left} here: name it in --panels too, or remove them all with --reset");
        }
        for panel in &panels {
            match panel {
                DevPanel::Site => {}
                DevPanel::Linux => drop(PrivateLinux::possible()?),
                DevPanel::Incus => PrivateIncus::possible()?,
            }
        }
        Ok(Self { panels, unwanted })
    }
}

/// The real servers that run.
#[derive(Debug, Default)]
pub struct RealServers {
    /// Of the driver `linux`.
    pub linux: Option<PrivateLinux>,
    /// Of the driver `incus`.
    pub incus: Option<PrivateIncus>,
    file: Option<PathBuf>,
}

impl RealServers {
    /// Starts those.
    pub(super) async fn start(home: &Path, wanted: &Wanted, say: impl Fn(&str)) -> anyhow::Result<Self> {
        let mut servers = Self::of(home, &wanted.panels, &say).await?;
        if servers.are_any() || home.join(CHOSEN).exists() {
            let names: Vec<&str> = wanted.panels.iter().map(|panel| panel.as_str()).collect();
            write_private(&home.join(CHOSEN), &names.join("\n"))?;
            let file = home.join(SERVERS);
            let heading = "# Written by `berth dev` at each start.\n\n";
            write_private(&file, &format!("{heading}{}", toml::to_string(&servers.described())?))?;
            servers.file = Some(file);
        }
        Ok(servers)
    }

    async fn of(home: &Path, panels: &[DevPanel], say: impl Fn(&str)) -> anyhow::Result<Self> {
        let (linux_dir, incus_dir) = (directory(home).join("linux"), directory(home).join("incus"));
        let linux = async {
            if !panels.contains(&DevPanel::Linux) {
                return Ok(None);
            }
            say(&format!("starting nginx, php-fpm, MariaDB and sshd in {} …", linux_dir.display()));
            PrivateLinux::start(&linux_dir).await.map(Some)
        };
        let incus = async {
            if !panels.contains(&DevPanel::Incus) {
                return Ok(None);
            }
            say(&format!("starting a daemon for containers in {} …", incus_dir.display()));
            PrivateIncus::start(&incus_dir).await.map(Some)
        };
        let (linux, incus) = tokio::try_join!(linux, incus)?;
        Ok(Self { linux, incus, file: None })
    }

    /// Removes those of earlier starts that are not wanted any more, with all that was sold on them.
    pub(super) async fn remove_unwanted(home: &Path, wanted: &Wanted, say: impl Fn(&str)) -> anyhow::Result<()> {
        if wanted.unwanted.is_empty() {
            return Ok(());
        }
        let servers = Self::of(home, &wanted.unwanted, &say).await?;
        say("… to remove them");
        if let Some(linux) = servers.linux {
            linux.remove().await?;
        }
        if let Some(incus) = servers.incus {
            incus.remove().await?;
        }
        // The other one may be there still.
        match fs::remove_dir(directory(home)) {
            Err(error) if error.kind() != ErrorKind::DirectoryNotEmpty => Err(error.into()),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Whether any was started.
    #[must_use]
    pub fn are_any(&self) -> bool {
        self.linux.is_some() || self.incus.is_some()
    }

    /// For `hosting.servers`, where there were ever any.
    pub(super) fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The servers, as `hosting.servers` has them.
    fn described(&self) -> Value {
        let mut servers = Vec::new();
        let mut left: Vec<&str> = LINUX_POOLS.into_iter().chain(INCUS_POOLS).collect();
        if let Some(linux) = &self.linux {
            left.retain(|pool| !LINUX_POOLS.contains(pool));
            servers.push(json!({ "name": "web", "pools": LINUX_POOLS, "linux": { "command": linux.command() } }));
        }
        if let Some(incus) = &self.incus {
            left.retain(|pool| !INCUS_POOLS.contains(pool));
            let package = |(name, cpu_cores, memory_mib, disk_mib): (&str, u64, u64, u64)| {
                let package = json!({ "cpu_cores": cpu_cores, "memory_mib": memory_mib, "disk_mib": disk_mib });
                (name.to_owned(), package)
            };
            let packages: serde_json::Map<String, Value> = INCUS_PACKAGES.into_iter().map(package).collect();
            let incus = json!({
                "socket": incus.socket(), "image": IMAGE, "quotas": true, "grace_seconds": 5, "packages": packages,
            });
            servers.push(json!({ "name": "node", "pools": INCUS_POOLS, "incus": incus }));
        }
        // Accounts of a start without real servers go on living there.
        let state = if left.is_empty() { "draining" } else { "active" };
        servers.push(json!({ "name": crate::app::SITE_SERVER, "pools": left, "state": state, "site": {} }));
        json!({ "server": servers })
    }

    pub(super) async fn empty(&self) -> anyhow::Result<()> {
        if let Some(linux) = &self.linux {
            linux.empty().await?;
        }
        if let Some(incus) = &self.incus {
            incus.empty().await?;
        }
        Ok(())
    }

    pub(super) async fn stop(&mut self) -> anyhow::Result<()> {
        let linux = match &mut self.linux {
            Some(linux) => linux.stop().await,
            None => Ok(()),
        };
        if let Some(incus) = &mut self.incus {
            incus.stop().await?;
        }
        Ok(linux?)
    }
}

/// A directory of this instance's own.
fn directory(home: &Path) -> PathBuf {
    let key = hex::encode(Sha256::digest(home.as_os_str().as_encoded_bytes()));
    Path::new(BASE).join(format!("berth-dev-{}", &key[..12]))
}

fn chosen_before(home: &Path) -> anyhow::Result<Vec<DevPanel>> {
    let path = home.join(CHOSEN);
    match fs::read_to_string(&path) {
        Ok(text) => {
            Ok(DevPanel::ALL.into_iter().filter(|panel| text.lines().any(|line| line == panel.as_str())).collect())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_chosen_is_chosen_until_something_else_is() {
        let home = tempfile::tempdir().unwrap();
        let of = |asked: &[DevPanel]| Wanted::of(home.path(), asked, true).unwrap();
        let only_sites = Wanted { panels: vec![DevPanel::Site], unwanted: Vec::new() };

        assert_eq!(of(&[]), Wanted { panels: Vec::new(), unwanted: Vec::new() });
        assert_eq!(of(&[DevPanel::Site]), only_sites);
        fs::write(home.path().join(CHOSEN), "site").unwrap();
        assert_eq!(of(&[]), only_sites);
        fs::write(home.path().join(CHOSEN), "linux\nincus").unwrap();

        let unwanted = vec![DevPanel::Linux, DevPanel::Incus];
        assert_eq!(of(&[DevPanel::Site]), Wanted { unwanted, ..only_sites });
        let refused = Wanted::of(home.path(), &[DevPanel::Site], false).unwrap_err().to_string();
        assert!(refused.starts_with("accounts were sold on linux here"), "{refused}");
    }

    #[test]
    fn every_package_of_the_catalogue_is_sold_by_the_real_servers() {
        let catalogue = include_str!("../../../config/catalogue.toml");
        let linux = include_str!("../servers/linux/packages.toml");
        let packages = catalogue.lines().filter_map(|line| line.strip_prefix("package = \"")?.strip_suffix('"'));

        let missing: Vec<&str> = packages
            .filter(|name| !INCUS_PACKAGES.iter().any(|(known, ..)| known == name))
            .filter(|name| !linux.contains(&format!("[packages.{name}]\n")))
            .collect();

        assert!(catalogue.contains("\npackage = \"vps-starter\""));
        assert!(missing.is_empty(), "{missing:?}");
    }

    #[test]
    fn whatever_no_real_server_sells_is_sold_on_sites() {
        let described = RealServers::default().described();

        let site = json!({
            "name": "local", "pools": ["shared", "wordpress", "vps", "cloud"], "state": "active", "site": {},
        });
        assert_eq!(described, json!({ "server": [site] }));
    }
}
