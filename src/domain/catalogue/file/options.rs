//! Reads the `[[service.option]]` of a service.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{
    super::{CatalogueError, MAX_CHOICES, OptionChoice, OptionKind, ServiceOption},
    values::{Entry, Prices},
};
use crate::domain::money::{Currency, Money};

/// One `[[service.option]]`: a number has the first four keys, a choice the last two.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OptionEntry {
    id: String,
    name: String,
    minimum: Option<i64>,
    maximum: Option<i64>,
    step: Option<i64>,
    included: Option<i64>,
    price: Option<Prices>,
    choices: Option<Vec<ChoiceEntry>>,
    default: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChoiceEntry {
    id: String,
    name: String,
    #[serde(default)]
    price: Prices,
}

pub(super) fn read_options(
    entry: &Entry,
    found: Vec<OptionEntry>,
    sold_in: &BTreeMap<Currency, Money>,
) -> Result<Vec<ServiceOption>, CatalogueError> {
    if found.len() > MAX_CHOICES {
        return Err(entry.refuse("option", &found.len().to_string(), &format!("at most {MAX_CHOICES} options")));
    }
    let mut options: Vec<ServiceOption> = Vec::with_capacity(found.len());
    for option in found {
        let id = entry.slug("option: id", &option.id)?;
        // A site's domain is a field of the cart's line, with checks of its own.
        if id == "domain" || options.iter().any(|earlier| earlier.id == id) {
            return Err(entry.refuse("option: id", &id, "unique among the service's options, and not domain"));
        }
        let at = |key: &str| format!("option {id}: {key}");
        let name = entry.text(&at("name"), &option.name)?;
        let kind = match &option.choices {
            Some(choices) => read_choice(entry, &at, &option, choices, sold_in)?,
            None => read_number(entry, &at, &option, sold_in)?,
        };
        options.push(ServiceOption { id, name, kind });
    }
    Ok(options)
}

fn read_number(
    entry: &Entry,
    at: &impl Fn(&str) -> String,
    option: &OptionEntry,
    sold_in: &BTreeMap<Currency, Money>,
) -> Result<OptionKind, CatalogueError> {
    if let Some(default) = &option.default {
        return Err(entry.refuse(&at("default"), default, "absent: a number's default is what is included"));
    }
    let needed = "given: a number has minimum, maximum, step and included; a choice has choices and default";
    let number = |key: &str, found: Option<i64>, least: u32, most: u32| {
        let found = found.ok_or_else(|| entry.refuse(&at(key), "nothing", needed))?;
        entry.number(&at(key), found, least, most)
    };
    let minimum = number("minimum", option.minimum, 0, MOST)?;
    let maximum = number("maximum", option.maximum, minimum, MOST)?;
    let step = number("step", option.step, 1, MOST)?;
    let included = number("included", option.included, minimum, maximum)?;
    for (key, found) in [("maximum", maximum), ("included", included)] {
        if !(found - minimum).is_multiple_of(step) {
            let allowed = format!("{minimum} and so many steps of {step}");
            return Err(entry.refuse(&at(key), &found.to_string(), &allowed));
        }
    }
    let price = entry.amounts(&at("price"), option.price.as_ref().unwrap_or(&Prices::new()))?;
    entry.covers(&at("price"), &price, sold_in)?;
    Ok(OptionKind::Number { minimum, maximum, step, included, price })
}

/// More gigabytes, or whatever it counts, than a machine has.
const MOST: u32 = 1_000_000;

fn read_choice(
    entry: &Entry,
    at: &impl Fn(&str) -> String,
    option: &OptionEntry,
    found: &[ChoiceEntry],
    sold_in: &BTreeMap<Currency, Money>,
) -> Result<OptionKind, CatalogueError> {
    let of_numbers = [option.minimum, option.maximum, option.step, option.included];
    if of_numbers.iter().any(Option::is_some) || option.price.is_some() {
        let allowed = "alone with default: minimum, maximum, step, included and price are a number's";
        return Err(entry.refuse(&at("choices"), "beside them", allowed));
    }
    if !(1..=MAX_CHOICES).contains(&found.len()) {
        return Err(entry.refuse(&at("choices"), &found.len().to_string(), &format!("1 to {MAX_CHOICES} of them")));
    }
    let mut choices: Vec<OptionChoice> = Vec::with_capacity(found.len());
    for choice in found {
        let id = entry.slug(&at("choices: id"), &choice.id)?;
        if choices.iter().any(|earlier| earlier.id == id) {
            return Err(entry.refuse(&at("choices: id"), &id, "unique among the choices"));
        }
        let key = at(&format!("choice {id}: price"));
        let price = entry.amounts(&key, &choice.price)?;
        entry.covers(&key, &price, sold_in)?;
        choices.push(OptionChoice { name: entry.text(&at("choices: name"), &choice.name)?, id, price });
    }
    let default = option.default.clone().unwrap_or_default();
    if !choices.iter().any(|choice| choice.id == default) {
        let ids: Vec<&str> = choices.iter().map(|choice| choice.id.as_str()).collect();
        return Err(entry.refuse(&at("default"), &default, &format!("one of {}", ids.join(", "))));
    }
    Ok(OptionKind::Choice { choices, default })
}
