//! A customer's orders.

use axum::{
    Json,
    extract::{Path, Query, State},
};
use berth_jobs::ids::OrderId;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    auth::{Authenticated, Customer, Role},
    paging::{Listed, PageQuery},
    problem::Problem,
};
use crate::{
    app::App,
    domain::order::OrderPhase,
    store::{
        StoreError,
        orders::{HistoryStep, Order, Page},
    },
};

/// An order.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderJson {
    #[schema(value_type = String, example = "ord_01k9z3m6sne5y8r7q2w4x6t8va")]
    id: OrderId,
    #[schema(value_type = String, format = Uuid)]
    user_id: berth_jobs::ids::CustomerId,
    /// pending, processing, completed, failed or cancelled.
    status: &'static str,
    /// The currency of all amounts, ISO 4217.
    #[schema(example = "USD")]
    currency: &'static str,
    /// Before discount and tax.
    #[schema(example = "4.99")]
    subtotal: String,
    discount: String,
    tax: String,
    /// What is or was to be paid.
    total: String,
    /// One a unit.
    items: Vec<OrderItemJson>,
    /// Stripe's session.
    stripe_session_id: Option<String>,
    /// Where it is paid, while it is pending.
    checkout_url: Option<String>,
    is_renewal: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Until when it can be paid.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    paid_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    completed_at: Option<Timestamp>,
    /// Every step with its time and reason; only where one order is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeline: Option<Vec<HistoryStep>>,
}

/// One unit of an order.
#[derive(Debug, Serialize, ToSchema)]
struct OrderItemJson {
    #[schema(value_type = String)]
    id: berth_jobs::ids::OrderItemId,
    #[schema(example = "shared-monthly")]
    service_id: String,
    name: String,
    service_type: String,
    plan_name: String,
    billing_cycle: String,
    price: String,
    total: String,
    /// The account made for it.
    #[schema(value_type = Option<String>)]
    hosting_account_id: Option<berth_jobs::ids::AccountId>,
}

impl OrderJson {
    fn of(order: Order, timeline: Option<Vec<HistoryStep>>) -> Self {
        let payable = matches!(order.state.phase, OrderPhase::Pending);
        Self {
            id: order.state.id,
            user_id: order.customer.id,
            status: order.state.phase.status(),
            currency: order.total.currency().code(),
            subtotal: order.subtotal.amount_text(),
            discount: order.discount.amount_text(),
            tax: order.tax.amount_text(),
            total: order.total.amount_text(),
            stripe_session_id: order.stripe_session_id,
            checkout_url: order.checkout_url.filter(|_| payable),
            is_renewal: order.is_renewal,
            created_at: order.created_at,
            expires_at: order.expires_at,
            paid_at: order.paid_at,
            completed_at: order.completed_at,
            items: order
                .items
                .into_iter()
                .map(|item| OrderItemJson {
                    id: item.id,
                    service_id: item.service_id,
                    name: item.name,
                    service_type: item.service_type,
                    plan_name: item.plan_name,
                    billing_cycle: item.billing_cycle,
                    price: item.price.amount_text(),
                    total: item.total.amount_text(),
                    hosting_account_id: item.account_id,
                })
                .collect(),
            timeline,
        }
    }
}

/// Lists your orders, the newest first.
#[utoipa::path(get, path = "/v1/orders", tag = "orders", params(PageQuery), security(("bearer" = [])), responses(
    (status = 200, description = "A page of orders.", body = Listed<OrderJson>),
    (status = 401, description = "Sign in."),
))]
pub async fn list(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    query: Result<Query<PageQuery>, axum::extract::rejection::QueryRejection>,
) -> Result<Json<Listed<OrderJson>>, Problem> {
    let Query(query) = query.map_err(|error| Problem::invalid_request(error.body_text()))?;
    let before = query
        .starting_after
        .as_deref()
        .map(str::parse::<OrderId>)
        .transpose()
        .map_err(|error| Problem::invalid_request(format!("starting_after: {error}")))?;
    let phases = phases_of(query.status.as_deref())?;
    let page = Page { limit: query.fetch(), before: before.map(|id| id.0), phases: &phases, from: None, to: None };
    let orders = app.store.orders_of(customer.id, page).await.map_err(of_store)?;
    Ok(Json(query.page(orders.into_iter().map(|order| OrderJson::of(order, None)).collect())))
}

fn phases_of(status: Option<&str>) -> Result<Vec<String>, Problem> {
    let Some(status) = status else { return Ok(Vec::new()) };
    let phases: Vec<String> =
        OrderPhase::ALL.into_iter().filter(|phase| phase.status() == status).map(|phase| phase.to_string()).collect();
    if phases.is_empty() {
        let detail = "status: there are pending, processing, completed, failed and cancelled";
        return Err(Problem::invalid_request(detail));
    }
    Ok(phases)
}

/// Shows one of your orders, with its timeline.
#[utoipa::path(get, path = "/v1/orders/{id}", tag = "orders", security(("bearer" = [])),
    params(("id" = String, Path, description = "`ord_…`")),
    responses(
        (status = 200, description = "The order.", body = OrderJson),
        (status = 404, description = "You have no such order."),
    ),
)]
pub async fn show(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    Path(id): Path<String>,
) -> Result<Json<OrderJson>, Problem> {
    let id: OrderId = id.parse().map_err(|_| Problem::not_found())?;
    let order = app.store.order(id).await.map_err(of_store)?;
    if !may_see(&customer, order.customer.id) {
        return Err(Problem::not_found());
    }
    let timeline = app.store.order_history(id).await.map_err(of_store)?;
    Ok(Json(OrderJson::of(order, Some(timeline))))
}

/// What is not yours is not there.
pub(super) fn may_see(customer: &Customer, owner: berth_jobs::ids::CustomerId) -> bool {
    customer.id == owner || customer.role == Role::Staff
}

/// What a failed read means to the caller.
pub(super) fn of_store(error: StoreError) -> Problem {
    match error {
        StoreError::Missing(_) => Problem::not_found(),
        StoreError::Database(_) => {
            tracing::error!(error = crate::error::chain(&error), "the database did not answer a request");
            Problem::unavailable(std::time::Duration::from_secs(2))
        }
        StoreError::Unreadable { .. } => {
            let id = uuid::Uuid::now_v7().to_string();
            tracing::error!(error = crate::error::chain(&error), id, "a row cannot be read");
            Problem::internal(id)
        }
    }
}
