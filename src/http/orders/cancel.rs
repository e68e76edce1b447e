//! `POST /v1/orders/{id}/cancel`: an order that nobody has paid is given up.

use axum::{Json, extract::State};
use berth_jobs::{checkout::ExpireCheckout, ids::OrderId};
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    super::{
        auth::{Authenticated, Customer, Role},
        problem::{ApiJson, Problem, ProblemJson, Refuses, RefusesBody},
        reason::Reason,
        segments::Segments,
    },
    OrderJson, in_detail, of_store, order_of,
};
use crate::{
    app::App,
    domain::order::{Actor, OrderEvent, OrderMove, OrderPhase},
    effects::{CouponUse, Effects, NewAudit},
    error::chain,
    fulfilment,
    queue::committer::CommitError,
    store::orders::Order,
};

/// How often the order is read anew because something else has moved it meanwhile. Few things can happen to it.
const TRIES: u32 = 5;

/// Why an order is cancelled.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CancelRequest {
    /// Customers may say why; staff must.
    #[serde(default)]
    reason: Option<Reason>,
}

/// Cancels an order that is not paid. Cancelling a cancelled one changes nothing.
///
/// Its coupon can be used again at once, and its page at Stripe is closed. Who has paid on that page before it closed has
/// paid: the order is then processed after all.
#[utoipa::path(post, path = "/v1/orders/{id}/cancel", tag = "orders", operation_id = "cancel_order",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "`ord_…`")),
    request_body = Option<CancelRequest>,
    responses(
        (status = 200, description = "The order, which is cancelled.", body = OrderJson),
        (status = 404, description = "You have no such order.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 409, description = "`order-not-cancellable`: it is paid, or its payment is on its way; the member \
                                      `order_status` says how it stands.",
            body = ProblemJson, content_type = "application/problem+json"),
        (status = 422, description = "`reason-required`: staff say why.", body = ProblemJson,
            content_type = "application/problem+json"),
        RefusesBody,
        Refuses,
    ),
)]
pub async fn cancel(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    Segments(id): Segments<OrderId>,
    request: Option<ApiJson<CancelRequest>>,
) -> Result<Json<OrderJson>, Problem> {
    let reason = request.and_then(|ApiJson(request)| request.reason).map(String::from);
    let mut order = order_of(&app, &customer, id).await?;
    let by_staff = customer.id != order.customer.id;
    if by_staff && reason.is_none() {
        return Err(Problem::unprocessable("reason-required", "Say why you cancel a customer's order: `reason`."));
    }
    if order.is_renewal && order.state.phase == OrderPhase::Pending {
        let detail = "It renews a hosting account: cancel that, or switch its `auto_renew` off.";
        let refusal = Problem::conflict("order-not-cancellable", detail);
        return Err(refusal.with("order_status", order.state.phase.status()));
    }
    for _ in 0..TRIES {
        if order.state.phase.status() == OrderPhase::Cancelled.status() {
            return Ok(Json(in_detail(&app, &customer, order).await?));
        }
        let step = order.state.apply(OrderEvent::Cancelled).ok_or_else(|| not_cancellable(&order))?;
        let step = if by_staff { step.by(Actor::Staff) } else { step };
        match app.committer.write(cancelling(&app, &customer, &order, step, reason.clone())).await {
            // A refused one has been moved by something else: by what is seen now.
            Ok(()) | Err(CommitError::Refused(_)) => order = app.store.order(id).await.map_err(of_store)?,
            Err(error) => {
                tracing::error!(%id, error = chain(&error), "an order could not be cancelled");
                return Err(Problem::database_away());
            }
        }
    }
    Err(Problem::database_away())
}

fn cancelling(app: &App, customer: &Customer, order: &Order, step: OrderMove, reason: Option<String>) -> Effects {
    let id = order.state.id;
    let effects = Effects::from(step).settle_coupon(id, CouponUse::Release).enqueue(ExpireCheckout { order_id: id });
    let effects = fulfilment::credit_back(effects, order, app.clock.now());
    if reason.is_none() && customer.role == Role::Customer {
        // The order's own history says all there is to say.
        return effects;
    }
    effects.audit(NewAudit {
        actor: customer.id.to_string(),
        action: "order.cancel",
        subject: id.to_string(),
        reason,
        before: Some(serde_json::json!({ "phase": order.state.phase.as_str() })),
        after: Some(serde_json::json!({ "phase": OrderPhase::Cancelled.as_str() })),
        at: app.clock.now(),
    })
}

fn not_cancellable(order: &Order) -> Problem {
    let detail = match order.state.phase {
        OrderPhase::AwaitingPayment => "Its payment is on its way and cannot be called back.",
        OrderPhase::Held => "It is paid and being looked at: write to support to have it refunded.",
        OrderPhase::Failed => "It has failed already: there is nothing to cancel.",
        OrderPhase::Pending
        | OrderPhase::Processing
        | OrderPhase::Completed
        | OrderPhase::Cancelled
        | OrderPhase::Rejected
        | OrderPhase::Withdrawn => "It is paid: cancel its hosting accounts instead, or write to support.",
    };
    Problem::conflict("order-not-cancellable", detail).with("order_status", order.state.phase.status())
}
