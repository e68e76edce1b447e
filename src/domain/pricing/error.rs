//! Why there is no price.

use super::MAX_UNITS;
use crate::domain::{
    catalogue::ServiceId,
    configuration::ConfigurationError,
    money::{Currency, Money, MoneyError},
};

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
    /// The service cannot be had as it was configured.
    #[error("line {line}: {service_id} cannot be had so")]
    Configuration {
        /// Where it stands in the request.
        line: usize,
        /// What was asked for.
        service_id: ServiceId,
        /// Which option cannot be that.
        source: ConfigurationError,
    },
    /// There is no such add-on, or not with this service.
    #[error("line {line}: there is no add-on {addon_id:?} to {service_id}")]
    UnknownAddon {
        /// Where it stands in the request.
        line: usize,
        /// What was asked for.
        service_id: ServiceId,
        /// What was to be added.
        addon_id: String,
    },
    /// Staff gave the line a price, but in another currency.
    #[error("line {line}: the price that was given to {service_id} is in {given}, not in {currency}")]
    OverrideCurrency {
        /// Where it stands in the request.
        line: usize,
        /// What was asked for.
        service_id: ServiceId,
        /// The currency of the price.
        given: Currency,
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

impl PricingError {
    /// The place in the request of the line that is to blame, where one is.
    #[must_use]
    pub const fn line(&self) -> Option<usize> {
        match self {
            Self::UnknownService { line, .. }
            | Self::NotSoldIn { line, .. }
            | Self::Configuration { line, .. }
            | Self::UnknownAddon { line, .. }
            | Self::OverrideCurrency { line, .. }
            | Self::Quantity { line, .. }
            | Self::TooManyUnits { line } => Some(*line),
            Self::NoLines | Self::BelowMinimum { .. } | Self::AboveMaximum { .. } | Self::Money(_) => None,
        }
    }
}
