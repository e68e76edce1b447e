//! Lines as asked for become lines with prices; those with one key become one.

use std::collections::BTreeSet;

use super::{LineKey, LineRequest, MAX_UNITS, PricingError, PricingRequest, QuotedAddon};
use crate::domain::{
    catalogue::{Catalogue, Service},
    configuration::{self, Configuration},
    money::{Currency, Money, MoneyError},
};

/// A line as the catalogue prices it, before discount and tax.
pub(super) struct PricedLine {
    pub(super) key: LineKey,
    pub(super) service: Service,
    pub(super) quantity: u32,
    pub(super) configuration: Configuration,
    pub(super) addons: Vec<QuotedAddon>,
    pub(super) unit_price: Money,
    pub(super) setup_fee: Money,
    pub(super) trial_days: u32,
}

impl PricedLine {
    /// What one account costs at first: its first cycle, unless that is a trial, and its set-up fee.
    pub(super) fn first_price(&self) -> Result<Money, MoneyError> {
        let recurring = if self.trial_days > 0 { Money::zero(self.setup_fee.currency()) } else { self.unit_price };
        recurring.checked_add(self.setup_fee)
    }
}

/// One line a key. The number of accounts is checked as it grows, which also bounds the work: every line asks for one or more.
pub(super) fn merge(catalogue: &Catalogue, request: &PricingRequest) -> Result<Vec<PricedLine>, PricingError> {
    if request.lines.is_empty() {
        return Err(PricingError::NoLines);
    }
    let mut lines: Vec<PricedLine> = Vec::new();
    let mut units: u32 = 0;
    for (index, asked) in request.lines.iter().enumerate() {
        let mut line = price(catalogue, request.currency, index, asked)?;
        let of_service = lines.iter().filter(|earlier| earlier.service.id() == line.service.id());
        let already = of_service.map(|earlier| earlier.quantity).sum::<u32>();
        let quantity = already.saturating_add(asked.quantity);
        if asked.quantity == 0 || quantity > line.service.max_quantity() {
            return Err(PricingError::Quantity {
                line: index,
                service_id: line.service.id().clone(),
                quantity,
                max: line.service.max_quantity(),
            });
        }
        units = units.saturating_add(asked.quantity);
        if units > MAX_UNITS {
            return Err(PricingError::TooManyUnits { line: index });
        }
        match lines.iter_mut().find(|earlier| earlier.key == line.key) {
            Some(earlier) => {
                line.quantity += earlier.quantity;
                // Who asks twice for one line, once without a trial, has no trial: whichever comes first.
                line.trial_days = line.trial_days.min(earlier.trial_days);
                *earlier = line;
            }
            None => lines.push(line),
        }
    }
    Ok(lines)
}

/// One line with its prices. `index` is its place in the request, for refusals.
pub(super) fn price(
    catalogue: &Catalogue,
    currency: Currency,
    index: usize,
    asked: &LineRequest,
) -> Result<PricedLine, PricingError> {
    let service = catalogue
        .service(&asked.service_id)
        .ok_or_else(|| PricingError::UnknownService { line: index, service_id: asked.service_id.clone() })?;
    let service_id = || service.id().clone();
    let not_sold = || PricingError::NotSoldIn { line: index, service_id: service_id(), currency };
    let base_price = service.price(currency).ok_or_else(not_sold)?;
    let configuration = configuration::normalise(service.options(), &asked.configuration)
        .map_err(|source| PricingError::Configuration { line: index, service_id: service_id(), source })?;
    let addon_ids: BTreeSet<&str> = asked.addon_ids.iter().map(String::as_str).collect();
    let mut addons = Vec::with_capacity(addon_ids.len());
    for id in &addon_ids {
        let known = catalogue.addon(id).filter(|_| service.addon_ids().iter().any(|offered| offered == id));
        let addon = known.ok_or_else(|| PricingError::UnknownAddon {
            line: index,
            service_id: service_id(),
            addon_id: (*id).to_owned(),
        })?;
        let price = addon.price(service.billing_cycle(), currency).ok_or_else(not_sold)?;
        addons.push(QuotedAddon { id: addon.id().to_owned(), name: addon.name().to_owned(), price });
    }
    let unit_price = match asked.price_override {
        Some(price) if price.currency() != currency => {
            let given = price.currency();
            return Err(PricingError::OverrideCurrency { line: index, service_id: service_id(), given, currency });
        }
        Some(price) => price,
        None => {
            let with_options =
                base_price.checked_add(configuration::price(service.options(), &configuration, currency)?)?;
            Money::sum(currency, std::iter::once(with_options).chain(addons.iter().map(|addon| addon.price)))?
        }
    };
    Ok(PricedLine {
        key: LineKey::of(service.id(), &configuration, &addon_ids, asked.price_override, asked.apart.as_deref()),
        service: service.clone(),
        quantity: asked.quantity,
        configuration,
        addons,
        unit_price,
        setup_fee: service.setup_fee(currency),
        trial_days: if asked.trial { service.trial_days() } else { 0 },
    })
}
