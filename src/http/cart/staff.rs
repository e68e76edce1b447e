//! What staff does to a customer's cart: looks at it, and gives a price that the catalogue does not have.

use axum::{
    extract::{Query, State, rejection::QueryRejection},
    response::Response,
};
use berth_jobs::ids::{CartItemId, CustomerId};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    super::{
        auth::AuthenticatedStaff,
        if_match::IfMatch,
        orders::of_store,
        problem::{ApiJson, Problem, ProblemJson, Refuses, RefusesBody, RefusesStaff},
        reason::Reason,
        segments::Segments,
    },
    item_id,
    json::{self, CartAnswers, CartJson},
    lines,
    writes::{Step, Wish, read, write},
};
use crate::{
    app::App,
    domain::money::{Currency, Money},
    effects::{CartLine, CustomerContact, NewAudit, PriceOverride},
    store::carts::Cart,
};

/// A price for one account, in place of the catalogue's.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenPrice {
    /// For one cycle, options and add-ons included; the set-up fee is due all the same.
    #[schema(example = "3.50", pattern = r"^[0-9]{1,12}(\.[0-9]{1,2})?$")]
    price: String,
    /// The cart's, ISO 4217.
    #[schema(example = "USD", min_length = 3, max_length = 3)]
    currency: String,
    /// Until when it can be bought at it.
    #[schema(value_type = String, format = DateTime)]
    until: Timestamp,
    /// Why.
    #[schema(value_type = String, min_length = 1, max_length = 500, example = "promised on the phone")]
    reason: Reason,
}

/// Why something is done.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReasonQuery {
    /// Why.
    #[param(value_type = String, min_length = 1, max_length = 500)]
    reason: Reason,
}

/// What staff has decided about an item's price.
pub(super) struct PriceDecision {
    item: CartItemId,
    /// None takes the given price back.
    price: Option<(Money, Timestamp)>,
    by: String,
    reason: String,
}

/// Shows a customer's cart to staff.
#[utoipa::path(get, path = "/v1/carts/{customer_id}", tag = "staff", operation_id = "show_cart_of_customer",
    security(("bearer" = [])),
    params(("customer_id" = String, Path, description = "The customer's `user_id`.")),
    responses(
        (status = 200, description = "The cart.", body = CartJson,
            headers(("ETag" = String, description = "The version, for `If-Match`."))),
        (status = 404, description = "There is no such customer.", body = ProblemJson,
            content_type = "application/problem+json"),
        Refuses, RefusesStaff,
    ),
)]
pub async fn show(
    AuthenticatedStaff(_staff): AuthenticatedStaff,
    State(app): State<App>,
    Segments(customer): Segments<String>,
) -> Result<Response, Problem> {
    let customer = contact_of(&app, &customer).await?;
    json::answer(&app, &read(&app, customer.id).await?).await
}

/// Gives a price to an item of a customer's cart. Written down with its reason.
#[utoipa::path(put, path = "/v1/carts/{customer_id}/items/{id}/price-override", tag = "staff",
    operation_id = "give_price", security(("bearer" = [])),
    params(
        ("customer_id" = String, Path, description = "The customer's `user_id`."),
        ("id" = String, Path, description = "`cit_…`"),
        ("If-Match" = Option<String>, Header, description = "Only at this version (`ETag`)."),
    ),
    request_body = GivenPrice,
    responses(
        CartAnswers, Refuses, RefusesStaff, RefusesBody,
        (status = 404, description = "The customer's cart has no such item.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 422, description = "The price, its currency or its end cannot be.", body = ProblemJson,
            content_type = "application/problem+json"),
    ),
)]
pub async fn give_price(
    AuthenticatedStaff(staff): AuthenticatedStaff,
    State(app): State<App>,
    Segments((customer, item)): Segments<(String, String)>,
    if_match: IfMatch,
    ApiJson(given): ApiJson<GivenPrice>,
) -> Result<Response, Problem> {
    let refuse = || Problem::unprocessable("price-invalid", "The price is an amount of the currency, such as 3.50.");
    let currency: Currency = given.currency.parse().map_err(|_| refuse())?;
    let price = Money::parse(&given.price, currency).map_err(|_| refuse())?;
    let maximum = currency.maximum_charge();
    if price.checked_cmp(maximum).is_ok_and(std::cmp::Ordering::is_gt) {
        return Err(refuse());
    }
    if given.until <= app.clock.now() || given.until > latest() {
        let detail = "The price must hold until a time to come, before the year 3000.";
        return Err(Problem::unprocessable("until-not-to-come", detail));
    }
    let decision = PriceDecision {
        item: item_id(&item)?,
        price: Some((price, given.until)),
        by: staff.id.to_string(),
        reason: given.reason.into(),
    };
    decide(&app, &customer, if_match, decision).await
}

/// Takes a given price back: the catalogue's holds again. Written down with its reason.
#[utoipa::path(delete, path = "/v1/carts/{customer_id}/items/{id}/price-override", tag = "staff",
    operation_id = "take_price_back", security(("bearer" = [])),
    params(
        ("customer_id" = String, Path, description = "The customer's `user_id`."),
        ("id" = String, Path, description = "`cit_…`"),
        ("If-Match" = Option<String>, Header, description = "Only at this version (`ETag`)."),
        ReasonQuery,
    ),
    responses(
        CartAnswers, Refuses, RefusesStaff,
        (status = 404, description = "The customer's cart has no such item.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 422, description = "The cart would hold too many of one item.", body = ProblemJson,
            content_type = "application/problem+json"),
    ),
)]
pub async fn take_price_back(
    AuthenticatedStaff(staff): AuthenticatedStaff,
    State(app): State<App>,
    Segments((customer, item)): Segments<(String, String)>,
    if_match: IfMatch,
    query: Result<Query<ReasonQuery>, QueryRejection>,
) -> Result<Response, Problem> {
    let Query(query) = query.map_err(|error| Problem::invalid_request(error.body_text()))?;
    let decision =
        PriceDecision { item: item_id(&item)?, price: None, by: staff.id.to_string(), reason: query.reason.into() };
    decide(&app, &customer, if_match, decision).await
}

async fn decide(app: &App, customer: &str, if_match: IfMatch, decision: PriceDecision) -> Result<Response, Problem> {
    let customer = contact_of(app, customer).await?;
    let cart = write(app, customer, if_match, &Wish::Price(decision)).await?;
    json::answer(app, &cart).await
}

/// A customer by id, as they are known.
async fn contact_of(app: &App, customer: &str) -> Result<CustomerContact, Problem> {
    let id = Uuid::try_parse(customer).map(CustomerId).map_err(|_| Problem::not_found())?;
    let profile = app.store.profile(id).await.map_err(of_store)?;
    let profile = profile.filter(|profile| profile.deleted_at.is_none()).ok_or_else(Problem::not_found)?;
    Ok(CustomerContact { id, email: profile.email, name: profile.name })
}

/// What a price may hold until at most: what the database can keep, and a calendar can show.
pub(in crate::http) fn latest() -> Timestamp {
    jiff::civil::date(3000, 1, 1).to_zoned(jiff::tz::TimeZone::UTC).map_or(Timestamp::MAX, |end| end.timestamp())
}

impl PriceDecision {
    pub(super) fn step(&self, app: &App, cart: &Cart) -> Result<Step, Problem> {
        let line = lines::find(cart, self.item)?;
        if self.price.is_none() && line.price_override.is_none() {
            return Ok(Vec::new().into());
        }
        let price_override = match self.price {
            Some((price, _)) if price.currency() != cart.currency => {
                let detail = format!("The cart is priced in {}.", cart.currency);
                return Err(Problem::unprocessable("price-in-other-currency", detail));
            }
            Some((price, until)) => {
                Some(PriceOverride { price, by: self.by.clone(), reason: self.reason.clone(), until })
            }
            None => None,
        };
        let after = CartLine { price_override, ..line.clone() };
        let after = match lines::whole(app, cart.currency, after.clone()) {
            Ok(whole) => whole,
            // A price of what is sold no more can be taken back all the same.
            Err(_) if self.price.is_none() => after,
            Err(problem) => return Err(problem),
        };
        let action = if self.price.is_some() { "cart.price_override" } else { "cart.price_override.end" };
        let audit = NewAudit {
            actor: self.by.clone(),
            action,
            subject: self.item.to_string(),
            reason: Some(self.reason.clone()),
            before: Some(told(cart, line)),
            after: Some(told(cart, &after)),
            at: app.clock.now(),
        };
        Ok(Step { edits: lines::put(cart, after).0, audit: Some(audit) })
    }
}

fn told(cart: &Cart, line: &CartLine) -> Value {
    let given = line.price_override.as_ref();
    json!({
        "user_id": cart.customer_id,
        "service_id": line.service_id,
        "quantity": line.quantity,
        "price_override": given.map(|given| given.price.amount_text()),
        "currency": given.map(|given| given.price.currency()),
        "until": given.map(|given| given.until),
    })
}
