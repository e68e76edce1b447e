//! What a checkout is asked for.

use berth_jobs::ids::CartItemId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::super::problem::Problem;
use crate::{domain::money::Currency, effects::CartLine};

/// The most lines that a request may bring.
const MOST_LINES: usize = 50;

/// What to buy: the cart, or `items`.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckoutRequest {
    /// What to buy instead of the cart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_items = 50)]
    pub(super) items: Option<Vec<CheckoutItem>>,
    /// A coupon's code, instead of the cart's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 100, example = "SPRING")]
    coupon: Option<String>,
    /// The version of the cart that the customer has seen: another one is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 0)]
    pub(super) cart_version: Option<i32>,
    /// The currency to pay in, ISO 4217; the cart's, or the shop's, when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^[A-Z]{3}$", example = "USD")]
    currency: Option<String>,
}

/// One line of a checkout.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckoutItem {
    /// The catalogue's id.
    #[schema(max_length = 200, example = "shared-monthly")]
    service_id: String,
    /// How many accounts; 1 when not given.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 100)]
    quantity: u32,
    /// The options chosen, by the catalogue's ids; what is not named is taken as the catalogue has it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schema(value_type = std::collections::BTreeMap<String, Value>)]
    configuration: Map<String, Value>,
    /// The catalogue's ids of the add-ons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 50)]
    addon_ids: Vec<String>,
    /// The name of the site, for services that need one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 253, example = "example.com")]
    domain: Option<String>,
}

const fn one() -> u32 {
    1
}

impl CheckoutRequest {
    /// Refuses what no checkout can mean, before anybody is asked.
    pub(super) fn check(&self) -> Result<(), Problem> {
        if self.items.is_some() && self.cart_version.is_some() {
            return Err(refused("cart_version", "it is about the cart: leave it out with `items`"));
        }
        if self.items.as_ref().is_some_and(|items| items.len() > MOST_LINES) {
            return Err(refused("items", "at most 50 lines"));
        }
        self.currency()?;
        if self.texts().any(|text| text.contains('\0')) {
            return Err(Problem::invalid_body("A text holds the character NUL."));
        }
        Ok(())
    }

    fn texts(&self) -> impl Iterator<Item = &str> {
        let items = self.items.iter().flatten().flat_map(|item| {
            let options = item.configuration.iter();
            let options = options.flat_map(|(option, value)| [Some(option.as_str()), value.as_str()]);
            let addons = item.addon_ids.iter().map(|id| Some(id.as_str()));
            options.chain(addons).chain([Some(item.service_id.as_str()), item.domain.as_deref()])
        });
        items.chain([self.coupon.as_deref()]).flatten()
    }

    /// The currency that is asked for, if one is.
    pub(super) fn currency(&self) -> Result<Option<Currency>, Problem> {
        let parsed = self.currency.as_deref().map(str::parse::<Currency>).transpose();
        parsed.map_err(|error| refused("currency", &error.to_string()))
    }

    /// The code that is asked for, if one is.
    pub(super) fn coupon(&self) -> Option<String> {
        self.coupon.as_deref().map(str::trim).filter(|code| !code.is_empty()).map(str::to_owned)
    }

    /// The lines that come with the request, as a cart would hold them.
    pub(super) fn lines(&self) -> Option<Vec<CartLine>> {
        Some(self.items.as_ref()?.iter().map(CheckoutItem::line).collect())
    }

    /// What makes two requests the same.
    pub(super) fn hash(&self) -> Result<[u8; 32], Problem> {
        let body = serde_json::to_vec(self).map_err(|error| Problem::invalid_body(error.to_string()))?;
        Ok(Sha256::digest(&body).into())
    }
}

impl CheckoutItem {
    fn line(&self) -> CartLine {
        CartLine {
            id: CartItemId::new(),
            line_key: String::new(),
            service_id: self.service_id.clone(),
            quantity: self.quantity,
            addon_ids: self.addon_ids.clone(),
            configuration: Value::Object(self.configuration.clone()),
            domain: self.domain.clone(),
            price_override: None,
        }
    }
}

fn refused(field: &'static str, why: &str) -> Problem {
    Problem::invalid_body(format!("`{field}`: {why}")).with("field", field)
}
