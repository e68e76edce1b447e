//! The drivers' tables in the file of servers: how each is reached, with what is usual where it does not say.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::Wrong;
use crate::{
    app::{configured::read, site_config},
    config::Config,
    gateways::panels::{
        Panel,
        directadmin::{DirectAdminConfig, DirectAdminPanel},
        hestia::{HestiaConfig, HestiaPanel},
        http::{ClientIdentity, HttpConfig, Trust},
        incus::{self, IncusConfig, IncusPanel},
        linux::{LinuxConfig, LinuxPanel},
        proxmox::{self, ProxmoxConfig, ProxmoxPanel},
        site::{SiteConfig, SitePanel},
        whm::{WhmConfig, WhmPanel},
    },
};

/// The table of a driver.
pub(super) enum Driver {
    Site(Site),
    Linux(Linux),
    Incus(Incus),
    Whm(Whm),
    DirectAdmin(DirectAdmin),
    Hestia(Hestia),
    Proxmox(Box<Proxmox>),
}

impl Driver {
    /// How many jobs may talk to such a server at once where it does not say: what its panel bears, and so few that one
    /// which hangs leaves most of a worker's slots to the others. Sites are files of this machine.
    pub(super) fn usual_at_once(&self) -> Option<u32> {
        match self {
            Self::Site(_) => None,
            Self::Linux(_) | Self::Incus(_) => Some(8),
            Self::Whm(_) | Self::DirectAdmin(_) | Self::Hestia(_) => Some(2),
            Self::Proxmox(_) => Some(4),
        }
    }

    /// Its name, and the panel.
    pub(super) fn panel(self, config: &Config) -> Result<(&'static str, Arc<dyn Panel>), Wrong> {
        Ok(match self {
            Self::Site(site) => ("site", site.panel(config)),
            Self::Linux(linux) => ("linux", Arc::new(LinuxPanel::new(linux.config()))),
            Self::Incus(incus) => ("incus", Arc::new(IncusPanel::new(incus.config()?)?)),
            Self::Whm(whm) => ("whm", Arc::new(WhmPanel::new(whm.config(config)?)?)),
            Self::DirectAdmin(directadmin) => {
                ("directadmin", Arc::new(DirectAdminPanel::new(directadmin.config(config)?)?))
            }
            Self::Hestia(hestia) => ("hestia", Arc::new(HestiaPanel::new(hestia.config(config)?)?)),
            Self::Proxmox(proxmox) => ("proxmox", Arc::new(ProxmoxPanel::new(proxmox.config()?)?)),
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Site {
    pub(super) sites_dir: Option<PathBuf>,
}

impl Site {
    pub(super) fn panel(self, config: &Config) -> Arc<dyn Panel> {
        let usual = site_config(config);
        let sites_dir = self.sites_dir.unwrap_or_else(|| usual.sites_dir.clone());
        Arc::new(SitePanel::new(SiteConfig { sites_dir, ..usual }))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Linux {
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
pub(super) struct Incus {
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
pub(super) struct Whm {
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Proxmox {
    endpoint: String,
    #[serde(default)]
    private: bool,
    fingerprint: Option<String>,
    authority_file: Option<PathBuf>,
    token_id: String,
    token_file: PathBuf,
    node: String,
    vmid_first: Option<u32>,
    vmid_last: Option<u32>,
    template: Option<u32>,
    disk: Option<String>,
    full_clones: Option<bool>,
    storage: Option<String>,
    backup_storage: Option<String>,
    resource_pool: Option<String>,
    login: Option<String>,
    #[serde(default)]
    ssh_keys: Vec<String>,
    ip_config: Option<String>,
    #[serde(default)]
    guest_agent: bool,
    grace_seconds: Option<u64>,
    #[serde(default)]
    packages: BTreeMap<String, ProxmoxPackage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProxmoxPackage {
    cpu_cores: u64,
    memory_mib: u64,
    disk_mib: u64,
    template: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Hestia {
    endpoint: String,
    #[serde(default)]
    private: bool,
    fingerprint: Option<String>,
    authority_file: Option<PathBuf>,
    access_key: String,
    secret_key_file: PathBuf,
    base_domain: Option<String>,
    dns: Option<bool>,
    mail: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DirectAdmin {
    endpoint: String,
    #[serde(default)]
    private: bool,
    fingerprint: Option<String>,
    authority_file: Option<PathBuf>,
    user: String,
    login_key_file: PathBuf,
    base_domain: Option<String>,
    ip: Option<String>,
    suspension_word: Option<String>,
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
        let token = secret(&self.token_file)?;
        let base_domain = self.base_domain.unwrap_or_else(|| config.hosting.base_domain.clone());
        let usual = WhmConfig::new(url(&self.endpoint)?, self.user, token, base_domain);
        let http = reached(&usual.http, self.private, self.authority_file, self.fingerprint)?;
        Ok(WhmConfig { owner: self.owner.unwrap_or_else(|| usual.owner.clone()), http, ..usual })
    }
}

impl DirectAdmin {
    fn config(self, config: &Config) -> Result<DirectAdminConfig, Wrong> {
        let base_domain = self.base_domain.unwrap_or_else(|| config.hosting.base_domain.clone());
        let key = secret(&self.login_key_file)?;
        let usual = DirectAdminConfig::new(url(&self.endpoint)?, self.user, key, base_domain);
        let http = reached(&usual.http, self.private, self.authority_file, self.fingerprint)?;
        let suspension_word = self.suspension_word.unwrap_or_else(|| usual.suspension_word.clone());
        Ok(DirectAdminConfig { http, ip: self.ip, suspension_word, ..usual })
    }
}

impl Hestia {
    fn config(self, config: &Config) -> Result<HestiaConfig, Wrong> {
        let base_domain = self.base_domain.unwrap_or_else(|| config.hosting.base_domain.clone());
        let key = secret(&self.secret_key_file)?;
        let usual = HestiaConfig::new(url(&self.endpoint)?, self.access_key, key, base_domain);
        let http = reached(&usual.http, self.private, self.authority_file, self.fingerprint)?;
        Ok(HestiaConfig { http, dns: self.dns.unwrap_or(usual.dns), mail: self.mail.unwrap_or(usual.mail), ..usual })
    }
}

impl Proxmox {
    fn config(self) -> Result<ProxmoxConfig, Wrong> {
        let usual = ProxmoxConfig::new(
            HttpConfig::new(url(&self.endpoint)?),
            self.token_id,
            secret(&self.token_file)?,
            self.node,
        );
        let http = reached(&usual.http, self.private, self.authority_file, self.fingerprint)?;
        let first = self.vmid_first.unwrap_or(*usual.vmids.start());
        let last = self.vmid_last.unwrap_or(*usual.vmids.end());
        Ok(ProxmoxConfig {
            http,
            vmids: first..=last,
            template: self.template.unwrap_or(usual.template),
            disk: self.disk.unwrap_or_else(|| usual.disk.clone()),
            full_clones: self.full_clones.unwrap_or(usual.full_clones),
            storage: self.storage,
            backup_storage: self.backup_storage,
            resource_pool: self.resource_pool,
            login: self.login.unwrap_or_else(|| usual.login.clone()),
            ssh_keys: self.ssh_keys,
            ip_config: self.ip_config.or_else(|| usual.ip_config.clone()),
            guest_agent: self.guest_agent,
            grace: self.grace_seconds.map_or(usual.grace, Duration::from_secs),
            packages: self.packages.into_iter().map(|(name, package)| (name, package.into())).collect(),
            ..usual
        })
    }
}

impl From<ProxmoxPackage> for proxmox::Package {
    fn from(package: ProxmoxPackage) -> Self {
        let ProxmoxPackage { cpu_cores, memory_mib, disk_mib, template } = package;
        Self { cpu_cores, memory_mib, disk_mib, template }
    }
}

/// What stands in a file and in no setting.
fn secret(file: &Path) -> Result<SecretString, Wrong> {
    Ok(read(file)?.trim().to_owned().into())
}

/// How a server is reached that has an endpoint and a certificate.
fn reached(
    usual: &HttpConfig,
    private: bool,
    authority_file: Option<PathBuf>,
    fingerprint: Option<String>,
) -> Result<HttpConfig, Wrong> {
    Ok(HttpConfig { private, trust: trust(authority_file, fingerprint)?, ..usual.clone() })
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
