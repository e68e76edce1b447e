//! ExpireCheckout: closes the page of an order that is not to be paid any more, and acts on what Stripe says of it. Who
//! has paid meanwhile has paid.

use std::time::Duration;

use berth_jobs::checkout::ExpireCheckout;
use jiff::{SignedDuration, Timestamp};

use super::{session, unheard};
use crate::{
    app::Ctx,
    domain::order::{OrderEvent, OrderPhase},
    effects::Effects,
    error::{JobError, chain},
    failpoint,
    gateways::stripe::{CheckoutSession, CheckoutStatus, GatewayError, IdempotencyKey},
    store::orders::Order,
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
    if can_be_paid(&order, ctx.now()) {
        return Err(JobError::Cancel(format!("{} can still be paid", job.order_id)));
    }
    let page = match &order.stripe_session_id {
        Some(known) => Some(ctx.stripe()?.checkout_session(known).await?),
        None if ctx.now().duration_since(order.created_at) < OPENING => {
            return Err(JobError::waiting("its page may be about to be opened", LOOK_AGAIN));
        }
        None => unheard::page(ctx, &order).await?,
    };
    let Some(page) = page else { return Ok(session::ended(Effects::none(), &order, OrderEvent::Expired, ctx.now())) };
    let closed = closed(ctx, page).await?;
    failpoint::hit("checkout.expired");
    let effects = session::act_on(ctx, &order, &closed, session::Told::Lookup).await?;
    // A page of before that has ended, or was paid and is paid back, leaves nothing that the order could be paid on.
    let moves = !effects.order_moves.is_empty();
    Ok(if moves || !has_ended(&closed) {
        effects
    } else {
        session::ended(effects, &order, OrderEvent::Expired, ctx.now())
    })
}

/// Whether it is to be paid still, or its payment is on its way.
fn can_be_paid(order: &Order, now: Timestamp) -> bool {
    match order.state.phase {
        // A renewal is owed until it is paid or called off, however late.
        OrderPhase::Pending => order.is_renewal || now < order.expires_at,
        OrderPhase::AwaitingPayment => true,
        OrderPhase::Held
        | OrderPhase::Processing
        | OrderPhase::Completed
        | OrderPhase::Failed
        | OrderPhase::Cancelled
        | OrderPhase::Rejected
        | OrderPhase::Withdrawn => false,
    }
}

/// The session as it stands once it can no longer be paid.
async fn closed(ctx: &Ctx, found: CheckoutSession) -> Result<CheckoutSession, JobError> {
    if found.status != Some(CheckoutStatus::Open) {
        return Ok(found);
    }
    let (stripe, session_id) = (ctx.stripe()?, &found.id);
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

/// Whether nobody can pay on it any more, or a second time.
fn has_ended(session: &CheckoutSession) -> bool {
    matches!(session.status, Some(CheckoutStatus::Expired | CheckoutStatus::Complete))
}
