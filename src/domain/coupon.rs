//! Coupons: what a code takes off, for whom, when and how often.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
};

use berth_jobs::ids::CouponId;
use jiff::{Timestamp, civil::Date, tz::TimeZone};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{
    money::{Currency, Money, MoneyError},
    percent::{InvalidPercent, Percent},
    pricing::{self, Discount, DiscountAmount, Quote},
};

/// The shortest code: a shorter one is soon guessed.
const SHORTEST: usize = 3;
/// The longest code.
const LONGEST: usize = 40;

/// A code as it is stored and compared: trimmed, in capital letters, 3 to 40 of `A–Z 0–9 - _`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CouponCode(String);

/// A text that can be no coupon's code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a coupon code is {SHORTEST} to {LONGEST} letters, digits, hyphens and underscores")]
pub struct InvalidCouponCode;

impl CouponCode {
    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CouponCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for CouponCode {
    type Err = InvalidCouponCode;

    fn from_str(text: &str) -> Result<Self, InvalidCouponCode> {
        let code = text.trim();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if !(SHORTEST..=LONGEST).contains(&code.len()) || !code.bytes().all(allowed) {
            return Err(InvalidCouponCode);
        }
        Ok(Self(code.to_ascii_uppercase()))
    }
}

impl TryFrom<String> for CouponCode {
    type Error = InvalidCouponCode;

    fn try_from(text: String) -> Result<Self, InvalidCouponCode> {
        text.parse()
    }
}

impl From<CouponCode> for String {
    fn from(code: CouponCode) -> Self {
        code.0
    }
}

/// How much a coupon takes off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CouponDiscount {
    /// A share.
    Percentage(Percent),
    /// An amount in each currency that it can be used in.
    Fixed(BTreeMap<Currency, Money>),
}

impl CouponDiscount {
    /// The word in the API and in tables.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Percentage(_) => "percentage",
            Self::Fixed(_) => "fixed",
        }
    }

    /// A discount as tables and programs tell it: by its type, with the value of that type and of no other.
    ///
    /// # Errors
    /// When the type is unknown, or its value missing, impossible or of another type.
    pub fn from_parts(
        type_name: &str,
        percentage: Option<Decimal>,
        fixed: BTreeMap<Currency, Money>,
    ) -> Result<Self, InvalidCoupon> {
        match (type_name, percentage) {
            ("percentage", Some(percent)) if fixed.is_empty() => Ok(Self::Percentage(Percent::new(percent)?)),
            ("fixed", None) => {
                let discount = Self::Fixed(fixed);
                discount.check()?;
                Ok(discount)
            }
            ("percentage" | "fixed", _) => Err(InvalidCoupon::Value),
            _ => Err(InvalidCoupon::UnknownType(type_name.to_owned())),
        }
    }

    fn check(&self) -> Result<(), InvalidCoupon> {
        match self {
            Self::Percentage(_) => Ok(()),
            Self::Fixed(amounts) => {
                check_amounts(amounts)?;
                if amounts.is_empty() { Err(InvalidCoupon::Value) } else { Ok(()) }
            }
        }
    }
}

/// A coupon, as staff made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coupon {
    /// Its id.
    pub id: CouponId,
    /// What customers type.
    pub code: CouponCode,
    /// How much it takes off.
    pub discount: CouponDiscount,
    /// From when on it can be used.
    pub starts_at: Option<Timestamp>,
    /// From when on it cannot be used any more: see [`end_of_day`].
    pub ends_at: Option<Timestamp>,
    /// How many orders it can be used for.
    pub max_uses: Option<u32>,
    /// How many orders of one customer it can be used for.
    pub max_uses_per_customer: Option<u32>,
    /// How much must be bought of what it applies to. In a currency that is not named here it cannot be used, unless none is.
    pub minimum_spend: BTreeMap<Currency, Money>,
    /// The ids of the services that it applies to; none named: every service.
    pub services: BTreeSet<String>,
    /// How many cycles of an account it applies to, the first one included; every cycle when it is not said.
    pub cycles: Option<u32>,
    /// Whether it can be used at all.
    pub active: bool,
}

/// Why a coupon cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidCoupon {
    /// Neither `percentage` nor `fixed`.
    #[error("{0:?} is not a type of discount: use percentage or fixed")]
    UnknownType(String),
    /// The value does not go with the type.
    #[error("a percentage has a percentage and no amounts, a fixed discount has an amount in one currency or more")]
    Value,
    /// Not more than zero, at most a hundred.
    #[error(transparent)]
    Percent(#[from] InvalidPercent),
    /// An amount that takes or asks nothing, or stands under another currency.
    #[error("an amount of {0} must be more than zero and in that currency")]
    Amount(Currency),
    /// It ends before it begins.
    #[error("it ends before it begins")]
    Period,
    /// A limit of none: no limit is told by leaving it out.
    #[error("{0} must be 1 or more, or absent")]
    Limit(&'static str),
}

/// How often a coupon has been used: orders that are paid, and those that can still be paid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Uses {
    /// By everybody.
    pub all: u32,
    /// By this customer.
    pub by_customer: u32,
}

/// Why a coupon does not apply. The first three sentences are those that shops have always shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CouponRefusal {
    /// Unknown, inactive or not yet begun: which of them is nobody's business.
    #[error("Invalid coupon code")]
    Invalid,
    /// Its last day is over.
    #[error("Coupon has expired")]
    Expired,
    /// By all, or by this customer.
    #[error("Coupon usage limit reached")]
    UsedUp,
    /// Too little is bought of what it applies to.
    #[error("This coupon applies from {minimum} on")]
    BelowMinimum {
        /// How much must be bought.
        minimum: Money,
    },
    /// It applies to other services.
    #[error("This coupon applies to nothing in the cart")]
    NothingEligible,
    /// It has no amount in this currency.
    #[error("This coupon does not apply in this currency")]
    OtherCurrency,
}

impl Coupon {
    /// Refuses what could never be meant.
    ///
    /// # Errors
    /// At the first mistake.
    pub fn validate(&self) -> Result<(), InvalidCoupon> {
        self.discount.check()?;
        check_amounts(&self.minimum_spend)?;
        if self.starts_at.zip(self.ends_at).is_some_and(|(starts, ends)| ends <= starts) {
            return Err(InvalidCoupon::Period);
        }
        for (name, limit) in [
            ("max_uses", self.max_uses),
            ("max_uses_per_customer", self.max_uses_per_customer),
            ("cycles", self.cycles),
        ] {
            if limit == Some(0) {
                return Err(InvalidCoupon::Limit(name));
            }
        }
        Ok(())
    }

    /// What it takes off a purchase, which is given as priced without it.
    ///
    /// # Errors
    /// When it does not apply.
    pub fn check(&self, now: Timestamp, uses: Uses, without: &Quote) -> Result<Discount, CouponRefusal> {
        if !self.active || self.starts_at.is_some_and(|starts| now < starts) {
            return Err(CouponRefusal::Invalid);
        }
        if self.ends_at.is_some_and(|ends| now >= ends) {
            return Err(CouponRefusal::Expired);
        }
        let reached = |limit: Option<u32>, uses: u32| limit.is_some_and(|limit| uses >= limit);
        if reached(self.max_uses, uses.all) || reached(self.max_uses_per_customer, uses.by_customer) {
            return Err(CouponRefusal::UsedUp);
        }
        let eligible = pricing::eligible_total(without, &self.services).ok_or(CouponRefusal::NothingEligible)?;
        let amount = match &self.discount {
            CouponDiscount::Percentage(percent) => DiscountAmount::Percentage(*percent),
            CouponDiscount::Fixed(amounts) => {
                DiscountAmount::Fixed(*amounts.get(&without.currency).ok_or(CouponRefusal::OtherCurrency)?)
            }
        };
        if !self.minimum_spend.is_empty() {
            let minimum = *self.minimum_spend.get(&without.currency).ok_or(CouponRefusal::OtherCurrency)?;
            if is_less(eligible, minimum).unwrap_or(true) {
                return Err(CouponRefusal::BelowMinimum { minimum });
            }
        }
        Ok(Discount { amount, services: self.services.clone() })
    }

    /// What it takes off a later cycle of an account that was bought with it; nothing where it is over by then, or has no
    /// amount in that currency. Its dates and limits were the purchase's.
    #[must_use]
    pub fn for_cycle(&self, cycle: u32, currency: Currency) -> Option<Discount> {
        let amount = match &self.discount {
            CouponDiscount::Percentage(percent) => DiscountAmount::Percentage(*percent),
            CouponDiscount::Fixed(amounts) => DiscountAmount::Fixed(*amounts.get(&currency)?),
        };
        self.applies_to_cycle(cycle).then(|| Discount { amount, services: self.services.clone() })
    }

    /// Whether it applies to a cycle of an account, the first one being number 1.
    #[must_use]
    pub fn applies_to_cycle(&self, cycle: u32) -> bool {
        self.cycles.is_none_or(|cycles| cycle <= cycles)
    }
}

/// When a day is over where the shop is: a coupon whose last day it is can be used up to, and not at, that instant.
#[must_use]
pub fn end_of_day(day: Date, zone: &TimeZone) -> Timestamp {
    let next = day.tomorrow().and_then(|next| next.to_zoned(zone.clone()));
    next.map_or(Timestamp::MAX, |next| next.timestamp())
}

fn is_less(left: Money, right: Money) -> Result<bool, MoneyError> {
    Ok(left.checked_cmp(right)? == Ordering::Less)
}

fn check_amounts(amounts: &BTreeMap<Currency, Money>) -> Result<(), InvalidCoupon> {
    let wrong = amounts.iter().find(|(currency, amount)| amount.is_zero() || amount.currency() != **currency);
    wrong.map_or(Ok(()), |(currency, _)| Err(InvalidCoupon::Amount(*currency)))
}

#[cfg(test)]
mod tests;
