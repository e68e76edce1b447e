//! Money by what became of it: exact sums, which no other counter could hold.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use rust_decimal::Decimal;

use super::Sample;

/// What became of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MoneyOutcome {
    /// It paid what was owed.
    Succeeded,
    /// It came too late for what it was for, and is the customer's credit.
    Credited,
    /// It was not owed, and goes back.
    Surplus,
    /// A saved card was declined for good.
    DeclinedHard,
    /// A saved card was declined for now.
    DeclinedSoft,
    /// The bank asks for the customer.
    DeclinedNeedsCustomer,
    /// It went back.
    Refunded,
    /// The customer's bank wants it back.
    Disputed,
}

impl MoneyOutcome {
    /// The value of the label `outcome`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Credited => "credited",
            Self::Surplus => "surplus",
            Self::DeclinedHard => "declined_hard",
            Self::DeclinedSoft => "declined_soft",
            Self::DeclinedNeedsCustomer => "declined_needs_customer",
            Self::Refunded => "refunded",
            Self::Disputed => "disputed",
        }
    }
}

static SUMS: Mutex<BTreeMap<(MoneyOutcome, String), Decimal>> = Mutex::new(BTreeMap::new());

/// Adds an amount, in whole units of the currency, whose code is such as `USD`.
pub fn moved(outcome: MoneyOutcome, currency: &str, amount: Decimal) {
    let mut sums = SUMS.lock().unwrap_or_else(PoisonError::into_inner);
    let sum = sums.entry((outcome, currency.to_owned())).or_default();
    // What does not fit is far more money than there is; the count begins anew, as after a restart.
    *sum = sum.checked_add(amount).unwrap_or_default();
}

pub(super) fn samples() -> Vec<Sample> {
    let sums = SUMS.lock().unwrap_or_else(PoisonError::into_inner);
    sums.iter()
        .map(|((outcome, currency), sum)| Sample::new("berth_money_total", &[outcome.as_str(), currency], sum))
        .collect()
}
