//! `/v1/me`: who the customer says that they are, and their wish to be forgotten.

use axum::{Json, extract::State, http::StatusCode};
use berth_jobs::{ids::CustomerId, renewals::DetachCard};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    auth::{Authenticated, Customer},
    orders::of_store,
    problem::{ApiJson, Problem, ProblemJson, Refuses, RefusesBody},
};
use crate::{
    app::App,
    domain::{
        account::AccountPhase,
        address::Address,
        order::OrderPhase,
        profile::{self, AddressDraft, Draft, FieldError},
    },
    effects::{CustomerContact, Effects, NewAudit, ProfileChange},
    error::chain,
    queue::committer::{CommitError, Why},
    store::{customers::Profile, orders::Page},
};

/// So many of what still runs are named.
const MOST_NAMED: i64 = 20;

/// Who you are. What you have not said is null.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProfileJson {
    #[schema(value_type = String, format = Uuid)]
    id: CustomerId,
    /// As your token says; it is changed where you sign in.
    #[schema(example = "ada@example.com")]
    email: Option<String>,
    /// Your token's, while you have given none.
    name: Option<String>,
    /// On whose behalf you buy.
    company: Option<String>,
    /// ISO 3166-1 alpha-2, in capitals. It decides which tax is due.
    #[schema(example = "DE")]
    country: Option<String>,
    address: Option<AddressJson>,
    /// By which your company is known to the tax office.
    #[schema(example = "DE123456789")]
    vat_id: Option<String>,
    /// When you were first seen here; null when you have done nothing yet.
    #[schema(value_type = Option<String>, format = DateTime)]
    created_at: Option<Timestamp>,
}

/// An address, within its country.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(super) struct AddressJson {
    /// Street and number.
    line1: String,
    /// Floor, building, care of.
    line2: Option<String>,
    city: String,
    postal_code: Option<String>,
    /// State, province or county.
    region: Option<String>,
}

/// The whole profile. What is left out, null or blank is taken away.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProfileRequest {
    /// The person's.
    #[serde(default)]
    #[schema(max_length = 200, pattern = r"^[^\x00-\x1f\x7f]*$", example = "Ada Lovelace")]
    name: Option<String>,
    /// On whose behalf you buy.
    #[serde(default)]
    #[schema(max_length = 200, pattern = r"^[^\x00-\x1f\x7f]*$", example = "Analytical Engines GmbH")]
    company: Option<String>,
    /// ISO 3166-1 alpha-2.
    #[serde(default)]
    #[schema(max_length = 10, pattern = r"^\s*([A-Za-z]{2})?\s*$", example = "DE")]
    country: Option<String>,
    /// Needs the country.
    #[serde(default)]
    address: Option<AddressRequest>,
    /// Of the European Union, and of the country; spaces, points and hyphens are left out.
    #[serde(default)]
    #[schema(max_length = 40, pattern = r"^[A-Za-z0-9+*.\s-]*$", example = "DE123456789")]
    vat_id: Option<String>,
}

/// An address, within its country.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct AddressRequest {
    /// Street and number. Required.
    #[serde(default)]
    #[schema(max_length = 200, pattern = r"^[^\x00-\x1f\x7f]*$", example = "Am Hafen 1")]
    line1: Option<String>,
    /// Floor, building, care of.
    #[serde(default)]
    #[schema(max_length = 200, pattern = r"^[^\x00-\x1f\x7f]*$")]
    line2: Option<String>,
    /// Required.
    #[serde(default)]
    #[schema(max_length = 100, pattern = r"^[^\x00-\x1f\x7f]*$", example = "Hamburg")]
    city: Option<String>,
    #[serde(default)]
    #[schema(max_length = 20, pattern = r"^[^\x00-\x1f\x7f]*$", example = "20457")]
    postal_code: Option<String>,
    /// State, province or county.
    #[serde(default)]
    #[schema(max_length = 100, pattern = r"^[^\x00-\x1f\x7f]*$")]
    region: Option<String>,
}

impl ProfileRequest {
    fn draft(self) -> Draft {
        let address = self.address.map(|address| AddressDraft {
            line1: address.line1,
            line2: address.line2,
            city: address.city,
            postal_code: address.postal_code,
            region: address.region,
        });
        Draft { name: self.name, company: self.company, country: self.country, address, vat_id: self.vat_id }
    }
}

impl ProfileJson {
    fn of(customer: &Customer, profile: Option<Profile>) -> Self {
        let Some(profile) = profile else {
            return Self {
                id: customer.id,
                email: customer.email.clone(),
                name: customer.name.clone(),
                company: None,
                country: None,
                address: None,
                vat_id: None,
                created_at: None,
            };
        };
        Self {
            id: profile.id,
            email: Some(customer.email.clone().unwrap_or(profile.email)),
            name: profile.name.or_else(|| customer.name.clone()),
            company: profile.company,
            country: profile.country,
            address: profile.address.map(AddressJson::from),
            vat_id: profile.vat_id,
            created_at: Some(profile.created_at),
        }
    }
}

impl From<Address> for AddressJson {
    fn from(address: Address) -> Self {
        Self {
            line1: address.line1,
            line2: address.line2,
            city: address.city,
            postal_code: address.postal_code,
            region: address.region,
        }
    }
}

/// Shows who you are.
#[utoipa::path(get, path = "/v1/me", tag = "me", operation_id = "show_me", security(("bearer" = [])), responses(
    (status = 200, description = "What you have said of yourself.", body = ProfileJson),
    (status = 410, description = "`customer-deleted`: you have deleted yourself.", body = ProblemJson,
        content_type = "application/problem+json"),
    Refuses,
))]
pub async fn show(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
) -> Result<Json<ProfileJson>, Problem> {
    shown(&app, &customer).await
}

async fn shown(app: &App, customer: &Customer) -> Result<Json<ProfileJson>, Problem> {
    let profile = app.store.profile(customer.id).await.map_err(of_store)?;
    if profile.as_ref().is_some_and(|profile| profile.deleted_at.is_some()) {
        return Err(Problem::customer_deleted());
    }
    Ok(Json(ProfileJson::of(customer, profile)))
}

/// Says who you are: replaces the whole profile. What is left out is taken away; of two at once the later one stands.
///
/// Orders keep who you were when they were made, and invoices say so.
#[utoipa::path(put, path = "/v1/me", tag = "me", operation_id = "replace_me", security(("bearer" = [])),
    request_body = ProfileRequest,
    responses(
        (status = 200, description = "The profile as it is kept.", body = ProfileJson),
        (status = 410, description = "`customer-deleted`: you have deleted yourself.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 422, description = "`profile-invalid`: `errors` lists each `field` with its `detail`. \
            `no-email`: your token names no address.", body = ProblemJson, content_type = "application/problem+json"),
        Refuses, RefusesBody,
    ),
)]
pub async fn replace(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    ApiJson(request): ApiJson<ProfileRequest>,
) -> Result<Json<ProfileJson>, Problem> {
    let details = profile::check(&request.draft()).map_err(|errors| invalid(&errors))?;
    let contact = customer.clone().contact()?;
    let change = ProfileChange {
        customer: CustomerContact { name: details.name, ..contact },
        company: details.company,
        country: details.country.map(|country| country.to_string()),
        address: details.address.map(|address| json!(address)),
        vat_id: details.vat_id.map(|id| id.to_string()),
    };
    match app.committer.write(Effects::none().profile(change)).await {
        Ok(()) => shown(&app, &customer).await,
        Err(CommitError::Refused(refusal)) if refusal.why == Why::CustomerDeleted => Err(Problem::customer_deleted()),
        Err(error) => Err(unwritten(&customer, &error)),
    }
}

fn invalid(errors: &[FieldError]) -> Problem {
    let fields: Vec<&str> = errors.iter().map(|error| error.field).collect();
    let list = errors.iter().map(|error| json!({ "field": error.field, "detail": error.detail })).collect::<Vec<_>>();
    let detail = format!("Not right: {}. See `errors`, mend them all and send the profile again.", fields.join(", "));
    Problem::unprocessable("profile-invalid", detail).with("errors", list)
}

/// Deletes you: who you are is forgotten, for ever. Orders, payments and invoices stay, as the law wants them.
///
/// Refused while an account of yours is not terminated or an order is neither finished nor ended. Afterwards nothing can
/// be changed or bought with your token any more. Asking again changes nothing.
#[utoipa::path(delete, path = "/v1/me", tag = "me", operation_id = "delete_me", security(("bearer" = [])), responses(
    (status = 204, description = "You are forgotten."),
    (status = 409, description = "`customer-busy`: something of yours still runs; `accounts` and `orders` name it.",
        body = ProblemJson, content_type = "application/problem+json"),
    Refuses,
))]
pub async fn delete(Authenticated(customer): Authenticated, State(app): State<App>) -> Result<StatusCode, Problem> {
    let known = app.store.profile(customer.id).await.map_err(of_store)?;
    if known.is_none_or(|profile| profile.deleted_at.is_some()) {
        return Ok(StatusCode::NO_CONTENT);
    }
    let audit = NewAudit {
        actor: customer.id.to_string(),
        action: "customer.delete",
        subject: customer.id.to_string(),
        reason: None,
        // What was is to be forgotten.
        before: None,
        after: None,
        at: app.clock.now(),
    };
    // Their cards are forgotten here by that; at Stripe they are taken away.
    let cards = app.store.cards_of(customer.id).await.map_err(of_store)?;
    let forgotten = Effects::none().anonymise(customer.id).audit(audit);
    let forgotten = cards.into_iter().fold(forgotten, |all, card| all.enqueue(DetachCard { card_id: card.id }));
    match app.committer.write(forgotten).await {
        Ok(()) => Ok(StatusCode::NO_CONTENT),
        Err(CommitError::Refused(refusal)) if refusal.why == Why::CustomerBusy => Err(busy(&app, customer.id).await?),
        Err(error) => Err(unwritten(&customer, &error)),
    }
}

/// What still runs.
async fn busy(app: &App, customer: CustomerId) -> Result<Problem, Problem> {
    let living = AccountPhase::ALL.into_iter().filter(|phase| *phase != AccountPhase::Terminated);
    let open = OrderPhase::ALL.into_iter().filter(|phase| ["pending", "processing"].contains(&phase.status()));
    let living: Vec<String> = living.map(|phase| phase.to_string()).collect();
    let open: Vec<String> = open.map(|phase| phase.to_string()).collect();
    let page = |phases| Page { limit: MOST_NAMED, before: None, phases, from: None, to: None };
    let accounts = app.store.accounts_of(customer, page(&living)).await.map_err(of_store)?;
    let orders = app.store.orders_of(customer, page(&open), None).await.map_err(of_store)?;
    let accounts: Vec<String> = accounts.iter().map(|account| account.state.id.to_string()).collect();
    let orders: Vec<String> = orders.iter().map(|order| order.state.id.to_string()).collect();
    if accounts.is_empty() && orders.is_empty() {
        let detail = "Something of yours ended a moment ago: ask again.";
        return Ok(Problem::conflict("customer-busy", detail).with("accounts", accounts).with("orders", orders));
    }
    let named = [("hosting accounts that are not terminated", &accounts), ("orders that are not finished", &orders)];
    let named = named.into_iter().filter(|(_, ids)| !ids.is_empty());
    let named: Vec<String> = named.map(|(what, ids)| format!("{what} ({})", ids.join(", "))).collect();
    let detail = format!("You still have {}. End them, then ask again.", named.join(", and "));
    Ok(Problem::conflict("customer-busy", detail).with("accounts", accounts).with("orders", orders))
}

fn unwritten(customer: &Customer, error: &CommitError) -> Problem {
    tracing::error!(customer = %customer.id, error = chain(error), "a profile could not be written");
    Problem::database_away()
}
