//! The cart: what a customer means to buy, priced anew at each look.

mod json;
mod lines;
pub mod staff;
mod writes;

use axum::{extract::State, response::Response};
use berth_jobs::ids::CartItemId;
use serde::{Deserialize, Deserializer};
use utoipa::ToSchema;

use super::{
    auth::Authenticated,
    basket::Trouble,
    client_address::ClientAddress,
    coupon_checks::CouponChecks,
    if_match::IfMatch,
    problem::{ApiJson, Problem, ProblemJson, Refuses, RefusesBody},
    segments::Segments,
};
use crate::{
    app::App,
    domain::{
        configuration::Configuration,
        coupon::{CouponCode, CouponRefusal},
        money::Currency,
    },
};
use json::CartAnswers;
pub use json::CartJson;
pub(super) use writes::of_commit;
use writes::{Wish, read, write};

/// What to put into the cart.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewItem {
    /// As `GET /v1/plans` calls it.
    #[schema(example = "vps-monthly", max_length = 100)]
    pub(super) service_id: String,
    /// How many accounts.
    #[serde(default = "one")]
    #[schema(minimum = 1, maximum = 100, default = 1)]
    pub(super) quantity: u32,
    /// What is chosen, by the option's id; what is left out is taken as the catalogue has it.
    #[serde(default)]
    #[schema(value_type = std::collections::BTreeMap<String, serde_json::Value>, example = json!({ "ram_gb": 4 }))]
    pub(super) configuration: Configuration,
    /// What to have beside it.
    #[serde(default)]
    #[schema(example = json!(["daily-backups"]), max_items = 100)]
    pub(super) addon_ids: Vec<String>,
    /// The domain of the site, where the service has one. Without it, the site lives beneath the shop's own domain.
    #[serde(default)]
    #[schema(example = "example.com", max_length = 254)]
    pub(super) domain: Option<String>,
}

const fn one() -> u32 {
    1
}

/// What to change about an item. What is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ItemChange {
    /// How many accounts; 0 takes the item out.
    #[schema(minimum = 0, maximum = 100)]
    quantity: Option<u32>,
    /// The whole configuration: what is left out of it is taken as the catalogue has it.
    #[schema(value_type = Option<std::collections::BTreeMap<String, serde_json::Value>>)]
    configuration: Option<Configuration>,
    /// All add-ons.
    #[schema(max_items = 100)]
    addon_ids: Option<Vec<String>>,
    /// The domain of the site; null takes it away.
    #[serde(default, deserialize_with = "said")]
    #[schema(value_type = Option<String>, max_length = 254)]
    domain: Option<Option<String>>,
}

/// Tells a null from what is left out.
fn said<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// A coupon's code.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CouponChoice {
    /// In capitals or not.
    #[schema(example = "WELCOME10", max_length = 100)]
    code: String,
}

/// A currency.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CurrencyChoice {
    /// ISO 4217.
    #[schema(example = "EUR", min_length = 3, max_length = 3)]
    currency: String,
}

/// Shows your cart, priced anew.
#[utoipa::path(get, path = "/v1/cart", tag = "cart", operation_id = "show_cart", security(("bearer" = [])), responses(
    (status = 200, description = "The cart. A customer who never had one has an empty one, at version 0.", body = CartJson,
        headers(("ETag" = String, description = "The version, for `If-Match`."))),
    Refuses,
))]
pub async fn show(Authenticated(customer): Authenticated, State(app): State<App>) -> Result<Response, Problem> {
    let cart = read(&app, customer.id).await?;
    json::answer(&app, &cart).await
}

/// Empties your cart, its coupon included.
#[utoipa::path(delete, path = "/v1/cart", tag = "cart", operation_id = "clear_cart", security(("bearer" = [])),
    params(("If-Match" = Option<String>, Header, description = "Only at this version (`ETag`).")),
    responses(CartAnswers, Refuses),
)]
pub async fn clear(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let cart = write(&app, customer.contact()?, if_match, &Wish::Clear).await?;
    json::answer(&app, &cart).await
}

/// Puts something into your cart. What is there already with the same configuration, add-ons and domain becomes more.
#[utoipa::path(post, path = "/v1/cart/items", tag = "cart", operation_id = "add_cart_item", security(("bearer" = [])),
    params(("If-Match" = Option<String>, Header, description = "Only at this version (`ETag`).")),
    request_body = NewItem,
    responses(
        CartAnswers, Refuses, RefusesBody,
        (status = 422, description = "It cannot be sold so, or the cart is full: `type` says which.", body = ProblemJson,
            content_type = "application/problem+json"),
    ),
)]
pub async fn add(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    if_match: IfMatch,
    ApiJson(item): ApiJson<NewItem>,
) -> Result<Response, Problem> {
    let cart = write(&app, customer.contact()?, if_match, &Wish::Add(item)).await?;
    json::answer(&app, &cart).await
}

/// Changes an item of your cart. One that becomes the same as another takes that one's quantity over.
#[utoipa::path(patch, path = "/v1/cart/items/{id}", tag = "cart", operation_id = "change_cart_item",
    security(("bearer" = [])),
    params(
        ("id" = String, Path, description = "`cit_…`"),
        ("If-Match" = Option<String>, Header, description = "Only at this version (`ETag`)."),
    ),
    request_body = ItemChange,
    responses(
        CartAnswers, Refuses, RefusesBody,
        (status = 404, description = "Your cart has no such item.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 422, description = "It cannot be sold so: `type` says why.", body = ProblemJson,
            content_type = "application/problem+json"),
    ),
)]
pub async fn change(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    Segments(id): Segments<String>,
    if_match: IfMatch,
    ApiJson(change): ApiJson<ItemChange>,
) -> Result<Response, Problem> {
    let wish = Wish::Change(item_id(&id)?, change);
    let cart = write(&app, customer.contact()?, if_match, &wish).await?;
    json::answer(&app, &cart).await
}

/// Takes an item out of your cart. One that is not in it stays out of it.
#[utoipa::path(delete, path = "/v1/cart/items/{id}", tag = "cart", operation_id = "remove_cart_item",
    security(("bearer" = [])),
    params(
        ("id" = String, Path, description = "`cit_…`"),
        ("If-Match" = Option<String>, Header, description = "Only at this version (`ETag`)."),
    ),
    responses(
        CartAnswers, Refuses,
        (status = 404, description = "This is no item's id.", body = ProblemJson,
            content_type = "application/problem+json"),
    ),
)]
pub async fn remove(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    Segments(id): Segments<String>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let wish = Wish::Remove(item_id(&id)?);
    let cart = write(&app, customer.contact()?, if_match, &wish).await?;
    json::answer(&app, &cart).await
}

fn item_id(text: &str) -> Result<CartItemId, Problem> {
    text.parse().map_err(|_| Problem::not_found())
}

/// Applies a coupon to your cart, in place of the one before. One that does not hold changes nothing.
#[utoipa::path(put, path = "/v1/cart/coupon", tag = "cart", operation_id = "apply_coupon", security(("bearer" = [])),
    params(("If-Match" = Option<String>, Header, description = "Only at this version (`ETag`).")),
    request_body = CouponChoice,
    responses(
        CartAnswers, Refuses, RefusesBody,
        (status = 422, description = "coupon-invalid, coupon-expired, coupon-used-up, coupon-below-minimum, \
            coupon-not-eligible or coupon-other-currency.", body = ProblemJson, content_type = "application/problem+json"),
        (status = 429, description = "Too many codes were tried: wait as long as `Retry-After` says.", body = ProblemJson,
            content_type = "application/problem+json"),
    ),
)]
pub async fn apply_coupon(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    State(checks): State<CouponChecks>,
    from: ClientAddress,
    if_match: IfMatch,
    ApiJson(choice): ApiJson<CouponChoice>,
) -> Result<Response, Problem> {
    checks.count(customer.id, from)?;
    let code: CouponCode = choice.code.parse().map_err(|_| Trouble::of_coupon(&CouponRefusal::Invalid).problem())?;
    let cart = write(&app, customer.contact()?, if_match, &Wish::SetCoupon(code)).await?;
    json::answer(&app, &cart).await
}

/// Takes the coupon off your cart.
#[utoipa::path(delete, path = "/v1/cart/coupon", tag = "cart", operation_id = "remove_coupon", security(("bearer" = [])),
    params(("If-Match" = Option<String>, Header, description = "Only at this version (`ETag`).")),
    responses(CartAnswers, Refuses),
)]
pub async fn remove_coupon(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    if_match: IfMatch,
) -> Result<Response, Problem> {
    let cart = write(&app, customer.contact()?, if_match, &Wish::DropCoupon).await?;
    json::answer(&app, &cart).await
}

/// Chooses the currency that your cart is priced and paid in. What is not sold in it is shown with a problem.
#[utoipa::path(put, path = "/v1/cart/currency", tag = "cart", operation_id = "choose_currency",
    security(("bearer" = [])),
    params(("If-Match" = Option<String>, Header, description = "Only at this version (`ETag`).")),
    request_body = CurrencyChoice,
    responses(
        CartAnswers, Refuses, RefusesBody,
        (status = 422, description = "Nothing is sold in this currency.", body = ProblemJson,
            content_type = "application/problem+json"),
    ),
)]
pub async fn choose_currency(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    if_match: IfMatch,
    ApiJson(choice): ApiJson<CurrencyChoice>,
) -> Result<Response, Problem> {
    let currency: Option<Currency> = choice.currency.parse().ok();
    let sold = currency.filter(|it| app.catalogue.services().iter().any(|service| service.price(*it).is_some()));
    let detail = "Nothing is sold in this currency: see GET /v1/plans for prices.";
    let currency = sold.ok_or_else(|| Problem::unprocessable("not-sold-in-currency", detail))?;
    let cart = write(&app, customer.contact()?, if_match, &Wish::SetCurrency(currency)).await?;
    json::answer(&app, &cart).await
}
