//! A customer's hosting accounts.

pub mod renew;

use axum::{
    Json,
    extract::{Query, State},
    http::header,
    response::{IntoResponse, Response},
};
use berth_jobs::ids::{AccountId, CustomerId, OrderId};
use jiff::Timestamp;
use secrecy::ExposeSecret;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    auth::Authenticated,
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
    store::{
        accounts::Account,
        orders::{HistoryStep, Page},
    },
};

/// A hosting account.
#[derive(Debug, Serialize, ToSchema)]
pub struct AccountJson {
    #[schema(value_type = String, example = "acc_01k9z3m6sne5y8r7q2w4x6t8va")]
    id: AccountId,
    #[schema(value_type = String, format = Uuid)]
    user_id: CustomerId,
    /// The order that it was bought with.
    #[schema(value_type = String)]
    order_id: OrderId,
    #[schema(example = "shared-monthly")]
    service_id: String,
    /// shared, vps, cloud or wordpress.
    service_type: String,
    plan_name: String,
    /// pending, active, suspended or cancelled.
    status: &'static str,
    account_username: Option<String>,
    /// Where the site answers.
    site_url: Option<String>,
    control_panel_url: Option<String>,
    nameservers: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    activated_at: Option<Timestamp>,
    /// The end of the period that is paid for.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// When it is renewed; nothing when it is not.
    #[schema(value_type = Option<String>, format = DateTime)]
    renewal_date: Option<Timestamp>,
    /// monthly or annual.
    billing_cycle: &'static str,
    auto_renew: bool,
    suspension_reason: Option<String>,
    /// Whether the first password can still be revealed, once.
    password_waits: bool,
    /// Every step with its time and reason; only where one account is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeline: Option<Vec<HistoryStep>>,
}

impl AccountJson {
    fn of(account: Account, timeline: Option<Vec<HistoryStep>>) -> Self {
        Self {
            id: account.state.id,
            user_id: account.customer.id,
            order_id: account.order_id,
            service_id: account.service_id,
            service_type: account.service_type,
            plan_name: account.plan_name,
            status: account.state.phase.status(),
            account_username: account.username,
            site_url: account.site_url,
            control_panel_url: account.control_panel_url,
            nameservers: account.nameservers,
            created_at: account.created_at,
            activated_at: account.activated_at,
            expires_at: account.expires_at,
            renewal_date: account.expires_at.filter(|_| account.auto_renew),
            billing_cycle: account.state.cycle.as_str(),
            auto_renew: account.auto_renew,
            suspension_reason: account.suspension_reason,
            password_waits: account.password_waits,
            timeline,
        }
    }
}

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
    Ok(Json(query.page(accounts.into_iter().map(|account| AccountJson::of(account, None)).collect())))
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
    let account = app.store.account(id).await.map_err(of_store)?;
    if !may_see(&customer, account.customer.id) {
        return Err(Problem::not_found());
    }
    let timeline = app.store.account_history(id).await.map_err(of_store)?;
    Ok(Json(AccountJson::of(account, Some(timeline))))
}

/// Reveals the account's first password, once: after this it is kept nowhere. Only its owner may ask.
#[utoipa::path(post, path = "/v1/hosting/{id}/reveal", tag = "hosting", operation_id = "reveal_password", security(("bearer" = [])),
    params(("id" = String, Path, description = "`acc_…`")),
    responses(
        (status = 200, description = "The password. Note it down now.", body = RevealedPassword),
        (status = 404, description = "You have no such account.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 409, description = "It was revealed before, or the account is not active yet.", body = ProblemJson,
            content_type = "application/problem+json"),
        Refuses,
    ),
)]
pub async fn reveal(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    Segments(id): Segments<AccountId>,
) -> Result<Response, Problem> {
    let account = app.store.account(id).await.map_err(of_store)?;
    if customer.id != account.customer.id {
        return Err(Problem::not_found());
    }
    let (Some(keys), Some(intent)) = (&app.secrets, account.intent.filter(|_| account.password_waits)) else {
        return Err(Problem::conflict(
            "password-not-available",
            "The password was revealed before, or the account is not active yet.",
        ));
    };
    let place = Place { table: "hosting_accounts", row: id.0, column: "sealed_password" };
    // Opened before it is taken: a key that is missing here must not cost the customer their password.
    let password = keys.open(&place, &intent.sealed_password).map_err(|error| {
        let request = uuid::Uuid::now_v7().to_string();
        tracing::error!(error = chain(&error), account = %id, request, "a password cannot be opened");
        Problem::internal(request)
    })?;
    if app.store.take_sealed_password(id, customer.id).await.map_err(of_store)?.is_none() {
        return Err(Problem::conflict("password-not-available", "The password was revealed a moment ago."));
    }
    let revealed =
        RevealedPassword { username: intent.username.to_string(), password: password.expose_secret().to_owned() };
    Ok(([(header::CACHE_CONTROL, "no-store")], Json(revealed)).into_response())
}
