//! Orders: a list, and the whole story of one, beginning with why it is not live.

use axum::{extract::State, response::Response};
use berth_jobs::ids::OrderId;
use serde::Deserialize;
use serde_json::json;

use super::{
    super::{auth::AuthenticatedStaff, orders::review, segments::Segments},
    accounts::asked,
    answer::{Trouble, done, page},
    forms::{Asked, Because, Done, Named, Posted, as_staff, said},
    session::Signed,
};
use crate::{
    app::App,
    domain::{order::OrderPhase, why::why},
};

const MOST: i64 = 50;

#[derive(Debug, Deserialize)]
pub(super) struct OrdersQuery {
    phase: Option<String>,
    before: Option<String>,
}

/// Orders, the newest first.
pub(super) async fn list(
    signed: Signed,
    State(app): State<App>,
    Asked(query): Asked<OrdersQuery>,
) -> Result<Response, Trouble> {
    let phase = said(query.phase.as_deref()).filter(|phase| phase.parse::<OrderPhase>().is_ok());
    let before: Option<OrderId> = said(query.before.as_deref()).and_then(|id| id.parse().ok());
    let orders = app.store.console_orders(phase, before, MOST).await?;
    let full = i64::try_from(orders.len()).is_ok_and(|shown| shown == MOST);
    let older = orders.last().filter(|_| full).map(|order| order.id.clone());
    let values = json!({
        "orders": orders,
        "older": older,
        "phase": phase,
        "phases": OrderPhase::ALL.map(OrderPhase::as_str),
    });
    page(&app, &signed, ("orders", "orders.html"), values)
}

/// Why one order is not live, and everything that happened to it.
pub(super) async fn show(
    signed: Signed,
    State(app): State<App>,
    Named(id): Named<OrderId>,
    Asked(Done { done }): Asked<Done>,
) -> Result<Response, Trouble> {
    let order = app.store.console_order(id).await?;
    let answer = why(&app.store.order_facts(id).await?, app.clock.now());
    let values = json!({
        "is_held": order.phase == OrderPhase::Held.as_str(),
        "done": done,
        "order": order,
        "standing": answer.standing.as_str(),
        "because": answer.because,
        "advice": answer.advice,
        "units": app.store.console_units(id).await?,
        "payments": app.store.console_payments(id).await?,
        "steps": app.store.order_story(id).await?,
    });
    page(&app, &signed, ("orders", "order.html"), values)
}

/// Lets a held order go.
pub(super) async fn approve(
    State(app): State<App>,
    Named(id): Named<OrderId>,
    Posted { signed, form }: Posted<Because>,
) -> Result<Response, Trouble> {
    let body = asked(json!({ "reason": form.reason }))?;
    Box::pin(review::approve(AuthenticatedStaff(as_staff(&signed)), State(app), Segments(id), body)).await.map(drop)?;
    Ok(done(&format!("/console/orders/{id}"), "approved"))
}

/// Refuses a held order, and gives back what was paid.
pub(super) async fn reject(
    State(app): State<App>,
    Named(id): Named<OrderId>,
    Posted { signed, form }: Posted<Because>,
) -> Result<Response, Trouble> {
    let body = asked(json!({ "reason": form.reason }))?;
    Box::pin(review::reject(AuthenticatedStaff(as_staff(&signed)), State(app), Segments(id), body)).await.map(drop)?;
    Ok(done(&format!("/console/orders/{id}"), "rejected"))
}
