//! `berth doctor`: is everything set up as it must be, and was everything delivered that was paid for?

use std::{path::PathBuf, process::ExitCode};

use serde::Serialize;

use super::{
    checks::{self, KEEPS_ALL, RedisState, pending_text, redis_state},
    output::{lines, print, print_json, short, table},
    settings,
};
use crate::{
    app::{catalogue_of, redis_of},
    config::{Config, ConfigError, Role},
    error::chain,
    secrets::SecretKeys,
    store::{Store, audit::Finding, inspection},
};

/// Longer details are cut in the table; JSON has them whole.
const DETAIL_WIDTH: usize = 160;

#[derive(Debug, clap::Args)]
pub(super) struct DoctorArgs {
    /// Also ask whether every payment has led to what was paid for.
    #[arg(long)]
    audit: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Ok,
    Warning,
    Broken,
}

impl Verdict {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Broken => "BROKEN",
        }
    }
}

#[derive(Debug, Serialize)]
struct Check {
    name: &'static str,
    verdict: Verdict,
    detail: String,
}

#[derive(Debug, Serialize)]
struct Report {
    checks: Vec<Check>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audit: Option<Vec<Finding>>,
}

impl Report {
    fn is_fine(&self) -> bool {
        let rules_hold = self.audit.iter().flatten().all(|finding| finding.rows.is_empty());
        rules_hold && self.checks.iter().all(|check| check.verdict != Verdict::Broken)
    }
}

fn ok(name: &'static str, detail: impl Into<String>) -> Check {
    Check { name, verdict: Verdict::Ok, detail: detail.into() }
}

fn warning(name: &'static str, detail: impl Into<String>) -> Check {
    Check { name, verdict: Verdict::Warning, detail: detail.into() }
}

fn broken(name: &'static str, detail: impl Into<String>) -> Check {
    Check { name, verdict: Verdict::Broken, detail: detail.into() }
}

pub(super) async fn run(file: Option<PathBuf>, args: DoctorArgs) -> anyhow::Result<ExitCode> {
    let config = settings::load_or_dev(file)?;
    settings::log_quietly(&config)?;
    config.require_for(Role::Operate)?;
    let store = Store::new(&config.database)?;
    let mut checks = settings_checks(&config);
    let usable = database_checks(&store, &config, &mut checks).await;
    checks.extend(redis_checks(&config).await);
    let audit = if args.audit && usable { Some(store.audit().await?) } else { None };
    let report = Report { checks, audit };
    if args.json {
        print_json(&report)?;
    } else {
        print(&told(&report))?;
    }
    Ok(if report.is_fine() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn settings_checks(config: &Config) -> Vec<Check> {
    let complete = |name, role| match config.require_for(role) {
        Ok(()) => ok(name, "complete"),
        Err(error) => warning(name, missing_text(&error)),
    };
    let mut checks = vec![complete("settings to serve", Role::Serve), complete("settings to work", Role::Work)];
    if checks.iter().all(|check| check.verdict != Verdict::Ok) {
        for check in &mut checks {
            check.verdict = Verdict::Broken;
        }
    }
    let stripe = &config.stripe;
    let mode = if stripe.livemode { "real money" } else { "test mode" };
    checks.push(match &stripe.secret_key {
        Some(_) => ok("Stripe", format!("{mode} at {}", stripe.api_base)),
        None => warning("Stripe", "stripe.secret_key is not set: nothing can be sold here"),
    });
    checks.push(match (&config.mail.smtp_url, &config.mail.from) {
        (Some(url), Some(from)) => ok("mail", format!("from {from} by {}", url.redacted())),
        (None, _) | (_, None) => warning("mail", "mail.smtp_url or mail.from is not set: no mail leaves from here"),
    });
    if let Some(Err(error)) = config.secrets.key.as_ref().map(SecretKeys::parse) {
        checks.push(broken("secrets.key", chain(&error)));
    }
    checks.push(match catalogue_of(config) {
        Ok(catalogue) => ok("catalogue", format!("{} services", catalogue.services().len())),
        Err(error) => broken("catalogue", chain(&error)),
    });
    checks
}

fn missing_text(error: &ConfigError) -> String {
    let keys: Vec<&str> = error.faults().iter().map(|fault| fault.split(':').next().unwrap_or(fault)).collect();
    format!("missing: {}", keys.join(", "))
}

/// Answers whether the database can be asked anything more.
async fn database_checks(store: &Store, config: &Config, checks: &mut Vec<Check>) -> bool {
    let url = checks::shown(config.database.url.as_ref());
    let version = match inspection::reach(&config.database).await {
        Ok(()) => store.server_version().await,
        Err(error) => Err(error),
    };
    match version {
        Ok(version) => checks.push(ok("database", format!("PostgreSQL {version} at {url}"))),
        Err(error) => {
            checks.push(broken("database", format!("{url}: {}", chain(&error))));
            return false;
        }
    }
    match store.pending_migrations().await {
        Ok(pending) if pending.is_empty() => checks.push(ok("migrations", "all applied")),
        Ok(pending) => {
            checks.push(broken("migrations", pending_text(&pending)));
            return false;
        }
        Err(error) => {
            checks.push(broken("migrations", chain(&error)));
            return false;
        }
    }
    checks.push(match store.may_change_tables().await {
        Ok(false) => ok("database role", "reads and writes rows, changes no tables"),
        Ok(true) => warning("database role", "may change tables: let database.url name the role berth_app"),
        Err(error) => broken("database role", chain(&error)),
    });
    match store.open_alerts().await {
        Ok(alerts) if alerts.is_empty() => checks.push(ok("alerts", "none is open")),
        Ok(alerts) => checks.extend(alerts.into_iter().map(|alert| broken("alert", alert))),
        Err(error) => checks.push(broken("alerts", chain(&error))),
    }
    true
}

async fn redis_checks(config: &Config) -> Vec<Check> {
    let url = checks::shown(config.redis.url.as_ref());
    let redis = match redis_of(config) {
        Ok(redis) => redis,
        Err(error) => return vec![broken("Redis", chain(&error))],
    };
    match redis_state(&redis).await {
        RedisState::Usable { policy } if policy == KEEPS_ALL => {
            vec![ok("Redis", format!("answers at {url}")), ok("Redis memory", format!("{KEEPS_ALL}: it drops nothing"))]
        }
        RedisState::Usable { policy } => vec![
            ok("Redis", format!("answers at {url}")),
            broken("Redis memory", format!("its policy is {policy}: set `maxmemory-policy {KEEPS_ALL}`")),
        ],
        RedisState::Away(error) | RedisState::Unusable(error) => {
            vec![broken("Redis", format!("{url}: {}", chain(&error)))]
        }
    }
}

fn told(report: &Report) -> String {
    let mut rows = table(&["", "CHECK", "DETAIL"]);
    for check in &report.checks {
        rows.add_row([check.verdict.as_str(), check.name, &short(&check.detail, DETAIL_WIDTH)]);
    }
    let mut text = lines(&rows);
    if let Some(findings) = &report.audit {
        let mut rows = table(&["", "RULE"]);
        for finding in findings {
            let verdict = if finding.rows.is_empty() { Verdict::Ok } else { Verdict::Broken };
            rows.add_row([verdict.as_str(), finding.rule]);
            for row in &finding.rows {
                rows.add_row(["", &format!("  {}", short(row, DETAIL_WIDTH))]);
            }
        }
        text.push_str("\n\n");
        text.push_str(&lines(&rows));
    }
    text
}
