//! A customer's hosting accounts: shown, and in the parts below it changed, by their customers and by staff.

pub mod access;
pub mod cancel;
mod change;
mod json;
pub mod plan;
pub mod renew;
pub mod settings;
pub mod staff;
pub mod usage;

use axum::{
    Json,
    extract::{Query, State},
    http::header,
    response::{IntoResponse, Response},
};
use berth_jobs::ids::AccountId;
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    auth::{Authenticated, Customer, Role},
    orders::{may_see, of_store},
    paging::{Listed, PageQuery},
    problem::{Problem, ProblemJson, Refuses},
    segments::Segments,
};
use crate::{
    app::App,
    domain::account::AccountPhase,
    error::chain,
    secrets::Place,
    store::{accounts::Account, orders::Page},
};
pub use json::AccountJson;
use json::Detail;

/// A password, shown this once.
#[derive(Serialize, ToSchema)]
pub struct RevealedPassword {
    username: String,
    password: String,
}

/// Lists your hosting accounts in every state, the newest first.
#[utoipa::path(get, path = "/v1/hosting", tag = "hosting", operation_id = "list_hosting", params(PageQuery),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "A page of accounts.", body = Listed<AccountJson>),
        (status = 400, description = "A parameter is not right.", body = ProblemJson,
            content_type = "application/problem+json"),
        Refuses,
    ),
)]
pub async fn list(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    query: Result<Query<PageQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Listed<AccountJson>>, Problem> {
    let Query(query) = query.map_err(|error| Problem::invalid_request(error.body_text()))?;
    let before = query
        .starting_after
        .as_deref()
        .map(str::parse::<AccountId>)
        .transpose()
        .map_err(|error| Problem::invalid_request(format!("starting_after: {error}")))?;
    let phases = phases_of(query.status.as_deref())?;
    let page = Page { limit: query.fetch(), before: before.map(|id| id.0), phases: &phases, from: None, to: None };
    let accounts = app.store.accounts_of(customer.id, page).await.map_err(of_store)?;
    let shown = accounts.into_iter().map(|account| AccountJson::of(account, customer.role, None));
    Ok(Json(query.page(shown.collect())))
}

fn phases_of(status: Option<&str>) -> Result<Vec<String>, Problem> {
    let Some(status) = status else { return Ok(Vec::new()) };
    let phases: Vec<String> =
        AccountPhase::ALL.into_iter().filter(|phase| phase.status() == status).map(|phase| phase.to_string()).collect();
    if phases.is_empty() {
        return Err(Problem::invalid_request("status: there are pending, active, suspended and cancelled"));
    }
    Ok(phases)
}

/// Shows one of your hosting accounts, with its timeline.
#[utoipa::path(get, path = "/v1/hosting/{id}", tag = "hosting", operation_id = "show_hosting", security(("bearer" = [])),
    params(("id" = String, Path, description = "`acc_…`")),
    responses(
        (status = 200, description = "The account.", body = AccountJson),
        (status = 404, description = "You have no such account.", body = ProblemJson,
            content_type = "application/problem+json"),
        Refuses,
    ),
)]
pub async fn show(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    Segments(id): Segments<AccountId>,
) -> Result<Json<AccountJson>, Problem> {
    let account = account_of(&app, &customer, id).await?;
    Ok(Json(in_detail(&app, customer.role, account).await?))
}

/// An account that whoever asks may see.
async fn account_of(app: &App, customer: &Customer, id: AccountId) -> Result<Account, Problem> {
    let account = app.store.account(id).await.map_err(of_store)?;
    if may_see(customer, account.customer.id) { Ok(account) } else { Err(Problem::not_found()) }
}

/// An account with its timeline and what is to be paid for it, as whoever asks may see it.
async fn in_detail(app: &App, role: Role, account: Account) -> Result<AccountJson, Problem> {
    let id = account.state.id;
    let timeline = app.store.account_history(id).await.map_err(of_store)?;
    let unsettled = app.store.unsettled_renewals(&[id]).await.map_err(of_store)?;
    Ok(AccountJson::of(account, role, Some(Detail { timeline, unsettled })))
}

/// Reveals the account's password, once, within three days after it was set: then it is kept nowhere. Only its owner may ask.
#[utoipa::path(post, path = "/v1/hosting/{id}/reveal", tag = "hosting", operation_id = "reveal_password", security(("bearer" = [])),
    params(("id" = String, Path, description = "`acc_…`")),
    responses(
        (status = 200, description = "The password. Note it down now.", body = RevealedPassword),
        (status = 404, description = "You have no such account.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 409, description = "It was revealed before, three days have passed, a new one is just being set, or the \
                                      account is not active.",
            body = ProblemJson, content_type = "application/problem+json"),
        Refuses,
    ),
)]
pub async fn reveal(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    Segments(id): Segments<AccountId>,
) -> Result<Response, Problem> {
    for _ in 0..change::TRIES {
        let account = app.store.account(id).await.map_err(of_store)?;
        if customer.id != account.customer.id {
            return Err(Problem::not_found());
        }
        let (sealed, revealed) = opened(&app, account)?;
        if app.store.take_sealed_password(id, customer.id, &sealed).await.map_err(of_store)? {
            return Ok(([(header::CACHE_CONTROL, "no-store")], Json(revealed)).into_response());
        }
        // Somebody took it a moment ago, or it was replaced or sealed anew: what is there now is looked at.
    }
    Err(Problem::database_away())
}

/// The password that waits, as it is stored and as it is read. Opened before it is taken: a key that is missing here must not
/// cost the customer their password.
fn opened(app: &App, account: Account) -> Result<(String, RevealedPassword), Problem> {
    let id = account.state.id;
    let in_time = account.password_until.is_some_and(|until| app.clock.now() < until);
    let (Some(keys), Some(intent)) = (&app.secrets, account.intent.filter(|_| in_time)) else {
        return Err(Problem::conflict(
            "password-not-available",
            "The password was revealed before or waited for longer than three days, a new one is just being set, or the \
             account is not active.",
        ));
    };
    let password: SecretString = keys.open(&Place::password_of(id), &intent.sealed_password).map_err(|error| {
        let request = uuid::Uuid::now_v7().to_string();
        tracing::error!(error = chain(&error), account = %id, request, "a password cannot be opened");
        Problem::internal(request)
    })?;
    let password = password.expose_secret().to_owned();
    Ok((intent.sealed_password, RevealedPassword { username: intent.username.to_string(), password }))
}
