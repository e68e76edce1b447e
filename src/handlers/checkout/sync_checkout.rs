//! SyncCheckout: asks Stripe how an order's session stands and acts on the answer, as if its event had come.

use berth_jobs::checkout::SyncCheckout;

use super::session;
use crate::{app::Ctx, effects::Effects, error::JobError};

/// Runs the job.
///
/// # Errors
/// When Stripe or the database is away.
pub async fn run(job: &SyncCheckout, ctx: &Ctx) -> Result<Effects, JobError> {
    let order = ctx.store.order(job.order_id).await?;
    let Some(session_id) = &order.stripe_session_id else {
        return Err(JobError::Cancel(format!("{} has no session at Stripe", job.order_id)));
    };
    let found = ctx.stripe()?.checkout_session(session_id).await?;
    session::act_on(ctx, &order, &found, session::Told::Lookup).await
}
