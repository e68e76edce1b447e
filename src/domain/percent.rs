//! A percentage that can be taken off, or added: more than nothing, at most the whole.

use std::fmt;

use rust_decimal::Decimal;

/// As many digits as a table keeps, and more than a shop window shows.
const MOST_DIGITS: u32 = 2;

/// More than 0, at most 100, with at most two digits after the point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Percent(Decimal);

/// A number that is no such percentage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not a percentage of more than 0 and at most 100 with at most {MOST_DIGITS} digits after the point")]
pub struct InvalidPercent(Decimal);

impl Percent {
    /// A percentage: 15 is 15 %.
    ///
    /// # Errors
    /// When it is zero, negative, above 100 or finer than hundredths.
    pub fn new(percent: Decimal) -> Result<Self, InvalidPercent> {
        let fits = percent > Decimal::ZERO && percent <= Decimal::ONE_HUNDRED;
        if fits && percent.normalize().scale() <= MOST_DIGITS {
            return Ok(Self(percent.normalize()));
        }
        Err(InvalidPercent(percent))
    }

    /// The number of hundredths.
    #[must_use]
    pub const fn get(self) -> Decimal {
        self.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
