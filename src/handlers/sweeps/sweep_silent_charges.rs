//! SweepSilentCharges: has Stripe asked about charges that nobody waits for any more.

use berth_jobs::sweeps::SweepSilentCharges;

use super::sweep;
use crate::{app::Ctx, effects::Effects, error::JobError, sweeps::Sweep};

/// Runs the job.
///
/// # Errors
/// When the database is away, or a row changes while it is looked at.
pub async fn run(job: &SweepSilentCharges, ctx: &Ctx) -> Result<Effects, JobError> {
    sweep(ctx, Sweep::SilentCharges, job.as_of.as_deref()).await
}
