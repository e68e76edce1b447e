//! The sections of the configuration, a struct each; `config/berth.toml` says what the keys mean.

use berth_jobs::Queue;
use std::{
    fmt,
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    path::PathBuf,
    str::FromStr,
    time::Duration,
};

use secrecy::SecretString;
use serde::{Deserialize, Deserializer, de};
use url::Url;

use super::SecretUrl;

/// `[database]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    pub url: Option<SecretUrl>,
    pub migrate_url: Option<SecretUrl>,
    pub prepared: bool,
    pub max_connections: u32,
}

/// `[redis]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    pub url: Option<SecretUrl>,
    pub namespace: String,
}

/// `[inbox]`: jobs by a stream in Redis.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inbox {
    pub enabled: bool,
}

/// `[http]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    pub listen: SocketAddr,
    #[serde(deserialize_with = "parsed")]
    pub public_url: Url,
    pub max_connections: usize,
    /// Whose `X-Forwarded-For` is believed.
    #[serde(default)]
    pub trusted_proxies: Vec<IpAddr>,
    /// In a minute.
    pub coupon_checks_per_customer: NonZeroU32,
    /// In a minute.
    pub coupon_checks_per_address: NonZeroU32,
    /// In a minute.
    pub requests_per_key: NonZeroU32,
}

/// `[stripe]`. The pages to return to are at [`Config::success_url`] and [`Config::cancel_url`].
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stripe {
    pub secret_key: Option<SecretString>,
    #[serde(default)]
    pub webhook_secrets: Vec<SecretString>,
    #[serde(deserialize_with = "parsed")]
    pub api_base: Url,
    pub livemode: bool,
    pub(super) success_url: Option<String>,
    pub(super) cancel_url: Option<String>,
}

/// `[shop]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shop {
    pub name: String,
    #[serde(default, deserialize_with = "parsed_option")]
    pub url: Option<Url>,
    pub support_email: Option<String>,
    /// Where the daily digest goes.
    pub operator_email: Option<String>,
    /// Three capital letters.
    pub currency: String,
    /// A zone of the IANA database.
    pub time_zone: String,
}

/// `[seller]`: who the invoices are from.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seller {
    /// Without it, the shop's name.
    pub name: Option<String>,
    /// A line each.
    #[serde(default)]
    pub address: Vec<String>,
    /// Two capital letters.
    pub country: Option<String>,
    pub vat_id: Option<String>,
    /// Without it, the shop's support address.
    pub email: Option<String>,
}

/// `[tax]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tax {
    pub inclusive: bool,
    /// Two capital letters. Without it, the seller's.
    pub seller_country: Option<String>,
    /// `country:category:percent` each.
    #[serde(default)]
    pub rates: Vec<String>,
}

/// `[fraud]`: which paid orders are held for a person to look at.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fraud {
    /// Two capital letters each.
    #[serde(default)]
    pub hold_countries: Vec<String>,
    /// `currency:amount` each.
    #[serde(default)]
    pub hold_above: Vec<String>,
}

/// `[disputes]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Disputes {
    /// Whether a dispute suspends the accounts that its payment was for.
    pub suspend: bool,
}

/// `[mail]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    pub smtp_url: Option<SecretUrl>,
    /// Parses as lettre's `Mailbox`.
    pub from: Option<String>,
    pub templates_dir: Option<PathBuf>,
    /// 0: as many as there are.
    pub max_per_minute: u32,
}

/// `[auth]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Auth {
    pub jwt_secret: Option<SecretString>,
    #[serde(default, deserialize_with = "parsed_option")]
    pub jwks_url: Option<Url>,
    pub audience: Option<String>,
    pub issuer: Option<String>,
}

/// `[secrets]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    pub key: Option<SecretString>,
}

/// `[hosting]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hosting {
    pub nameservers: Vec<String>,
    pub servers: Option<PathBuf>,
    pub sites_dir: PathBuf,
    /// Read by [`Hosting::backups_dir`].
    pub backups_dir: Option<PathBuf>,
    pub sites_domain: String,
    /// Lower-case labels.
    pub base_domain: String,
    pub repair_packages: bool,
    /// 1 to 3,600.
    pub probe_seconds: u32,
    pub username_prefix: String,
}

impl Hosting {
    /// Where backups are kept: as said, or beside the sites.
    #[must_use]
    pub fn backups_dir(&self) -> PathBuf {
        self.backups_dir.clone().unwrap_or_else(|| self.sites_dir.with_file_name("backups"))
    }
}

/// `[renewals]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Renewals {
    pub credit_on_cancel: bool,
}

/// `[catalogue]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catalogue {
    pub path: Option<PathBuf>,
}

/// `[retention]`: how long contents are kept that nobody works with any more.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    pub mail_days: u32,
    pub event_body_days: u32,
}

/// `[work]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Work {
    pub group_size: usize,
    pub concurrency: Concurrency,
    shutdown_grace_seconds: u64,
    lease_seconds: u64,
    lease_renew_seconds: u64,
    relay_interval_ms: u64,
    redispatch_after_seconds: u64,
    pub schedule: bool,
}

/// `[work.concurrency]`: jobs at once in one process, a queue each.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concurrency {
    pub payments: usize,
    pub provisioning: usize,
    pub mail: usize,
    pub sweeps: usize,
}

impl Concurrency {
    /// The slots of a queue.
    #[must_use]
    pub fn of(&self, queue: Queue) -> usize {
        match queue {
            Queue::Payments => self.payments,
            Queue::Provisioning => self.provisioning,
            Queue::Mail => self.mail,
            Queue::Sweeps => self.sweeps,
        }
    }
}

/// `[fuse]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fuse {
    pub number: u64,
    /// A decimal text.
    pub percent: String,
}

/// `[metrics]`
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// A listener for `/metrics` alone.
    pub listen: Option<SocketAddr>,
    /// What whoever asks must bring.
    pub token: Option<SecretString>,
}

/// `[telemetry]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    pub otlp_endpoint: Option<SecretUrl>,
    /// `name: value` each.
    #[serde(default)]
    pub otlp_headers: Vec<SecretString>,
    /// 0 to 100.
    pub sample_percent: u8,
}

/// `[dev]`
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dev {
    pub time_machine: bool,
    /// Whether processes may run as the owner of the tables.
    pub table_owner: bool,
}

/// `[log]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
    pub level: String,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    #[default]
    Auto,
    Json,
    Text,
}

impl Shop {
    /// A page beneath the shop's front page.
    pub(super) fn page(&self, path: &str) -> Option<String> {
        self.url.as_ref().map(|url| format!("{}/{path}", url.as_str().trim_end_matches('/')))
    }
}

impl Work {
    #[must_use]
    pub fn shutdown_grace(&self) -> Duration {
        Duration::from_secs(self.shutdown_grace_seconds)
    }

    #[must_use]
    pub fn lease(&self) -> Duration {
        Duration::from_secs(self.lease_seconds)
    }

    #[must_use]
    pub fn lease_renew(&self) -> Duration {
        Duration::from_secs(self.lease_renew_seconds)
    }

    #[must_use]
    pub fn relay_interval(&self) -> Duration {
        Duration::from_millis(self.relay_interval_ms)
    }

    #[must_use]
    pub fn redispatch_after(&self) -> Duration {
        Duration::from_secs(self.redispatch_after_seconds)
    }
}

fn parsed<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(deserializer: D) -> Result<T, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
}

fn parsed_option<'de, D: Deserializer<'de>, T: FromStr<Err: fmt::Display>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|text| text.parse().map_err(de::Error::custom)).transpose()
}
