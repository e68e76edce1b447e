//! What stands in the way of selling a basket, in words for who wants to buy it.

use berth_jobs::ids::CartItemId;

use super::super::problem::Problem;
use crate::{
    domain::{
        catalogue::{Catalogue, Service, ServiceId},
        coupon::CouponRefusal,
        hostname::DomainName,
        pricing::{MAX_UNITS, PricingError},
    },
    effects::CartLine,
};

/// How much of a text that somebody sent is shown back.
const LONGEST_SHOWN: usize = 60;

/// One thing that stands in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) struct Trouble {
    /// The last part of the problem's `type`.
    pub(in crate::http) slug: &'static str,
    /// What to do.
    pub(in crate::http) detail: String,
    /// The line, where it is one's.
    pub(in crate::http) item: Option<CartItemId>,
}

impl Trouble {
    /// As an answer.
    pub(in crate::http) fn problem(&self) -> Problem {
        let problem = Problem::unprocessable(self.slug, &self.detail);
        match self.item {
            Some(item) => problem.with("item", item.to_string()),
            None => problem,
        }
    }

    /// Whether it is the coupon's.
    pub(in crate::http) fn is_of_coupon(&self) -> bool {
        self.slug.starts_with("coupon-")
    }

    /// Of a coupon that does not hold.
    pub(in crate::http) fn of_coupon(refusal: &CouponRefusal) -> Self {
        let slug = match refusal {
            CouponRefusal::Invalid => "coupon-invalid",
            CouponRefusal::Expired => "coupon-expired",
            CouponRefusal::UsedUp => "coupon-used-up",
            CouponRefusal::BelowMinimum { .. } => "coupon-below-minimum",
            CouponRefusal::NothingEligible => "coupon-not-eligible",
            CouponRefusal::OtherCurrency => "coupon-other-currency",
        };
        Self { slug, detail: refusal.to_string(), item: None }
    }

    /// Of what cannot be priced.
    pub(in crate::http) fn of_pricing(catalogue: &Catalogue, error: &PricingError, item: Option<CartItemId>) -> Self {
        let name = |id: &ServiceId| name_of(catalogue, id.as_str());
        let (slug, detail) = match error {
            PricingError::NoLines => ("nothing-to-buy", "There is nothing to buy.".to_owned()),
            PricingError::UnknownService { service_id, .. } => {
                let id: String = service_id.chars().take(LONGEST_SHOWN).collect();
                ("service-not-sold", format!("There is no service {id:?}: see GET /v1/plans for what is sold."))
            }
            PricingError::NotSoldIn { service_id, currency, .. } => {
                ("not-sold-in-currency", format!("{} is not sold in {currency}.", name(service_id)))
            }
            PricingError::Configuration { service_id, source, .. } => {
                ("configuration-invalid", format!("{} cannot be had so: {source}.", name(service_id)))
            }
            PricingError::UnknownAddon { service_id, addon_id, .. } => {
                let id: String = addon_id.chars().take(LONGEST_SHOWN).collect();
                ("addon-not-sold", format!("There is no add-on {id:?} to {}.", name(service_id)))
            }
            PricingError::OverrideCurrency { service_id, given, currency, .. } => (
                "price-in-other-currency",
                format!("The price that you were given for {} is in {given}, not in {currency}.", name(service_id)),
            ),
            PricingError::Quantity { service_id, quantity, max, .. } => (
                "quantity-not-allowed",
                format!("{} can be bought 1 to {max} at a time, not {quantity}.", name(service_id)),
            ),
            PricingError::TooManyUnits { .. } => {
                ("too-many-accounts", format!("One order holds at most {MAX_UNITS} accounts."))
            }
            PricingError::BelowMinimum { minimum, .. } => {
                ("total-below-minimum", format!("The smallest amount that can be charged is {minimum}."))
            }
            PricingError::AboveMaximum { maximum, .. } => {
                ("total-above-maximum", format!("The largest amount that can be charged at once is {maximum}."))
            }
            PricingError::Money(error) => ("cannot-be-priced", format!("There is no price for this: {error}.")),
        };
        Self { slug, detail, item }
    }
}

/// What the customer reads of a service; its id where it is sold no more.
pub(in crate::http) fn name_of(catalogue: &Catalogue, id: &str) -> String {
    catalogue.service(id).map_or_else(|| id.to_owned(), |service| service.name().to_owned())
}

/// What is known of where a domain would go.
pub(super) struct DomainPlace<'a> {
    /// Whether the service's accounts serve a site.
    pub(super) wanted: bool,
    /// The shop's own domains.
    pub(super) own: &'a [&'a str],
    /// Whether an account lives there.
    pub(super) taken: bool,
    /// Whether an earlier line names it too.
    pub(super) twice: bool,
}

/// Why a line's domain cannot be had. A line without one is no trouble: its accounts live beneath the shop's own domain.
pub(super) fn of_domain(line: &CartLine, service: &Service, domain: &str, place: &DomainPlace<'_>) -> Option<Trouble> {
    if !place.wanted {
        let detail = format!("{} has no domain: leave it out.", service.name());
        return Some(Trouble { slug: "domain-not-needed", detail, item: Some(line.id) });
    }
    let (slug, detail) = match domain.parse::<DomainName>() {
        Err(error) => ("domain-invalid", format!("The domain cannot be used: {error}.")),
        Ok(name) if place.own.iter().any(|own| name.is_within(own)) => {
            ("domain-reserved", format!("{name} lies beneath our own domain: take one of yours, or leave it out."))
        }
        Ok(name) if line.quantity > 1 => {
            ("domain-for-one", format!("{name} can be one account's only: put each of them into the cart by itself."))
        }
        Ok(name) if place.twice => ("domain-taken", format!("{name} is in the cart twice.")),
        Ok(name) if place.taken => ("domain-taken", format!("{name} is served already: take another domain.")),
        Ok(_) => return None,
    };
    Some(Trouble { slug, detail, item: Some(line.id) })
}
