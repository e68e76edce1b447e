//! ExpireCheckout: closes the page of an order that is not to be paid any more, and acts on what Stripe says of it. Who
//! has paid meanwhile has paid.

use std::time::Duration;

use berth_jobs::checkout::ExpireCheckout;
use jiff::SignedDuration;

use super::session;
use crate::{
    app::Ctx,
    domain::order::OrderPhase,
    effects::Effects,
    error::{JobError, chain},
    failpoint,
    gateways::stripe::{CheckoutSession, CheckoutStatus, GatewayError, IdempotencyKey},
};

/// For so long after an order was agreed its page may still be about to be opened.
const OPENING: SignedDuration = SignedDuration::from_mins(2);
/// How soon to look again for a page that is being opened.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// Runs the job.
///
/// # Errors
/// When Stripe or the database is away, or the page is still being opened.
pub async fn run(job: &ExpireCheckout, ctx: &Ctx) -> Result<Effects, JobError> {
    let order = ctx.store.order(job.order_id).await?;
    if matches!(order.state.phase, OrderPhase::Pending | OrderPhase::AwaitingPayment) {
        return Err(JobError::Cancel(format!("{} can still be paid", job.order_id)));
    }
    let Some(session_id) = &order.stripe_session_id else {
        if ctx.now().duration_since(order.created_at) < OPENING {
            return Err(JobError::waiting("its page may be about to be opened", LOOK_AGAIN));
        }
        return Err(JobError::Cancel(format!("{} has no session at Stripe", job.order_id)));
    };
    let closed = closed(ctx, session_id).await?;
    failpoint::hit("checkout.expired");
    session::act_on(ctx, &order, &closed, session::Told::Lookup).await
}

/// The session as it stands once it can no longer be paid.
async fn closed(ctx: &Ctx, session_id: &str) -> Result<CheckoutSession, JobError> {
    let stripe = ctx.stripe()?;
    let found = stripe.checkout_session(session_id).await?;
    if found.status != Some(CheckoutStatus::Open) {
        return Ok(found);
    }
    ctx.checkpoint(Effects::none()).await?;
    failpoint::hit("checkout.expiring");
    let key =
        IdempotencyKey::new(&format!("berth:expire:{session_id}")).map_err(|error| JobError::Retry(chain(&error)))?;
    match stripe.expire_checkout_session(&key, session_id).await {
        Ok(expired) => Ok(expired),
        // It was open a moment ago: somebody has paid, or it has ended by itself. What it is now decides.
        Err(error @ GatewayError::Refused { .. }) if !error.is_misconfigured() => {
            let found = stripe.checkout_session(session_id).await?;
            if found.status == Some(CheckoutStatus::Open) {
                return Err(error.into());
            }
            Ok(found)
        }
        Err(error) => Err(error.into()),
    }
}
