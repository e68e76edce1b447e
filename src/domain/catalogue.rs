//! The catalogue: what is sold, at which price, and where it is provisioned. Read from TOML; `config/catalogue.toml` is built in.

mod file;

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{
    money::{Currency, Money},
    period::BillingCycle,
};

/// The default catalogue, as an operator would write it.
pub const BUILT_IN: &str = include_str!("../../config/catalogue.toml");

/// The highest `max_quantity`: what one order may hold of anything.
pub const MAX_QUANTITY: u32 = 100;

/// More services than any shop lists: a longer file is a mistake.
const MAX_SERVICES: usize = 1_000;

/// Ids are keys in tables and appear in URLs; names are printed on one line of an invoice.
const MAX_TEXT_LEN: usize = 100;

/// Why a catalogue was refused: each names what is to be changed in the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    /// Not TOML, or something beside `[[service]]` in it.
    #[error("the catalogue cannot be read: {0}")]
    Unreadable(String),
    /// Nothing to sell, or more than can be meant.
    #[error("the catalogue lists {found} services; it must list 1 to {MAX_SERVICES}")]
    NumberOfServices {
        /// How many it lists.
        found: usize,
    },
    /// A key is missing, unknown or of the wrong kind. The reason names the key and what is expected.
    #[error("service {service}: {reason}")]
    Shape {
        /// The id, or the place in the list where the id is missing.
        service: String,
        /// As the TOML reader says it.
        reason: String,
    },
    /// A key has a value that is not allowed.
    #[error("service {service}: {key} is {found:?}, but must be {allowed}")]
    Value {
        /// The id.
        service: String,
        /// The key, such as `prices.USD`.
        key: String,
        /// What the file says.
        found: String,
        /// What it may say.
        allowed: String,
    },
    /// Two services have one id.
    #[error("service {0}: the id is used twice; ids must be unique")]
    Duplicate(ServiceId),
}

/// What carts, orders and other programs call a service: lower-case letters, digits and hyphens, such as `shared-monthly`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceId(String);

/// A text that cannot be the id of any service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the id of a service, such as shared-monthly")]
pub struct InvalidServiceId(String);

impl ServiceId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for ServiceId {
    type Error = InvalidServiceId;

    fn try_from(text: String) -> Result<Self, InvalidServiceId> {
        let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if text.is_empty() || text.len() > MAX_TEXT_LEN || !text.bytes().all(allowed) {
            return Err(InvalidServiceId(text));
        }
        Ok(Self(text))
    }
}

impl FromStr for ServiceId {
    type Err = InvalidServiceId;

    fn from_str(text: &str) -> Result<Self, InvalidServiceId> {
        Self::try_from(text.to_owned())
    }
}

impl From<ServiceId> for String {
    fn from(id: ServiceId) -> Self {
        id.0
    }
}

/// What kind of hosting a service is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServiceType {
    /// A place on a server shared with others.
    Shared,
    /// A virtual machine.
    Vps,
    /// A virtual machine or container in a cluster.
    Cloud,
    /// A WordPress site, installed.
    Wordpress,
}

/// A word that names no service type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a service type: use shared, vps, cloud or wordpress")]
pub struct UnknownServiceType(String);

impl ServiceType {
    /// The word used in the API, in tables and in the catalogue.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Vps => "vps",
            Self::Cloud => "cloud",
            Self::Wordpress => "wordpress",
        }
    }
}

impl fmt::Display for ServiceType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for ServiceType {
    type Err = UnknownServiceType;

    fn from_str(text: &str) -> Result<Self, UnknownServiceType> {
        [Self::Shared, Self::Vps, Self::Cloud, Self::Wordpress]
            .into_iter()
            .find(|service_type| service_type.as_str() == text)
            .ok_or_else(|| UnknownServiceType(text.to_owned()))
    }
}

/// One thing that is sold. Made only by reading a catalogue, so its values have been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    id: ServiceId,
    name: String,
    service_type: ServiceType,
    plan_name: String,
    billing_cycle: BillingCycle,
    prices: BTreeMap<Currency, Money>,
    pool: String,
    package: String,
    max_quantity: u32,
}

impl Service {
    /// What carts and orders call it.
    #[must_use]
    pub const fn id(&self) -> &ServiceId {
        &self.id
    }

    /// What the customer reads.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kind of hosting.
    #[must_use]
    pub const fn service_type(&self) -> ServiceType {
        self.service_type
    }

    /// The tier, such as `starter`.
    #[must_use]
    pub fn plan_name(&self) -> &str {
        &self.plan_name
    }

    /// What the price pays for, and when it is due again.
    #[must_use]
    pub const fn billing_cycle(&self) -> BillingCycle {
        self.billing_cycle
    }

    /// The price of one unit for one cycle; none when the service is not sold in that currency.
    #[must_use]
    pub fn price(&self, currency: Currency) -> Option<Money> {
        self.prices.get(&currency).copied()
    }

    /// Every price, by currency.
    pub fn prices(&self) -> impl Iterator<Item = Money> + '_ {
        self.prices.values().copied()
    }

    /// The group of servers that its accounts are placed on.
    #[must_use]
    pub fn pool(&self) -> &str {
        &self.pool
    }

    /// What the plan is called on the panel.
    #[must_use]
    pub fn package(&self) -> &str {
        &self.package
    }

    /// How many of it one order may hold; 1 to [`MAX_QUANTITY`].
    #[must_use]
    pub const fn max_quantity(&self) -> u32 {
        self.max_quantity
    }
}

/// Everything that is sold, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalogue {
    services: Vec<Service>,
}

impl Catalogue {
    /// Reads and checks a catalogue.
    ///
    /// # Errors
    /// At the first mistake, with a sentence for the operator.
    pub fn from_toml(text: &str) -> Result<Self, CatalogueError> {
        file::read(text).map(|services| Self { services })
    }

    /// The catalogue that Berth sells from unless told otherwise.
    ///
    /// # Errors
    /// None that a released build can have: a test reads it.
    pub fn built_in() -> Result<Self, CatalogueError> {
        Self::from_toml(BUILT_IN)
    }

    /// The service of that id.
    #[must_use]
    pub fn service(&self, id: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.id.as_str() == id)
    }

    /// Every service, in the order of the file.
    #[must_use]
    pub fn services(&self) -> &[Service] {
        &self.services
    }
}

#[cfg(test)]
mod tests;
