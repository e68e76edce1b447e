//! SweepCheckoutPages: has Stripe asked about pages of whose end it has told nothing.

use berth_jobs::sweeps::SweepCheckoutPages;

use super::sweep;
use crate::{app::Ctx, effects::Effects, error::JobError, sweeps::Sweep};

/// Runs the job.
///
/// # Errors
/// When the database is away, or a row changes while it is looked at.
pub async fn run(job: &SweepCheckoutPages, ctx: &Ctx) -> Result<Effects, JobError> {
    sweep(ctx, Sweep::CheckoutPages, job.as_of.as_deref()).await
}
