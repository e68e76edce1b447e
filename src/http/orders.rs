//! Orders, as their customers and staff see them and act on them.

pub mod cancel;
pub mod events;
mod feed;
mod json;
pub mod refunds;
pub mod review;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
};
use berth_jobs::ids::{CustomerId, OrderId};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{
    auth::{Authenticated, Customer, Role},
    paging::{Listed, PageQuery},
    problem::{Problem, ProblemJson, Refuses, RefusesStaff},
    segments::Segments,
};
use crate::{
    app::App,
    domain::order::OrderPhase,
    store::{
        StoreError,
        orders::{Order, Page},
    },
};
pub use feed::Feed;
use json::Detail;
pub use json::OrderJson;

/// Which orders to list. `from` and `to` are RFC 3339 instants.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct OrdersQuery {
    /// How many: 1 to 100, 20 when not given.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<i64>,
    /// The id of the last one of the page before. It names a place in time, so an order that is not in the list will do.
    #[param(value_type = Option<String>, pattern = "^ord_[0-7][0-9a-hjkmnp-tv-z]{25}$")]
    starting_after: Option<OrderId>,
    /// Only those with this status.
    #[param(inline)]
    status: Option<OrderStatus>,
    /// Only those made at this time or later.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<Timestamp>,
    /// Only those made before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<Timestamp>,
    /// Only renewals, or only others.
    is_renewal: Option<bool>,
    /// Whose orders; without it, your own. Staff only.
    #[param(value_type = Option<String>, format = Uuid)]
    customer_id: Option<Uuid>,
}

/// What customers are told of an order's phase.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum OrderStatus {
    Pending,
    Processing,
    Completed,
    Failed,
    Cancelled,
}

impl OrderStatus {
    /// The phases that are shown as it.
    fn phases(self) -> Vec<String> {
        let shown_as = match self {
            Self::Pending => OrderPhase::Pending,
            Self::Processing => OrderPhase::Processing,
            Self::Completed => OrderPhase::Completed,
            Self::Failed => OrderPhase::Failed,
            Self::Cancelled => OrderPhase::Cancelled,
        };
        let phases = OrderPhase::ALL.into_iter().filter(|phase| phase.status() == shown_as.status());
        phases.map(|phase| phase.to_string()).collect()
    }
}

impl OrdersQuery {
    fn whose(&self, asking: &Customer) -> Result<CustomerId, Problem> {
        match self.customer_id.map(CustomerId) {
            None => Ok(asking.id),
            Some(other) if asking.role == Role::Staff || other == asking.id => Ok(other),
            Some(_) => Err(Problem::forbidden("Only staff may list another customer's orders.")),
        }
    }
}

/// Lists your orders, the newest first.
#[utoipa::path(get, path = "/v1/orders", tag = "orders", operation_id = "list_orders", params(OrdersQuery),
    security(("bearer" = [])),
    responses(
        (status = 200, description = "A page of orders.", body = Listed<OrderJson>),
        (status = 400, description = "A parameter is not what this takes.", body = ProblemJson,
            content_type = "application/problem+json"),
        RefusesStaff,
        Refuses,
    ),
)]
pub async fn list(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    query: Result<Query<OrdersQuery>, QueryRejection>,
) -> Result<Json<Listed<OrderJson>>, Problem> {
    let Query(query) = query.map_err(|error| Problem::invalid_request(error.body_text()))?;
    let paging = PageQuery::of_limit(query.limit)?;
    let whose = query.whose(&customer)?;
    let phases = query.status.map(OrderStatus::phases).unwrap_or_default();
    // The database's times end sooner than ours on the early side, and nothing was sold there.
    let since = |time: Timestamp| time.max(Timestamp::UNIX_EPOCH);
    let page = Page {
        limit: paging.fetch(),
        before: query.starting_after.map(|id| id.0),
        phases: &phases,
        from: query.from.map(since),
        to: query.to.map(since),
    };
    let orders = app.store.orders_of(whose, page, query.is_renewal).await.map_err(of_store)?;
    let ids: Vec<OrderId> = orders.iter().map(|order| order.state.id).collect();
    let mut numbers = app.store.invoice_numbers(&ids).await.map_err(of_store)?;
    let shown = orders.into_iter().map(|order| {
        let number = numbers.remove(&order.state.id);
        OrderJson::of(order, customer.role, number, None)
    });
    Ok(Json(paging.page(shown.collect())))
}

/// Shows one of your orders, with its timeline.
#[utoipa::path(get, path = "/v1/orders/{id}", tag = "orders", operation_id = "show_order", security(("bearer" = [])),
    params(("id" = String, Path, description = "`ord_…`")),
    responses(
        (status = 200, description = "The order.", body = OrderJson),
        (status = 404, description = "You have no such order.", body = ProblemJson,
            content_type = "application/problem+json"),
        Refuses,
    ),
)]
pub async fn show(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    Segments(id): Segments<OrderId>,
) -> Result<Json<OrderJson>, Problem> {
    let order = order_of(&app, &customer, id).await?;
    Ok(Json(in_detail(&app, &customer, order).await?))
}

/// An order that whoever asks may see.
pub(super) async fn order_of(app: &App, customer: &Customer, id: OrderId) -> Result<Order, Problem> {
    let order = app.store.order(id).await.map_err(of_store)?;
    if may_see(customer, order.customer.id) { Ok(order) } else { Err(Problem::not_found()) }
}

/// An order with its timeline and papers, as whoever asks may see it.
async fn in_detail(app: &App, customer: &Customer, order: Order) -> Result<OrderJson, Problem> {
    let id = order.state.id;
    let timeline = app.store.order_history(id).await.map_err(of_store)?;
    let invoice_number = app.store.invoice_numbers(&[id]).await.map_err(of_store)?.remove(&id);
    let payment_intent = app.store.payment_of(id).await.map_err(of_store)?.and_then(|payment| payment.intent);
    Ok(OrderJson::of(order, customer.role, invoice_number, Some(Detail { timeline, payment_intent })))
}

/// What is not yours is not there.
pub(super) fn may_see(customer: &Customer, owner: CustomerId) -> bool {
    customer.id == owner || customer.role == Role::Staff
}

/// What a failed read means to the caller.
pub(super) fn of_store(error: StoreError) -> Problem {
    match error {
        StoreError::Missing(_) => Problem::not_found(),
        StoreError::Database(_) => {
            tracing::error!(error = crate::error::chain(&error), "the database did not answer a request");
            Problem::database_away()
        }
        StoreError::Unreadable { .. } => {
            let id = Uuid::now_v7().to_string();
            tracing::error!(error = crate::error::chain(&error), id, "a row cannot be read");
            Problem::internal(id)
        }
    }
}
