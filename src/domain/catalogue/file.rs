//! Reads a catalogue's TOML, and answers a mistake in it with the service, the key and what is allowed.

use std::{cmp::Ordering, collections::BTreeMap};

use serde::Deserialize;

use super::{CatalogueError, MAX_QUANTITY, MAX_SERVICES, MAX_TEXT_LEN, Service};
use crate::domain::money::{Currency, Money};

/// The services of a catalogue, checked, in the order of the file.
pub(super) fn read(text: &str) -> Result<Vec<Service>, CatalogueError> {
    let file: CatalogueFile = toml::from_str(text).map_err(|error| CatalogueError::Unreadable(error.to_string()))?;
    let found = file.service.len();
    if !(1..=MAX_SERVICES).contains(&found) {
        return Err(CatalogueError::NumberOfServices { found });
    }
    let mut services: Vec<Service> = Vec::with_capacity(found);
    for (index, table) in file.service.into_iter().enumerate() {
        let service = read_service(index, table)?;
        if services.iter().any(|earlier| earlier.id == service.id) {
            return Err(CatalogueError::Duplicate(service.id));
        }
        services.push(service);
    }
    Ok(services)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CatalogueFile {
    #[serde(default)]
    service: Vec<toml::Table>,
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
    prices: BTreeMap<String, String>,
    pool: String,
    package: String,
    max_quantity: i64,
}

fn read_service(index: usize, table: toml::Table) -> Result<Service, CatalogueError> {
    let service = match table.get("id").and_then(toml::Value::as_str) {
        Some(id) => id.to_owned(),
        None => format!("number {}", index + 1),
    };
    let entry: ServiceEntry = table.try_into().map_err(|error: toml::de::Error| CatalogueError::Shape {
        service: service.clone(),
        reason: error.to_string().trim().replace('\n', " "),
    })?;
    let refuse = |key: &str, found: &str, allowed: &str| refusal(&service, key, found, allowed);
    Ok(Service {
        id: entry.id.parse().map_err(|_| refuse("id", &entry.id, "lower-case letters, digits and hyphens"))?,
        name: read_text(&service, "name", &entry.name)?,
        service_type: entry
            .service_type
            .parse()
            .map_err(|_| refuse("service_type", &entry.service_type, "shared, vps, cloud or wordpress"))?,
        plan_name: read_text(&service, "plan_name", &entry.plan_name)?,
        billing_cycle: entry
            .billing_cycle
            .parse()
            .map_err(|_| refuse("billing_cycle", &entry.billing_cycle, "monthly or annual"))?,
        prices: read_prices(&service, &entry.prices)?,
        pool: read_text(&service, "pool", &entry.pool)?,
        package: read_text(&service, "package", &entry.package)?,
        max_quantity: u32::try_from(entry.max_quantity)
            .ok()
            .filter(|quantity| (1..=MAX_QUANTITY).contains(quantity))
            .ok_or_else(|| {
            refuse("max_quantity", &entry.max_quantity.to_string(), &format!("1 to {MAX_QUANTITY}"))
        })?,
    })
}

/// A text that will be printed on one line: not empty, no spaces around it, no control characters.
fn read_text(service: &str, key: &str, text: &str) -> Result<String, CatalogueError> {
    if text.is_empty() || text.len() > MAX_TEXT_LEN || text.trim() != text || text.chars().any(char::is_control) {
        let allowed = format!("1 to {MAX_TEXT_LEN} bytes on one line, without spaces at its ends");
        return Err(refusal(service, key, text, &allowed));
    }
    Ok(text.to_owned())
}

fn read_prices(service: &str, entries: &BTreeMap<String, String>) -> Result<BTreeMap<Currency, Money>, CatalogueError> {
    if entries.is_empty() {
        return Err(refusal(service, "prices", "{}", "at least one price, such as { USD = \"4.99\" }"));
    }
    let mut prices = BTreeMap::new();
    for (code, text) in entries {
        let key = format!("prices.{code}");
        let known = code.parse::<Currency>().ok().filter(|currency| currency.code() == code);
        let Some(currency) = known else {
            let codes: Vec<&str> = Currency::ALL.iter().map(|currency| currency.code()).collect();
            return Err(refusal(service, &key, text, &format!("under one of {}", codes.join(", "))));
        };
        prices.insert(currency, read_price(service, &key, text, currency)?);
    }
    Ok(prices)
}

fn read_price(service: &str, key: &str, text: &str, currency: Currency) -> Result<Money, CatalogueError> {
    let (minimum, maximum) = (currency.minimum_charge(), currency.maximum_charge());
    let chargeable = |price: &Money| {
        let at_least = price.checked_cmp(minimum).is_ok_and(Ordering::is_ge);
        let at_most = price.checked_cmp(maximum).is_ok_and(Ordering::is_le);
        price.is_zero() || (at_least && at_most)
    };
    Money::parse(text, currency).ok().filter(chargeable).ok_or_else(|| {
        let decimals = currency.scale();
        let (minimum, maximum) = (minimum.amount_text(), maximum.amount_text());
        let allowed =
            format!("\"0\", or \"{minimum}\" to \"{maximum}\" with at most {decimals} digits after the point");
        refusal(service, key, text, &allowed)
    })
}

fn refusal(service: &str, key: &str, found: &str, allowed: &str) -> CatalogueError {
    CatalogueError::Value {
        service: service.to_owned(),
        key: key.to_owned(),
        found: found.to_owned(),
        allowed: allowed.to_owned(),
    }
}
