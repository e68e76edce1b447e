//! SyncCheckout: asks Stripe how an order's session stands and acts on the answer, as if its event had come.

use berth_jobs::checkout::SyncCheckout;

use super::{session, unheard};
use crate::{app::Ctx, effects::Effects, error::JobError};

/// Runs the job.
///
/// # Errors
/// When Stripe or the database is away.
pub async fn run(job: &SyncCheckout, ctx: &Ctx) -> Result<Effects, JobError> {
    let order = ctx.store.order(job.order_id).await?;
    let found = match &order.stripe_session_id {
        Some(known) => Some(ctx.stripe()?.checkout_session(known).await?),
        None => unheard::page(ctx, &order).await?,
    };
    let Some(found) = found else {
        return Err(JobError::Cancel(format!("{} has no session at Stripe", job.order_id)));
    };
    session::act_on(ctx, &order, &found, session::Told::Lookup).await
}
