//! The settings of an instance, and how commands in another shell find them: `.berth/dev.toml` and `.berth/dev.json`.

use std::{
    fs,
    io::ErrorKind,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use nix::{errno::Errno, sys::signal::kill, unistd::Pid};
use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::{keys::Keys, write_private};
use crate::config::{Config, LoadOptions};

/// What `berth config print` would call these settings.
const ORIGIN: &str = "berth dev";
const SETTINGS: &str = "dev.toml";
const ADDRESSES: &str = "dev.json";
/// Of logging: what a person at a terminal wants to see.
const LOG: [(&str, &str); 2] = [("log.format", "text"), ("log.level", "warn")];

/// Where a running instance is, as `.berth/dev.json` says it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Addresses {
    /// The process of `berth dev`.
    pub pid: u32,
    /// The shop.
    pub api: String,
    /// The shop's address.
    pub listen: SocketAddr,
    /// The mailbox's page.
    pub mailbox: String,
    /// The mailbox's SMTP.
    pub smtp: SocketAddr,
    /// The Stripe simulator; `None` when the operator's own key of Stripe's test mode is used.
    pub stripe: Option<String>,
    /// Where Stripe's events go.
    pub webhook_url: String,
    /// The directory of the hosted sites.
    pub sites: PathBuf,
}

/// The operator's settings as far as they matter before the servers run: logging, the usual port, a Stripe key.
///
/// # Errors
/// When they cannot be used, or take real money.
pub fn preliminary(file: Option<PathBuf>) -> anyhow::Result<Config> {
    let config = Config::load_over(ORIGIN, &LOG, LoadOptions::of_process(file))?;
    if config.stripe.livemode {
        bail!(
            "stripe.livemode is true, and `berth dev` must not take real money: use the settings of a test installation"
        );
    }
    Ok(config)
}

/// The settings of an instance. What is the instance's own — its servers, addresses and files — no setting of the
/// operator's replaces, so that a stray DATABASE_URL is never written to; all else lies under the operator's.
pub(in crate::dev) struct DevSettings {
    table: Table,
    home: PathBuf,
    pub(in crate::dev) app_url: String,
    pub(super) owner_url: String,
}

impl DevSettings {
    pub(in crate::dev) fn of(
        addresses: &Addresses,
        keys: &Keys,
        owner_url: &str,
        app_url: &str,
        redis_url: &str,
    ) -> Self {
        let mut settings: Vec<(&str, Value)> = vec![
            ("database.url", app_url.into()),
            ("database.migrate_url", owner_url.into()),
            ("redis.url", redis_url.into()),
            ("http.listen", addresses.listen.to_string().into()),
            ("http.public_url", addresses.api.as_str().into()),
            ("shop.url", addresses.api.as_str().into()),
            ("shop.support_email", "support@berth.test".into()),
            ("mail.smtp_url", format!("smtp://{}", addresses.smtp).into()),
            ("mail.from", "Berth Hosting <hello@berth.test>".into()),
            ("auth.jwt_secret", keys.jwt_secret.as_str().into()),
            ("secrets.key", keys.secrets_key.as_str().into()),
            ("hosting.sites_dir", addresses.sites.to_string_lossy().into_owned().into()),
            ("stripe.webhook_secrets", vec![keys.webhook_secret.clone()].into()),
            ("dev.time_machine", true.into()),
        ];
        if let Some(stripe) = &addresses.stripe {
            settings.push(("stripe.api_base", stripe.as_str().into()));
            settings.push(("stripe.secret_key", keys.stripe_key.as_str().into()));
        }
        settings.extend(LOG.map(|(key, value)| (key, value.into())));
        let home = addresses.sites.parent().unwrap_or(&addresses.sites).to_owned();
        let mut own = Self { table: Table::new(), home, app_url: app_url.to_owned(), owner_url: owner_url.to_owned() };
        for (key, value) in settings {
            let (section, name) = key.split_once('.').unwrap_or(("", key));
            own.set(section, name, value);
        }
        own
    }

    /// Has the accounts placed on the servers of that file.
    pub(in crate::dev) fn sell_on(&mut self, servers: &Path) {
        self.set("hosting", "servers", servers.to_string_lossy().into_owned());
    }

    /// One more setting.
    pub(in crate::dev) fn set(&mut self, section: &str, name: &str, value: impl Into<Value>) {
        if let Value::Table(section) = self.table.entry(section).or_insert_with(|| Table::new().into()) {
            section.insert(name.to_owned(), value.into());
        }
    }

    /// Has the numbers of the instance shown at that address.
    pub(super) fn measure_at(&mut self, address: SocketAddr) {
        let metrics = self.table.entry("metrics").or_insert_with(|| Table::new().into());
        if let Value::Table(metrics) = metrics {
            metrics.insert("listen".to_owned(), address.to_string().into());
        }
    }

    /// These settings and no others.
    pub(in crate::dev) fn alone(&self) -> anyhow::Result<Config> {
        let flat = flat(&self.table);
        let settings: Vec<(&str, &str)> = flat.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
        Ok(Config::from_settings(&settings)?)
    }

    fn read(home: &Path) -> anyhow::Result<Self> {
        let path = home.join(SETTINGS);
        let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        Ok(Self { table: text.parse()?, home: home.to_owned(), app_url: String::new(), owner_url: String::new() })
    }

    /// These settings under the operator's, but for what is the instance's own.
    pub(super) fn load(&self, file: Option<PathBuf>) -> anyhow::Result<Config> {
        let flat = flat(&self.table);
        let settings: Vec<(&str, &str)> = flat.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
        let own = self.alone()?;
        let mut config = Config::load_over(ORIGIN, &settings, LoadOptions::of_process(file))?;
        config.database.url = own.database.url;
        config.database.migrate_url = own.database.migrate_url;
        config.redis.url = own.redis.url;
        config.http = own.http;
        config.metrics = own.metrics;
        config.mail.smtp_url = own.mail.smtp_url;
        config.hosting.sites_dir = own.hosting.sites_dir;
        config.hosting.backups_dir = own.hosting.backups_dir;
        if own.hosting.servers.is_some() {
            config.hosting.servers = own.hosting.servers;
        }
        if own.stripe.secret_key.is_some() {
            config.stripe.secret_key = own.stripe.secret_key;
            config.stripe.webhook_secrets = own.stripe.webhook_secrets;
            config.stripe.api_base = own.stripe.api_base;
        }
        Ok(config)
    }

    /// Writes what other shells need to find this instance.
    pub(in crate::dev) fn keep(&self, home: &Path, addresses: &Addresses) -> anyhow::Result<()> {
        let heading =
            "# Written by `berth dev`, and again at each start. Holds secrets of this machine's instance only.\n\n";
        let settings = format!("{heading}{}", toml::to_string(&self.table)?);
        write_private(&home.join(SETTINGS), &settings)?;
        write_private(&home.join(ADDRESSES), &serde_json::to_string_pretty(addresses)?)?;
        Ok(())
    }

    /// Other shells find this instance no longer.
    pub(super) fn withdraw(&self) -> anyhow::Result<()> {
        fs::remove_file(self.home.join(ADDRESSES)).context("the addresses of `berth dev` were not removed")
    }
}

/// `section.key` and its value as text, as variables of the environment would have it.
fn flat(table: &Table) -> Vec<(String, String)> {
    let mut settings = Vec::new();
    for (section, keys) in table {
        for (name, value) in keys.as_table().into_iter().flatten() {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Array(items) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
                Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) | Value::Table(_) => {
                    value.to_string()
                }
            };
            settings.push((format!("{section}.{name}"), text));
        }
    }
    settings
}

/// An instance that runs, seen from another process.
pub struct RunningDev {
    /// Its process.
    pub pid: u32,
    settings: DevSettings,
}

impl RunningDev {
    /// The instance that runs in `home`, if one does.
    ///
    /// # Errors
    /// When its files cannot be read.
    pub fn find(home: &Path) -> anyhow::Result<Option<Self>> {
        let path = home.join(ADDRESSES);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", path.display())),
        };
        let addresses: Addresses =
            serde_json::from_str(&text).with_context(|| format!("{} cannot be read: remove it", path.display()))?;
        if !lives(addresses.pid) {
            return Ok(None);
        }
        Ok(Some(Self { pid: addresses.pid, settings: DevSettings::read(home)? }))
    }

    /// Its settings under the operator's, as it uses them itself.
    ///
    /// # Errors
    /// When one of the operator's cannot be used.
    pub fn config(&self, file: Option<PathBuf>) -> anyhow::Result<Config> {
        self.settings.load(file)
    }
}

fn lives(pid: u32) -> bool {
    let Ok(raw) = i32::try_from(pid) else { return false };
    // Of another user's process we learn that it is there.
    matches!(kill(Pid::from_raw(raw), None), Ok(()) | Err(Errno::EPERM))
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn addresses(home: &Path, pid: u32) -> Addresses {
        Addresses {
            pid,
            api: "http://localhost:8081".to_owned(),
            listen: "127.0.0.1:8081".parse().unwrap(),
            mailbox: "http://localhost:8081/dev/mail".to_owned(),
            smtp: "127.0.0.1:2525".parse().unwrap(),
            stripe: Some("http://127.0.0.1:12111".to_owned()),
            webhook_url: "http://127.0.0.1:8081/webhooks/stripe".to_owned(),
            sites: home.join("sites"),
        }
    }

    fn kept(home: &Path, pid: u32) -> Keys {
        let keys = Keys::kept_in(home).unwrap();
        let addresses = addresses(home, pid);
        let urls = ("postgres://owner@127.0.0.1/berth", "postgres://berth_app@127.0.0.1/berth");
        let settings = DevSettings::of(&addresses, &keys, urls.0, urls.1, "redis://127.0.0.1:7000");
        settings.keep(home, &addresses).unwrap();
        keys
    }

    #[test]
    fn another_process_finds_the_settings_of_a_running_instance() {
        let home = tempfile::tempdir().unwrap();
        let keys = kept(home.path(), std::process::id());

        let running = RunningDev::find(home.path()).unwrap().unwrap();
        let own = Config::from_settings(&pairs(&flat(&running.settings.table))).unwrap();

        assert_eq!(own.http.listen.to_string(), "127.0.0.1:8081");
        assert_eq!(own.stripe.webhook_secrets[0].expose_secret(), keys.webhook_secret);
        assert!(own.dev.time_machine);
        assert!(own.require_for(crate::config::Role::Up).is_ok());
    }

    fn pairs(flat: &[(String, String)]) -> Vec<(&str, &str)> {
        flat.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect()
    }

    #[test]
    fn an_instance_whose_process_is_gone_is_not_found() {
        let home = tempfile::tempdir().unwrap();
        let mut gone = std::process::Command::new("true").spawn().unwrap();
        gone.wait().unwrap();
        kept(home.path(), gone.id());

        assert!(RunningDev::find(home.path()).unwrap().is_none());
        assert!(RunningDev::find(&home.path().join("nowhere")).unwrap().is_none());
    }

    #[test]
    fn the_operators_own_database_and_backups_are_never_used() {
        let home = tempfile::tempdir().unwrap();
        kept(home.path(), std::process::id());
        let file = home.path().join("berth.toml");
        let theirs = "[database]\nurl = \"postgres://production/shop\"\n[shop]\nname = \"Mine\"\n\
                      [hosting]\nbackups_dir = \"/var/backups/berth\"\n";
        fs::write(&file, theirs).unwrap();

        let config = RunningDev::find(home.path()).unwrap().unwrap().config(Some(file)).unwrap();

        assert_eq!(config.database.url.unwrap().expose().host_str(), Some("127.0.0.1"));
        assert_eq!(config.hosting.backups_dir(), home.path().join("backups"));
        assert_eq!(config.shop.name, "Mine");
    }
}
