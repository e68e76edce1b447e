//! `berth sweep`: does now what the schedule does at its time, or shows what it would do.

use std::{path::PathBuf, process::ExitCode};

use anyhow::bail;
use berth_jobs::{
    ids::{FusePlanId, JobId},
    sweeps::RunPlan,
};
use jiff::Timestamp;
use serde_json::json;

use super::{
    checks,
    enqueue::{enqueue, enqueue_with},
    follow::follow,
    output::{lines, print, print_json, say, table},
    settings,
};
use crate::{
    app,
    config::{Config, Role},
    domain::fuse::may_confirm,
    effects::{Effects, NewJob},
    gateways::panels::Panels,
    store::Store,
    sweeps::{self, Links, Plan, Sources, Stopped, Sweep},
};

#[derive(Debug, clap::Args)]
pub(super) struct SweepArgs {
    /// Which: unpaid_orders, checkout_pages, accounts, cards, stripe_events, silent_charges, panels, digest, leftovers.
    name: Sweep,
    /// What was due at that time, such as 2030-01-01T00:00:00Z; a dry run may look ahead. Without it, what is due now.
    #[arg(long, value_name = "TIME")]
    as_of: Option<Timestamp>,
    /// Only show what would be done, to whom, with sums.
    #[arg(long)]
    dry_run: bool,
    /// Do what the accounts' sweep has stopped at, because it was far more than usual: as far as it is still due.
    #[arg(long, value_name = "PLAN", conflicts_with_all = ["as_of", "dry_run"])]
    confirm: Option<FusePlanId>,
    /// Wait until it is done, with a line every five seconds. Ctrl-C ends the waiting, not the work.
    #[arg(long, conflicts_with = "dry_run")]
    wait: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub(super) const AFTER_HELP: &str = "Without --dry-run it enqueues the sweep's job and prints the job's id (`berth jobs \
    show` tells how it went; --wait waits for it): workers of the queue `sweeps` do it. Running it again does nothing twice.";

pub(super) async fn run(file: Option<PathBuf>, args: SweepArgs) -> anyhow::Result<ExitCode> {
    let config = settings::load_or_dev(file)?;
    settings::log_quietly(&config)?;
    config.require_for(Role::Operate)?;
    let store = Store::new(&config.database)?;
    checks::migrated(&store, &config).await?;
    let now = store.now().await?;
    let as_of = args.as_of.unwrap_or(now);
    sweeps::check_as_of(as_of, now, args.dry_run)?;
    if args.dry_run {
        let plan = plan(&config, &store, args.name, now, as_of).await?;
        if args.json { print_json(&plan)? } else { print(&shown(&plan))? }
    } else {
        let job = match args.confirm {
            Some(plan) => confirm(&config, &store, args.name, plan, now).await?,
            None => enqueue(&config, NewJob::now(args.name.job(args.as_of))).await?,
        };
        if args.json {
            print_json(&json!({ "job_id": job }))?
        } else {
            print(&job.to_string())?
        }
        if args.wait {
            return follow(&store, job).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn plan(config: &Config, store: &Store, sweep: Sweep, now: Timestamp, as_of: Timestamp) -> anyhow::Result<Plan> {
    let catalogue = app::catalogue_of(config)?;
    let (stripe, time_zone) = (app::stripe_of(config)?, app::time_zone_of(config)?);
    // To have them made takes their credentials, which no other sweep asks for.
    let panels = if sweep == Sweep::Panels { app::panels_of(config)? } else { Panels::new() };
    let sources = Sources {
        store,
        stripe: stripe.as_ref(),
        time_zone: &time_zone,
        config,
        tax: &app::tax_of(config)?,
        seller: &app::seller_of(config),
        // A dry run sends no mail.
        links: Links { shop_url: &app::shop_of(config).url, public_url: config.http.public_url.as_str(), keys: None },
        panels: &panels,
        timetables: &app::timetables_of(config, &catalogue)?,
        fuse: &app::fuse_of(config)?,
        catalogue: &catalogue,
        now,
    };
    Ok(sweeps::plan(&sources, sweep, as_of, usize::MAX).await?)
}

/// Confirms a plan, and has it done; answers the job.
async fn confirm(
    config: &Config,
    store: &Store,
    sweep: Sweep,
    plan: FusePlanId,
    now: Timestamp,
) -> anyhow::Result<JobId> {
    if sweep != Sweep::Accounts {
        bail!("only plans of the sweep `accounts` are confirmed");
    }
    let kept = store.fuse_plan(plan).await?;
    if !may_confirm(kept.planned_at, now) {
        bail!("{plan} is older than a day: what is due now is planned anew by the next sweep");
    }
    let confirmed = Effects::none().confirm_plan(plan, "the command line".to_owned(), now);
    enqueue_with(config, confirmed, NewJob::now(RunPlan { plan_id: plan }.into())).await
}

/// The plan as two tables: each step, then sums; and what of it would not be done.
fn shown(plan: &Plan) -> String {
    if plan.steps.is_empty() {
        say(&format!("berth: nothing is due for {} at {}", plan.sweep, plan.as_of));
    }
    let mut steps = table(&["ACTION", "WHAT", "SUBJECT", "ROWS", "AMOUNT", "DUE SINCE", "CUSTOMER", "EMAIL"]);
    for step in &plan.steps {
        steps.add_row(vec![
            step.action.to_owned(),
            step.detail.clone().unwrap_or_default(),
            step.subject.clone(),
            step.rows.to_string(),
            money(step.amount.as_deref(), step.currency.as_deref()),
            step.due_since.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
            step.customer_id.clone().unwrap_or_default(),
            step.email.clone().unwrap_or_default(),
        ]);
    }
    let mut sums = table(&["ACTION", "ROWS", "AMOUNT"]);
    for sum in &plan.sums {
        let amount = money(sum.amount.as_deref(), sum.currency.as_deref());
        sums.add_row(vec![sum.action.to_owned(), sum.rows.to_string(), amount]);
    }
    let stopped = plan.stopped.iter().map(|it| {
        let Stopped { what, count, of_accounts } = it;
        format!("\n\nNOT DONE: {count} {what} in a day, of {of_accounts} accounts, are far more than usual. A run keeps them \
                 as a plan, for a person to confirm.")
    });
    format!("{}\n\n{}{}", lines(&steps), lines(&sums), stopped.collect::<String>())
}

fn money(amount: Option<&str>, currency: Option<&str>) -> String {
    [amount, currency].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweeps::{PlannedStep, Sum};

    #[test]
    fn a_plan_is_shown_step_by_step_and_summed_up() {
        let step = |subject: &str, amount: &str| PlannedStep {
            action: "cancel",
            detail: None,
            subject: subject.to_owned(),
            customer_id: Some("0190b6a2-7c5e-7d3a-9f21-3b6f0c1d2e4f".to_owned()),
            email: Some("zoe@example.com".to_owned()),
            amount: Some(amount.to_owned()),
            currency: Some("USD".to_owned()),
            due_since: "2026-11-25T12:00:00Z".parse().unwrap(),
            rows: 1,
        };
        let sum = Sum { action: "cancel", rows: 2, amount: Some("24.98".to_owned()), currency: Some("USD".to_owned()) };
        let plan = Plan {
            sweep: "unpaid_orders",
            as_of: "2026-11-25T13:00:00Z".parse().unwrap(),
            steps: vec![step("ord_1", "4.99"), step("ord_2", "19.99")],
            steps_left_out: 0,
            sums: vec![sum],
            stopped: vec![Stopped { what: "invoices", count: 26, of_accounts: 100 }],
        };

        insta::assert_snapshot!(shown(&plan));
    }
}
