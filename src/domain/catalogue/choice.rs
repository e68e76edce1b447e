//! What can be chosen with a service (memory, disk, region) and added to it (backups, an address of its own).

use std::collections::BTreeMap;

use crate::domain::{
    money::{Currency, Money},
    period::BillingCycle,
};

/// One thing that the customer chooses about a service. Made only by reading a catalogue, so its values have been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceOption {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) kind: OptionKind,
}

/// How an option is chosen, and what that costs for one cycle of its service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionKind {
    /// A number, such as gigabytes of memory. All five lie on the same steps, and `minimum ≤ included ≤ maximum`.
    Number {
        /// The least.
        minimum: u32,
        /// The most.
        maximum: u32,
        /// What it goes up by.
        step: u32,
        /// What the service's price pays for; also what is taken when nothing is said.
        included: u32,
        /// The price of each step above `included`, by currency; none at all when every step is free.
        price: BTreeMap<Currency, Money>,
    },
    /// One of several.
    Choice {
        /// In the order of the file; one or more.
        choices: Vec<OptionChoice>,
        /// The id of the one that is taken when nothing is said.
        default: String,
    },
}

/// One of several that an option offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionChoice {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) price: BTreeMap<Currency, Money>,
}

/// Something that is had with a service, for the service's cycles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Addon {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) prices: BTreeMap<BillingCycle, BTreeMap<Currency, Money>>,
    pub(super) tax_category: String,
}

impl ServiceOption {
    /// The key in a cart line's configuration.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the customer reads.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How it is chosen.
    #[must_use]
    pub const fn kind(&self) -> &OptionKind {
        &self.kind
    }
}

impl OptionChoice {
    /// The value in a cart line's configuration.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the customer reads.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it adds to the price of one cycle.
    #[must_use]
    pub fn price(&self, currency: Currency) -> Money {
        priced(&self.price, currency)
    }
}

impl Addon {
    /// What carts and orders call it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// What the customer reads.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The price for one cycle; none when it is not sold with services of that cycle, or not in that currency.
    #[must_use]
    pub fn price(&self, cycle: BillingCycle, currency: Currency) -> Option<Money> {
        self.prices.get(&cycle)?.get(&currency).copied()
    }

    /// Every price, by cycle and currency.
    pub fn prices(&self) -> impl Iterator<Item = (BillingCycle, Money)> + '_ {
        self.prices.iter().flat_map(|(cycle, prices)| prices.values().map(|price| (*cycle, *price)))
    }

    /// What the tax rates call it: the category of every service that it is sold with.
    #[must_use]
    pub fn tax_category(&self) -> &str {
        &self.tax_category
    }
}

/// No prices at all is free; else there is one in every currency that the service is sold in.
pub(in crate::domain) fn priced(prices: &BTreeMap<Currency, Money>, currency: Currency) -> Money {
    prices.get(&currency).copied().unwrap_or_else(|| Money::zero(currency))
}
