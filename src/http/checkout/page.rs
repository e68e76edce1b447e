//! The page at Stripe that an order is paid on: opened once a version of it, and closed when it is not to be paid.

use berth_jobs::ids::OrderId;
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::{super::problem::Problem, RETRY_AFTER, at_stripe};
use crate::{
    app::App,
    domain::order::OrderPhase,
    effects::{Fact, SessionNews, SessionState},
    error::chain,
    failpoint,
    gateways::stripe::{CheckoutStatus, GatewayError, IdempotencyKey},
    store::orders::Order,
};

/// Stripe opens no page that closes sooner than half an hour from then, by its clock.
const SHORTEST_STAY: SignedDuration = SignedDuration::from_mins(32);

/// How a page ended.
pub(in crate::http) enum Closed {
    /// Nobody can pay on it any more.
    Unpaid,
    /// Somebody has.
    Paid,
}

/// Whether there is time to pay the order: on its page, or on one that is still to be opened.
pub(in crate::http) fn can_be_paid(order: &Order, now: Timestamp) -> bool {
    let left = order.expires_at.duration_since(now);
    if order.checkout_url.is_some() { left.is_positive() } else { left > SHORTEST_STAY }
}

/// Opens the page of a pending order, or finds the one that was opened before. `None` when the order needs none any more.
///
/// The page is stored before its address is told, and the order read again after that: whoever withdraws the order
/// meanwhile sees the page, or this sees that it is withdrawn.
pub(in crate::http) async fn open(app: &App, order: &Order) -> Result<Option<String>, Problem> {
    if let Some(url) = &order.checkout_url {
        return Ok(Some(url.clone()));
    }
    let order_id = order.state.id;
    let stripe = app.stripe.as_ref().ok_or_else(|| kept(order_id))?;
    let (session, version) = at_stripe::session(app, stripe, order).await?;
    failpoint::hit("checkout.opened");
    let Some(url) = session.url.clone() else {
        tracing::error!(%order_id, session = session.id, "Stripe opened a session without a page");
        return Err(kept(order_id));
    };
    let news = SessionNews {
        session_id: session.id.clone(),
        order_id,
        version,
        state: SessionState::Open,
        url: Some(url.clone()),
        expires_at: session.expires_at.or(Some(order.expires_at)),
        at: app.clock.now(),
    };
    if let Err(error) = app.committer.write(Fact::Session(news).into()).await {
        // The session carries the order's id: its events find the order all the same.
        tracing::warn!(%order_id, error = chain(&error), "the session of an order could not be stored");
        return Err(kept(order_id));
    }
    failpoint::hit("checkout.stored");
    settled(app, order_id, &session.id, url).await
}

/// The address to tell, now that the page is stored.
async fn settled(app: &App, order_id: OrderId, session: &str, url: String) -> Result<Option<String>, Problem> {
    let order = app.store.order(order_id).await.map_err(|_| kept(order_id))?;
    let is_its_page = order.stripe_session_id.as_deref() == Some(session);
    match order.state.phase {
        OrderPhase::Pending if is_its_page => Ok(Some(url)),
        OrderPhase::AwaitingPayment | OrderPhase::Held | OrderPhase::Processing | OrderPhase::Completed => Ok(None),
        OrderPhase::Pending => {
            // Stripe forgot its key and opened two: the first one stands.
            close(app, order_id, session).await?;
            order.checkout_url.map(Some).ok_or_else(|| kept(order_id))
        }
        OrderPhase::Failed | OrderPhase::Cancelled | OrderPhase::Rejected | OrderPhase::Withdrawn => {
            close(app, order_id, session).await?;
            let detail = "A newer checkout of this cart has taken the place of this one: go on with that.";
            Err(Problem::conflict("checkout-replaced", detail).with("order_id", order_id.to_string()))
        }
    }
}

/// Closes a page at Stripe. That it can no longer be closed is no failure: it has ended by itself, or was paid. Closing
/// twice is closing once, so each request has a key of its own, and no failure is remembered by Stripe.
pub(in crate::http) async fn close(app: &App, order: OrderId, session: &str) -> Result<Closed, Problem> {
    let stripe = app.stripe.as_ref().ok_or_else(|| kept(order))?;
    let key = IdempotencyKey::of_row("expire", Uuid::now_v7()).map_err(|error| internal(&error))?;
    if stripe.expire_checkout_session(&key, session).await.is_ok() {
        return Ok(Closed::Unpaid);
    }
    let found = stripe.checkout_session(session).await.map_err(|error| of_stripe(order, &error))?;
    match found.status {
        Some(CheckoutStatus::Expired) => Ok(Closed::Unpaid),
        Some(CheckoutStatus::Complete) => Ok(Closed::Paid),
        Some(CheckoutStatus::Open | CheckoutStatus::Unknown) | None => {
            tracing::error!(%order, session, "a page that is not to be paid cannot be closed");
            Err(kept(order))
        }
    }
}

/// The order exists, and what it needs of Stripe or the database cannot be had just now.
pub(in crate::http) fn kept(order: OrderId) -> Problem {
    let detail = "The order is kept, but its payment page could not be opened or closed. Wait as long as `Retry-After` \
                  says, then send the same request again: nothing is ordered twice.";
    Problem::unavailable(RETRY_AFTER).with_detail(detail).with("order_id", order.to_string())
}

pub(super) fn of_stripe(order: OrderId, error: &GatewayError) -> Problem {
    tracing::error!(%order, error = chain(error), "Stripe did not do what an order's page needs");
    kept(order)
}

pub(in crate::http) fn internal(error: &dyn std::error::Error) -> Problem {
    let id = Uuid::now_v7().to_string();
    tracing::error!(error = chain(error), id, "a request failed by a fault of ours");
    Problem::internal(id)
}
