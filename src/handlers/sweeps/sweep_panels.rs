//! SweepPanels: has every account compared with its panel.

use berth_jobs::sweeps::SweepPanels;

use super::sweep;
use crate::{app::Ctx, effects::Effects, error::JobError, sweeps::Sweep};

/// Runs the job.
///
/// # Errors
/// When the database is away, or a row changes while it is looked at.
pub async fn run(job: &SweepPanels, ctx: &Ctx) -> Result<Effects, JobError> {
    sweep(ctx, Sweep::Panels, job.as_of.as_deref()).await
}
