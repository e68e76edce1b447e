//! `GET /v1/hosting/{id}/usage`: what an account has used, day by day.

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use berth_jobs::ids::AccountId;
use jiff::{Timestamp, civil::Date};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    super::{
        auth::Authenticated,
        orders::of_store,
        paging::{Listed, PageQuery},
        problem::{Problem, ProblemJson, Refuses},
        segments::Segments,
    },
    account_of,
};
use crate::{app::App, store::usage::DayOfUsage};

/// Which days.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct UsageQuery {
    /// How many: 1 to 100, 20 when not given.
    limit: Option<i64>,
    /// The last day of the page before, such as 2026-11-25.
    #[param(value_type = Option<String>, format = Date)]
    starting_after: Option<Date>,
}

/// What an account used when its server was last asked on a day.
#[derive(Debug, Serialize, ToSchema)]
pub struct UsageJson {
    /// In UTC.
    #[schema(value_type = String, format = Date)]
    day: Date,
    /// Bytes of its files.
    disk_bytes: i64,
    /// Files and directories; null where its server does not count them.
    inodes: Option<i64>,
    /// Bytes sent in that calendar month until then; null where its server does not count them.
    traffic_bytes: Option<i64>,
    /// When its server was asked.
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
}

impl From<DayOfUsage> for UsageJson {
    fn from(of: DayOfUsage) -> Self {
        let DayOfUsage { day, disk_bytes, inodes, traffic_bytes, at } = of;
        Self { day, disk_bytes, inodes, traffic_bytes, at }
    }
}

/// Lists what one of your accounts has used, the latest day first: as far as its server counts it, for some 400 days.
#[utoipa::path(get, path = "/v1/hosting/{id}/usage", tag = "hosting", operation_id = "list_usage",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "`acc_…`"), UsageQuery),
    responses(
        (status = 200, description = "A page of days.", body = Listed<UsageJson>),
        (status = 400, description = "A parameter is not right.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 404, description = "You have no such account.", body = ProblemJson,
            content_type = "application/problem+json"),
        Refuses,
    ),
)]
pub async fn list(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    Segments(id): Segments<AccountId>,
    query: Result<Query<UsageQuery>, QueryRejection>,
) -> Result<Json<Listed<UsageJson>>, Problem> {
    let Query(query) = query.map_err(|error| Problem::invalid_request(error.body_text()))?;
    let account = account_of(&app, &customer, id).await?;
    let page = PageQuery { limit: query.limit, starting_after: None, status: None };
    let days = app.store.usage(account.state.id, query.starting_after, page.fetch()).await.map_err(of_store)?;
    Ok(Json(page.page(days.into_iter().map(UsageJson::from).collect())))
}
