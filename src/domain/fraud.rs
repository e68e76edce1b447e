//! Which paid orders a person looks at before anything is made for them: few rules, each told in a sentence.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use super::{
    money::{Currency, Money, MoneyError},
    tax::{Country, UnknownCountry},
};

/// What has an order held. None of it is the default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HoldRules {
    countries: BTreeSet<Country>,
    above: BTreeMap<Currency, Money>,
}

/// Why rules cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoldRulesError {
    /// A country has not two letters.
    #[error(transparent)]
    Country(#[from] UnknownCountry),
    /// An amount is written in another way.
    #[error("{0:?} is not an amount such as USD:500.00")]
    Shape(String),
    /// An amount is none of its currency.
    #[error("{0:?} is no amount")]
    Amount(String, #[source] MoneyError),
    /// One currency has two limits.
    #[error("there are two limits in {0}")]
    Twice(&'static str),
}

impl HoldRules {
    /// Rules from their texts: countries of two letters, and one limit a currency such as `USD:500.00`.
    ///
    /// # Errors
    /// When one cannot be read, or two are of one currency.
    pub fn new(countries: &[String], above: &[String]) -> Result<Self, HoldRulesError> {
        let countries = countries.iter().map(|country| country.parse()).collect::<Result<_, _>>()?;
        let mut limits = BTreeMap::new();
        for text in above {
            let limit = limit_from(text)?;
            if limits.insert(limit.currency(), limit).is_some() {
                return Err(HoldRulesError::Twice(limit.currency().code()));
            }
        }
        Ok(Self { countries, above: limits })
    }

    /// Why an order is to be held, for staff; `None` when no rule is about it. Who did not say where they are is of no
    /// country.
    #[must_use]
    pub fn reason_to_hold(&self, country: Option<&str>, total: Money) -> Option<String> {
        let country = country.and_then(|country| Country::from_str(country).ok());
        if let Some(country) = country.filter(|country| self.countries.contains(country)) {
            return Some(format!("the customer is in {country}"));
        }
        let limit = self.above.get(&total.currency())?;
        let is_above = total.checked_cmp(*limit) == Ok(Ordering::Greater);
        is_above.then(|| {
            let code = limit.currency().code();
            format!("the total is above {} {code}", limit.amount_text())
        })
    }
}

fn limit_from(text: &str) -> Result<Money, HoldRulesError> {
    let shape = || HoldRulesError::Shape(text.to_owned());
    let (currency, amount) = text.split_once(':').ok_or_else(shape)?;
    let currency: Currency = currency.trim().parse().map_err(|_| shape())?;
    Money::parse(amount.trim(), currency).map_err(|error| HoldRulesError::Amount(text.to_owned(), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(countries: &[&str], above: &[&str]) -> Result<HoldRules, HoldRulesError> {
        let texts = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        HoldRules::new(&texts(countries), &texts(above))
    }

    fn usd(text: &str) -> Money {
        Money::parse(text, Currency::Usd).unwrap()
    }

    #[test]
    fn without_rules_nothing_is_held() {
        assert_eq!(HoldRules::default().reason_to_hold(Some("DE"), usd("99999.99")), None);
    }

    #[test]
    fn an_order_from_a_named_country_is_held_whatever_its_total() {
        let rules = rules(&["XA", "xb"], &[]).unwrap();

        for country in ["XA", "XB", "xb"] {
            assert!(rules.reason_to_hold(Some(country), usd("0.00")).is_some(), "{country}");
        }
        for country in [Some("XC"), Some("nowhere"), Some(""), None] {
            assert_eq!(rules.reason_to_hold(country, usd("9999.99")), None, "{country:?}");
        }
    }

    #[test]
    fn an_order_above_its_currencys_limit_is_held_and_one_at_the_limit_is_not() {
        let rules = rules(&[], &["USD:500.00", "EUR:450"]).unwrap();

        assert_eq!(rules.reason_to_hold(None, usd("500.00")), None);
        assert_eq!(rules.reason_to_hold(None, usd("500.01")).unwrap(), "the total is above 500.00 USD");
        assert!(rules.reason_to_hold(None, Money::parse("450.01", Currency::Eur).unwrap()).is_some());
        assert_eq!(rules.reason_to_hold(None, Money::parse("9999.00", Currency::Gbp).unwrap()), None);
    }

    #[test]
    fn rules_that_cannot_be_read_are_refused() {
        let bad: [(&[&str], &[&str]); 6] = [
            (&["DEU"], &[]),
            (&[], &["500"]),
            (&[], &["XXX:500"]),
            (&[], &["USD:much"]),
            (&[], &["USD:5.001"]),
            (&[], &["USD:5", "USD:6"]),
        ];
        for (countries, above) in bad {
            assert!(rules(countries, above).is_err(), "{countries:?} {above:?}");
        }
    }
}
