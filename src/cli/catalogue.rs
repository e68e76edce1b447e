//! `berth catalogue check`: whether what is sold can be sold.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Subcommand;

use super::{
    output::{lines, print, print_json, table},
    settings,
};
use crate::{app::catalogue_of, domain::catalogue::Catalogue};

#[derive(Debug, Subcommand)]
pub(super) enum CatalogueCommand {
    /// Check a catalogue and list what it sells.
    #[command(before_help = "Examples:\n  berth catalogue check\n  berth catalogue check my-catalogue.toml --json\n")]
    #[command(after_help = "Exits 1 at the first mistake and names the service, the key and what is allowed.")]
    Check {
        /// The catalogue; without it, the one that the settings name, or the built-in one.
        file: Option<PathBuf>,
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(config_file: Option<PathBuf>, command: CatalogueCommand) -> anyhow::Result<ExitCode> {
    let CatalogueCommand::Check { file, json } = command;
    let catalogue = match &file {
        Some(path) => {
            let name = path.display();
            let text = std::fs::read_to_string(path).with_context(|| format!("{name} cannot be read"))?;
            Catalogue::from_toml(&text).with_context(|| format!("{name} cannot be used"))?
        }
        None => catalogue_of(&settings::load(config_file)?)?,
    };
    if json {
        print_json(&as_json(&catalogue))?;
    } else {
        let mut rows = table(&["SERVICE", "NAME", "CYCLE", "PRICE", "AT MOST"]);
        for service in catalogue.services() {
            let prices: Vec<String> = service.prices().map(|price| price.to_string()).collect();
            rows.add_row([
                service.id().to_string(),
                service.name().to_owned(),
                service.billing_cycle().as_str().to_owned(),
                prices.join(", "),
                service.max_quantity().to_string(),
            ]);
        }
        print(&format!("{}\n{} services, all can be sold", lines(&rows), catalogue.services().len()))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn as_json(catalogue: &Catalogue) -> Vec<serde_json::Value> {
    let service = |service: &crate::domain::catalogue::Service| {
        let prices: serde_json::Map<_, _> =
            service.prices().map(|price| (price.currency().code().to_owned(), price.amount_text().into())).collect();
        serde_json::json!({
            "service_id": service.id(),
            "name": service.name(),
            "service_type": service.service_type(),
            "plan_name": service.plan_name(),
            "billing_cycle": service.billing_cycle().as_str(),
            "prices": prices,
            "max_quantity": service.max_quantity(),
        })
    };
    catalogue.services().iter().map(service).collect()
}
