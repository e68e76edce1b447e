//! `POST /v1/checkout`: the cart, or lines that come with the request, become an order at our prices, and a page to pay
//! it on.
//!
//! The order is committed before Stripe is asked for its page, under keys made from rows: whatever is lost on the way, the
//! same request finds the order and its page again.

mod agreement;
pub(super) mod at_stripe;
mod idempotency;
mod order;
pub(super) mod page;
mod request;
pub(super) mod standing;

use std::time::Duration;

use axum::{extract::State, http::HeaderMap, response::Response};
use berth_jobs::ids::OrderId;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    auth::{Authenticated, Customer},
    client_address::ClientAddress,
    coupon_checks::CouponChecks,
    problem::{ApiJson, Problem, ProblemJson, Refuses, RefusesBody},
};
use crate::{app::App, domain::order::OrderPhase, effects::CustomerContact, store::orders::Order};
use agreement::{Agreed, Asked};
pub use idempotency::InFlight;
pub(super) use idempotency::{created, key_of};
pub use request::CheckoutRequest;

/// How soon to try again when Stripe or the database is away.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The order, and where to pay it.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckoutAnswer {
    #[schema(value_type = String, example = "ord_01k9z3m6sne5y8r7q2w4x6t8va")]
    order_id: OrderId,
    /// pending, or processing where nothing is to be paid; asked again under its key, what the order has become.
    #[schema(example = "pending")]
    status: &'static str,
    /// Send the customer here; null where nothing is to be paid, or it has been.
    #[schema(format = "uri")]
    checkout_url: Option<String>,
    /// Until when it can be paid.
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// Makes an order at our own prices and opens a page to pay it on.
///
/// Without `items` the cart is bought, and emptied when it is paid. A cart has one order that can be paid: checked out
/// again unchanged it is the same order and page; changed, its old page is closed before the new one opens. Where nothing
/// is to be paid the accounts are made at once.
#[utoipa::path(post, path = "/v1/checkout", operation_id = "checkout", tag = "checkout", security(("bearer" = [])),
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, pattern = "^[ -~]+$",
        description = "Asking again under it answers the same order, with the header `Idempotent-Replayed: true`.")),
    request_body = CheckoutRequest,
    responses(
        (status = 201, description = "The order.", body = CheckoutAnswer),
        (status = 409, description = "`cart-changed`: the cart is not at `cart_version`. `idempotency-in-flight`: the key \
                                      is being worked on. `idempotency-key-spent`: its order can no longer be paid, take \
                                      a new key. `order-being-paid`: the cart's earlier order has just been paid. \
                                      `checkout-replaced`: a newer checkout of the cart has taken this one's place.",
            body = ProblemJson, content_type = "application/problem+json"),
        (status = 410, description = "`customer-deleted`: you have deleted yourself.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 422, description = "It cannot be sold as asked: `cart-empty`, `address-required`, `no-email`, \
                                      `idempotency-key-reused`, or what is the matter with a line, the coupon or the \
                                      total.",
            body = ProblemJson, content_type = "application/problem+json"),
        (status = 429, description = "Too many coupons were tried: wait as long as `Retry-After` says.",
            body = ProblemJson, content_type = "application/problem+json"),
        RefusesBody,
        Refuses,
    ),
)]
pub async fn create(
    Authenticated(customer): Authenticated,
    State(app): State<App>,
    State(in_flight): State<InFlight>,
    State(coupon_checks): State<CouponChecks>,
    from: ClientAddress,
    headers: HeaderMap,
    ApiJson(request): ApiJson<CheckoutRequest>,
) -> Result<Response, Problem> {
    request.check()?;
    let contact = contact_of(customer)?;
    let request_hash = request.hash()?;
    let key = idempotency::key_of(&headers)?;
    let _entered = key.as_ref().map(|key| in_flight.enter(contact.id, key)).transpose()?;
    if request.coupon().is_some() {
        coupon_checks.count(contact.id, from)?;
    }
    let asked = Asked { contact, request, key, request_hash, client_ip: from.0 };
    let Agreed { order, replayed } = agreement::agree(&app, &asked).await?;
    let answer = answer(&app, order).await?;
    Ok(created(answer, replayed))
}

pub(super) fn contact_of(customer: Customer) -> Result<CustomerContact, Problem> {
    let detail = "Your token names no e-mail address, and the confirmation has to go somewhere.";
    let email = customer.email.ok_or_else(|| Problem::unprocessable("no-email", detail))?;
    Ok(CustomerContact { id: customer.id, email, name: customer.name })
}

/// What the customer is to do with the order.
async fn answer(app: &App, order: Order) -> Result<CheckoutAnswer, Problem> {
    let order_id = order.state.id;
    let checkout_url = match order.state.phase {
        OrderPhase::Pending if page::can_be_paid(&order, app.clock.now()) => page::open(app, &order).await?,
        OrderPhase::AwaitingPayment | OrderPhase::Held | OrderPhase::Processing | OrderPhase::Completed => None,
        OrderPhase::Pending
        | OrderPhase::Failed
        | OrderPhase::Cancelled
        | OrderPhase::Rejected
        | OrderPhase::Withdrawn => {
            return Err(idempotency::spent(order_id));
        }
    };
    Ok(CheckoutAnswer { order_id, status: order.state.phase.status(), checkout_url, expires_at: order.expires_at })
}
