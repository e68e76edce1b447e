//! The servers that accounts are placed on, as their file says: read once, at start.

mod drivers;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde::Deserialize;

use super::{SITE_SERVER, StartError, configured::read};
use crate::{
    config::Config,
    gateways::panels::{PanelError, Panels, Placement, ServerState},
};
use drivers::Driver;

/// The servers, as configured: those of the file, or the sites that Berth serves itself.
///
/// # Errors
/// When the file, or another that it names, cannot be read or is wrong. No server is asked anything yet.
pub fn panels_of(config: &Config) -> Result<Panels, StartError> {
    let Some(path) = &config.hosting.servers else {
        return Ok(Panels::new().with(SITE_SERVER, "site", drivers::Site::default().panel(config)));
    };
    panels(config, File::read(path)?)
}

/// The directories of all sites that Berth serves itself: those of `hosting.sites_dir`, and of the servers that have others.
///
/// # Errors
/// When the file cannot be read or is wrong.
pub(super) fn sites_dirs(config: &Config) -> Result<Vec<PathBuf>, StartError> {
    let mut dirs = vec![config.hosting.sites_dir.clone()];
    if let Some(path) = &config.hosting.servers {
        dirs.extend(File::read(path)?.server.into_iter().filter_map(|server| server.site?.sites_dir));
    }
    Ok(dirs)
}

fn panels(config: &Config, file: File) -> Result<Panels, StartError> {
    if file.server.is_empty() {
        return Err(refused("it names no server"));
    }
    let mut names = BTreeSet::new();
    let mut panels = Panels::new();
    for server in file.server {
        let name = server.name.clone();
        if !names.insert(name.clone()) {
            return Err(refused(format!("two servers are called {name}")));
        }
        let mut placement = server.placement().map_err(|why| refused(format!("server {name}: {why}")))?;
        let driver = server.driver().map_err(|why| refused(format!("server {name}: {why}")))?;
        placement.at_once = placement.at_once.or(driver.usual_at_once());
        let (driver, panel) = driver.panel(config).map_err(|error| match error {
            Wrong::Start(error) => error,
            Wrong::Said(why) => refused(format!("server {name}: {why}")),
        })?;
        panels = panels.with_placement(name, driver, panel, placement);
    }
    for (name, pool) in file.pool {
        let takes = |placement: &Placement| placement.pools.as_ref().is_none_or(|pools| pools.contains(&name));
        if !panels.servers().any(|(_, _, placement)| takes(placement)) {
            return Err(refused(format!("pool {name}: no server takes its accounts")));
        }
        if pool.terminate_without_backup {
            panels = panels.ending_without_backup(name);
        }
    }
    Ok(panels)
}

fn refused(why: impl std::fmt::Display) -> StartError {
    StartError::setting("hosting.servers", why)
}

/// Why a server cannot be used.
enum Wrong {
    Start(StartError),
    Said(String),
}

impl From<StartError> for Wrong {
    fn from(error: StartError) -> Self {
        Self::Start(error)
    }
}

impl From<PanelError> for Wrong {
    fn from(error: PanelError) -> Self {
        Self::Said(crate::error::chain(&error))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    server: Vec<Server>,
    #[serde(default)]
    pool: BTreeMap<String, Pool>,
}

/// A `[pool.NAME]`: what holds for its accounts on whichever server.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Pool {
    #[serde(default)]
    terminate_without_backup: bool,
}

impl File {
    fn read(path: &Path) -> Result<Self, StartError> {
        toml::from_str(&read(path)?).map_err(|error| refused(format!("{}: {error}", path.display())))
    }
}

/// One `[[server]]`: what comes to it, and, in a table that is called as its driver, how it is reached.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    name: String,
    pools: Option<Vec<String>>,
    capacity: Option<u32>,
    #[serde(default = "one")]
    weight: u32,
    #[serde(default = "active")]
    state: ServerState,
    at_once: Option<u32>,
    site: Option<drivers::Site>,
    linux: Option<drivers::Linux>,
    incus: Option<drivers::Incus>,
    whm: Option<drivers::Whm>,
    directadmin: Option<drivers::DirectAdmin>,
    hestia: Option<drivers::Hestia>,
    proxmox: Option<Box<drivers::Proxmox>>,
}

fn one() -> u32 {
    1
}

fn active() -> ServerState {
    ServerState::Active
}

impl Server {
    fn placement(&self) -> Result<Placement, &'static str> {
        let plain = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-_.".contains(letter);
        if self.name.is_empty() || self.name.len() > 63 || !self.name.chars().all(plain) {
            return Err("a name has lower-case letters, digits, `-`, `_` and `.`, 63 at most");
        }
        if self.weight == 0 || self.at_once == Some(0) {
            return Err("weight and at_once are 1 or more");
        }
        Ok(Placement {
            pools: self.pools.clone(),
            capacity: self.capacity,
            weight: self.weight,
            state: self.state,
            at_once: self.at_once,
        })
    }

    /// Its driver: the one whose table it has.
    fn driver(self) -> Result<Driver, &'static str> {
        let tables = [
            self.site.map(Driver::Site),
            self.linux.map(Driver::Linux),
            self.incus.map(Driver::Incus),
            self.whm.map(Driver::Whm),
            self.directadmin.map(Driver::DirectAdmin),
            self.hestia.map(Driver::Hestia),
            self.proxmox.map(Driver::Proxmox),
        ];
        let mut given = tables.into_iter().flatten();
        match (given.next(), given.next()) {
            (Some(driver), None) => Ok(driver),
            _ => Err("it needs one table of a driver: [server.site], [server.linux], [server.incus], [server.whm], \
                      [server.directadmin], [server.hestia] or [server.proxmox]"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const EXAMPLE: &str = include_str!("../../config/servers.toml");

    /// The example, with a token where it says.
    fn example(folder: &Path) -> String {
        let token = folder.join("token");
        fs::write(&token, format!("{}\n", "a".repeat(40))).unwrap();
        ["cpanel1.token", "da1.key", "hestia1.secret", "pve1.token"]
            .iter()
            .fold(EXAMPLE.to_owned(), |text, file| text.replace(&format!("/etc/berth/{file}"), token.to_str().unwrap()))
    }

    fn read_from(folder: &Path, text: &str) -> Result<Panels, StartError> {
        let path = folder.join("servers.toml");
        fs::write(&path, text).unwrap();
        let path = path.to_str().unwrap();
        let sites = folder.join("sites");
        panels_of(
            &Config::from_settings(&[("hosting.servers", path), ("hosting.sites_dir", sites.to_str().unwrap())])
                .unwrap(),
        )
    }

    fn refusal(text: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        read_from(folder.path(), text).unwrap_err().to_string()
    }

    #[tokio::test]
    async fn the_example_is_read_as_it_says() {
        let folder = tempfile::tempdir().unwrap();

        let panels = read_from(folder.path(), &example(folder.path())).unwrap();

        let servers: Vec<(&str, &str)> = panels.servers().map(|(name, driver, _)| (name, driver)).collect();
        assert_eq!(
            servers,
            [
                ("cpanel1", "whm"),
                ("da1", "directadmin"),
                ("hestia1", "hestia"),
                ("local", "site"),
                ("node1", "incus"),
                ("pve1", "proxmox"),
                ("web1", "linux")
            ]
        );
        assert_eq!(panels.placement("local").unwrap().state, ServerState::Draining);
        assert!(!panels.ends_without_backup("shared"));
        assert_eq!(
            *panels.placement("node1").unwrap(),
            Placement {
                pools: Some(vec!["vps".to_owned(), "cloud".to_owned()]),
                capacity: Some(100),
                weight: 2,
                state: ServerState::Active,
                at_once: Some(8),
            }
        );
    }

    #[tokio::test]
    async fn a_pool_says_that_its_accounts_end_without_a_backup() {
        let folder = tempfile::tempdir().unwrap();
        let said =
            example(folder.path()).replace("terminate_without_backup = false", "terminate_without_backup = true");

        let panels = read_from(folder.path(), &said).unwrap();

        let ends = ["shared", "wordpress"].map(|pool| panels.ends_without_backup(pool));
        assert_eq!(ends, [true, false]);
    }

    #[tokio::test]
    async fn a_server_that_does_not_say_how_many_jobs_it_bears_has_its_drivers_number() {
        let folder = tempfile::tempdir().unwrap();
        let said = example(folder.path());
        let kept = |line: &&str| !line.starts_with("at_once");

        let panels = read_from(folder.path(), &said.lines().filter(kept).collect::<Vec<_>>().join("\n")).unwrap();

        let at_once: Vec<_> = panels.servers().map(|(name, _, placement)| (name, placement.at_once)).collect();
        assert_eq!(
            at_once,
            [
                ("cpanel1", Some(2)),
                ("da1", Some(2)),
                ("hestia1", Some(2)),
                ("local", None),
                ("node1", Some(8)),
                ("pve1", Some(4)),
                ("web1", Some(8))
            ]
        );
    }

    #[test]
    fn without_a_file_there_is_the_panel_of_sites() {
        let panels = panels_of(&Config::from_settings(&[]).unwrap()).unwrap();

        assert_eq!(panels.driver(SITE_SERVER), Ok("site"));
        assert_eq!(*panels.placement(SITE_SERVER).unwrap(), Placement::default());
    }

    #[test]
    fn what_is_wrong_with_a_server_is_said_with_its_name() {
        assert!(refusal("").contains("names no server"));
        assert!(refusal("[[server]]\nname = \"Web 1\"\n[server.site]").contains("server Web 1: a name has"));
        assert!(refusal("[[server]]\nname = \"a\"\nweight = 0\n[server.site]").contains("server a: weight"));
        assert!(refusal("[[server]]\nname = \"a\"").contains("server a: it needs one table of a driver"));
        assert!(refusal("[[server]]\nname = \"a\"\nname2 = 1\n[server.site]").contains("unknown field `name2`"));
        let twice = "[[server]]\nname = \"a\"\n[server.site]\n".repeat(2);
        assert!(refusal(&twice).contains("two servers are called a"));
        let plain = "[[server]]\nname = \"a\"\n[server.incus]\nendpoint = \"http://node:8443\"\nimage = \"x\"";
        assert!(refusal(plain).contains("server a: "), "{}", refusal(plain));
        let unknown = "[[server]]\nname = \"a\"\npools = [\"shared\"]\n[server.site]\n[pool.share]\nterminate_without_backup = true";
        assert!(refusal(unknown).contains("pool share: no server takes its accounts"), "{}", refusal(unknown));
        let missing = refusal(
            "[[server]]\nname = \"a\"\n[server.whm]\nendpoint = \"https://a:2087\"\nuser = \"u\"\ntoken_file = \"/nowhere/token\"",
        );
        assert!(missing.contains("/nowhere/token"), "{missing}");
    }
}
