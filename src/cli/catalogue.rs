//! `berth catalogue check`: whether what is sold can be sold.

use std::{collections::BTreeMap, path::PathBuf, process::ExitCode};

use anyhow::Context;
use clap::Subcommand;

use super::{
    output::{lines, print, print_json, table},
    settings,
};
use crate::{
    app::catalogue_of,
    domain::{
        catalogue::{Addon, Catalogue, OptionKind, Service, ServiceOption},
        money::Money,
    },
};

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
        print(&as_text(&catalogue))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn as_text(catalogue: &Catalogue) -> String {
    let mut services = table(&["SERVICE", "NAME", "CYCLE", "PRICE", "AT MOST", "OPTIONS"]);
    for service in catalogue.services() {
        let prices: Vec<String> = service.prices().map(|price| price.to_string()).collect();
        let options: Vec<&str> = service.options().iter().map(ServiceOption::id).collect();
        services.add_row([
            service.id().to_string(),
            service.name().to_owned(),
            service.billing_cycle().as_str().to_owned(),
            prices.join(", "),
            service.max_quantity().to_string(),
            options.join(", "),
        ]);
    }
    let mut text = format!("{}\n", lines(&services));
    if !catalogue.addons().is_empty() {
        let mut addons = table(&["ADD-ON", "NAME", "PRICE"]);
        for addon in catalogue.addons() {
            let prices: Vec<String> = addon.prices().map(|(cycle, price)| format!("{price} {cycle}")).collect();
            addons.add_row([addon.id().to_owned(), addon.name().to_owned(), prices.join(", ")]);
        }
        text += &format!("\n{}\n", lines(&addons));
    }
    let (services, addons) = (catalogue.services().len(), catalogue.addons().len());
    text + &format!("{services} services and {addons} add-ons, all can be sold")
}

fn as_json(catalogue: &Catalogue) -> serde_json::Value {
    serde_json::json!({
        "services": catalogue.services().iter().map(service_json).collect::<Vec<_>>(),
        "addons": catalogue.addons().iter().map(addon_json).collect::<Vec<_>>(),
    })
}

fn service_json(service: &Service) -> serde_json::Value {
    let by_currency = |price: Money| (price.currency().code().to_owned(), price.amount_text());
    let prices: BTreeMap<_, _> = service.prices().map(by_currency).collect();
    let setup_fees: BTreeMap<_, _> =
        service.prices().map(|price| by_currency(service.setup_fee(price.currency()))).collect();
    serde_json::json!({
        "service_id": service.id(),
        "name": service.name(),
        "service_type": service.service_type(),
        "plan_name": service.plan_name(),
        "billing_cycle": service.billing_cycle().as_str(),
        "prices": prices,
        "max_quantity": service.max_quantity(),
        "setup_fee": setup_fees,
        "trial_days": service.trial_days(),
        "tax_category": service.tax_category(),
        "needs_domain": service.needs_domain(),
        "renewal_price": service.renewal_price().as_str(),
        "addons": service.addon_ids(),
        "options": service.options().iter().map(option_json).collect::<Vec<_>>(),
    })
}

fn option_json(option: &ServiceOption) -> serde_json::Value {
    match option.kind() {
        OptionKind::Number { minimum, maximum, step, included, .. } => serde_json::json!({
            "id": option.id(), "name": option.name(),
            "minimum": minimum, "maximum": maximum, "step": step, "included": included,
        }),
        OptionKind::Choice { choices, default } => serde_json::json!({
            "id": option.id(), "name": option.name(), "default": default,
            "choices": choices.iter().map(|choice| choice.id()).collect::<Vec<_>>(),
        }),
    }
}

fn addon_json(addon: &Addon) -> serde_json::Value {
    let mut prices: BTreeMap<&str, BTreeMap<&str, String>> = BTreeMap::new();
    for (cycle, price) in addon.prices() {
        prices.entry(cycle.as_str()).or_default().insert(price.currency().code(), price.amount_text());
    }
    serde_json::json!({
        "id": addon.id(),
        "name": addon.name(),
        "prices": prices,
        "tax_category": addon.tax_category(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SMALL: &str = "[[service]]\nid = \"small\"\nname = \"Small\"\nservice_type = \"shared\"\nplan_name = \"starter\"\n\
        billing_cycle = \"monthly\"\nprices = { USD = \"4.99\" }\npool = \"p\"\npackage = \"p\"\nmax_quantity = 1\n";

    fn check(text: &str) -> anyhow::Result<ExitCode> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        run(None, CatalogueCommand::Check { file: Some(file.path().to_owned()), json: true })
    }

    #[test]
    fn a_named_catalogue_is_checked_and_its_mistake_is_told_with_the_files_name() {
        let error = format!("{:#}", check(&SMALL.replace("4.99", "4,99")).unwrap_err());

        assert!(error.contains(" cannot be used: service small: prices.USD is \"4,99\", but must be"), "{error}");
        assert!(check(SMALL).is_ok());
    }

    #[test]
    fn a_catalogue_that_is_not_there_is_named() {
        let file = Some(PathBuf::from("/nowhere/catalogue.toml"));

        let error = run(None, CatalogueCommand::Check { file, json: false }).unwrap_err();

        assert!(format!("{error:#}").starts_with("/nowhere/catalogue.toml cannot be read: "), "{error:#}");
    }

    #[test]
    fn what_is_sold_is_listed_for_people_and_for_programs() {
        let catalogue = Catalogue::built_in().unwrap();

        let (text, json) = (as_text(&catalogue), as_json(&catalogue));

        assert!(text.ends_with("24 services and 3 add-ons, all can be sold"), "{text}");
        assert!(text.contains("ram_gb, cpu_cores, disk_gb, region"), "{text}");
        assert_eq!(json["services"][0]["prices"]["USD"], "4.99");
        assert_eq!(json["services"][2]["options"][0]["minimum"], 2);
        assert_eq!(json["addons"][0]["prices"]["annual"]["GBP"], "18.00");
    }
}
