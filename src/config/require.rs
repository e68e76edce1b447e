//! What each command cannot do without.

use super::{Config, ConfigError, keys, layers};

/// What a process does, and so which settings it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Everything in one process.
    Up,
    Serve,
    Work,
    Schedule,
    Migrate,
    /// `enqueue`, `sweep`, `jobs`, `events`, `doctor`: what reads and writes the ledger.
    Operate,
    /// `token`: signs a development token.
    Token,
}

impl Role {
    /// In one word, such as `work`.
    #[must_use]
    pub fn name(self) -> &'static str {
        let command = self.command();
        command.strip_prefix("berth ").unwrap_or(command)
    }

    fn command(self) -> &'static str {
        match self {
            Self::Up => "berth up",
            Self::Serve => "berth serve",
            Self::Work => "berth work",
            Self::Schedule => "berth schedule",
            Self::Migrate => "berth migrate",
            Self::Operate => "berth",
            Self::Token => "berth token",
        }
    }

    /// The settings it needs. Of those that stand together, one is enough.
    fn needs(self) -> Vec<&'static [&'static str]> {
        const SERVE: &[&[&str]] = &[
            &["database.url"],
            &["redis.url"],
            &["stripe.secret_key"],
            &["stripe.webhook_secrets"],
            &["shop.url"],
            &["auth.jwt_secret", "auth.jwks_url"],
            &["secrets.key"],
        ];
        const WORK: &[&[&str]] = &[
            &["database.url"],
            &["redis.url"],
            &["stripe.secret_key"],
            &["shop.url"],
            &["shop.support_email"],
            &["mail.smtp_url"],
            &["mail.from"],
            &["secrets.key"],
        ];
        match self {
            Self::Serve => SERVE.to_vec(),
            Self::Work => WORK.to_vec(),
            Self::Up => {
                let only_work = WORK.iter().copied().filter(|need| !SERVE.contains(need));
                SERVE.iter().copied().chain(only_work).collect()
            }
            Self::Schedule => vec![&["database.url"], &["redis.url"]],
            Self::Migrate => vec![&["database.migrate_url", "database.url"]],
            Self::Operate => vec![&["database.url"]],
            Self::Token => vec![&["auth.jwt_secret"]],
        }
    }
}

impl Config {
    /// Refuses with one message that lists all that is missing and how to set it.
    pub fn require_for(&self, role: Role) -> Result<(), ConfigError> {
        let is_set = |path: &&str| self.shown.iter().any(|(key, value)| key == path && value.is_some());
        let missing: Vec<String> =
            role.needs().into_iter().filter(|need| !need.iter().any(is_set)).map(how_to_set).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(ConfigError::new(format!("`{}` needs settings that are missing", role.command()), missing))
    }
}

fn how_to_set(need: &[&str]) -> String {
    let variables: Vec<String> = need.iter().filter_map(|path| keys::find(path)).flat_map(layers::variables).collect();
    format!("{}: set {}, or the key in berth.toml", need.join(" or "), variables.join(" or "))
}
