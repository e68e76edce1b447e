//! One thing that is sold: its id, its kind, its prices, and what can be chosen and added.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::{MAX_TEXT_LEN, ServiceOption};
use crate::domain::{
    money::{Currency, Money},
    period::BillingCycle,
    timetable::TimetableChanges,
};

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

/// What a renewal costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RenewalPrice {
    /// What the account was sold at, however the catalogue changes.
    #[default]
    Locked,
    /// What the catalogue says on the day.
    Catalogue,
}

/// A word that names no rule for renewals.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} does not say what renewals cost: use locked or catalogue")]
pub struct UnknownRenewalPrice(String);

impl RenewalPrice {
    /// The word used in tables and in the catalogue.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Locked => "locked",
            Self::Catalogue => "catalogue",
        }
    }
}

impl fmt::Display for RenewalPrice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for RenewalPrice {
    type Err = UnknownRenewalPrice;

    fn from_str(text: &str) -> Result<Self, UnknownRenewalPrice> {
        [Self::Locked, Self::Catalogue]
            .into_iter()
            .find(|rule| rule.as_str() == text)
            .ok_or_else(|| UnknownRenewalPrice(text.to_owned()))
    }
}

/// One thing that is sold. Made only by reading a catalogue, so its values have been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    pub(super) id: ServiceId,
    pub(super) name: String,
    pub(super) service_type: ServiceType,
    pub(super) plan_name: String,
    pub(super) billing_cycle: BillingCycle,
    pub(super) prices: BTreeMap<Currency, Money>,
    pub(super) pool: String,
    pub(super) package: String,
    pub(super) max_quantity: u32,
    pub(super) options: Vec<ServiceOption>,
    pub(super) addon_ids: Vec<String>,
    pub(super) setup_fees: BTreeMap<Currency, Money>,
    pub(super) trial_days: u32,
    pub(super) tax_category: String,
    pub(super) needs_domain: bool,
    pub(super) renewal_price: RenewalPrice,
    pub(super) timetable: TimetableChanges,
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

    /// What the customer chooses, in the order of the file. Its prices are for the service's own cycle.
    #[must_use]
    pub fn options(&self) -> &[ServiceOption] {
        &self.options
    }

    /// The add-ons that can be had with it: each is in the catalogue, and has a price for this cycle in every currency
    /// that the service is sold in.
    #[must_use]
    pub fn addon_ids(&self) -> &[String] {
        &self.addon_ids
    }

    /// What one unit costs once, beside its first cycle; zero when there is no such fee.
    #[must_use]
    pub fn setup_fee(&self, currency: Currency) -> Money {
        self.setup_fees.get(&currency).copied().unwrap_or_else(|| Money::zero(currency))
    }

    /// How many days of a first period are free of charge for who may try it; 0 when there is no trial.
    #[must_use]
    pub const fn trial_days(&self) -> u32 {
        self.trial_days
    }

    /// What the tax rates call it.
    #[must_use]
    pub fn tax_category(&self) -> &str {
        &self.tax_category
    }

    /// Whether its accounts serve a site, so that the cart asks for a domain.
    #[must_use]
    pub const fn needs_domain(&self) -> bool {
        self.needs_domain
    }

    /// What its renewals cost.
    #[must_use]
    pub const fn renewal_price(&self) -> RenewalPrice {
        self.renewal_price
    }

    /// What its timetable has otherwise than the shop's.
    #[must_use]
    pub const fn timetable(&self) -> &TimetableChanges {
        &self.timetable
    }
}
