//! Pricing: the one function that says what a customer pays, for the cart, the checkout, the order and its renewals.

mod discount;
mod error;
mod line_key;
mod lines;
mod renewals;
mod units;

use std::{cmp::Ordering, collections::BTreeSet};

use rust_decimal::Decimal;

pub use discount::{Discount, DiscountAmount};
pub use error::PricingError;
pub use line_key::{InvalidLineKey, LineKey};
pub use renewals::{RenewalQuote, RenewalRequest, credit_for, renewal};

use super::{
    catalogue::{Catalogue, Service, ServiceId},
    configuration::Configuration,
    money::{Currency, Money, MoneyError},
    tax::TaxTreatment,
};
use lines::PricedLine;

/// How many accounts one order may make: each is a row, a job and a place on a server.
pub const MAX_UNITS: u32 = 100;

/// What somebody asks to buy, and under which terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PricingRequest {
    /// The currency to price it in.
    pub currency: Currency,
    /// What to buy. Lines with one [`LineKey`] are priced as one.
    pub lines: Vec<LineRequest>,
    /// What a coupon takes off: one that has been checked.
    pub discount: Option<Discount>,
    /// Which tax is due where the customer lives.
    pub tax: TaxTreatment,
}

impl PricingRequest {
    /// Without discount and tax.
    #[must_use]
    pub fn plain(currency: Currency, lines: Vec<LineRequest>) -> Self {
        Self { currency, lines, discount: None, tax: TaxTreatment::none() }
    }
}

/// One line of it. A price stands in it only where staff said so: all others are the catalogue's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LineRequest {
    /// As the customer's program sent it; not known to exist.
    pub service_id: String,
    /// How many accounts.
    pub quantity: u32,
    /// What was chosen; options that are not named are taken as the catalogue has them.
    pub configuration: Configuration,
    /// The add-ons of each account; naming one twice is naming it once.
    pub addon_ids: Vec<String>,
    /// What one account costs a cycle, all in all, in place of the catalogue's price. Never a customer's word.
    pub price_override: Option<Money>,
    /// Whether the customer may try it: where the service has a trial, the first period costs nothing but the set-up fee.
    pub trial: bool,
    /// What keeps it apart from a line that is the same otherwise: the domain of its site.
    pub apart: Option<String>,
}

impl LineRequest {
    /// So many of a service as the catalogue has it.
    #[must_use]
    pub fn new(service_id: impl Into<String>, quantity: u32) -> Self {
        Self { service_id: service_id.into(), quantity, ..Self::default() }
    }
}

/// What a purchase costs. Every amount is in `currency`, and `total = subtotal − discount + tax`, here, in every line and in
/// every unit.
///
/// Where prices include tax, subtotal and discount are without it: so the same holds, and `list_total` is what was shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The currency of every amount in it.
    pub currency: Currency,
    /// One per [`LineKey`], in the order in which they were first asked for.
    pub lines: Vec<QuotedLine>,
    /// One per account to be made, in the order of the lines.
    pub units: Vec<QuotedUnit>,
    /// The prices as the catalogue shows them, before the discount.
    pub list_total: Money,
    /// The sum of the lines.
    pub subtotal: Money,
    /// What is taken off.
    pub discount: Money,
    /// What is added as tax.
    pub tax: Money,
    /// What the invoice must say of the tax, such as that the buyer owes it.
    pub tax_note: Option<&'static str>,
    /// What is charged; zero, or an amount that Stripe charges.
    pub total: Money,
}

/// One line of a quote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotedLine {
    /// What it is known by in a cart.
    pub key: LineKey,
    /// The service as the catalogue describes it now: orders keep what they need of it.
    pub service: Service,
    /// How many accounts.
    pub quantity: u32,
    /// Every option of the service, as chosen or as taken when nothing was said.
    pub configuration: Configuration,
    /// What each account has beside, by id.
    pub addons: Vec<QuotedAddon>,
    /// The price of one account for one cycle, options and add-ons included, as the catalogue shows it or staff said.
    pub unit_price: Money,
    /// What one account costs once, as the catalogue shows it.
    pub setup_fee: Money,
    /// How long the first period is a trial, in which the account costs nothing but its set-up fee; else 0.
    pub trial_days: u32,
    /// What is to be paid before the discount, as the catalogue shows it: the price (in a trial nothing) and the set-up fee of
    /// every account.
    pub list_total: Money,
    /// `list_total` without the tax that it includes.
    pub line_total: Money,
    /// Its share of the discount.
    pub discount: Money,
    /// Its tax.
    pub tax: Money,
    /// The rate of it, in hundredths; zero where the buyer owes it.
    pub tax_rate: Decimal,
    /// `line_total − discount + tax`.
    pub total: Money,
}

/// An add-on of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotedAddon {
    /// The catalogue's id.
    pub id: String,
    /// Its name at the time of the sale.
    pub name: String,
    /// What it adds to the price of one account for one cycle; part of `unit_price`, unless staff said another.
    pub price: Money,
}

/// One account of a quote, with its share of discount and tax: what a refund or a renewal of it alone is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotedUnit {
    /// Which of the quote's lines it belongs to, from 0.
    pub line: usize,
    /// The service of that line.
    pub service_id: ServiceId,
    /// The price before discount and tax, set-up fee included.
    pub price: Money,
    /// How much of the price is the set-up fee.
    pub setup_fee: Money,
    /// Its share of the discount.
    pub discount: Money,
    /// Its share of the tax.
    pub tax: Money,
    /// `price − discount + tax`.
    pub total: Money,
}

impl Quote {
    /// What nothing costs.
    #[must_use]
    pub fn empty(currency: Currency) -> Self {
        let zero = Money::zero(currency);
        Self {
            currency,
            lines: Vec::new(),
            units: Vec::new(),
            list_total: zero,
            subtotal: zero,
            discount: zero,
            tax: zero,
            tax_note: None,
            total: zero,
        }
    }

    /// Refuses a total that Stripe would not charge.
    ///
    /// # Errors
    /// When it is too small and not nothing, or too large.
    pub fn check_chargeable(&self) -> Result<(), PricingError> {
        let total = self.total;
        let minimum = total.currency().minimum_charge();
        let maximum = total.currency().maximum_charge();
        if !total.is_zero() && total.checked_cmp(minimum)? == Ordering::Less {
            return Err(PricingError::BelowMinimum { total, minimum });
        }
        if total.checked_cmp(maximum)? == Ordering::Greater {
            return Err(PricingError::AboveMaximum { total, maximum });
        }
        Ok(())
    }
}

/// Prices a request.
///
/// # Errors
/// At the first line that cannot be sold, or when the total cannot be charged.
pub fn quote(catalogue: &Catalogue, request: &PricingRequest) -> Result<Quote, PricingError> {
    let quote = unchecked(catalogue, request)?;
    quote.check_chargeable()?;
    Ok(quote)
}

/// As [`quote`], but also for a total that Stripe would not charge: what a cart shows while it fills.
///
/// # Errors
/// At the first line that cannot be sold.
pub fn unchecked(catalogue: &Catalogue, request: &PricingRequest) -> Result<Quote, PricingError> {
    let currency = request.currency;
    let priced = lines::merge(catalogue, request)?;
    let discounts = discount::allot(request.discount.as_ref(), &priced, currency)?;
    let mut quoted = Vec::with_capacity(priced.len());
    let mut units = Vec::new();
    for (index, (line, off)) in priced.into_iter().zip(discounts).enumerate() {
        let line = taxed(line, off, &request.tax)?;
        units.extend(units::split(index, &line)?);
        quoted.push(line);
    }
    let sum = |amount: fn(&QuotedLine) -> Money| Money::sum(currency, quoted.iter().map(amount));
    Ok(Quote {
        currency,
        list_total: sum(|line| line.list_total)?,
        subtotal: sum(|line| line.line_total)?,
        discount: sum(|line| line.discount)?,
        tax: sum(|line| line.tax)?,
        tax_note: request.tax.note(),
        total: sum(|line| line.total)?,
        lines: quoted,
        units,
    })
}

/// What one account costs for one cycle, without anything that is paid once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recurring {
    /// Without tax.
    pub net: Money,
    /// The tax.
    pub tax: Money,
    /// What is paid.
    pub total: Money,
}

impl QuotedLine {
    /// What one account of it costs for one cycle. Neither a discount nor a trial takes part.
    ///
    /// # Errors
    /// When the amounts cannot be calculated with.
    pub fn recurring(&self, treatment: &TaxTreatment) -> Result<Recurring, MoneyError> {
        if treatment.inclusive {
            return Recurring::containing(self.unit_price, self.tax_rate);
        }
        let tax = self.unit_price.percentage(self.tax_rate)?;
        Ok(Recurring { net: self.unit_price, tax, total: self.unit_price.checked_add(tax)? })
    }
}

impl Recurring {
    /// A sum that contains its tax.
    ///
    /// # Errors
    /// When the amounts cannot be calculated with.
    pub fn containing(total: Money, tax_rate: Decimal) -> Result<Self, MoneyError> {
        let tax = total.contained_percentage(tax_rate)?;
        Ok(Self { net: total.checked_sub(tax)?, tax, total })
    }
}

/// What a line is known by in a cart.
///
/// # Errors
/// When the line cannot be sold, as [`quote`] says it; the line is number 0.
pub fn line_key(catalogue: &Catalogue, line: &LineRequest, currency: Currency) -> Result<LineKey, PricingError> {
    lines::price(catalogue, currency, 0, line).map(|line| line.key)
}

/// What a discount can be taken off: the lines of these services (none named: all), as the catalogue shows their prices. None
/// when there is no such line.
#[must_use]
pub fn eligible_total(quote: &Quote, services: &BTreeSet<String>) -> Option<Money> {
    let eligible = quote.lines.iter().filter(|line| discount::is_eligible(services, line.service.id()));
    let amounts: Vec<Money> = eligible.map(|line| line.list_total).collect();
    if amounts.is_empty() {
        return None;
    }
    Money::sum(quote.currency, amounts).ok()
}

/// The line with its tax, which is rounded here and nowhere else. `off` is taken off the price that the catalogue shows.
///
/// Where that price includes tax, the price, the discount and so what is paid are as shown; what is paid contains the tax, and
/// both price and discount are told without theirs.
fn taxed(line: PricedLine, off: Money, treatment: &TaxTreatment) -> Result<QuotedLine, MoneyError> {
    let list_total = line.first_price()?.checked_mul(line.quantity)?;
    let rate = treatment.rate(line.service.tax_category());
    let Amounts { line_total, discount, tax, total } = taxed_amounts(list_total, off, rate, treatment.inclusive)?;
    Ok(QuotedLine {
        key: line.key,
        service: line.service,
        quantity: line.quantity,
        configuration: line.configuration,
        addons: line.addons,
        unit_price: line.unit_price,
        setup_fee: line.setup_fee,
        trial_days: line.trial_days,
        list_total,
        line_total,
        discount,
        tax,
        tax_rate: rate,
        total,
    })
}

/// What a price comes to: `total = line_total − discount + tax`.
struct Amounts {
    line_total: Money,
    discount: Money,
    tax: Money,
    total: Money,
}

fn taxed_amounts(list_total: Money, off: Money, rate: Decimal, inclusive: bool) -> Result<Amounts, MoneyError> {
    let due = list_total.checked_sub(off)?;
    if inclusive {
        let tax = due.contained_percentage(rate)?;
        let line_total = list_total.checked_sub(list_total.contained_percentage(rate)?)?;
        let discount = line_total.checked_add(tax)?.checked_sub(due)?;
        return Ok(Amounts { line_total, discount, tax, total: due });
    }
    let tax = due.percentage(rate)?;
    Ok(Amounts { line_total: list_total, discount: off, tax, total: due.checked_add(tax)? })
}

#[cfg(test)]
mod tests;
