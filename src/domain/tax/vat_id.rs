//! A VAT identification number of the European Union, checked by its shape.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::Country;

/// What follows the two letters of the country: `9` is a digit, `A` a letter, `*` either, `?` either or `+` or `*`; other
/// characters stand for themselves. From the European Commission's VIES, "structure of VAT identification numbers".
const SHAPES: &[(&str, &[&str])] = &[
    ("AT", &["U99999999"]),
    ("BE", &["9999999999"]),
    ("BG", &["999999999", "9999999999"]),
    ("CY", &["99999999A"]),
    ("CZ", &["99999999", "999999999", "9999999999"]),
    ("DE", &["999999999"]),
    ("DK", &["99999999"]),
    ("EE", &["999999999"]),
    ("EL", &["999999999"]),
    ("ES", &["*9999999*"]),
    ("FI", &["99999999"]),
    ("FR", &["**999999999"]),
    ("HR", &["99999999999"]),
    ("HU", &["99999999"]),
    ("IE", &["9?99999A", "9999999A", "9999999AA"]),
    ("IT", &["99999999999"]),
    ("LT", &["999999999", "999999999999"]),
    ("LU", &["99999999"]),
    ("LV", &["99999999999"]),
    ("MT", &["99999999"]),
    ("NL", &["999999999B99", "??????????99"]),
    ("PL", &["9999999999"]),
    ("PT", &["999999999"]),
    ("RO", &["99", "999", "9999", "99999", "999999", "9999999", "99999999", "999999999", "9999999999"]),
    ("SE", &["999999999999"]),
    ("SI", &["99999999"]),
    ("SK", &["9999999999"]),
];

/// A number such as `DE123456789`: its country's letters and shape. Whether it was given to anybody, only VIES can say.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VatId {
    text: String,
    country: Country,
}

/// A text that is no VAT id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a VAT id of a country of the European Union, such as DE123456789")]
pub struct InvalidVatId(String);

impl VatId {
    /// The number without spaces, in capital letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Who gave it.
    #[must_use]
    pub const fn country(&self) -> Country {
        self.country
    }
}

impl FromStr for VatId {
    type Err = InvalidVatId;

    /// Spaces, points and hyphens, as people write them, are left out; letters are taken in either case.
    fn from_str(text: &str) -> Result<Self, InvalidVatId> {
        let kept = text.chars().filter(|letter| !matches!(letter, ' ' | '.' | '-'));
        let compact: String = kept.map(|letter| letter.to_ascii_uppercase()).collect();
        let invalid = || InvalidVatId(text.chars().take(40).collect());
        let (prefix, number) = compact.split_at_checked(2).ok_or_else(invalid)?;
        let (_, shapes) = SHAPES.iter().find(|(known, _)| *known == prefix).ok_or_else(invalid)?;
        if !shapes.iter().any(|shape| fits(shape, number)) {
            return Err(invalid());
        }
        let country = if prefix == "EL" { "GR" } else { prefix };
        Ok(Self { country: country.parse().map_err(|_| invalid())?, text: compact })
    }
}

fn fits(shape: &str, number: &str) -> bool {
    let same = |(wanted, found): (char, char)| match wanted {
        '9' => found.is_ascii_digit(),
        'A' => found.is_ascii_uppercase(),
        '*' => found.is_ascii_digit() || found.is_ascii_uppercase(),
        '?' => found.is_ascii_digit() || found.is_ascii_uppercase() || matches!(found, '+' | '*'),
        letter => letter == found,
    };
    shape.chars().count() == number.chars().count() && shape.chars().zip(number.chars()).all(same)
}

impl fmt::Display for VatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl TryFrom<String> for VatId {
    type Error = InvalidVatId;

    fn try_from(text: String) -> Result<Self, InvalidVatId> {
        text.parse()
    }
}

impl From<VatId> for String {
    fn from(id: VatId) -> Self {
        id.text
    }
}
