//! NoOp: does nothing, durably.

use berth_jobs::diagnosis::NoOp;

use crate::{app::Ctx, effects::Effects, error::JobError};

/// Runs the job.
///
/// # Errors
/// Never.
#[expect(clippy::unused_async, reason = "a handler like any other")]
pub async fn run(_: &NoOp, _: &Ctx) -> Result<Effects, JobError> {
    Ok(Effects::none())
}
