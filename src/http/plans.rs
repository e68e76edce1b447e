//! `GET /v1/plans`: what is sold, for a shop window.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    app::App,
    domain::{
        catalogue::{Addon, Catalogue, OptionChoice, OptionKind, RenewalPrice, Service, ServiceOption},
        money::{Currency, Money},
    },
};

/// How long a shop window may show it without asking again. Carts and orders are priced anew all the same.
const FRESH: &str = "public, max-age=60";

/// Amounts by currency, such as `{"USD": "4.99"}`.
type Prices = BTreeMap<&'static str, String>;

/// What is sold.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlansJson {
    /// Every plan, in the order of the catalogue.
    data: Vec<PlanJson>,
    /// What can be had beside them.
    addons: Vec<AddonJson>,
    /// The currency of a cart that says nothing else.
    #[schema(example = "USD")]
    currency: &'static str,
    /// Whether the prices include tax; if not, it is added.
    tax_inclusive: bool,
}

/// One thing that is sold.
#[derive(Debug, Serialize, ToSchema)]
struct PlanJson {
    /// What carts and orders call it.
    #[schema(example = "shared-monthly")]
    service_id: String,
    #[schema(example = "Shared Hosting - Monthly")]
    name: String,
    /// shared, vps, cloud or wordpress.
    service_type: &'static str,
    /// The tier.
    plan_name: String,
    /// monthly or annual.
    billing_cycle: &'static str,
    /// The price of one account for one cycle, by currency. In others it is not sold.
    #[schema(value_type = BTreeMap<String, String>, example = json!({ "USD": "4.99" }))]
    prices: Prices,
    /// What one account costs once, by currency.
    #[schema(value_type = BTreeMap<String, String>)]
    setup_fees: Prices,
    /// How many days of a first period are free for who has never had it; 0 where there is no trial.
    trial_days: u32,
    /// The most that one order may hold.
    max_quantity: u32,
    /// Whether a domain can be given; without one the site lives beneath the shop's own.
    needs_domain: bool,
    /// locked: a renewal costs what was paid first. catalogue: what is said here on that day.
    renewal_price: &'static str,
    /// What can be chosen: the keys of a cart line's `configuration`.
    options: Vec<OptionJson>,
    /// What can be had beside it: the ids of add-ons.
    addon_ids: Vec<String>,
}

/// One thing that can be chosen. Its prices are added to the plan's, for a cycle.
#[derive(Debug, Serialize, ToSchema)]
struct OptionJson {
    #[schema(example = "ram_gb")]
    id: String,
    name: String,
    #[serde(flatten)]
    kind: OptionKindJson,
}

/// A number within bounds, or one of several.
#[derive(Debug, Serialize, ToSchema)]
#[serde(tag = "type", rename_all = "lowercase")]
enum OptionKindJson {
    Number {
        minimum: u32,
        maximum: u32,
        step: u32,
        /// What the plan's price pays for.
        included: u32,
        /// The price of each step above it.
        #[schema(value_type = BTreeMap<String, String>)]
        prices: Prices,
    },
    Choice {
        choices: Vec<ChoiceJson>,
        /// The id of the one that is taken when nothing is said.
        default: String,
    },
}

/// One of several.
#[derive(Debug, Serialize, ToSchema)]
struct ChoiceJson {
    #[schema(example = "eu-central")]
    id: String,
    name: String,
    #[schema(value_type = BTreeMap<String, String>)]
    prices: Prices,
}

/// Something that is had with a plan.
#[derive(Debug, Serialize, ToSchema)]
struct AddonJson {
    #[schema(example = "daily-backups")]
    id: String,
    name: String,
    /// By the plan's cycle, then by currency.
    #[schema(value_type = BTreeMap<String, BTreeMap<String, String>>)]
    prices: BTreeMap<&'static str, Prices>,
}

/// Lists what is sold, with prices, options and add-ons. Nobody has to sign in for it.
#[utoipa::path(get, path = "/v1/plans", tag = "plans", operation_id = "list_plans", responses(
    (status = 200, description = "Everything that is sold.", body = PlansJson),
))]
pub async fn list(State(app): State<App>) -> Response {
    let plans = PlansJson::of(&app.catalogue, app.currency, app.tax.inclusive());
    ([(header::CACHE_CONTROL, FRESH)], Json(plans)).into_response()
}

impl PlansJson {
    fn of(catalogue: &Catalogue, currency: Currency, tax_inclusive: bool) -> Self {
        Self {
            data: catalogue.services().iter().map(PlanJson::of).collect(),
            addons: catalogue.addons().iter().map(AddonJson::of).collect(),
            currency: currency.code(),
            tax_inclusive,
        }
    }
}

impl PlanJson {
    fn of(service: &Service) -> Self {
        let currencies: Vec<Currency> = service.prices().map(|price| price.currency()).collect();
        let fees = currencies.iter().map(|currency| service.setup_fee(*currency));
        Self {
            service_id: service.id().to_string(),
            name: service.name().to_owned(),
            service_type: service.service_type().as_str(),
            plan_name: service.plan_name().to_owned(),
            billing_cycle: service.billing_cycle().as_str(),
            prices: by_currency(service.prices()),
            setup_fees: by_currency(fees),
            trial_days: service.trial_days(),
            max_quantity: service.max_quantity(),
            needs_domain: service.needs_domain(),
            renewal_price: RenewalPrice::as_str(service.renewal_price()),
            options: service.options().iter().map(|option| OptionJson::of(option, &currencies)).collect(),
            addon_ids: service.addon_ids().to_vec(),
        }
    }
}

impl OptionJson {
    fn of(option: &ServiceOption, currencies: &[Currency]) -> Self {
        let kind = match option.kind() {
            OptionKind::Number { minimum, maximum, step, included, price } => OptionKindJson::Number {
                minimum: *minimum,
                maximum: *maximum,
                step: *step,
                included: *included,
                prices: by_currency(currencies.iter().map(|currency| {
                    let free = || Money::zero(*currency);
                    price.get(currency).copied().unwrap_or_else(free)
                })),
            },
            OptionKind::Choice { choices, default } => OptionKindJson::Choice {
                choices: choices.iter().map(|choice| ChoiceJson::of(choice, currencies)).collect(),
                default: default.clone(),
            },
        };
        Self { id: option.id().to_owned(), name: option.name().to_owned(), kind }
    }
}

impl ChoiceJson {
    fn of(choice: &OptionChoice, currencies: &[Currency]) -> Self {
        Self {
            id: choice.id().to_owned(),
            name: choice.name().to_owned(),
            prices: by_currency(currencies.iter().map(|currency| choice.price(*currency))),
        }
    }
}

impl AddonJson {
    fn of(addon: &Addon) -> Self {
        let mut prices: BTreeMap<&'static str, Prices> = BTreeMap::new();
        for (cycle, price) in addon.prices() {
            prices.entry(cycle.as_str()).or_default().insert(price.currency().code(), price.amount_text());
        }
        Self { id: addon.id().to_owned(), name: addon.name().to_owned(), prices }
    }
}

fn by_currency(amounts: impl Iterator<Item = Money>) -> Prices {
    amounts.map(|amount| (amount.currency().code(), amount.amount_text())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plan_is_told_with_all_that_can_be_chosen_about_it() {
        let plans = PlansJson::of(&Catalogue::built_in().unwrap(), Currency::Usd, false);

        let told = serde_json::to_value(&plans).unwrap();

        let plan = |id: &str| told["data"].as_array().unwrap().iter().find(|plan| plan["service_id"] == id).cloned();
        let shared = plan("shared-monthly").unwrap();
        assert_eq!((&shared["name"], &shared["prices"]["USD"]), (&json!("Shared Hosting - Monthly"), &json!("4.99")));
        assert_eq!((&shared["needs_domain"], &shared["setup_fees"]["USD"]), (&json!(true), &json!("0.00")));
        let vps = plan("vps-monthly").unwrap();
        assert_eq!(
            vps["options"][0],
            json!({
                "id": "ram_gb", "name": "Memory (GB)", "type": "number",
                "minimum": 2, "maximum": 32, "step": 2, "included": 2,
                "prices": { "USD": "4.00", "EUR": "4.00", "GBP": "3.50" },
            })
        );
        let region = &vps["options"][3];
        assert_eq!((&region["type"], &region["default"]), (&json!("choice"), &json!("eu-central")));
        assert_eq!(region["choices"][2]["prices"]["USD"], "3.00");
        assert_eq!(region["choices"][0]["prices"]["USD"], "0.00");
        assert_eq!(told["addons"][0]["prices"]["monthly"].as_object().unwrap().len(), 3);
        assert_eq!((&told["currency"], &told["tax_inclusive"]), (&json!("USD"), &json!(false)));
    }

    #[test]
    fn the_eight_plans_of_old_keep_their_ids_names_and_prices() {
        let plans = PlansJson::of(&Catalogue::built_in().unwrap(), Currency::Usd, false);

        let told: Vec<_> =
            plans.data.iter().take(8).map(|p| (p.service_id.as_str(), p.prices["USD"].as_str())).collect();

        assert_eq!(
            told,
            [
                ("shared-monthly", "4.99"),
                ("shared-annual", "49.99"),
                ("vps-monthly", "19.99"),
                ("vps-annual", "199.99"),
                ("cloud-monthly", "99.99"),
                ("cloud-annual", "999.99"),
                ("wordpress-monthly", "9.99"),
                ("wordpress-annual", "99.99"),
            ]
        );
    }
}
