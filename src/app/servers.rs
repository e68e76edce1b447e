//! The servers that accounts are placed on, as their file says: read once, at start.

use std::{collections::BTreeSet, fs, path::PathBuf, sync::Arc, time::Duration};

use serde::Deserialize;
use url::Url;

use super::{SITE_SERVER, StartError, site_config};
use crate::{
    config::Config,
    gateways::panels::{
        Panel, PanelError, Panels, Placement, ServerState,
        http::{ClientIdentity, HttpConfig, Trust},
        linux::{LinuxConfig, LinuxPanel},
        site::SitePanel,
        whm::{WhmConfig, WhmPanel},
    },
};

/// The servers, as configured: those of the file, or the sites that Berth serves itself.
///
/// # Errors
/// When the file, or another that it names, cannot be read or is wrong. No server is asked anything yet.
pub fn panels_of(config: &Config) -> Result<Panels, StartError> {
    let Some(path) = &config.hosting.servers else {
        return Ok(Panels::new().with(SITE_SERVER, "site", site(config)));
    };
    let text = read(path)?;
    let file: File = toml::from_str(&text).map_err(|error| refused(format!("{}: {error}", path.display())))?;
    panels(config, file)
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

fn site(config: &Config) -> Arc<dyn Panel> {
    Arc::new(SitePanel::new(site_config(config)))
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
    whm: Option<Whm>,
}

fn one() -> u32 {
    1
}

fn active() -> ServerState {
    ServerState::Active
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Site {}

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
struct Whm {
    user: String,
    token_file: PathBuf,
    owner: Option<String>,
    base_domain: Option<String>,
    #[serde(flatten)]
    http: HttpTable,
}

/// How a server that speaks HTTP is reached.
#[derive(Deserialize)]
struct HttpTable {
    endpoint: Url,
    #[serde(default)]
    private: bool,
    authority_file: Option<PathBuf>,
    fingerprint: Option<String>,
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
        match (self.site, self.linux, self.whm) {
            (Some(Site {}), None, None) => Ok(("site", site(config))),
            (None, Some(linux), None) => Ok(("linux", Arc::new(LinuxPanel::new(linux.config())))),
            (None, None, Some(whm)) => Ok(("whm", Arc::new(WhmPanel::new(whm.config(config)?)?))),
            _ => Err(Wrong::Said("it needs one table of a driver: [server.site], [server.linux] or [server.whm]".into())),
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
        let usual = WhmConfig::new(self.http.endpoint.clone(), self.user, token, base_domain);
        let http = self.http.applied(usual.http.clone())?;
        Ok(WhmConfig { owner: self.owner.unwrap_or_else(|| usual.owner.clone()), http, ..usual })
    }
}

impl HttpTable {
    fn applied(self, usual: HttpConfig) -> Result<HttpConfig, Wrong> {
        let trust = match (self.authority_file, self.fingerprint) {
            (None, None) => Trust::System,
            (Some(file), None) => Trust::Authority(read(&file)?),
            (None, Some(text)) => Trust::Certificate(
                text.parse().map_err(|error| Wrong::Said(format!("fingerprint: {error}")))?,
            ),
            (Some(_), Some(_)) => return Err(Wrong::Said("authority_file and fingerprint exclude each other".into())),
        };
        Ok(HttpConfig { endpoint: self.endpoint, private: self.private, trust, ..usual })
    }
}
