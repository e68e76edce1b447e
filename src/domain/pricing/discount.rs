//! What is taken off, and off which units.

use std::{cmp::Ordering, collections::BTreeSet};

use super::{PricingError, lines::PricedLine};
use crate::domain::{
    catalogue::ServiceId,
    money::{Currency, Money, MoneyError},
    percent::Percent,
};

/// What a coupon takes off a purchase, once it has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discount {
    /// How much.
    pub amount: DiscountAmount,
    /// The ids of the services that it is taken off; none named: every service.
    pub services: BTreeSet<String>,
}

/// How much a discount takes off what it applies to, which is also the most that it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiscountAmount {
    /// A share of it.
    Percentage(Percent),
    /// An amount.
    Fixed(Money),
}

/// A unit of an eligible line, in the order in which equal units are served.
struct Eligible {
    line: usize,
    price: Money,
}

/// What is taken off each line: the discount is rounded once, as a whole, and its digits are handed to units by largest remainder.
/// Equal remainders are served by the lines' keys, so that the order of the lines changes nothing.
pub(super) fn allot(
    discount: Option<&Discount>,
    lines: &[PricedLine],
    currency: Currency,
) -> Result<Vec<Money>, PricingError> {
    let mut off = vec![Money::zero(currency); lines.len()];
    let Some(discount) = discount else { return Ok(off) };
    let mut by_key: Vec<(usize, &PricedLine)> =
        lines.iter().enumerate().filter(|(_, line)| is_eligible(&discount.services, line.service.id())).collect();
    by_key.sort_by(|(_, left), (_, right)| left.key.cmp(&right.key));
    let mut units = Vec::new();
    for (index, line) in by_key {
        let price = line.first_price()?;
        units.extend((0..line.quantity).map(|_| Eligible { line: index, price }));
    }
    let prices: Vec<Money> = units.iter().map(|unit| unit.price).collect();
    let eligible = Money::sum(currency, prices.iter().copied())?;
    let whole = amount_off(discount.amount, eligible)?;
    if whole.is_zero() {
        return Ok(off);
    }
    for (unit, share) in units.iter().zip(whole.allocate_by(&prices)?) {
        if let Some(line) = off.get_mut(unit.line) {
            *line = line.checked_add(share)?;
        }
    }
    Ok(off)
}

pub(super) fn is_eligible(services: &BTreeSet<String>, service: &ServiceId) -> bool {
    services.is_empty() || services.contains(service.as_str())
}

pub(super) fn amount_off(amount: DiscountAmount, eligible: Money) -> Result<Money, MoneyError> {
    let wanted = match amount {
        DiscountAmount::Percentage(percent) => eligible.percentage(percent.get())?,
        DiscountAmount::Fixed(amount) => amount,
    };
    Ok(if wanted.checked_cmp(eligible)? == Ordering::Greater { eligible } else { wanted })
}
