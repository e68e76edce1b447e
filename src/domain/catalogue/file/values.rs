//! The values of a catalogue's entry: each is checked, or refused with what is allowed.

use std::{cmp::Ordering, collections::BTreeMap};

use super::super::{CatalogueError, MAX_TEXT_LEN};
use crate::domain::money::{Currency, Money};

/// Amounts as the file writes them, by currency.
pub(super) type Prices = BTreeMap<String, String>;

/// A service or an add-on of the file, by its name in refusals.
pub(super) struct Entry {
    pub(super) name: String,
}

impl Entry {
    pub(super) fn refuse(&self, key: &str, found: &str, allowed: &str) -> CatalogueError {
        CatalogueError::Value {
            entry: self.name.clone(),
            key: key.to_owned(),
            found: found.to_owned(),
            allowed: allowed.to_owned(),
        }
    }

    pub(super) fn no_price(&self, key: &str, currency: Currency) -> CatalogueError {
        CatalogueError::NoPrice { entry: self.name.clone(), key: key.to_owned(), currency }
    }

    /// A text that will be printed on one line: not empty, no spaces around it, no control characters.
    pub(super) fn text(&self, key: &str, text: &str) -> Result<String, CatalogueError> {
        if text.is_empty() || text.len() > MAX_TEXT_LEN || text.trim() != text || text.chars().any(char::is_control) {
            let allowed = format!("1 to {MAX_TEXT_LEN} bytes on one line, without spaces at its ends");
            return Err(self.refuse(key, text, &allowed));
        }
        Ok(text.to_owned())
    }

    /// A text that programs compare: an id, or a category.
    pub(super) fn slug(&self, key: &str, text: &str) -> Result<String, CatalogueError> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
        if text.is_empty() || text.len() > MAX_TEXT_LEN || !text.bytes().all(allowed) {
            return Err(self.refuse(key, text, "lower-case letters, digits, hyphens and underscores"));
        }
        Ok(text.to_owned())
    }

    pub(super) fn number(&self, key: &str, found: i64, least: u32, most: u32) -> Result<u32, CatalogueError> {
        u32::try_from(found)
            .ok()
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| self.refuse(key, &found.to_string(), &format!("{least} to {most}")))
    }

    /// What a service costs alone: something that can be charged, in one currency or more.
    pub(super) fn prices(&self, entries: &Prices) -> Result<BTreeMap<Currency, Money>, CatalogueError> {
        if entries.is_empty() {
            return Err(self.refuse("prices", "{}", "at least one price, such as { USD = \"4.99\" }"));
        }
        self.read_amounts("prices", entries, |currency| currency.minimum_charge())
    }

    /// What is added to a service's price: any amount, however small.
    pub(super) fn amounts(&self, key: &str, entries: &Prices) -> Result<BTreeMap<Currency, Money>, CatalogueError> {
        self.read_amounts(key, entries, Money::zero)
    }

    /// Refuses prices that leave out a currency that the service is sold in; none at all is free.
    pub(super) fn covers(
        &self,
        key: &str,
        prices: &BTreeMap<Currency, Money>,
        sold_in: &BTreeMap<Currency, Money>,
    ) -> Result<(), CatalogueError> {
        let missing = sold_in.keys().find(|currency| !prices.contains_key(currency));
        match missing {
            Some(currency) if !prices.is_empty() => Err(self.no_price(key, *currency)),
            Some(_) | None => Ok(()),
        }
    }

    fn read_amounts(
        &self,
        key: &str,
        entries: &Prices,
        least: impl Fn(Currency) -> Money,
    ) -> Result<BTreeMap<Currency, Money>, CatalogueError> {
        let mut prices = BTreeMap::new();
        for (code, text) in entries {
            let key = format!("{key}.{code}");
            let known = code.parse::<Currency>().ok().filter(|currency| currency.code() == code);
            let Some(currency) = known else {
                let codes: Vec<&str> = Currency::ALL.iter().map(|currency| currency.code()).collect();
                return Err(self.refuse(&key, text, &format!("under one of {}", codes.join(", "))));
            };
            prices.insert(currency, self.amount(&key, text, least(currency))?);
        }
        Ok(prices)
    }

    /// Nothing, or at least so much and no more than can be charged.
    fn amount(&self, key: &str, text: &str, least: Money) -> Result<Money, CatalogueError> {
        let currency = least.currency();
        let most = currency.maximum_charge();
        let fits = |price: &Money| {
            let at_least = price.checked_cmp(least).is_ok_and(Ordering::is_ge);
            let at_most = price.checked_cmp(most).is_ok_and(Ordering::is_le);
            price.is_zero() || (at_least && at_most)
        };
        Money::parse(text, currency).ok().filter(fits).ok_or_else(|| {
            let decimals = currency.scale();
            let (least_text, most) = (least.amount_text(), most.amount_text());
            let range = if least.is_zero() {
                format!("\"0\" to \"{most}\"")
            } else {
                format!("\"0\", or \"{least_text}\" to \"{most}\"")
            };
            self.refuse(key, text, &format!("{range} with at most {decimals} digits after the point"))
        })
    }
}
