//! Money: an exact, never negative amount of one currency, and the one function that splits it.

mod currency;

use std::{cmp::Ordering, fmt};

use rust_decimal::Decimal;

pub use currency::Currency;

/// Why an amount was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    /// Not the code of a currency that Berth sells in.
    #[error("{0:?} is not a currency that can be charged here")]
    UnknownCurrency(String),
    /// Not a plain decimal number such as `4.99`.
    #[error("{0:?} is not an amount such as 4.99")]
    NotAnAmount(String),
    /// More digits after the point than the currency has.
    #[error("{amount} {currency} has more than {} digits after the point", .currency.scale())]
    TooPrecise {
        /// The amount as it was given.
        amount: Decimal,
        /// The currency it was given in.
        currency: Currency,
    },
    /// A count of minor units that is no whole number of the currency's smallest coin (150 for ISK).
    #[error("{minor} minor units are no whole amount of {currency}")]
    NotWhole {
        /// The count as it was given.
        minor: i64,
        /// The currency it was given in.
        currency: Currency,
    },
    /// Below zero, or the outcome of taking more than there is.
    #[error("an amount of money cannot be negative")]
    Negative,
    /// Two currencies in one calculation.
    #[error("cannot calculate with {left} and {right} together")]
    MixedCurrencies {
        /// The currency of the amount that was asked.
        left: Currency,
        /// The currency of the amount it was given.
        right: Currency,
    },
    /// More than fits the minor units that Stripe takes.
    #[error("the amount is too large")]
    TooLarge,
    /// A split among nobody: no weights, or only zeros.
    #[error("cannot split an amount when no part has a weight")]
    NoWeights,
}

/// An amount of one currency: zero or more, at the currency's scale, and within what `i64` minor units can say.
///
/// It has no serde form: an API shows `amount_text` and the currency apart, a table keeps `amount` and the code in two columns.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Money {
    amount: Decimal,
    currency: Currency,
}

impl Money {
    /// An amount as people write it: `4.99` for USD, `500` for JPY.
    ///
    /// # Errors
    /// When it is negative, too large, or has digits (other than zeros) beyond the currency's scale.
    pub fn new(amount: Decimal, currency: Currency) -> Result<Self, MoneyError> {
        if amount < Decimal::ZERO {
            return Err(MoneyError::Negative);
        }
        if amount.normalize().scale() > currency.scale() {
            return Err(MoneyError::TooPrecise { amount, currency });
        }
        let mut at_scale = amount;
        at_scale.rescale(currency.scale());
        if at_scale.is_zero() {
            return Ok(Self::zero(currency)); // also turns −0 into 0
        }
        let money = Self { amount: at_scale, currency };
        // `rescale` stops short where the digits do not fit, which is far above what minor units can say.
        if at_scale.scale() != currency.scale() || money.to_minor().is_err() {
            return Err(MoneyError::TooLarge);
        }
        Ok(money)
    }

    /// An amount from a text of digits and at most one point. Signs, exponents, spaces and separators are refused.
    ///
    /// # Errors
    /// When it is no such text, or [`Money::new`] refuses its amount.
    pub fn parse(text: &str, currency: Currency) -> Result<Self, MoneyError> {
        let not_an_amount = || MoneyError::NotAnAmount(text.to_owned());
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(whole) || !digits(fraction) {
            return Err(not_an_amount());
        }
        let amount = Decimal::from_str_exact(text).map_err(|_| not_an_amount())?;
        Self::new(amount, currency)
    }

    /// Nothing, in a currency.
    #[must_use]
    pub fn zero(currency: Currency) -> Self {
        Self { amount: Decimal::new(0, currency.scale()), currency }
    }

    /// An amount from Stripe's minor units.
    ///
    /// # Errors
    /// When it is negative or, for ISK, no multiple of 100.
    pub fn from_minor(minor: i64, currency: Currency) -> Result<Self, MoneyError> {
        if minor < 0 {
            return Err(MoneyError::Negative);
        }
        let step = currency.minor_units_in_a_shown_unit();
        if minor % step != 0 {
            return Err(MoneyError::NotWhole { minor, currency });
        }
        Ok(Self { amount: Decimal::new(minor / step, currency.scale()), currency })
    }

    /// The amount in Stripe's minor units.
    ///
    /// # Errors
    /// When it is too large; no amount that `Money` hands out is.
    pub fn to_minor(&self) -> Result<i64, MoneyError> {
        i128::from(self.currency.minor_units_in_a_shown_unit())
            .checked_mul(self.shown_units())
            .and_then(|minor| i64::try_from(minor).ok())
            .ok_or(MoneyError::TooLarge)
    }

    /// The amount, with exactly as many decimals as the currency's scale.
    #[must_use]
    pub const fn amount(&self) -> Decimal {
        self.amount
    }

    /// The currency.
    #[must_use]
    pub const fn currency(&self) -> Currency {
        self.currency
    }

    /// The amount as the API shows it: `"4.99"`, `"500"`.
    #[must_use]
    pub fn amount_text(&self) -> String {
        self.amount.to_string()
    }

    /// Whether there is nothing to pay.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.amount.is_zero()
    }

    /// Both amounts together.
    ///
    /// # Errors
    /// When the currencies differ or the sum is too large.
    pub fn checked_add(&self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let sum = self.amount.checked_add(other.amount).ok_or(MoneyError::TooLarge)?;
        Self::new(sum, self.currency)
    }

    /// What is left when `other` is taken away.
    ///
    /// # Errors
    /// When the currencies differ or `other` is more than there is.
    pub fn checked_sub(&self, other: Self) -> Result<Self, MoneyError> {
        self.same_currency(other)?;
        let rest = self.amount.checked_sub(other.amount).ok_or(MoneyError::TooLarge)?;
        Self::new(rest, self.currency)
    }

    /// The amount `times` over.
    ///
    /// # Errors
    /// When the product is too large.
    pub fn checked_mul(&self, times: u32) -> Result<Self, MoneyError> {
        let product = self.amount.checked_mul(Decimal::from(times)).ok_or(MoneyError::TooLarge)?;
        Self::new(product, self.currency)
    }

    /// So many hundredths of the amount (15 % of 49.99 USD is 7.50 USD), rounded once, half away from zero.
    ///
    /// # Errors
    /// When the percentage is negative or the outcome is too large.
    pub fn percentage(&self, percent: Decimal) -> Result<Self, MoneyError> {
        let (rate, hundred) = as_fraction(percent)?;
        self.fraction(rate, hundred)
    }

    /// The part of the amount that was added to the rest as so many hundredths of it (19 % within 119.00 EUR is 19.00 EUR),
    /// rounded once, half away from zero.
    ///
    /// # Errors
    /// When the percentage is negative or too large to calculate with.
    pub fn contained_percentage(&self, percent: Decimal) -> Result<Self, MoneyError> {
        let (rate, hundred) = as_fraction(percent)?;
        self.fraction(rate, hundred.checked_add(rate).ok_or(MoneyError::TooLarge)?)
    }

    /// What `of` of `whole` equal shares of the amount are worth, rounded once, half away from zero.
    ///
    /// # Errors
    /// When there is no whole to be a part of, or the outcome is too large.
    pub fn part(&self, of: u32, whole: u32) -> Result<Self, MoneyError> {
        if whole == 0 {
            return Err(MoneyError::NoWeights);
        }
        self.fraction(i128::from(of), i128::from(whole))
    }

    /// As [`Money::part`], rounded down: never more than the exact part.
    ///
    /// # Errors
    /// As [`Money::part`].
    pub fn part_rounded_down(&self, of: u32, whole: u32) -> Result<Self, MoneyError> {
        let product = self.shown_units().checked_mul(i128::from(of)).ok_or(MoneyError::TooLarge)?;
        self.of_shown_units(product.checked_div(i128::from(whole)).ok_or(MoneyError::NoWeights)?)
    }

    /// Which of two amounts of one currency is more.
    ///
    /// # Errors
    /// When the currencies differ.
    pub fn checked_cmp(&self, other: Self) -> Result<Ordering, MoneyError> {
        self.same_currency(other)?;
        Ok(self.amount.cmp(&other.amount))
    }

    /// All amounts together; zero when there are none.
    ///
    /// # Errors
    /// As [`Money::checked_add`].
    pub fn sum(currency: Currency, amounts: impl IntoIterator<Item = Self>) -> Result<Self, MoneyError> {
        amounts.into_iter().try_fold(Self::zero(currency), |sum, amount| sum.checked_add(amount))
    }

    /// Splits the amount in proportion to the weights, by largest remainder: the parts sum to the whole, each is its exact share
    /// rounded down or up to the last digit shown, and digits left over go to the largest remainders, the first of equals first.
    ///
    /// # Errors
    /// When no weight is above zero.
    pub fn allocate(&self, weights: &[u64]) -> Result<Vec<Self>, MoneyError> {
        let total_weight: i128 = weights.iter().copied().map(i128::from).sum();
        if total_weight == 0 {
            return Err(MoneyError::NoWeights);
        }
        let whole = self.shown_units();
        let mut shares = Vec::with_capacity(weights.len());
        let mut remainders = Vec::with_capacity(weights.len());
        for (index, weight) in weights.iter().enumerate() {
            let product = whole.checked_mul(i128::from(*weight)).ok_or(MoneyError::TooLarge)?;
            shares.push(product / total_weight);
            remainders.push((product % total_weight, index));
        }

        let handed_out: i128 = shares.iter().sum();
        let left_over = usize::try_from(whole - handed_out).map_err(|_| MoneyError::TooLarge)?;
        remainders.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
        for (_, index) in remainders.into_iter().take(left_over) {
            if let Some(share) = shares.get_mut(index) {
                *share += 1;
            }
        }
        shares.into_iter().map(|share| self.of_shown_units(share)).collect()
    }

    /// Splits the amount in proportion to other amounts, such as a discount over the lines it applies to.
    ///
    /// # Errors
    /// As [`Money::allocate`]; when a part is in another currency.
    pub fn allocate_by(&self, parts: &[Self]) -> Result<Vec<Self>, MoneyError> {
        let weights = parts
            .iter()
            .map(|part| {
                self.same_currency(*part)?;
                u64::try_from(part.shown_units()).map_err(|_| MoneyError::TooLarge)
            })
            .collect::<Result<Vec<_>, _>>()?;
        self.allocate(&weights)
    }

    /// The amount times an exact fraction of whole numbers; neither is negative, the divisor is not zero.
    fn fraction(&self, numerator: i128, divisor: i128) -> Result<Self, MoneyError> {
        let double = self.shown_units().checked_mul(numerator).and_then(|product| product.checked_mul(2));
        let rounded = double.and_then(|double| double.checked_add(divisor)?.checked_div(divisor.checked_mul(2)?));
        self.of_shown_units(rounded.ok_or(MoneyError::TooLarge)?)
    }

    /// The amount counted in units of its last digit: 499 for 4.99 USD, 500 for 500 ISK.
    const fn shown_units(&self) -> i128 {
        self.amount.mantissa()
    }

    fn of_shown_units(&self, units: i128) -> Result<Self, MoneyError> {
        let amount =
            Decimal::try_from_i128_with_scale(units, self.currency.scale()).map_err(|_| MoneyError::TooLarge)?;
        Self::new(amount, self.currency)
    }

    fn same_currency(&self, other: Self) -> Result<(), MoneyError> {
        if self.currency == other.currency {
            return Ok(());
        }
        Err(MoneyError::MixedCurrencies { left: self.currency, right: other.currency })
    }
}

/// A percentage as a fraction of whole numbers: 7.5 % is 75 of 1000.
fn as_fraction(percent: Decimal) -> Result<(i128, i128), MoneyError> {
    let percent = percent.normalize();
    if percent < Decimal::ZERO {
        return Err(MoneyError::Negative);
    }
    let hundred = 10_i128.checked_pow(percent.scale()).and_then(|ten| ten.checked_mul(100));
    Ok((percent.mantissa(), hundred.ok_or(MoneyError::TooLarge)?))
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency)
    }
}

impl fmt::Debug for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;
