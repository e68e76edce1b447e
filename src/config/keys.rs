//! The table of every setting: its key, what values it takes, and how it is shown.

use std::net::{IpAddr, SocketAddr};

use toml::Value;
use url::Url;

use super::secret_url::{self, REDACTED};

/// How many characters a secret that guards something must have at least.
pub(super) const MIN_SECRET_CHARACTERS: usize = 32;

/// What values a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    /// Shown as `[redacted]`; at least so many characters.
    Secret(usize),
    Secrets,
    /// A URL of one of these schemes. A password within it is never shown.
    Url(&'static [&'static str]),
    Address,
    IpAddresses,
    Flag,
    /// A whole number between these two, both included.
    Number(u64, u64),
    Texts,
    Choice(&'static [&'static str]),
    Currency,
    Mailbox,
    Directives,
    UsernamePrefix,
    /// Two capital letters.
    Country,
    TimeZone,
    /// Labels of lower-case letters, digits and hyphens.
    Domain,
    TaxRates,
    /// A list of whole numbers between these two, both included; it may be empty.
    Numbers(i64, i64),
    /// A percentage with at most two digits behind the point.
    Percent,
}

/// One setting.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Key {
    /// `section.key`, as in the file.
    pub(super) path: &'static str,
    pub(super) kind: Kind,
}

const POSTGRES: Kind = Kind::Url(&["postgres", "postgresql"]);
const WEB: Kind = Kind::Url(&["http", "https"]);
const AN_HOUR: u64 = 3_600;
/// A year: whoever wants longer waits has mistyped.
const MOST_DAYS: u64 = 365;

const fn key(path: &'static str, kind: Kind) -> Key {
    Key { path, kind }
}

/// Every setting, in the order of `config/berth.toml`.
pub(super) const KEYS: &[Key] = &[
    key("database.url", POSTGRES),
    key("database.migrate_url", POSTGRES),
    key("database.prepared", Kind::Flag),
    key("database.max_connections", Kind::Number(2, 1_000)),
    key("redis.url", Kind::Url(&["redis", "rediss", "valkey", "valkeys", "unix"])),
    key("redis.namespace", Kind::Text),
    key("inbox.enabled", Kind::Flag),
    key("http.listen", Kind::Address),
    key("http.public_url", WEB),
    key("http.max_connections", Kind::Number(16, 1_000_000)),
    key("http.trusted_proxies", Kind::IpAddresses),
    key("http.coupon_checks_per_customer", Kind::Number(1, 1_000_000)),
    key("http.coupon_checks_per_address", Kind::Number(1, 1_000_000)),
    key("http.requests_per_key", Kind::Number(1, 1_000_000)),
    key("stripe.secret_key", Kind::Secret(1)),
    key("stripe.webhook_secrets", Kind::Secrets),
    key("stripe.api_base", WEB),
    key("stripe.livemode", Kind::Flag),
    key("stripe.success_url", WEB),
    key("stripe.cancel_url", WEB),
    key("shop.name", Kind::Text),
    key("shop.url", WEB),
    key("shop.support_email", Kind::Mailbox),
    key("shop.operator_email", Kind::Mailbox),
    key("shop.currency", Kind::Currency),
    key("shop.time_zone", Kind::TimeZone),
    key("seller.name", Kind::Text),
    key("seller.address", Kind::Texts),
    key("seller.country", Kind::Country),
    key("seller.vat_id", Kind::Text),
    key("seller.email", Kind::Mailbox),
    key("tax.inclusive", Kind::Flag),
    key("tax.seller_country", Kind::Country),
    key("tax.rates", Kind::TaxRates),
    key("fraud.hold_countries", Kind::Texts),
    key("fraud.hold_above", Kind::Texts),
    key("disputes.suspend", Kind::Flag),
    key("mail.smtp_url", Kind::Url(&["smtp", "smtps"])),
    key("mail.from", Kind::Mailbox),
    key("mail.templates_dir", Kind::Text),
    key("mail.max_per_minute", Kind::Number(0, 1_000_000)),
    key("auth.jwt_secret", Kind::Secret(MIN_SECRET_CHARACTERS)),
    key("auth.jwks_url", WEB),
    key("auth.audience", Kind::Text),
    key("auth.issuer", Kind::Text),
    key("console.oidc.issuer", WEB),
    key("console.oidc.client_id", Kind::Text),
    key("console.oidc.client_secret", Kind::Secret(1)),
    key("console.oidc.claim", Kind::Text),
    key("console.oidc.values", Kind::Texts),
    key("console.oidc.scopes", Kind::Texts),
    key("console.oidc.algorithms", Kind::Texts),
    key("console.oidc.name", Kind::Text),
    key("secrets.key", Kind::Secret(MIN_SECRET_CHARACTERS)),
    key("hosting.nameservers", Kind::Texts),
    key("hosting.servers", Kind::Text),
    key("hosting.sites_dir", Kind::Text),
    key("hosting.backups_dir", Kind::Text),
    key("hosting.sites_domain", Kind::Text),
    key("hosting.base_domain", Kind::Domain),
    key("hosting.repair_packages", Kind::Flag),
    key("hosting.probe_seconds", Kind::Number(1, 3_600)),
    key("hosting.username_prefix", Kind::UsernamePrefix),
    key("renewals.credit_on_cancel", Kind::Flag),
    key("catalogue.path", Kind::Text),
    key("retention.mail_days", Kind::Number(1, 10_000)),
    // Stripe lists its events for 30 days: until then one that is found must be known.
    key("retention.event_body_days", Kind::Number(31, 10_000)),
    key("work.group_size", Kind::Number(1, 1_000)),
    key("work.shutdown_grace_seconds", Kind::Number(0, AN_HOUR)),
    key("work.lease_seconds", Kind::Number(1, AN_HOUR)),
    key("work.lease_renew_seconds", Kind::Number(1, AN_HOUR)),
    key("work.relay_interval_ms", Kind::Number(1, 60_000)),
    key("work.redispatch_after_seconds", Kind::Number(1, AN_HOUR)),
    key("work.schedule", Kind::Flag),
    key("work.concurrency.payments", Kind::Number(1, 10_000)),
    key("work.concurrency.provisioning", Kind::Number(1, 10_000)),
    key("work.concurrency.mail", Kind::Number(1, 10_000)),
    key("work.concurrency.sweeps", Kind::Number(1, 10_000)),
    key("timetable.heads_up_days", Kind::Number(0, MOST_DAYS)),
    key("timetable.issue_days_annual", Kind::Number(1, MOST_DAYS)),
    key("timetable.issue_days_monthly", Kind::Number(1, MOST_DAYS)),
    key("timetable.reminder_days", Kind::Numbers(0, 365)),
    key("timetable.due_day_notice", Kind::Flag),
    key("timetable.charge_days", Kind::Numbers(-365, 365)),
    key("timetable.charge_within_days", Kind::Number(1, MOST_DAYS)),
    key("timetable.grace_hours", Kind::Number(0, 24 * MOST_DAYS)),
    key("timetable.overdue_days", Kind::Numbers(0, 365)),
    key("timetable.suspend_days", Kind::Number(0, MOST_DAYS)),
    key("timetable.final_warning_hours", Kind::Number(0, 24 * MOST_DAYS)),
    key("timetable.told_days", Kind::Number(0, MOST_DAYS)),
    key("timetable.termination_warning_days", Kind::Numbers(0, 365)),
    key("timetable.final_notice_days", Kind::Number(0, MOST_DAYS)),
    key("timetable.terminate_days", Kind::Number(0, 3 * MOST_DAYS)),
    key("timetable.purge_days", Kind::Number(0, 10 * MOST_DAYS)),
    key("timetable.card_expiry_days", Kind::Numbers(0, 365)),
    key("fuse.number", Kind::Number(1, 1_000_000)),
    key("fuse.percent", Kind::Percent),
    key("metrics.listen", Kind::Address),
    key("metrics.token", Kind::Secret(MIN_SECRET_CHARACTERS)),
    key("telemetry.otlp_endpoint", WEB),
    key("telemetry.otlp_headers", Kind::Secrets),
    key("telemetry.sample_percent", Kind::Number(0, 100)),
    key("dev.time_machine", Kind::Flag),
    key("dev.table_owner", Kind::Flag),
    key("log.format", Kind::Choice(&["auto", "json", "text"])),
    key("log.level", Kind::Directives),
];

pub(super) fn find(path: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.path == path)
}

/// Whether settings lie beneath this path, as they do beneath `work` and `work.concurrency`.
pub(super) fn is_section(path: &str) -> bool {
    KEYS.iter().any(|key| key.path.strip_prefix(path).is_some_and(|rest| rest.starts_with('.')))
}

/// The names of the sections, in their order.
pub(super) fn sections() -> Vec<&'static str> {
    let mut sections: Vec<_> =
        KEYS.iter().filter_map(|key| key.path.rsplit_once('.')).map(|(section, _)| section).collect();
    sections.dedup();
    sections
}

/// The setting that was probably meant: the same letters, or few letters away.
pub(super) fn closest(path: &str) -> Option<&'static str> {
    const MOST_EDITS: usize = 3;

    let letters = |text: &str| text.chars().filter(char::is_ascii_alphanumeric).collect::<String>();
    KEYS.iter()
        .map(|key| (edits(&letters(key.path), &letters(path)), key.path))
        .min()
        .filter(|(edits, _)| *edits <= MOST_EDITS)
        .map(|(_, path)| path)
}

/// Levenshtein's distance.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, letter) in from.chars().enumerate() {
        let mut next = vec![line + 1];
        for ((other, window), left) in to.iter().zip(row.windows(2)).zip(1..) {
            let &[diagonal, above] = window else { break };
            let before = next.get(left - 1).copied().unwrap_or(above);
            next.push((diagonal + usize::from(letter != *other)).min(above + 1).min(before + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

impl Key {
    /// The environment variable that sets it.
    pub(super) fn variable(&self) -> String {
        format!("BERTH_{}", self.path.replace('.', "__").to_ascii_uppercase())
    }

    /// Reads a text from the environment as this setting's type. A text that does not fit stays one: `check` refuses it.
    pub(super) fn read(&self, text: &str) -> Value {
        let read = match self.kind {
            Kind::Flag => text.parse().ok().map(Value::Boolean),
            Kind::Number(..) => text.parse().ok().map(Value::Integer),
            Kind::Texts | Kind::Secrets | Kind::TaxRates | Kind::IpAddresses => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                Some(items.map(Value::from).collect::<Vec<_>>().into())
            }
            Kind::Numbers(..) => {
                let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
                items.map(|item| item.parse().map(Value::Integer)).collect::<Result<Vec<_>, _>>().ok().map(Value::Array)
            }
            Kind::Text
            | Kind::Percent
            | Kind::Secret(_)
            | Kind::Url(_)
            | Kind::Address
            | Kind::Choice(_)
            | Kind::Currency
            | Kind::Mailbox
            | Kind::Directives
            | Kind::UsernamePrefix
            | Kind::Country
            | Kind::TimeZone
            | Kind::Domain => None,
        };
        read.unwrap_or_else(|| Value::from(text))
    }

    /// What is wrong with the value, as the end of a sentence that begins with the key. Secrets are not repeated.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        if self.kind.takes(value) {
            return Ok(());
        }
        let given = if matches!(self.kind, Kind::Secret(_) | Kind::Secrets | Kind::Url(_)) {
            "the value (not shown, it may hold a secret)".to_owned()
        } else {
            value.to_string()
        };
        Err(format!("{given} is not {}", self.kind.allowed()))
    }

    /// The value in TOML's writing, without what must not be seen.
    pub(super) fn show(&self, value: &Value) -> String {
        match (self.kind, value) {
            (Kind::Secret(_), _) => format!("{REDACTED:?}"),
            (Kind::Secrets, Value::Array(items)) => format!("{:?}", vec![REDACTED; items.len()]),
            (Kind::Url(_), Value::String(text)) => Value::from(secret_url::without_password(text)).to_string(),
            _ => value.to_string(),
        }
    }
}

impl Kind {
    fn takes(self, value: &Value) -> bool {
        match (self, value) {
            (Self::Flag, value) => value.is_bool(),
            (Self::Number(least, most), Value::Integer(number)) => {
                u64::try_from(*number).is_ok_and(|number| (least..=most).contains(&number))
            }
            (Self::Texts | Self::Secrets, Value::Array(items)) => {
                !items.is_empty() && items.iter().all(|item| item.as_str().is_some_and(is_said))
            }
            (Self::TaxRates, Value::Array(items)) => {
                !items.is_empty() && items.iter().all(|item| item.as_str().is_some_and(is_tax_rate))
            }
            (Self::Numbers(least, most), Value::Array(items)) => {
                items.iter().all(|item| item.as_integer().is_some_and(|number| (least..=most).contains(&number)))
            }
            (Self::IpAddresses, Value::Array(items)) => {
                !items.is_empty() && items.iter().all(|item| item.as_str().is_some_and(is_ip_address))
            }
            (_, Value::String(text)) => self.takes_text(text),
            _ => false,
        }
    }

    fn takes_text(self, text: &str) -> bool {
        match self {
            Self::Secret(least) => is_said(text) && text.chars().count() >= least,
            Self::Url(schemes) => {
                Url::parse(text).is_ok_and(|url| schemes.contains(&url.scheme()) && url.has_authority())
            }
            Self::Address => text.parse::<SocketAddr>().is_ok(),
            Self::Choice(choices) => choices.contains(&text),
            Self::Currency => text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_uppercase()),
            Self::Mailbox => text.parse::<lettre::message::Mailbox>().is_ok(),
            Self::Directives => is_said(text) && tracing_subscriber::EnvFilter::builder().parse(text).is_ok(),
            Self::UsernamePrefix => {
                (1..=4).contains(&text.len())
                    && text.starts_with(|first: char| first.is_ascii_lowercase())
                    && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
            }
            Self::Text => is_said(text),
            Self::Country => text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase()),
            Self::TimeZone => jiff::tz::TimeZone::get(text).is_ok(),
            Self::Domain => text.len() <= 253 && text.split('.').all(is_label),
            Self::Percent => text.parse().is_ok_and(|percent| crate::domain::percent::Percent::new(percent).is_ok()),
            Self::Flag
            | Self::Number(..)
            | Self::Numbers(..)
            | Self::Texts
            | Self::Secrets
            | Self::TaxRates
            | Self::IpAddresses => false,
        }
    }

    /// What is allowed, with an article.
    fn allowed(self) -> String {
        match self {
            Self::Text => "a text of at least one character".to_owned(),
            Self::Secret(..=1) => "a text of at least one character".to_owned(),
            Self::Secret(least) => format!("a text of {least} characters or more"),
            Self::Texts | Self::Secrets => "a list of texts (in the environment: comma-separated)".to_owned(),
            Self::Url(schemes) => {
                let schemes: Vec<_> = schemes.iter().map(|scheme| format!("{scheme}://")).collect();
                format!("a URL that begins with {}", schemes.join(" or "))
            }
            Self::Address => "an address with a port, such as 127.0.0.1:8080".to_owned(),
            Self::IpAddresses => "a list of IP addresses such as 127.0.0.1".to_owned(),
            Self::Flag => "true or false".to_owned(),
            Self::Number(least, most) => format!("a whole number from {least} to {most}"),
            Self::Numbers(least, most) => {
                format!("a list of whole numbers from {least} to {most} (in the environment: comma-separated)")
            }
            Self::Percent => "a percentage in quotation marks, such as \"5\" or \"2.50\"".to_owned(),
            Self::Choice(choices) => format!("one of {}", choices.join(", ")),
            Self::Currency => "a currency of three capital letters, such as USD".to_owned(),
            Self::Mailbox => "a mail address, such as support@example.com or Support <support@example.com>".to_owned(),
            Self::Directives => {
                "a log level: error, warn, info, debug, trace, or such as info,berth::queue=debug".to_owned()
            }
            Self::UsernamePrefix => "a lower-case letter and up to three more letters or digits".to_owned(),
            Self::Country => "a country of two capital letters, such as DE".to_owned(),
            Self::TimeZone => "a time zone of the IANA database, such as Europe/Berlin".to_owned(),
            Self::Domain => "a domain of lower-case letters, digits, hyphens and points".to_owned(),
            Self::TaxRates => "a list of rates such as DE:hosting:19, which is country:category:percent; * is every \
                               category"
                .to_owned(),
        }
    }
}

fn is_label(label: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&label.len()) && label.bytes().all(allowed) && !label.starts_with('-') && !label.ends_with('-')
}

/// The shape of a rate; `domain::tax` reads its value.
fn is_tax_rate(text: &str) -> bool {
    let parts: Vec<&str> = text.split(':').map(str::trim).collect();
    let &[country, category, percent] = parts.as_slice() else { return false };
    let digits = |part: &str| !part.is_empty() && part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, hundredths) = percent.split_once('.').unwrap_or((percent, "0"));
    Kind::Country.takes_text(country) && is_said(category) && digits(whole) && digits(hundredths)
}

fn is_ip_address(text: &str) -> bool {
    text.parse::<IpAddr>().is_ok()
}

fn is_said(text: &str) -> bool {
    !text.trim().is_empty()
}
