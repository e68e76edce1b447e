//! What an invoice says: who sells, who buys, what was sold, and how much of it is tax. Its three documents are kept as JSON,
//! written once and never changed, so that an invoice reads in ten years as it did on its day.

use std::cmp::Reverse;

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{
    address::Address,
    catalogue::{Catalogue, OptionKind, ServiceOption},
    configuration::Configuration,
    money::{Currency, Money, MoneyError},
};

/// What stands before an invoice's number.
pub const NUMBER_PREFIX: &str = "INV-";

/// Who sells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Seller {
    /// The name.
    pub name: String,
    /// A line each.
    pub address: Vec<String>,
    /// ISO 3166-1 alpha-2, in capitals.
    pub country: Option<String>,
    /// As it is to be shown.
    pub vat_id: Option<String>,
    /// Where questions go.
    pub email: Option<String>,
}

/// Who buys, as they were when they agreed. Also what an order keeps as its `customer_snapshot`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Buyer {
    /// Where mail goes.
    pub email: String,
    /// The person.
    pub name: Option<String>,
    /// On whose behalf they buy.
    pub company: Option<String>,
    /// ISO 3166-1 alpha-2, in capitals.
    pub country: Option<String>,
    /// Where they are.
    pub address: Option<Address>,
    /// By which their company is known to the tax office.
    pub vat_id: Option<String>,
}

/// One line. Amounts are at the currency's scale, as decimal texts in JSON; `total = subtotal − discount + tax`, and
/// `subtotal = quantity × unit_price`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoiceLine {
    /// The catalogue's id.
    pub service_id: String,
    /// The name at the time of the sale.
    pub name: String,
    /// The tier.
    #[serde(default)]
    pub plan_name: String,
    /// monthly or annual.
    pub billing_cycle: String,
    /// How many accounts.
    pub quantity: u32,
    /// What one costs before discount and tax, set-up fee included.
    pub unit_price: Decimal,
    /// How much of it is paid once.
    #[serde(default)]
    pub setup_fee: Decimal,
    /// So many days at first are free; else 0.
    #[serde(default)]
    pub trial_days: u32,
    /// What was chosen and added, by the names of that day.
    #[serde(default)]
    pub details: Vec<Detail>,
    /// The names of the sites.
    #[serde(default)]
    pub domains: Vec<String>,
    /// The period that a renewal is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period: Option<InvoicePeriod>,
    /// Before discount and tax.
    pub subtotal: Decimal,
    /// What is taken off.
    pub discount: Decimal,
    /// The code of the coupon that took it off.
    #[serde(default)]
    pub coupon: Option<String>,
    /// In per cent.
    pub tax_rate: Decimal,
    /// What is added.
    pub tax: Decimal,
    /// Why the tax is what it is, such as a reverse charge.
    #[serde(default)]
    pub tax_note: Option<String>,
    /// What was paid.
    pub total: Decimal,
}

/// A period, from an instant until another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoicePeriod {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end.
    pub until: Timestamp,
}

/// Something that was chosen or added: `Memory: 4 GB`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    /// Of the option or the add-on.
    pub name: String,
    /// What was chosen; an add-on has none.
    #[serde(default)]
    pub value: Option<String>,
}

/// One account that was sold, as its order keeps it.
#[derive(Clone, Debug)]
pub struct SoldUnit<'a> {
    /// The catalogue's id.
    pub service_id: &'a str,
    /// The name at the time of the sale.
    pub name: &'a str,
    /// The tier.
    pub plan_name: &'a str,
    /// monthly or annual.
    pub billing_cycle: &'a str,
    /// Before discount and tax, set-up fee included.
    pub price: Money,
    /// The part of the price that is paid once.
    pub setup_fee: Money,
    /// Its share of the discount.
    pub discount: Money,
    /// Its tax.
    pub tax: Money,
    /// In per cent.
    pub tax_rate: Decimal,
    /// What it costs.
    pub total: Money,
    /// The options chosen.
    pub configuration: Configuration,
    /// The names of its add-ons.
    pub addons: Vec<String>,
    /// The name of the site.
    pub domain: Option<&'a str>,
    /// So many days are free.
    pub trial_days: u32,
}

/// What is said of all lines of an order.
#[derive(Clone, Copy, Debug, Default)]
pub struct Agreement<'a> {
    /// The coupon's code.
    pub coupon: Option<&'a str>,
    /// Why the tax is what it is.
    pub tax_note: Option<&'a str>,
    /// The period that a renewal is for.
    pub period: Option<InvoicePeriod>,
}

/// The tax of one rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaxTotal {
    /// In per cent.
    pub rate: Decimal,
    /// What it is taken of.
    pub net: Money,
    /// The tax.
    pub tax: Money,
}

/// The lines of an invoice, in the order of the units: those that are alike in everything but their domain are one line, so
/// that what a line says of one of them is true of each. Their shares of discount and tax are summed.
///
/// Options are told by the catalogue's names of today; one that the catalogue no longer has, by its id.
///
/// # Errors
/// When the units are of several currencies, or sum to too much.
pub fn lines(
    units: &[SoldUnit<'_>],
    agreement: Agreement<'_>,
    catalogue: &Catalogue,
) -> Result<Vec<InvoiceLine>, MoneyError> {
    let mut groups: Vec<Vec<&SoldUnit<'_>>> = Vec::new();
    for unit in units {
        match groups.iter_mut().find(|group| group.first().is_some_and(|first| are_alike(first, unit))) {
            Some(group) => group.push(unit),
            None => groups.push(vec![unit]),
        }
    }
    groups.iter().filter_map(|group| Some(line(group.first()?, group, agreement, catalogue))).collect()
}

fn are_alike(one: &SoldUnit<'_>, other: &SoldUnit<'_>) -> bool {
    (one.service_id, one.name, one.plan_name, one.billing_cycle, one.trial_days)
        == (other.service_id, other.name, other.plan_name, other.billing_cycle, other.trial_days)
        && (one.price, one.setup_fee, one.tax_rate) == (other.price, other.setup_fee, other.tax_rate)
        && (&one.configuration, &one.addons) == (&other.configuration, &other.addons)
}

fn line(
    first: &SoldUnit<'_>,
    group: &[&SoldUnit<'_>],
    agreement: Agreement<'_>,
    catalogue: &Catalogue,
) -> Result<InvoiceLine, MoneyError> {
    let currency = first.price.currency();
    let sum = |amount: fn(&SoldUnit<'_>) -> Money| {
        Money::sum(currency, group.iter().map(|unit| amount(unit))).map(|sum| sum.amount())
    };
    let discount = sum(|unit| unit.discount)?;
    Ok(InvoiceLine {
        service_id: first.service_id.to_owned(),
        name: first.name.to_owned(),
        plan_name: first.plan_name.to_owned(),
        billing_cycle: first.billing_cycle.to_owned(),
        quantity: u32::try_from(group.len()).map_err(|_| MoneyError::TooLarge)?,
        unit_price: first.price.amount(),
        setup_fee: first.setup_fee.amount(),
        trial_days: first.trial_days,
        details: details(first, catalogue),
        period: agreement.period,
        domains: group.iter().filter_map(|unit| unit.domain.map(str::to_owned)).collect(),
        subtotal: sum(|unit| unit.price)?,
        discount,
        coupon: agreement.coupon.filter(|_| !discount.is_zero()).map(str::to_owned),
        tax_rate: first.tax_rate.normalize(),
        tax: sum(|unit| unit.tax)?,
        tax_note: agreement.tax_note.map(str::to_owned),
        total: sum(|unit| unit.total)?,
    })
}

fn details(unit: &SoldUnit<'_>, catalogue: &Catalogue) -> Vec<Detail> {
    let options = catalogue.service(unit.service_id).map(|service| service.options()).unwrap_or_default();
    let chosen = unit.configuration.iter().map(|(id, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match options.iter().find(|option| option.id() == id) {
            Some(option) => Detail { name: option.name().to_owned(), value: Some(name_of_choice(option, value)) },
            None => Detail { name: id.clone(), value: Some(value) },
        }
    });
    let added = unit.addons.iter().map(|name| Detail { name: name.clone(), value: None });
    chosen.chain(added).collect()
}

fn name_of_choice(option: &ServiceOption, value: String) -> String {
    match option.kind() {
        OptionKind::Number { .. } => value,
        OptionKind::Choice { choices, .. } => {
            choices.iter().find(|choice| choice.id() == value).map_or(value, |choice| choice.name().to_owned())
        }
    }
}

/// The tax by rate, the highest first. Their `tax` sums to the invoice's.
///
/// # Errors
/// When an amount is none of the currency, or they sum to too much.
pub fn tax_totals(lines: &[InvoiceLine], currency: Currency) -> Result<Vec<TaxTotal>, MoneyError> {
    let mut totals: Vec<TaxTotal> = Vec::new();
    for line in lines {
        let net = Money::new(line.subtotal, currency)?.checked_sub(Money::new(line.discount, currency)?)?;
        let tax = Money::new(line.tax, currency)?;
        let rate = line.tax_rate.normalize();
        match totals.iter_mut().find(|total| total.rate == rate) {
            Some(total) => {
                total.net = total.net.checked_add(net)?;
                total.tax = total.tax.checked_add(tax)?;
            }
            None => totals.push(TaxTotal { rate, net, tax }),
        }
    }
    totals.sort_by_key(|total| Reverse(total.rate));
    Ok(totals)
}

#[cfg(test)]
mod tests;
