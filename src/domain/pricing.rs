//! Pricing: the one function that says what a customer pays, for the cart, the checkout, the order and its renewals.

use std::cmp::Ordering;

use super::{
    catalogue::{Catalogue, Service, ServiceId},
    money::{Currency, Money, MoneyError},
};

/// How many accounts one order may make: each is a row, a job and a place on a server.
pub const MAX_UNITS: u32 = 100;

/// What somebody asks to buy. It carries no price: prices are the catalogue's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineRequest {
    /// As the customer's program sent it; not known to exist.
    pub service_id: String,
    /// How many accounts.
    pub quantity: u32,
}

/// What a purchase costs. Every amount is in `currency`, and `total = subtotal − discount + tax`, here and in every unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The currency of every amount in it.
    pub currency: Currency,
    /// One per service, in the order in which the services were first asked for.
    pub lines: Vec<QuotedLine>,
    /// One per account to be made, in the order of the lines.
    pub units: Vec<QuotedUnit>,
    /// The sum of the lines.
    pub subtotal: Money,
    /// What is taken off.
    pub discount: Money,
    /// What is added as tax.
    pub tax: Money,
    /// What is charged; zero, or an amount that Stripe charges.
    pub total: Money,
}

/// One service of a quote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotedLine {
    /// The service as the catalogue describes it now: orders keep what they need of it.
    pub service: Service,
    /// How many accounts.
    pub quantity: u32,
    /// The price of one account for one cycle.
    pub unit_price: Money,
    /// `unit_price × quantity`.
    pub line_total: Money,
}

/// One account of a quote, with its share of discount and tax: what a refund or a renewal of it alone is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotedUnit {
    /// Which of the quote's lines it belongs to, from 0.
    pub line: usize,
    /// The service of that line.
    pub service_id: ServiceId,
    /// The price before discount and tax.
    pub price: Money,
    /// Its share of the discount.
    pub discount: Money,
    /// Its share of the tax.
    pub tax: Money,
    /// `price − discount + tax`.
    pub total: Money,
}

/// Why there is no price. A `line` is the place in the request, from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PricingError {
    /// An empty request.
    #[error("there is nothing to price")]
    NoLines,
    /// The catalogue has no such service.
    #[error("line {line}: there is no service {service_id:?}")]
    UnknownService {
        /// Where it stands in the request.
        line: usize,
        /// What was asked for.
        service_id: String,
    },
    /// The service has no price in the currency.
    #[error("line {line}: {service_id} is not sold in {currency}")]
    NotSoldIn {
        /// Where it stands in the request.
        line: usize,
        /// What was asked for.
        service_id: ServiceId,
        /// The currency asked for.
        currency: Currency,
    },
    /// None, or more than one order may hold of the service, all lines that name it taken together.
    #[error("line {line}: {service_id} can be bought 1 to {max} at a time, not {quantity}")]
    Quantity {
        /// The line at which it became too many.
        line: usize,
        /// What was asked for.
        service_id: ServiceId,
        /// How many were asked for, up to and with this line.
        quantity: u32,
        /// The most that are allowed.
        max: u32,
    },
    /// Too many accounts in one order.
    #[error("line {line}: one order holds at most {MAX_UNITS} accounts")]
    TooManyUnits {
        /// The line at which it became too many.
        line: usize,
    },
    /// More than zero, but less than Stripe charges.
    #[error("the total of {total} is below {minimum}, the smallest amount that can be charged")]
    BelowMinimum {
        /// What would be charged.
        total: Money,
        /// What must be.
        minimum: Money,
    },
    /// More than Stripe charges at once.
    #[error("the total of {total} is above {maximum}, the largest amount that can be charged at once")]
    AboveMaximum {
        /// What would be charged.
        total: Money,
        /// What may be.
        maximum: Money,
    },
    /// The amounts do not add up to an amount of money.
    #[error("the total cannot be calculated")]
    Money(#[from] MoneyError),
}

/// Prices a request in one currency. Lines that name the same service are priced as one.
///
/// # Errors
/// At the first line that cannot be sold, or when the total cannot be charged.
pub fn quote(catalogue: &Catalogue, currency: Currency, requests: &[LineRequest]) -> Result<Quote, PricingError> {
    let lines = merge(catalogue, currency, requests)?;
    let subtotal = Money::sum(currency, lines.iter().map(|line| line.line_total))?;
    let discount = Money::zero(currency);
    let tax = Money::zero(currency);
    let total = subtotal.checked_sub(discount)?.checked_add(tax)?;
    check_chargeable(total)?;
    let units = split_into_units(&lines, discount, tax)?;
    Ok(Quote { currency, lines, units, subtotal, discount, tax, total })
}

/// One line a service. The number of accounts is checked as it grows, which also bounds the work: every line asks for one or more.
fn merge(catalogue: &Catalogue, currency: Currency, requests: &[LineRequest]) -> Result<Vec<QuotedLine>, PricingError> {
    if requests.is_empty() {
        return Err(PricingError::NoLines);
    }
    let mut lines: Vec<QuotedLine> = Vec::new();
    let mut units: u32 = 0;
    for (index, request) in requests.iter().enumerate() {
        let service = catalogue
            .service(&request.service_id)
            .ok_or_else(|| PricingError::UnknownService { line: index, service_id: request.service_id.clone() })?;
        let unit_price = service.price(currency).ok_or_else(|| PricingError::NotSoldIn {
            line: index,
            service_id: service.id().clone(),
            currency,
        })?;
        let earlier = lines.iter().position(|line| line.service.id() == service.id());
        let already = earlier.and_then(|at| lines.get(at)).map_or(0, |line| line.quantity);
        let quantity = already.saturating_add(request.quantity);
        if request.quantity == 0 || quantity > service.max_quantity() {
            return Err(PricingError::Quantity {
                line: index,
                service_id: service.id().clone(),
                quantity,
                max: service.max_quantity(),
            });
        }
        units = units.saturating_add(request.quantity);
        if units > MAX_UNITS {
            return Err(PricingError::TooManyUnits { line: index });
        }
        let line_total = unit_price.checked_mul(quantity)?;
        let line = QuotedLine { service: service.clone(), quantity, unit_price, line_total };
        match earlier.and_then(|at| lines.get_mut(at)) {
            Some(earlier) => *earlier = line,
            None => lines.push(line),
        }
    }
    Ok(lines)
}

/// Splits every line into its accounts, and discount and tax over all accounts in proportion to their prices.
fn split_into_units(lines: &[QuotedLine], discount: Money, tax: Money) -> Result<Vec<QuotedUnit>, PricingError> {
    let priced: Vec<(usize, &QuotedLine)> =
        lines.iter().enumerate().flat_map(|(index, line)| (0..line.quantity).map(move |_| (index, line))).collect();
    let prices: Vec<Money> = priced.iter().map(|(_, line)| line.unit_price).collect();
    let discounts = share(discount, &prices)?;
    let taxes = share(tax, &prices)?;
    priced
        .into_iter()
        .zip(discounts.into_iter().zip(taxes))
        .map(|((index, line), (discount, tax))| {
            Ok(QuotedUnit {
                line: index,
                service_id: line.service.id().clone(),
                price: line.unit_price,
                discount,
                tax,
                total: line.unit_price.checked_sub(discount)?.checked_add(tax)?,
            })
        })
        .collect()
}

/// Nothing is split as nothing, also among units that cost nothing.
fn share(amount: Money, prices: &[Money]) -> Result<Vec<Money>, MoneyError> {
    if amount.is_zero() {
        return Ok(vec![amount; prices.len()]);
    }
    amount.allocate_by(prices)
}

fn check_chargeable(total: Money) -> Result<(), PricingError> {
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

#[cfg(test)]
mod tests;
