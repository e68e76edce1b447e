//! Tax: which rate is due on what, by where seller and buyer are.

mod country;
mod vat_id;

use std::{collections::BTreeMap, str::FromStr};

use rust_decimal::Decimal;

use super::percent::Percent;

pub use country::{Country, UnknownCountry};
pub use vat_id::{InvalidVatId, VatId};

/// The category of a rate that holds for whatever has none of its own.
pub const ANY_CATEGORY: &str = "*";

/// What an invoice must say where the buyer owes the tax (Articles 196 and 226(11a) of Directive 2006/112/EC).
pub const REVERSE_CHARGE_NOTE: &str = "Reverse charge: VAT is to be accounted for by the recipient.";

/// One rate: what a country takes of a category, in hundredths. As text: `DE:hosting:19`, or `DE:*:19` for every category.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaxRate {
    /// Where the buyer is.
    pub country: Country,
    /// As the catalogue's `tax_category`, or [`ANY_CATEGORY`].
    pub category: String,
    /// In hundredths.
    pub percent: Decimal,
}

/// Why tax rules were refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTaxRules {
    /// No text such as `DE:hosting:19`.
    #[error("{0:?} is not a rate such as DE:hosting:19, which is country:category:percent")]
    Rate(String),
    /// Two rates for one thing.
    #[error("there are two rates for {country}:{category}")]
    TwoRates {
        /// The country.
        country: Country,
        /// The category.
        category: String,
    },
    /// Rates, but nobody who charges them.
    #[error("there are rates, but the seller's country is not known")]
    NoSeller,
}

impl FromStr for TaxRate {
    type Err = InvalidTaxRules;

    fn from_str(text: &str) -> Result<Self, InvalidTaxRules> {
        let parsed = || {
            let mut parts = text.split(':').map(str::trim);
            let (country, category, percent) = (parts.next()?, parts.next()?, parts.next()?);
            if parts.next().is_some() || category.is_empty() {
                return None;
            }
            let percent = Decimal::from_str_exact(percent).ok()?;
            let zero = percent.is_zero() && percent.is_sign_positive();
            (zero || Percent::new(percent).is_ok()).then_some(Self {
                country: country.parse().ok()?,
                category: category.to_owned(),
                percent,
            })
        };
        parsed().ok_or_else(|| InvalidTaxRules::Rate(text.to_owned()))
    }
}

/// Which taxes the shop charges. Without rates: none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaxRules {
    inclusive: bool,
    seller: Option<Country>,
    rates: BTreeMap<Country, BTreeMap<String, Decimal>>,
}

/// Where a customer lives, as far as tax goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaxAddress {
    /// The country.
    pub country: Country,
    /// The number that they have as a business.
    pub vat_id: Option<VatId>,
}

/// Which tax is due on a purchase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaxTreatment {
    /// Whether the catalogue's prices include it.
    pub inclusive: bool,
    /// What is due, in hundredths, by the catalogue's `tax_category` or [`ANY_CATEGORY`]. What is not there is not taxed.
    pub rates: BTreeMap<String, Decimal>,
    /// Whether the buyer owes it, so that none is charged.
    pub reverse_charge: bool,
}

impl TaxRules {
    /// Rules from settings.
    ///
    /// # Errors
    /// When two rates contradict each other, or there are rates and no seller.
    pub fn new(inclusive: bool, seller: Option<Country>, rates: &[TaxRate]) -> Result<Self, InvalidTaxRules> {
        let mut by_country: BTreeMap<Country, BTreeMap<String, Decimal>> = BTreeMap::new();
        for rate in rates {
            let of_country = by_country.entry(rate.country).or_default();
            if of_country.insert(rate.category.clone(), rate.percent).is_some() {
                return Err(InvalidTaxRules::TwoRates { country: rate.country, category: rate.category.clone() });
            }
        }
        if !rates.is_empty() && seller.is_none() {
            return Err(InvalidTaxRules::NoSeller);
        }
        Ok(Self { inclusive, seller, rates: by_country })
    }

    /// Whether an address must be known before a purchase can be taxed.
    #[must_use]
    pub fn need_address(&self) -> bool {
        !self.rates.is_empty()
    }

    /// Whether the catalogue's prices include tax.
    #[must_use]
    pub const fn inclusive(&self) -> bool {
        self.inclusive
    }

    /// The treatment of a customer. One whose address is not known yet is treated as the seller's neighbour: nobody pays less
    /// by saying less. A country without a rate takes no tax.
    ///
    /// Between two countries of the European Union a business owes the tax itself: none is charged to who names a number of the
    /// country that they live in. Where prices include tax, such a buyer pays the price as shown.
    #[must_use]
    pub fn treatment(&self, buyer: Option<&TaxAddress>) -> TaxTreatment {
        let reverse_charge = self.seller.zip(buyer).is_some_and(|(seller, buyer)| {
            let numbered = buyer.vat_id.as_ref().is_some_and(|id| id.country() == buyer.country);
            numbered && seller != buyer.country && seller.is_in_eu() && buyer.country.is_in_eu()
        });
        let country = buyer.map(|buyer| buyer.country).or(self.seller);
        let rates = country.and_then(|country| self.rates.get(&country)).cloned().unwrap_or_default();
        TaxTreatment {
            inclusive: self.inclusive,
            rates: if reverse_charge { BTreeMap::new() } else { rates },
            reverse_charge: reverse_charge && self.need_address(),
        }
    }
}

impl TaxTreatment {
    /// No tax at all.
    #[must_use]
    pub const fn none() -> Self {
        Self { inclusive: false, rates: BTreeMap::new(), reverse_charge: false }
    }

    /// The rate of a category, in hundredths.
    #[must_use]
    pub fn rate(&self, category: &str) -> Decimal {
        if self.reverse_charge {
            return Decimal::ZERO;
        }
        self.rates.get(category).or_else(|| self.rates.get(ANY_CATEGORY)).copied().unwrap_or(Decimal::ZERO)
    }

    /// What the invoice must say.
    #[must_use]
    pub fn note(&self) -> Option<&'static str> {
        self.reverse_charge.then_some(REVERSE_CHARGE_NOTE)
    }
}

#[cfg(test)]
mod tests;
