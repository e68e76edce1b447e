//! SweepCards: tells customers whose saved card expires.

use berth_jobs::sweeps::SweepCards;

use super::sweep;
use crate::{app::Ctx, effects::Effects, error::JobError, sweeps::Sweep};

/// Runs the job.
///
/// # Errors
/// When the database is away, or a row changes while it is looked at.
pub async fn run(job: &SweepCards, ctx: &Ctx) -> Result<Effects, JobError> {
    sweep(ctx, Sweep::Cards, job.as_of.as_deref()).await
}
