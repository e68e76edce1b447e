//! The servers that accounts are placed on, as their file says: read once, at start.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use serde::Deserialize;
use url::Url;

use super::{SITE_SERVER, StartError, site_config};
use crate::{
    config::Config,
    gateways::panels::{
        Panel, PanelError, Panels, Placement, ServerState,
        http::{ClientIdentity, HttpConfig, Trust},
        incus::{self, IncusConfig, IncusPanel},
        linux::{LinuxConfig, LinuxPanel},
        site::{SiteConfig, SitePanel},
        whm::{WhmConfig, WhmPanel},
    },
};

/// The servers, as configured: those of the file, or the sites that Berth serves itself.
///
/// # Errors
/// When the file, or another that it names, cannot be read or is wrong. No server is asked anything yet.
pub fn panels_of(config: &Config) -> Result<Panels, StartError> {
    let Some(path) = &config.hosting.servers else {
        return Ok(Panels::new().with(SITE_SERVER, "site", Site::default().panel(config)));
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
        let own = File::read(path)?.server.into_iter().filter_map(|server| server.site?.sites_dir);
        dirs.extend(own);
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
        let placement = server.placement().map_err(|why| refused(format!("server {name}: {why}")))?;
        let (driver, panel) = server.panel(config).map_err(|error| match error {
            Wrong::Start(error) => error,
            Wrong::Said(why) => refused(format!("server {name}: {why}")),
        })?;
        panels = panels.with_placement(name, driver, panel, placement);
    }
    Ok(panels)
}

fn refused(why: impl std::fmt::Display) -> StartError {
    StartError::setting("hosting.servers", why)
}

fn read(path: &PathBuf) -> Result<String, StartError> {
    fs::read_to_string(path).map_err(|source| StartError::File { path: path.display().to_string(), source })
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
}

impl File {
    fn read(path: &PathBuf) -> Result<Self, StartError> {
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
    site: Option<Site>,
    linux: Option<Linux>,
    incus: Option<Incus>,
    whm: Option<Whm>,
}

fn one() -> u32 {
    1
}

fn active() -> ServerState {
    ServerState::Active
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Site {
    sites_dir: Option<PathBuf>,
}

impl Site {
    fn panel(self, config: &Config) -> Arc<dyn Panel> {
        let usual = site_config(config);
        let sites_dir = self.sites_dir.unwrap_or_else(|| usual.sites_dir.clone());
        Arc::new(SitePanel::new(SiteConfig { sites_dir, ..usual }))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Linux {
    #[serde(default = "host_command")]
    command: Vec<String>,
    #[serde(default = "five_minutes")]
    timeout_seconds: u64,
    #[serde(default = "an_hour")]
    backup_timeout_seconds: u64,
    #[serde(default)]
    enforces_quota: bool,
}

fn host_command() -> Vec<String> {
    ["/usr/bin/sudo", "-n", "/usr/sbin/berth-host"].map(str::to_owned).into()
}

fn five_minutes() -> u64 {
    5 * 60
}

fn an_hour() -> u64 {
    60 * 60
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Incus {
    socket: Option<PathBuf>,
    endpoint: Option<String>,
    #[serde(default)]
    private: bool,
    fingerprint: Option<String>,
    authority_file: Option<PathBuf>,
    certificate_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    image: String,
    project: Option<String>,
    pool: Option<String>,
    backup_pool: Option<String>,
    quotas: Option<bool>,
    profiles: Option<Vec<String>>,
    login: Option<String>,
    grace_seconds: Option<u64>,
    #[serde(default)]
    packages: BTreeMap<String, IncusPackage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct IncusPackage {
    cpu_cores: u64,
    memory_mib: u64,
    disk_mib: u64,
    image: Option<String>,
    profiles: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whm {
    endpoint: String,
    #[serde(default)]
    private: bool,
    fingerprint: Option<String>,
    authority_file: Option<PathBuf>,
    user: String,
    token_file: PathBuf,
    owner: Option<String>,
    base_domain: Option<String>,
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

    fn panel(self, config: &Config) -> Result<(&'static str, Arc<dyn Panel>), Wrong> {
        match (self.site, self.linux, self.incus, self.whm) {
            (Some(site), None, None, None) => Ok(("site", site.panel(config))),
            (None, Some(linux), None, None) => Ok(("linux", Arc::new(LinuxPanel::new(linux.config())))),
            (None, None, Some(incus), None) => Ok(("incus", Arc::new(IncusPanel::new(incus.config()?)?))),
            (None, None, None, Some(whm)) => Ok(("whm", Arc::new(WhmPanel::new(whm.config(config)?)?))),
            _ => {
                let tables = "[server.site], [server.linux], [server.incus] or [server.whm]";
                Err(Wrong::Said(format!("it needs one table of a driver: {tables}")))
            }
        }
    }
}

impl Linux {
    fn config(self) -> LinuxConfig {
        LinuxConfig {
            command: self.command,
            timeout: Duration::from_secs(self.timeout_seconds),
            backup_timeout: Duration::from_secs(self.backup_timeout_seconds),
            enforces_quota: self.enforces_quota,
        }
    }
}

impl Whm {
    fn config(self, config: &Config) -> Result<WhmConfig, Wrong> {
        let token = read(&self.token_file)?.trim().to_owned().into();
        let base_domain = self.base_domain.unwrap_or_else(|| config.hosting.base_domain.clone());
        let usual = WhmConfig::new(url(&self.endpoint)?, self.user, token, base_domain);
        let trust = trust(self.authority_file, self.fingerprint)?;
        let http = HttpConfig { private: self.private, trust, ..usual.http.clone() };
        Ok(WhmConfig { owner: self.owner.unwrap_or_else(|| usual.owner.clone()), http, ..usual })
    }
}

/// Who the server has to be.
fn trust(authority_file: Option<PathBuf>, fingerprint: Option<String>) -> Result<Trust, Wrong> {
    match (authority_file, fingerprint) {
        (None, None) => Ok(Trust::System),
        (Some(file), None) => Ok(Trust::Authority(read(&file)?.into_bytes())),
        (None, Some(text)) => {
            text.parse().map(Trust::Certificate).map_err(|error| Wrong::Said(format!("fingerprint: {error}")))
        }
        (Some(_), Some(_)) => Err(Wrong::Said("authority_file and fingerprint exclude each other".into())),
    }
}

impl Incus {
    fn config(self) -> Result<IncusConfig, Wrong> {
        let http = self.http()?;
        let usual = IncusConfig::new(http, self.image);
        let packages = self.packages.into_iter().map(|(name, package)| (name, package.into())).collect();
        Ok(IncusConfig {
            project: self.project.unwrap_or_else(|| usual.project.clone()),
            pool: self.pool.unwrap_or_else(|| usual.pool.clone()),
            backup_pool: self.backup_pool,
            quotas: self.quotas.unwrap_or(usual.quotas),
            profiles: self.profiles.unwrap_or_else(|| usual.profiles.clone()),
            login: self.login.unwrap_or_else(|| usual.login.clone()),
            grace: self.grace_seconds.map_or(usual.grace, Duration::from_secs),
            packages,
            ..usual
        })
    }

    fn http(&self) -> Result<HttpConfig, Wrong> {
        let (socket, endpoint) = match (&self.socket, &self.endpoint) {
            (Some(socket), None) => (Some(socket.clone()), url(SOCKET)?),
            (None, Some(endpoint)) => (None, url(endpoint)?),
            _ => return Err(Wrong::Said("it is reached by a socket or an endpoint".into())),
        };
        let identity = match (&self.certificate_file, &self.key_file) {
            (None, None) => None,
            (Some(certificate), Some(key)) => {
                Some(ClientIdentity { certificates: read(certificate)?.into_bytes(), key: read(key)?.into() })
            }
            _ => return Err(Wrong::Said("certificate_file and key_file belong together".into())),
        };
        let trust = trust(self.authority_file.clone(), self.fingerprint.clone())?;
        let private = self.private || socket.is_some();
        Ok(HttpConfig { unix_socket: socket, private, trust, identity, ..HttpConfig::new(endpoint) })
    }
}

/// What a socket's server is called in requests.
const SOCKET: &str = "http://incus/";

fn url(text: &str) -> Result<Url, Wrong> {
    Url::parse(text).map_err(|error| Wrong::Said(format!("endpoint {text}: {error}")))
}

impl From<IncusPackage> for incus::Package {
    fn from(package: IncusPackage) -> Self {
        let IncusPackage { cpu_cores, memory_mib, disk_mib, image, profiles } = package;
        Self { cpu_cores, memory_mib, disk_mib, image, profiles }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const EXAMPLE: &str = include_str!("../../config/servers.toml");

    /// The example, with a token where it says.
    fn example(folder: &Path) -> String {
        let token = folder.join("token");
        fs::write(&token, "a-token\n").unwrap();
        EXAMPLE.replace("/etc/berth/cpanel1.token", token.to_str().unwrap())
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
        assert_eq!(servers, [("cpanel1", "whm"), ("local", "site"), ("node1", "incus"), ("web1", "linux")]);
        assert_eq!(panels.placement("local").unwrap().state, ServerState::Draining);
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
        let missing = refusal(
            "[[server]]\nname = \"a\"\n[server.whm]\nendpoint = \"https://a:2087\"\nuser = \"u\"\ntoken_file = \"/nowhere/token\"",
        );
        assert!(missing.contains("/nowhere/token"), "{missing}");
    }
}
