//! Money that goes back: how a refund stands, and what of its invoice it takes back.

use std::{cmp::Reverse, fmt, str::FromStr};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{
    invoice::{InvoiceLine, TaxTotal},
    money::{Currency, Money, MoneyError},
    order::UnknownPhase,
};

/// What stands before a credit note's number.
pub const NUMBER_PREFIX: &str = "CN-";

/// How a refund stands. What is learnt of it only ever leads down this list, in whichever order it is told:
///
/// ```text
/// requested ─▶ pending ─▶ succeeded ─▶ failed, cancelled
/// ```
/// Each step may be left out. A bank may send money back days after it had arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RefundState {
    /// It is to be sent; Stripe may not know of it yet.
    Requested,
    /// Stripe has it, and the money is on its way or waits for the customer.
    Pending,
    /// The money has gone.
    Succeeded,
    /// The money did not go, or has come back.
    Failed,
    /// It was called back.
    Cancelled,
}

impl RefundState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Requested, Self::Pending, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// The name in the database and the API.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Pending => "pending",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether no money goes back by it.
    #[must_use]
    pub const fn is_void(self) -> bool {
        matches!(self, Self::Failed | Self::Cancelled)
    }

    /// Whether it is news to one that stands at `known`.
    #[must_use]
    pub fn is_after(self, known: Self) -> bool {
        !known.is_void() && self > known
    }
}

impl fmt::Display for RefundState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for RefundState {
    type Err = UnknownPhase;

    fn from_str(name: &str) -> Result<Self, UnknownPhase> {
        Self::ALL.into_iter().find(|state| state.as_str() == name).ok_or_else(|| UnknownPhase(name.to_owned()))
    }
}

/// What a credit note takes back of one line of its invoice. Amounts are at the currency's scale, as decimal texts in JSON;
/// `total = net + tax`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditLine {
    /// The place of the line on the invoice, from 0.
    pub line: usize,
    /// The catalogue's id.
    pub service_id: String,
    /// The name at the time of the sale.
    pub name: String,
    /// Without tax, the discount taken off.
    pub net: Decimal,
    /// In per cent.
    pub tax_rate: Decimal,
    /// The tax on it.
    pub tax: Decimal,
    /// Why the tax is what it is, such as a reverse charge.
    #[serde(default)]
    pub tax_note: Option<String>,
    /// What goes back.
    pub total: Decimal,
}

/// What a credit note takes back, line by line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credit {
    /// Without tax.
    pub subtotal: Money,
    /// The tax on it.
    pub tax: Money,
    /// Both together.
    pub total: Money,
    /// Those of the invoice's lines that something goes back of.
    pub lines: Vec<CreditLine>,
}

/// Splits an amount that goes back over what is left of an invoice, by largest remainder: each line's net and tax give their
/// share. `noted` is what earlier notes have taken back. The last one takes exactly the rest, so that all notes of an invoice
/// that goes back whole sum to the invoice, in net, tax and every line.
///
/// # Errors
/// When more is to go back than is left of the invoice, or its lines are not in `amount`'s currency.
pub fn credit(invoice: &[InvoiceLine], noted: &[CreditLine], amount: Money) -> Result<Credit, MoneyError> {
    let currency = amount.currency();
    let left: Vec<(Money, Money)> =
        invoice.iter().enumerate().map(|(at, line)| left_of(at, line, noted, currency)).collect::<Result<_, _>>()?;
    let cells: Vec<Money> = left.iter().flat_map(|(net, tax)| [*net, *tax]).collect();
    // More than is left is not to be had.
    Money::sum(currency, cells.iter().copied())?.checked_sub(amount)?;
    let weights: Vec<u64> = cells.iter().map(weight).collect::<Result<_, _>>()?;
    let shares = amount.allocate(&weights)?;
    let lines: Vec<(usize, Money, Money)> =
        shares.chunks_exact(2).enumerate().filter_map(|(at, pair)| Some((at, *pair.first()?, *pair.get(1)?))).collect();
    Ok(Credit {
        subtotal: Money::sum(currency, lines.iter().map(|(_, net, _)| *net))?,
        tax: Money::sum(currency, lines.iter().map(|(_, _, tax)| *tax))?,
        total: amount,
        lines: lines
            .into_iter()
            .filter(|(_, net, tax)| !net.is_zero() || !tax.is_zero())
            .filter_map(|(at, net, tax)| Some(credit_line(at, invoice.get(at)?, net, tax)))
            .collect::<Result<_, _>>()?,
    })
}

/// The tax that a credit note takes back by rate, the highest first. Their `tax` sums to the note's.
///
/// # Errors
/// When an amount is none of the currency, or they sum to too much.
pub fn tax_totals(lines: &[CreditLine], currency: Currency) -> Result<Vec<TaxTotal>, MoneyError> {
    let mut totals: Vec<TaxTotal> = Vec::new();
    for line in lines {
        let (net, tax) = (Money::new(line.net, currency)?, Money::new(line.tax, currency)?);
        let rate = line.tax_rate.normalize();
        match totals.iter_mut().find(|total| total.rate == rate) {
            Some(total) => {
                total.net = total.net.checked_add(net)?;
                total.tax = total.tax.checked_add(tax)?;
            }
            None => totals.push(TaxTotal { rate, net, tax }),
        }
    }
    totals.sort_by_key(|total| Reverse(total.rate));
    Ok(totals)
}

fn left_of(
    at: usize,
    line: &InvoiceLine,
    noted: &[CreditLine],
    currency: Currency,
) -> Result<(Money, Money), MoneyError> {
    let of_line = || noted.iter().filter(|note| note.line == at);
    let sum = |amounts: Vec<Decimal>| {
        amounts
            .into_iter()
            .try_fold(Money::zero(currency), |sum, amount| sum.checked_add(Money::new(amount, currency)?))
    };
    let net = Money::new(line.subtotal, currency)?.checked_sub(Money::new(line.discount, currency)?)?;
    let tax = Money::new(line.tax, currency)?;
    Ok((
        net.checked_sub(sum(of_line().map(|note| note.net).collect())?)?,
        tax.checked_sub(sum(of_line().map(|note| note.tax).collect())?)?,
    ))
}

fn weight(amount: &Money) -> Result<u64, MoneyError> {
    u64::try_from(amount.to_minor()?).map_err(|_| MoneyError::Negative)
}

fn credit_line(at: usize, line: &InvoiceLine, net: Money, tax: Money) -> Result<CreditLine, MoneyError> {
    Ok(CreditLine {
        line: at,
        service_id: line.service_id.clone(),
        name: line.name.clone(),
        net: net.amount(),
        tax_rate: line.tax_rate,
        tax: tax.amount(),
        tax_note: line.tax_note.clone(),
        total: net.checked_add(tax)?.amount(),
    })
}

#[cfg(test)]
mod tests;
