//! The page on which a renewal could be paid besides: it is closed at Stripe before its card is charged, so that it is not
//! paid twice.

use berth_jobs::ids::OrderId;

use super::send;
use crate::{
    app::Ctx,
    effects::{Fact, SessionNews, SessionState},
    error::{JobError, chain},
    gateways::stripe::{CheckoutStatus, GatewayError, IdempotencyKey},
    store::checkout_sessions::StoredSession,
};

/// How the page stands.
pub(super) enum Closed {
    /// Nobody can pay on it any more; what was learnt of it.
    Unpaid(Vec<Fact>),
    /// Somebody has paid on it, or is about to.
    BeingPaid,
}

/// Closes every page of the order that is open as far as is known.
pub(super) async fn close(ctx: &Ctx, order: OrderId) -> Result<Closed, JobError> {
    let pages = ctx.store.sessions_of(order).await?;
    let mut closed = Vec::new();
    for page in pages.into_iter().filter(|page| page.state == SessionState::Open) {
        if !is_closed(ctx, order, &page.id).await? {
            return Ok(Closed::BeingPaid);
        }
        closed.push(Fact::Session(news(ctx, page)));
    }
    Ok(Closed::Unpaid(closed))
}

/// Whether nobody can pay on it any more. Closing twice is closing once.
async fn is_closed(ctx: &Ctx, order: OrderId, session: &str) -> Result<bool, JobError> {
    let stripe = ctx.stripe()?;
    let key =
        IdempotencyKey::new(&format!("berth:expire:{session}")).map_err(|error| JobError::Retry(chain(&error)))?;
    match stripe.expire_checkout_session(&key, session).await {
        Ok(_) => return Ok(true),
        // It was open as far as we know: somebody has paid, or it has ended by itself.
        Err(error @ GatewayError::Refused { .. }) if !error.is_misconfigured() => {}
        Err(error @ GatewayError::Refused { .. }) => return Err(send::refused(ctx, order, error).await?),
        Err(error) => return Err(error.into()),
    }
    match stripe.checkout_session(session).await?.status {
        Some(CheckoutStatus::Expired) => Ok(true),
        Some(CheckoutStatus::Complete) => Ok(false),
        Some(CheckoutStatus::Open | CheckoutStatus::Unknown) | None => {
            Err(JobError::Retry(format!("the page {session} can neither be closed nor was it paid")))
        }
    }
}

fn news(ctx: &Ctx, page: StoredSession) -> SessionNews {
    SessionNews {
        session_id: page.id,
        order_id: page.order_id,
        version: page.version,
        state: SessionState::Expired,
        url: page.url,
        expires_at: page.expires_at,
        at: ctx.now(),
    }
}
