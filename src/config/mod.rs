//! Every setting of the process: `config/berth.toml`, then the operator's file, then the environment.

mod documented;
mod error;
mod keys;
mod layers;
mod oidc;
mod require;
mod secret_url;
mod sections;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
    path::PathBuf,
};

use figment::Figment;
use secrecy::ExposeSecret;
use serde::Deserialize;
use toml::Value;

pub use documented::{DocumentedKey, documented_keys};
pub use error::ConfigError;
pub use oidc::{Console, Oidc};
pub use require::Role;
pub use secret_url::SecretUrl;
pub use sections::{
    Auth, Catalogue, Concurrency, Database, Dev, Disputes, Fraud, Fuse, Hosting, Http, Inbox, Log, LogFormat, Mail,
    Metrics, Redis, Renewals, Retention, Secrets, Seller, Shop, Stripe, Tax, Telemetry, Work,
};

use crate::domain::timetable::TimetableChanges;
use layers::Reader;

/// The documented defaults: the lowest layer, and the operator's reference.
pub const DEFAULTS: &str = include_str!("../../config/berth.toml");

/// Where a file is looked for when none is named. The first that is there counts.
const SEARCHED: [&str; 2] = ["berth.toml", "/etc/berth/berth.toml"];

/// All settings, checked one by one. What only some commands need is an `Option`: ask [`Config::require_for`] first.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub database: Database,
    pub redis: Redis,
    pub inbox: Inbox,
    pub http: Http,
    pub stripe: Stripe,
    pub shop: Shop,
    #[serde(default)]
    pub seller: Seller,
    pub tax: Tax,
    #[serde(default)]
    pub fraud: Fraud,
    pub disputes: Disputes,
    #[serde(default)]
    pub mail: Mail,
    #[serde(default)]
    pub auth: Auth,
    pub console: Console,
    #[serde(default)]
    pub secrets: Secrets,
    pub hosting: Hosting,
    pub renewals: Renewals,
    #[serde(default)]
    pub catalogue: Catalogue,
    pub retention: Retention,
    pub work: Work,
    /// `[timetable]`: the shop's; plans and accounts may have it otherwise.
    pub timetable: TimetableChanges,
    pub fuse: Fuse,
    #[serde(default)]
    pub metrics: Metrics,
    pub telemetry: Telemetry,
    pub dev: Dev,
    pub log: Log,
    /// The operator's file, where one was named or found.
    #[serde(skip)]
    pub file: Option<PathBuf>,
    /// Each setting as it may be shown, and its origin; `None` where it has no value.
    #[serde(skip)]
    shown: Vec<(&'static str, Option<(String, String)>)>,
}

/// What [`Config::load`] reads besides the embedded defaults.
#[derive(Clone, Debug)]
pub struct LoadOptions<E> {
    /// `--config`. It must be there if it is named.
    pub file: Option<PathBuf>,
    /// The environment: names and values.
    pub env: E,
}

impl LoadOptions<Vec<(String, String)>> {
    /// The environment of this process.
    #[must_use]
    pub fn of_process(file: Option<PathBuf>) -> Self {
        let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Self { file, env: std::env::vars_os().map(|(name, value)| (lossy(name), lossy(value))).collect() }
    }
}

impl Config {
    /// Reads all layers, weakest first: embedded defaults, the file, files of secrets, `DATABASE_URL` and `REDIS_URL`,
    /// `BERTH_A__B`, `BERTH_A__B_FILE`.
    pub fn load<E: IntoIterator<Item = (String, String)>>(options: LoadOptions<E>) -> Result<Self, ConfigError> {
        Self::load_over("", &[], options)
    }

    /// As [`Config::load`], with defaults of a command of its own (`("redis.url", "redis://…")`) between the embedded
    /// ones and the file. `origin` is what [`Config::redacted`] calls them, such as `berth dev`.
    pub fn load_over<E: IntoIterator<Item = (String, String)>>(
        origin: &str,
        settings: &[(&str, &str)],
        options: LoadOptions<E>,
    ) -> Result<Self, ConfigError> {
        let searched = SEARCHED.map(PathBuf::from);
        Self::load_from(origin, settings, options, &searched)
    }

    /// The embedded defaults and these settings, nothing else: for tests and simulations.
    pub fn from_settings(settings: &[(&str, &str)]) -> Result<Self, ConfigError> {
        Self::load_from("settings", settings, LoadOptions { file: None, env: [] }, &[])
    }

    fn load_from<E: IntoIterator<Item = (String, String)>>(
        origin: &str,
        settings: &[(&str, &str)],
        options: LoadOptions<E>,
        searched: &[PathBuf],
    ) -> Result<Self, ConfigError> {
        let env: BTreeMap<String, String> =
            options.env.into_iter().filter(|(_, value)| !value.trim().is_empty()).collect();
        let mut reader = Reader::default();
        reader.toml("default", DEFAULTS);
        for (path, text) in settings {
            match keys::find(path) {
                Some(key) => reader.text(origin, key, text),
                None => reader.faults.push(format!("{path} from {origin}: no such key")),
            }
        }
        let named = options.file.or_else(|| env.get("BERTH_CONFIG").map(PathBuf::from));
        let file = named.or_else(|| searched.iter().find(|file| file.exists()).cloned());
        if let Some(file) = &file {
            reader.file(file);
        }
        let handed_over = env.get("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let beside = || file.as_ref().map(|file| file.with_file_name("secrets"));
        if let Some(folder) = handed_over.or_else(beside) {
            reader.secrets(&folder);
        }
        reader.environment(&env);
        Ok(Self { file, ..Self::from_layers(reader)? })
    }

    fn from_layers(reader: Reader) -> Result<Self, ConfigError> {
        const HEADLINE: &str = "the configuration cannot be used";

        let mut figment = Figment::new();
        for layer in reader.layers {
            figment = figment.merge(layer);
        }
        if !reader.faults.is_empty() {
            return Err(ConfigError::new(HEADLINE, reader.faults));
        }
        let mut config: Self = figment.extract().map_err(|error| {
            let faults = error.into_iter().map(|fault| fault.to_string()).collect();
            ConfigError::new(HEADLINE, faults)
        })?;
        config.shown = keys::KEYS.iter().map(|key| (key.path, effective(&figment, key))).collect();
        let faults = config.contradictions();
        if faults.is_empty() { Ok(config) } else { Err(ConfigError::new(HEADLINE, faults)) }
    }

    /// Settings that are right each by itself and wrong together.
    fn contradictions(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let key = self.stripe.secret_key.as_ref().map_or("", |key| key.expose_secret());
        let live_key = key.contains("_live_");
        if live_key != self.stripe.livemode && (live_key || key.contains("_test_")) {
            let (mode, wanted) = if live_key { ("live", true) } else { ("test", false) };
            faults.push(format!(
                "stripe.secret_key is a {mode} key: set stripe.livemode = {wanted}, or use the other key"
            ));
        }
        if self.stripe.livemode && self.dev.time_machine {
            faults.push(
                "dev.time_machine moves the clock that real money is charged by: turn it or stripe.livemode off"
                    .to_owned(),
            );
        }
        if self.stripe.livemode && self.dev.table_owner {
            faults.push("dev.table_owner is for development: turn it or stripe.livemode off".to_owned());
        }
        if !self.tax.rates.is_empty() && self.tax.seller_country.is_none() && self.seller.country.is_none() {
            faults.push(
                "tax.rates are charged by somebody: set tax.seller_country (or seller.country), two letters such as DE"
                    .to_owned(),
            );
        }
        if self.metrics.listen.is_some_and(|address| !address.ip().is_loopback()) && self.metrics.token.is_none() {
            faults.push(
                "metrics.listen can be reached from other machines: set metrics.token, which Prometheus then brings"
                    .to_owned(),
            );
        }
        if self.work.lease_renew() >= self.work.lease() {
            faults.push(
                "work.lease_renew_seconds must be less than work.lease_seconds: a third of it is good".to_owned(),
            );
        }
        faults.extend(self.console.oidc.faults());
        faults
    }

    /// The page after payment, for Stripe: `{CHECKOUT_SESSION_ID}` stands in it as it must. `None` without `shop.url`.
    #[must_use]
    pub fn success_url(&self) -> Option<String> {
        let derived = || self.shop.page("checkout/success?session_id={CHECKOUT_SESSION_ID}");
        self.stripe.success_url.clone().or_else(derived)
    }

    /// The page for who turns back from paying. `None` without `shop.url`.
    #[must_use]
    pub fn cancel_url(&self) -> Option<String> {
        self.stripe.cancel_url.clone().or_else(|| self.shop.page("cart"))
    }

    /// The files that secrets which are in force come from.
    #[must_use]
    pub fn secret_files(&self) -> Vec<PathBuf> {
        let mut files: Vec<PathBuf> = self
            .shown
            .iter()
            .filter_map(|(_, shown)| shown.as_ref())
            .filter(|(value, _)| value.contains(secret_url::REDACTED))
            .filter_map(|(_, origin)| layers::file_of(origin))
            .collect();
        files.sort_unstable();
        files.dedup();
        files
    }

    /// What is in force, as TOML, with each value's origin behind it and `[redacted]` for what is secret.
    #[must_use]
    pub fn redacted(&self) -> String {
        let mut text = String::new();
        let mut current = "";
        for (path, shown) in &self.shown {
            let (section, name) = path.rsplit_once('.').unwrap_or(("", path));
            if section != current {
                let gap = if current.is_empty() { "" } else { "\n" };
                let _infallible = writeln!(text, "{gap}[{section}]");
                current = section;
            }
            let _infallible = match shown {
                Some((value, origin)) => writeln!(text, "{name} = {value} # from {origin}"),
                None => writeln!(text, "# {name} is not set"),
            };
        }
        text
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

fn effective(figment: &Figment, key: &keys::Key) -> Option<(String, String)> {
    let value = Value::try_from(figment.find_value(key.path).ok()?).ok()?;
    let origin = figment.find_metadata(key.path).map_or_else(String::new, |origin| origin.name.to_string());
    Some((key.show(&value), origin))
}
