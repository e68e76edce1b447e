//! A line becomes its accounts, each with its share of every amount.

use super::{QuotedLine, QuotedUnit};
use crate::domain::money::{Money, MoneyError};

/// The accounts of a line. Their amounts sum to the line's, and none is below zero.
pub(super) fn split(index: usize, line: &QuotedLine) -> Result<Vec<QuotedUnit>, MoneyError> {
    let equal: Vec<u64> = (0..line.quantity).map(|_| 1).collect();
    let prices = line.line_total.allocate(&equal)?;
    let discounts = share(line.discount, &prices)?;
    let due = prices
        .iter()
        .zip(&discounts)
        .map(|(price, discount)| price.checked_sub(*discount))
        .collect::<Result<Vec<_>, _>>()?;
    let taxes = share(line.tax, &due)?;
    let setup_fees = setup_fees(line, &prices)?;
    let shares = discounts.into_iter().zip(taxes).zip(setup_fees);
    prices
        .into_iter()
        .zip(shares)
        .map(|(price, ((discount, tax), setup_fee))| {
            Ok(QuotedUnit {
                line: index,
                service_id: line.service.id().clone(),
                price,
                setup_fee,
                discount,
                tax,
                total: price.checked_sub(discount)?.checked_add(tax)?,
            })
        })
        .collect()
}

/// How much of each price is the set-up fee: as much as of the price that the catalogue shows, without the tax that it includes.
fn setup_fees(line: &QuotedLine, prices: &[Money]) -> Result<Vec<Money>, MoneyError> {
    if line.setup_fee.is_zero() {
        return Ok(vec![line.setup_fee; prices.len()]);
    }
    let shown = line.setup_fee.checked_mul(line.quantity)?;
    let recurring = line.list_total.checked_sub(shown)?;
    prices
        .iter()
        .map(|price| {
            let parts = price.allocate_by(&[shown, recurring])?;
            Ok(parts.first().copied().unwrap_or(line.setup_fee))
        })
        .collect()
}

/// Nothing is split as nothing, also among units that cost nothing.
fn share(amount: Money, weights: &[Money]) -> Result<Vec<Money>, MoneyError> {
    if amount.is_zero() {
        return Ok(vec![amount; weights.len()]);
    }
    amount.allocate_by(weights)
}
