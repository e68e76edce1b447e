//! `berth trigger`: makes something happen in the running `berth dev`, and shows what came of it.

use std::{path::PathBuf, process::ExitCode};

use anyhow::bail;
use clap::Subcommand;

use super::{
    output::{print, print_json},
    settings,
};
use crate::{
    clock::Clock,
    config::{Config, Role},
    dev::trigger::{self, Bought, Purchase},
    store::Store,
};

#[derive(Debug, Subcommand)]
pub(super) enum TriggerCommand {
    /// Buy something, pay for it at the Stripe simulator, and show when what happened.
    #[command(before_help = "Examples:\n  berth trigger checkout\n  \
        berth trigger checkout --service vps-monthly --quantity 2 --json\n")]
    #[command(after_help = "Exits 1 when not everything is delivered within 60 seconds, and says what is missing.")]
    Checkout {
        /// What to buy, by the catalogue's id.
        #[arg(long, default_value = DEFAULT_SERVICE)]
        service: String,
        /// How many.
        #[arg(long, default_value_t = 1)]
        quantity: u32,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

/// What is bought unless something else is asked for.
pub(super) const DEFAULT_SERVICE: &str = "shared-monthly";

pub(super) async fn run(file: Option<PathBuf>, command: TriggerCommand) -> anyhow::Result<ExitCode> {
    let TriggerCommand::Checkout { service, quantity, json } = command;
    let config = settings::load_or_dev(file)?;
    settings::log_quietly(&config)?;
    if config.database.url.is_none() {
        bail!("no `berth dev` runs in this directory: start it in another shell, or go where it runs");
    }
    config.require_for(Role::Token)?;
    let store = Store::new(&config.database)?;
    buy(&config, &store, Purchase { service, quantity }, json).await
}

/// Buys and shows; fails when a new site does not answer as it should.
pub(super) async fn buy(config: &Config, store: &Store, purchase: Purchase, json: bool) -> anyhow::Result<ExitCode> {
    let bought = trigger::checkout(config, store, &purchase, Clock::machine()).await?;
    if json {
        print_json(&bought)?;
    } else {
        print(&told(&bought))?;
    }
    if let Some(page) = bought.pages.iter().find(|page| page.status != 200) {
        bail!("the site {} answers {}", page.url, page.status);
    }
    Ok(ExitCode::SUCCESS)
}

fn told(bought: &Bought) -> String {
    let mut text = format!("{} for {}\n", bought.order_id, bought.email);
    for step in &bought.timeline {
        text.push_str(&format!("{:>7} ms  {:<15} {}\n", step.after_ms, step.what, step.which));
    }
    for page in &bought.pages {
        text.push_str(&format!("  HTTP {}  {}\n", page.status, page.url));
    }
    text
}
