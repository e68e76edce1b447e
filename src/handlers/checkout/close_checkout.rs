//! CloseCheckout: a session ended without money. Its order is cancelled, or failed if a delayed payment did.

use berth_jobs::checkout::CloseCheckout;

use super::session;
use crate::{app::Ctx, effects::Effects, error::JobError};

/// Runs the job.
///
/// # Errors
/// When the database is away.
pub async fn run(job: &CloseCheckout, ctx: &Ctx) -> Result<Effects, JobError> {
    let body = ctx.store.stripe_event(&job.event_id).await?;
    session::act_on_event(ctx, &job.event_id, &body).await
}
