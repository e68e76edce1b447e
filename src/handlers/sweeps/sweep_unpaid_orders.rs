//! SweepUnpaidOrders: gives up the orders whose time to be paid is over, after Stripe was asked where that may know better.

use berth_jobs::sweeps::SweepUnpaidOrders;

use super::sweep;
use crate::{app::Ctx, effects::Effects, error::JobError, sweeps::Sweep};

/// Runs the job.
///
/// # Errors
/// When the database is away, or a row changes while it is looked at.
pub async fn run(job: &SweepUnpaidOrders, ctx: &Ctx) -> Result<Effects, JobError> {
    sweep(ctx, Sweep::UnpaidOrders, job.as_of.as_deref()).await
}
