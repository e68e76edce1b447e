//! `POST /v1/orders/{id}/approve` and `/reject`: a person decides on an order that is held.

use std::time::Duration;

use axum::{Json, extract::State};
use berth_jobs::ids::{OrderId, PaymentId};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{
    super::{
        auth::{AuthenticatedStaff, Customer},
        problem::{ApiJson, Problem, ProblemJson, Refuses, RefusesBody, RefusesStaff},
        reason::Reason,
        segments::Segments,
    },
    OrderJson, in_detail, of_store,
};
use crate::{
    app::App,
    domain::order::OrderPhase,
    effects::{Effects, NewAudit, NewPayment},
    error::chain,
    fulfilment::{self, Came},
    gateways::stripe::CheckoutPaymentStatus,
    queue::committer::CommitError,
    store::{orders::Order, payments::Payment},
};

/// How soon to try again when Stripe is away.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Why it was decided so.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReviewRequest {
    reason: Reason,
}

/// Lets a held order go: it is processed as if it had never been held. Staff only.
#[utoipa::path(post, path = "/v1/orders/{id}/approve", tag = "staff", operation_id = "approve_order",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "`ord_…`")),
    request_body = ReviewRequest,
    responses(
        (status = 200, description = "The order, which is processing.", body = OrderJson),
        (status = 404, description = "There is no such order.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 409, description = "`order-not-held`; or `paid-amount-differs`: what was paid is not its total, so it \
                                      can only be rejected.",
            body = ProblemJson, content_type = "application/problem+json"),
        RefusesBody,
        RefusesStaff,
        Refuses,
    ),
)]
pub async fn approve(
    AuthenticatedStaff(staff): AuthenticatedStaff,
    State(app): State<App>,
    Segments(id): Segments<OrderId>,
    ApiJson(request): ApiJson<ReviewRequest>,
) -> Result<Json<OrderJson>, Problem> {
    let (order, money) = held(&app, id).await?;
    let is_covered = order.total.is_zero() || money.is_some_and(|money| money.amount == order.total);
    if !is_covered {
        let detail = "What was paid is not the order's total: reject it, and what was paid goes back.";
        return Err(Problem::conflict("paid-amount-differs", detail));
    }
    let effects = fulfilment::approve(&app, app.clock.now(), &order).map_err(of_store)?;
    let effects = effects.ok_or_else(|| not_held(&order))?;
    decide(&app, &staff, &order, effects, Decision::APPROVED, request.reason).await
}

/// Refuses a held order: it is shown as cancelled, and what was paid for it goes back. Staff only.
#[utoipa::path(post, path = "/v1/orders/{id}/reject", tag = "staff", operation_id = "reject_order",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "`ord_…`")),
    request_body = ReviewRequest,
    responses(
        (status = 200, description = "The order, which is cancelled.", body = OrderJson),
        (status = 404, description = "There is no such order.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 409, description = "`order-not-held`",
            body = ProblemJson, content_type = "application/problem+json"),
        RefusesBody,
        RefusesStaff,
        Refuses,
    ),
)]
pub async fn reject(
    AuthenticatedStaff(staff): AuthenticatedStaff,
    State(app): State<App>,
    Segments(id): Segments<OrderId>,
    ApiJson(request): ApiJson<ReviewRequest>,
) -> Result<Json<OrderJson>, Problem> {
    let (order, money) = held(&app, id).await?;
    let came = match money {
        Some(payment) => Came::AsAsked(payment.id),
        None if order.total.is_zero() => Came::Nothing,
        None => found_at_stripe(&app, &order).await?,
    };
    let effects = fulfilment::reject(app.clock.now(), &order, came).ok_or_else(|| not_held(&order))?;
    decide(&app, &staff, &order, effects, Decision::REJECTED, request.reason).await
}

/// What was decided, for the audit.
struct Decision {
    action: &'static str,
    phase: OrderPhase,
}

impl Decision {
    const APPROVED: Self = Self { action: "order.approve", phase: OrderPhase::Processing };
    const REJECTED: Self = Self { action: "order.reject", phase: OrderPhase::Rejected };
}

/// An order that is held, and what came for it.
async fn held(app: &App, id: OrderId) -> Result<(Order, Option<Payment>), Problem> {
    let order = app.store.order(id).await.map_err(of_store)?;
    if order.state.phase != OrderPhase::Held {
        return Err(not_held(&order));
    }
    let money = app.store.payment_of(id).await.map_err(of_store)?;
    Ok((order, money))
}

/// What came for an order whose payment is not what was asked.
async fn found_at_stripe(app: &App, order: &Order) -> Result<Came, Problem> {
    let (Some(stripe), Some(session_id)) = (&app.stripe, &order.stripe_session_id) else { return Ok(Came::Unknown) };
    let session = stripe.checkout_session(session_id).await.map_err(|error| {
        tracing::error!(order = %order.state.id, error = chain(&error), "Stripe does not say what was paid");
        Problem::unavailable(RETRY_AFTER)
    })?;
    let is_paid = session.payment_status == Some(CheckoutPaymentStatus::Paid);
    let (Some(amount), Some(intent)) = (session.money().filter(|_| is_paid), session.payment_intent) else {
        return Ok(Came::Unknown);
    };
    Ok(Came::Otherwise(NewPayment {
        id: PaymentId::new(),
        order_id: order.state.id,
        amount,
        stripe_session_id: Some(session.id),
        stripe_payment_intent_id: Some(intent),
        created_at: app.clock.now(),
    }))
}

async fn decide(
    app: &App,
    staff: &Customer,
    order: &Order,
    effects: Effects,
    decision: Decision,
    reason: Reason,
) -> Result<Json<OrderJson>, Problem> {
    let id = order.state.id;
    let audit = NewAudit {
        actor: staff.id.to_string(),
        action: decision.action,
        subject: id.to_string(),
        reason: Some(reason.into()),
        before: Some(json!({ "phase": order.state.phase.as_str(), "hold_reason": order.hold_reason })),
        after: Some(json!({ "phase": decision.phase.as_str() })),
        at: app.clock.now(),
    };
    let written = app.committer.write(effects.audit(audit)).await;
    let now = app.store.order(id).await.map_err(of_store)?;
    match written {
        Ok(()) => Ok(Json(in_detail(app, staff, now).await?)),
        // A colleague was faster.
        Err(CommitError::Refused(_)) => Err(not_held(&now)),
        Err(error) => {
            tracing::error!(%id, error = chain(&error), "a held order could not be decided on");
            Err(Problem::database_away())
        }
    }
}

fn not_held(order: &Order) -> Problem {
    let detail = "Only an order that is held can be approved or rejected.";
    Problem::conflict("order-not-held", detail).with("order_phase", order.state.phase.as_str())
}
