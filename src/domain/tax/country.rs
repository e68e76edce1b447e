//! A country, as ISO 3166-1 names it in two letters.

mod names;

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Whose businesses owe each other's VAT, as ISO 3166-1 names them (Greece is GR here and EL in VAT ids).
const EUROPEAN_UNION: [&str; 27] = [
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT", "LT", "LU", "LV",
    "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
];

/// Two capital letters. Whether ISO 3166-1 gives them to a country is not asked: an unknown one has no rate, so nothing follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Country([char; 2]);

/// A text that is no country.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a country of two letters, such as DE")]
pub struct UnknownCountry(String);

impl Country {
    /// What it is called in English; nothing where the letters are no country's.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        let code = self.to_string();
        let at = names::NAMES.binary_search_by_key(&code.as_str(), |(known, _)| known).ok()?;
        names::NAMES.get(at).map(|(_, name)| *name)
    }

    /// Whether it belongs to the European Union.
    #[must_use]
    pub fn is_in_eu(self) -> bool {
        EUROPEAN_UNION.contains(&self.to_string().as_str())
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_iter(self.0))
    }
}

impl FromStr for Country {
    type Err = UnknownCountry;

    /// Takes either case.
    fn from_str(text: &str) -> Result<Self, UnknownCountry> {
        let mut letters = text.chars().map(|letter| letter.to_ascii_uppercase());
        match (letters.next(), letters.next(), letters.next()) {
            (Some(first), Some(second), None) if first.is_ascii_uppercase() && second.is_ascii_uppercase() => {
                Ok(Self([first, second]))
            }
            _ => Err(UnknownCountry(text.to_owned())),
        }
    }
}

impl TryFrom<String> for Country {
    type Error = UnknownCountry;

    fn try_from(text: String) -> Result<Self, UnknownCountry> {
        text.parse()
    }
}

impl From<Country> for String {
    fn from(country: Country) -> Self {
        country.to_string()
    }
}
