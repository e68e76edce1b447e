//! `berth doctor`: is everything set up as it must be, and was everything delivered that was paid for?
//!
//! Each subject is a module: it asks, and judges what it was told by functions without waiting.

mod backups;
mod check;
mod clocks;
mod database;
mod mail;
mod panels;
mod processes;
mod reach;
mod redis;
mod settings;
mod sign_in;
mod stripe;

use std::{path::PathBuf, process::ExitCode};

use serde::Serialize;

use super::{
    output::{lines, print, print_json, short, table},
    settings as of_command,
};
use crate::{
    clock::Clock,
    config::{Config, Role},
    store::{Store, audit::Finding},
};
use check::{Check, Verdict};

pub(super) use stripe::best as best_endpoint;

/// Longer details are cut in the table; JSON has them whole.
const DETAIL_WIDTH: usize = 160;

pub(super) const AFTER_HELP: &str = "Each check says pass, warning or FAIL, and what mends it. Exits 1 when a check or a rule \
    fails; a warning alone is no failure. What is outside (Stripe, mail, names, certificates, servers) is asked side by side, \
    for seconds at most.";

#[derive(Debug, clap::Args)]
pub(super) struct DoctorArgs {
    /// Also ask whether every payment has led to what was paid for.
    #[arg(long)]
    audit: bool,
    /// Send a test mail to this address.
    #[arg(long, value_name = "ADDRESS", conflicts_with = "offline")]
    mail: Option<String>,
    /// Ask nobody but the database and Redis.
    #[arg(long)]
    offline: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
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

pub(super) async fn run(file: Option<PathBuf>, args: DoctorArgs) -> anyhow::Result<ExitCode> {
    let config = of_command::load_or_dev(file)?;
    of_command::log_quietly(&config)?;
    config.require_for(Role::Operate)?;
    let store = Store::new(&config.database)?;
    let (checks, usable) = Box::pin(all(&store, &config, &args)).await;
    let audit = if args.audit && usable { Some(store.audit().await?) } else { None };
    let report = Report { checks, audit };
    if args.json {
        print_json(&report)?;
    } else {
        print(&told(&report))?;
    }
    Ok(if report.is_fine() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Every check, by subject, and whether the database can be asked anything more.
async fn all(store: &Store, config: &Config, args: &DoctorArgs) -> (Vec<Check>, bool) {
    let (database, redis, stripe, mail, reach, sign_in, servers, backups) = tokio::join!(
        of_database(store, config),
        redis::look(config),
        stripe::look(config, args.offline),
        mail::look(config, args.mail.as_deref(), args.offline),
        reach::look(config, args.offline),
        sign_in::look(config, args.offline),
        panels::look(config, args.offline),
        backups::look(config),
    );
    let mut checks = settings::look(config);
    checks.extend(database.checks);
    checks.extend(redis);
    checks.extend(stripe.checks);
    checks.extend(database.events);
    checks.extend(mail);
    checks.extend(reach);
    checks.push(sign_in);
    checks.extend(servers);
    checks.extend(backups);
    checks.extend(clocks::of_database(database.clock));
    checks.extend(clocks::of_stripe(stripe.clock));
    checks.extend(database.processes);
    (checks, database.usable)
}

/// What only the database knows.
struct OfDatabase {
    checks: Vec<Check>,
    events: Option<Check>,
    processes: Vec<Check>,
    clock: Option<clocks::Seen>,
    usable: bool,
}

async fn of_database(store: &Store, config: &Config) -> OfDatabase {
    let before = Clock::machine();
    let database::Looked { checks, usable, now } = database::look(store, config).await;
    let after = Clock::machine();
    let clock = now.map(|theirs| clocks::Seen { before, theirs, after });
    let (events, processes) =
        if usable { (Some(stripe::events(store).await), processes::look(store).await) } else { (None, Vec::new()) };
    OfDatabase { checks, events, processes, clock, usable }
}

fn told(report: &Report) -> String {
    let mut rows = table(&["", "CHECK", "DETAIL"]);
    for check in &report.checks {
        rows.add_row([check.verdict.as_str(), check.name, &short(&check.detail, DETAIL_WIDTH)]);
        if let Some(fix) = &check.fix {
            rows.add_row(["", "", &format!("  → {fix}")]);
        }
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
    text.push_str("\n\n");
    text.push_str(&summed_up(&report.checks));
    text
}

fn summed_up(checks: &[Check]) -> String {
    let count = |verdict| checks.iter().filter(|check| check.verdict == verdict).count();
    let (passed, warnings, failed) = (count(Verdict::Ok), count(Verdict::Warning), count(Verdict::Broken));
    let skipped = match count(Verdict::Skipped) {
        0 => String::new(),
        some => format!(", {some} skipped"),
    };
    format!("{passed} passed, {warnings} warnings, {failed} failed{skipped}")
}

#[cfg(test)]
mod tests {
    use super::{
        check::{broken, ok, skipped, warning},
        *,
    };

    fn report(checks: Vec<Check>) -> Report {
        Report { checks, audit: None }
    }

    #[test]
    fn a_warning_is_no_failure_and_each_has_its_fix_beneath() {
        let checks = vec![ok("Redis", "answers"), warning("backups", "same disk", "use another"), skipped("mail")];
        let fine = report(checks.clone());
        let mut failing = checks;
        failing.push(broken("schedule", "silent", "berth schedule"));
        let failing = report(failing);

        let text = told(&failing);

        assert!(fine.is_fine() && !failing.is_fine());
        assert!(text.contains("FAIL") && text.contains("→ berth schedule") && text.contains("→ use another"), "{text}");
        assert!(text.ends_with("1 passed, 1 warnings, 1 failed, 1 skipped"), "{text}");
    }

    #[test]
    fn json_keeps_its_words_and_tells_the_fix() {
        let report = report(vec![ok("Redis", "answers"), broken("schedule", "silent", "berth schedule")]);

        let json = serde_json::to_value(&report).unwrap();

        assert_eq!(json["checks"][0], serde_json::json!({ "name": "Redis", "verdict": "ok", "detail": "answers" }));
        assert_eq!(json["checks"][1]["verdict"], "broken");
        assert_eq!(json["checks"][1]["fix"], "berth schedule");
    }
}
