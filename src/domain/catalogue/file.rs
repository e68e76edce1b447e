//! Reads a catalogue's TOML, and answers a mistake in it with the service, the key and what is allowed.

mod options;
mod values;

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    Addon, CatalogueError, DEFAULT_TAX_CATEGORY, MAX_CHOICES, MAX_QUANTITY, MAX_SERVICES, MAX_TRIAL_DAYS, Service,
};
use crate::domain::{
    money::{Currency, Money},
    period::BillingCycle,
    timetable::TimetableChanges,
};
use options::{OptionEntry, read_options};
use values::{Entry, Prices};

/// The services and add-ons of a catalogue, checked, in the order of the file.
pub(super) fn read(text: &str) -> Result<(Vec<Service>, Vec<Addon>), CatalogueError> {
    let file: CatalogueFile = toml::from_str(text).map_err(|error| CatalogueError::Unreadable(error.to_string()))?;
    let found = file.service.len();
    if !(1..=MAX_SERVICES).contains(&found) {
        return Err(CatalogueError::NumberOfServices { found });
    }
    let mut addons: Vec<Addon> = Vec::with_capacity(file.addon.len());
    for (index, table) in file.addon.into_iter().enumerate() {
        let addon = read_addon(&Entry::of("add-on", index, &table), table)?;
        if addons.iter().any(|earlier| earlier.id == addon.id) {
            return Err(CatalogueError::Duplicate(format!("add-on {}", addon.id)));
        }
        addons.push(addon);
    }
    let mut services: Vec<Service> = Vec::with_capacity(found);
    for (index, table) in file.service.into_iter().enumerate() {
        let entry = Entry::of("service", index, &table);
        let service = read_service(&entry, table)?;
        check_addons(&entry, &service, &addons)?;
        if services.iter().any(|earlier| earlier.id == service.id) {
            return Err(CatalogueError::Duplicate(format!("service {}", service.id)));
        }
        services.push(service);
    }
    Ok((services, addons))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogueFile {
    #[serde(default)]
    service: Vec<toml::Table>,
    #[serde(default)]
    addon: Vec<toml::Table>,
}

/// One `[[service]]`, its values not yet looked at.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceEntry {
    id: String,
    name: String,
    service_type: String,
    plan_name: String,
    billing_cycle: String,
    prices: Prices,
    pool: String,
    package: String,
    max_quantity: i64,
    #[serde(default)]
    setup_fee: Prices,
    #[serde(default)]
    trial_days: i64,
    tax_category: Option<String>,
    #[serde(default)]
    needs_domain: bool,
    renewal_price: Option<String>,
    #[serde(default)]
    timetable: TimetableChanges,
    #[serde(default)]
    addons: Vec<String>,
    #[serde(default)]
    option: Vec<OptionEntry>,
}

/// One `[[addon]]`, its values not yet looked at.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AddonEntry {
    id: String,
    name: String,
    prices: BTreeMap<String, Prices>,
    tax_category: Option<String>,
}

fn read_service(entry: &Entry, table: toml::Table) -> Result<Service, CatalogueError> {
    let found: ServiceEntry = shaped(entry, table)?;
    let refuse = |key: &str, found: &str, allowed: &str| entry.refuse(key, found, allowed);
    let prices = entry.prices(&found.prices)?;
    let setup_fees = entry.amounts("setup_fee", &found.setup_fee)?;
    entry.covers("setup_fee", &setup_fees, &prices)?;
    let options = read_options(entry, found.option, &prices)?;
    let renewal_price = found.renewal_price.as_deref().unwrap_or("locked");
    Ok(Service {
        id: found.id.parse().map_err(|_| refuse("id", &found.id, "lower-case letters, digits and hyphens"))?,
        name: entry.text("name", &found.name)?,
        service_type: found
            .service_type
            .parse()
            .map_err(|_| refuse("service_type", &found.service_type, "shared, vps, cloud or wordpress"))?,
        plan_name: entry.text("plan_name", &found.plan_name)?,
        billing_cycle: found
            .billing_cycle
            .parse()
            .map_err(|_| refuse("billing_cycle", &found.billing_cycle, "monthly or annual"))?,
        prices,
        pool: entry.text("pool", &found.pool)?,
        package: entry.text("package", &found.package)?,
        max_quantity: entry.number("max_quantity", found.max_quantity, 1, MAX_QUANTITY)?,
        options,
        addon_ids: found.addons,
        setup_fees,
        trial_days: entry.number("trial_days", found.trial_days, 0, MAX_TRIAL_DAYS)?,
        tax_category: tax_category(entry, found.tax_category)?,
        needs_domain: found.needs_domain,
        renewal_price: renewal_price
            .parse()
            .map_err(|_| refuse("renewal_price", renewal_price, "locked or catalogue"))?,
        timetable: found.timetable,
    })
}

fn read_addon(entry: &Entry, table: toml::Table) -> Result<Addon, CatalogueError> {
    let found: AddonEntry = shaped(entry, table)?;
    if found.prices.is_empty() {
        return Err(entry.refuse("prices", "{}", "a price a cycle, such as { monthly = { USD = \"2.00\" } }"));
    }
    let mut prices: BTreeMap<BillingCycle, BTreeMap<Currency, Money>> = BTreeMap::new();
    for (word, amounts) in &found.prices {
        let key = format!("prices.{word}");
        let cycle = word.parse().map_err(|_| entry.refuse(&key, word, "monthly or annual"))?;
        prices.insert(cycle, entry.amounts(&key, amounts)?);
    }
    Ok(Addon {
        id: entry.slug("id", &found.id)?,
        name: entry.text("name", &found.name)?,
        prices,
        tax_category: tax_category(entry, found.tax_category)?,
    })
}

/// One line of an invoice has one rate of tax, so an add-on is taxed as what it is added to.
fn check_addons(entry: &Entry, service: &Service, addons: &[Addon]) -> Result<(), CatalogueError> {
    let ids = &service.addon_ids;
    if ids.len() > MAX_CHOICES {
        return Err(entry.refuse("addons", &ids.len().to_string(), &format!("at most {MAX_CHOICES} add-ons")));
    }
    for (place, id) in ids.iter().enumerate() {
        let Some(addon) = addons.iter().find(|addon| addon.id == *id) else {
            return Err(entry.refuse("addons", id, "the id of an [[addon]]"));
        };
        if ids.iter().take(place).any(|earlier| earlier == id) {
            return Err(entry.refuse("addons", id, "named once"));
        }
        if addon.tax_category != service.tax_category {
            let allowed = format!("an add-on of the service's tax category, {}", service.tax_category);
            return Err(entry.refuse("addons", id, &allowed));
        }
        let none = BTreeMap::new();
        let prices = addon.prices.get(&service.billing_cycle).unwrap_or(&none);
        if let Some(currency) = service.prices.keys().find(|currency| !prices.contains_key(currency)) {
            let key = format!("add-on {id}: prices.{}", service.billing_cycle);
            return Err(entry.no_price(&key, *currency));
        }
    }
    Ok(())
}

fn shaped<T: serde::de::DeserializeOwned>(entry: &Entry, table: toml::Table) -> Result<T, CatalogueError> {
    table.try_into().map_err(|error: toml::de::Error| CatalogueError::Shape {
        entry: entry.name.clone(),
        reason: error.to_string().trim().replace('\n', " "),
    })
}

fn tax_category(entry: &Entry, word: Option<String>) -> Result<String, CatalogueError> {
    entry.slug("tax_category", word.as_deref().unwrap_or(DEFAULT_TAX_CATEGORY))
}

impl Entry {
    /// The entry as an operator would call it: by its id, or by its place where the id is missing.
    fn of(kind: &str, index: usize, table: &toml::Table) -> Self {
        let name = match table.get("id").and_then(toml::Value::as_str) {
            Some(id) => format!("{kind} {id}"),
            None => format!("{kind} number {}", index + 1),
        };
        Self { name }
    }
}
