//! CompleteCheckout: a session was completed. Its order is paid if the money has come, and waits if it has not.

use berth_jobs::checkout::CompleteCheckout;

use super::session;
use crate::{app::Ctx, effects::Effects, error::JobError};

/// Runs the job.
///
/// # Errors
/// When the database is away.
pub async fn run(job: &CompleteCheckout, ctx: &Ctx) -> Result<Effects, JobError> {
    let body = ctx.store.stripe_event(&job.event_id).await?;
    session::act_on_event(ctx, &job.event_id, &body).await
}
