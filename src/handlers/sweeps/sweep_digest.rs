//! SweepDigest: tells the operator what happened yesterday.

use berth_jobs::sweeps::SweepDigest;

use super::sweep;
use crate::{app::Ctx, effects::Effects, error::JobError, sweeps::Sweep};

/// Runs the job.
///
/// # Errors
/// When the database is away, or a row changes while it is looked at.
pub async fn run(job: &SweepDigest, ctx: &Ctx) -> Result<Effects, JobError> {
    sweep(ctx, Sweep::Digest, job.as_of.as_deref()).await
}
