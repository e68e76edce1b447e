//! SweepLeftovers: deletes what nobody needs any more.

use berth_jobs::sweeps::SweepLeftovers;

use super::sweep;
use crate::{app::Ctx, effects::Effects, error::JobError, sweeps::Sweep};

/// Runs the job.
///
/// # Errors
/// When the database is away, or a row changes while it is looked at.
pub async fn run(job: &SweepLeftovers, ctx: &Ctx) -> Result<Effects, JobError> {
    sweep(ctx, Sweep::Leftovers, job.as_of.as_deref()).await
}
