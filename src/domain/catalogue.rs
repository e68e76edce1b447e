//! The catalogue: what is sold, at which price, and where it is provisioned. Read from TOML; `config/catalogue.toml` is built in.

mod choice;
mod file;
mod service;

pub(super) use choice::priced;
pub use choice::{Addon, OptionChoice, OptionKind, ServiceOption};
pub use service::{
    InvalidServiceId, RenewalPrice, Service, ServiceId, ServiceType, UnknownRenewalPrice, UnknownServiceType,
};

use super::money::Currency;

/// The default catalogue, as an operator would write it.
pub const BUILT_IN: &str = include_str!("../../config/catalogue.toml");

/// The highest `max_quantity`: what one order may hold of anything.
pub const MAX_QUANTITY: u32 = 100;

/// More services than any shop lists: a longer file is a mistake.
const MAX_SERVICES: usize = 1_000;

/// More options, choices of one option or add-ons than a customer can read.
const MAX_CHOICES: usize = 100;

/// The longest trial: a year of days.
const MAX_TRIAL_DAYS: u32 = 365;

/// The tax category of what names none.
pub const DEFAULT_TAX_CATEGORY: &str = "hosting";

/// Ids are keys in tables and appear in URLs; names are printed on one line of an invoice.
const MAX_TEXT_LEN: usize = 100;

/// Why a catalogue was refused: each names what is to be changed in the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    /// Not TOML, or something beside `[[service]]` and `[[addon]]` in it.
    #[error("the catalogue cannot be read: {0}")]
    Unreadable(String),
    /// Nothing to sell, or more than can be meant.
    #[error("the catalogue lists {found} services; it must list 1 to {MAX_SERVICES}")]
    NumberOfServices {
        /// How many it lists.
        found: usize,
    },
    /// A key is missing, unknown or of the wrong kind. The reason names the key and what is expected.
    #[error("{entry}: {reason}")]
    Shape {
        /// Such as `service vps-monthly`; the place in the list where the id is missing.
        entry: String,
        /// As the TOML reader says it.
        reason: String,
    },
    /// A key has a value that is not allowed.
    #[error("{entry}: {key} is {found:?}, but must be {allowed}")]
    Value {
        /// Such as `service vps-monthly`.
        entry: String,
        /// The key, such as `prices.USD`.
        key: String,
        /// What the file says.
        found: String,
        /// What it may say.
        allowed: String,
    },
    /// A price or fee is missing in a currency that the service is sold in.
    #[error("{entry}: {key} has no price in {currency}, in which the service is sold; \"0\" is free")]
    NoPrice {
        /// Such as `service vps-monthly`.
        entry: String,
        /// The key, such as `option ram_gb: price`.
        key: String,
        /// The currency.
        currency: Currency,
    },
    /// Two services, or two add-ons, have one id.
    #[error("{0}: the id is used twice; ids must be unique")]
    Duplicate(String),
}

/// Everything that is sold, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Catalogue {
    services: Vec<Service>,
    addons: Vec<Addon>,
}

impl Catalogue {
    /// Reads and checks a catalogue.
    ///
    /// # Errors
    /// At the first mistake, with a sentence for the operator.
    pub fn from_toml(text: &str) -> Result<Self, CatalogueError> {
        file::read(text).map(|(services, addons)| Self { services, addons })
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
        self.services.iter().find(|service| service.id().as_str() == id)
    }

    /// Every service, in the order of the file.
    #[must_use]
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The add-on of that id.
    #[must_use]
    pub fn addon(&self, id: &str) -> Option<&Addon> {
        self.addons.iter().find(|addon| addon.id() == id)
    }

    /// Every add-on, in the order of the file.
    #[must_use]
    pub fn addons(&self) -> &[Addon] {
        &self.addons
    }
}

#[cfg(test)]
mod tests;
