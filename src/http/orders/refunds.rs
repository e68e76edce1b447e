//! `POST /v1/orders/{id}/refund`: staff gives money back. `GET /v1/orders/{id}/refunds`: what of an order went back.

mod request;

use axum::{Json, extract::State, http::HeaderMap, response::Response};
use berth_jobs::ids::{AccountId, OrderId, RefundId};
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    super::{
        auth::{Authenticated, AuthenticatedStaff, Role},
        checkout::{created, key_of},
        paging::Listed,
        problem::{ApiJson, Problem, ProblemJson, Refuses, RefusesBody, RefusesStaff},
        segments::Segments,
    },
    of_store, order_of,
};
use crate::{
    app::App,
    store::{orders::Order, refunds::Refund},
};
pub use request::RefundRequest;

/// Money that goes back, or has.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefundJson {
    #[schema(value_type = String, example = "rfd_01k9z3m6sne5y8r7q2w4x6t8va")]
    id: RefundId,
    #[schema(value_type = String, example = "ord_01k9z3m6sne5y8r7q2w4x6t8va")]
    order_id: OrderId,
    #[schema(example = "4.99")]
    amount: String,
    /// ISO 4217.
    #[schema(example = "USD")]
    currency: &'static str,
    /// requested, pending, succeeded, failed or cancelled. A bank may send money back days after it had arrived.
    #[schema(example = "succeeded")]
    status: &'static str,
    #[schema(value_type = String, format = DateTime)]
    requested_at: Timestamp,
    /// When it arrived, or it was known that it will not.
    #[schema(value_type = Option<String>, format = DateTime)]
    settled_at: Option<Timestamp>,
    /// The number of its credit note.
    #[schema(example = "CN-000042")]
    credit_note: Option<String>,
    /// Why it goes back. Staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// A member of staff; `berth` for money that was not owed; `stripe` for what was given back there. Staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    requested_by: Option<String>,
    /// Why it failed. Staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<String>,
    /// Stripe's id. Staff only.
    #[serde(skip_serializing_if = "Option::is_none")]
    stripe_refund_id: Option<String>,
}

/// A refund that is on its way, and what it leaves.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefundAnswer {
    #[serde(flatten)]
    refund: RefundJson,
    /// What of the payment can still go back.
    #[schema(example = "0.00")]
    rest: String,
    /// The accounts that the money was for. Without `terminate` they stay as they are.
    accounts: Vec<RefundedAccount>,
}

/// An account that the money was for.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefundedAccount {
    #[schema(value_type = String, example = "acc_01k9z3m6sne5y8r7q2w4x6t8va")]
    id: AccountId,
    /// pending, active, suspended or cancelled.
    #[schema(example = "active")]
    status: &'static str,
    /// Whether it ends.
    ends: bool,
}

/// Gives money of an order back: all that is left, or a part. Staff only.
///
/// It goes back by itself from here on, the way it was paid, once; a credit note follows when it has arrived. What it was for
/// stays as it is, unless `terminate` ends it. A renewal is refunded by its own order.
#[utoipa::path(post, path = "/v1/orders/{id}/refund", tag = "staff", operation_id = "refund_order",
    security(("bearer" = [])),
    params(
        ("id" = String, Path, description = "`ord_…`"),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[ -~]+$",
            description = "Asking again under it answers the same refund, with the header `Idempotent-Replayed: true`."),
    ),
    request_body = RefundRequest,
    responses(
        (status = 201, description = "The refund, which is on its way.", body = RefundAnswer),
        (status = 404, description = "There is no such order.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 409, description = "`order-not-paid`: nothing has paid it, or it is held. `refund-nothing-left`: all of it \
                                      has gone back. `refund-disputed`: its bank wants the payment back, and decides. \
                                      `account-kept`: set `kept` to false first. `changed-meanwhile`: ask again.",
            body = ProblemJson, content_type = "application/problem+json"),
        (status = 422, description = "`refund-above-rest`: so much is not left; the member `rest` says how much is. \
                                      `refund-amount-invalid`; `refund-not-whole`: what is refunded in part is not ended \
                                      by it. `idempotency-key-reused`.",
            body = ProblemJson, content_type = "application/problem+json"),
        RefusesBody,
        RefusesStaff,
        Refuses,
    ),
)]
pub async fn refund(
    AuthenticatedStaff(staff): AuthenticatedStaff,
    State(app): State<App>,
    Segments(id): Segments<OrderId>,
    headers: HeaderMap,
    ApiJson(request): ApiJson<RefundRequest>,
) -> Result<Response, Problem> {
    let key = key_of(&headers)?;
    let asked = request::Asked::of(&staff, id, request, key)?;
    let order = app.store.order(id).await.map_err(of_store)?;
    let (refund, replayed) = request::answered(&app, &order, &asked).await?;
    let answer = answer(&app, &order, refund).await?;
    Ok(created(answer, replayed))
}

/// Lists what of an order went back, or is to, the first one first.
#[utoipa::path(get, path = "/v1/orders/{id}/refunds", tag = "orders", operation_id = "list_refunds",
    security(("bearer" = [])),
    params(("id" = String, Path, description = "`ord_…`")),
    responses(
        (status = 200, description = "All of its refunds.", body = Listed<RefundJson>),
        (status = 404, description = "You have no such order.", body = ProblemJson,
            content_type = "application/problem+json"),
        Refuses,
    ),
)]
pub async fn list(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    Segments(id): Segments<OrderId>,
) -> Result<Json<Listed<RefundJson>>, Problem> {
    order_of(&app, &customer, id).await?;
    let refunds = app.store.refunds_of_order(id).await.map_err(of_store)?;
    let data = refunds.into_iter().map(|refund| RefundJson::of(refund, customer.role)).collect();
    Ok(Json(Listed { data, has_more: false }))
}

/// The accounts that an order's money was for.
fn accounts_of(order: &Order) -> Vec<AccountId> {
    match order.renews {
        Some(account) => vec![account],
        None => order.items.iter().filter_map(|item| item.account_id).collect(),
    }
}

async fn answer(app: &App, order: &Order, refund: Refund) -> Result<RefundAnswer, Problem> {
    let rest = app.store.rest_of(refund.payment_id).await.map_err(of_store)?;
    let mut accounts = Vec::new();
    for id in accounts_of(order) {
        let state = app.store.account(id).await.map_err(of_store)?.state;
        let ends = state.phase.is_over() || state.standing.ending.is_some();
        accounts.push(RefundedAccount { id, status: state.phase.status(), ends });
    }
    Ok(RefundAnswer { refund: RefundJson::of(refund, Role::Staff), rest: rest.amount.amount_text(), accounts })
}

impl RefundJson {
    fn of(refund: Refund, role: Role) -> Self {
        let is_staff = role == Role::Staff;
        Self {
            id: refund.id,
            order_id: refund.order_id,
            amount: refund.amount.amount_text(),
            currency: refund.amount.currency().code(),
            status: refund.state.as_str(),
            requested_at: refund.requested_at,
            settled_at: refund.settled_at,
            credit_note: refund.credit_note,
            reason: is_staff.then_some(refund.reason),
            requested_by: is_staff.then_some(refund.requested_by),
            failure: refund.failure.filter(|_| is_staff),
            stripe_refund_id: refund.stripe_refund_id.filter(|_| is_staff),
        }
    }
}
