//! SweepStripeEvents: finds Stripe's events that never came, and stores them as if they had.

use berth_jobs::sweeps::SweepStripeEvents;

use super::sweep;
use crate::{app::Ctx, effects::Effects, error::JobError, sweeps::Sweep};

/// Runs the job.
///
/// # Errors
/// When the database or Stripe is away, or a row changes while it is looked at.
pub async fn run(job: &SweepStripeEvents, ctx: &Ctx) -> Result<Effects, JobError> {
    sweep(ctx, Sweep::StripeEvents, job.as_of.as_deref()).await
}
