//! What the settings say of the shop: read once, at start.

use std::path::Path;

use jiff::tz::TimeZone;
use rust_decimal::Decimal;

use super::StartError;
use crate::{
    config::Config,
    domain::{
        catalogue::Catalogue,
        fuse::Fuse,
        invoice::Seller,
        percent::Percent,
        tax::{Country, TaxRate, TaxRules},
        timetable::Timetables,
    },
    mail::Shop,
};

/// Who the mails are from, as configured.
#[must_use]
pub fn shop_of(config: &Config) -> Shop {
    Shop {
        name: config.shop.name.clone(),
        url: config.shop.url.as_ref().unwrap_or(&config.http.public_url).as_str().trim_end_matches('/').to_owned(),
        support_email: config.shop.support_email.clone().unwrap_or_default(),
    }
}

/// Who the invoices are from, as configured.
#[must_use]
pub fn seller_of(config: &Config) -> Seller {
    Seller {
        name: config.seller.name.clone().unwrap_or_else(|| config.shop.name.clone()),
        address: config.seller.address.clone(),
        country: config.seller.country.clone(),
        vat_id: config.seller.vat_id.clone(),
        email: config.seller.email.clone().or_else(|| config.shop.support_email.clone()),
    }
}

/// In which zone the shop's days begin and end, as configured.
///
/// # Errors
/// When there is no such zone.
pub fn time_zone_of(config: &Config) -> Result<TimeZone, StartError> {
    TimeZone::get(&config.shop.time_zone).map_err(|error| StartError::setting("shop.time_zone", error))
}

/// What is sold, as configured.
///
/// # Errors
/// When the file cannot be read or is wrong.
pub fn catalogue_of(config: &Config) -> Result<Catalogue, StartError> {
    let Some(path) = &config.catalogue.path else { return Ok(Catalogue::built_in()?) };
    Ok(Catalogue::from_toml(&read(path)?)?)
}

/// A file that a setting names.
pub(super) fn read(path: &Path) -> Result<String, StartError> {
    std::fs::read_to_string(path).map_err(|source| StartError::File { path: path.display().to_string(), source })
}

/// When what happens to accounts, as configured.
///
/// # Errors
/// When a timetable's steps are in an order that cannot be.
pub fn timetables_of(config: &Config, catalogue: &Catalogue) -> Result<Timetables, StartError> {
    let plans = catalogue.services().iter().map(|service| (service.id().as_str(), service.timetable()));
    Timetables::new(config.timetable.clone(), plans).map_err(|(plan, error)| match plan {
        Some(plan) => StartError::setting("timetable", format!("with the service {plan}: {error}")),
        None => StartError::setting("timetable", error),
    })
}

/// How much is usual in a day, as configured.
///
/// # Errors
/// When the share is none.
pub fn fuse_of(config: &Config) -> Result<Fuse, StartError> {
    let refuse = |why: &dyn std::fmt::Display| StartError::setting("fuse.percent", why);
    let percent: Decimal = config.fuse.percent.parse().map_err(|error| refuse(&error))?;
    let share = Percent::new(percent).map_err(|error| refuse(&error))?;
    Ok(Fuse { number: config.fuse.number, share })
}

/// Which taxes are charged, as configured.
///
/// # Errors
/// When a rate is wrong, or two contradict each other.
pub fn tax_of(config: &Config) -> Result<TaxRules, StartError> {
    let seller = config.tax.seller_country.as_ref().or(config.seller.country.as_ref());
    let seller: Option<Country> = seller
        .map(|country| country.parse())
        .transpose()
        .map_err(|error| StartError::setting("tax.seller_country", error))?;
    let refuse = |error| StartError::setting("tax.rates", error);
    let rates: Vec<TaxRate> =
        config.tax.rates.iter().map(|rate| rate.parse()).collect::<Result<_, _>>().map_err(refuse)?;
    TaxRules::new(config.tax.inclusive, seller, &rates).map_err(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tax(settings: &[(&str, &str)]) -> Result<TaxRules, StartError> {
        tax_of(&Config::from_settings(settings).unwrap())
    }

    #[test]
    fn no_tax_is_charged_unless_rates_are_set() {
        assert_eq!(tax(&[]).unwrap(), TaxRules::default());
        assert_eq!(tax(&[("seller.country", "DE")]).unwrap().treatment(None).rate("hosting").to_string(), "0");
    }

    #[test]
    fn taxes_are_charged_from_the_country_of_the_tax_or_else_of_the_seller() {
        let rate = |settings: &[(&str, &str)]| {
            let rates = ("tax.rates", "DE:*:19,AT:*:20");
            tax(&[settings, &[rates]].concat()).unwrap().treatment(None).rate("hosting").to_string()
        };

        assert_eq!(rate(&[("seller.country", "DE")]), "19");
        assert_eq!(rate(&[("seller.country", "DE"), ("tax.seller_country", "AT")]), "20");
    }

    #[test]
    fn rates_that_contradict_each_other_stop_the_start() {
        let error = tax(&[("seller.country", "DE"), ("tax.rates", "DE:*:19,DE:*:16")]).unwrap_err();

        assert_eq!(error.to_string(), "tax.rates cannot be used: there are two rates for DE:*");
    }
}
