//! ResolveCharge: asks Stripe what became of a charge whose outcome is not known.

use berth_jobs::renewals::ResolveCharge;

use super::{look_up, settle};
use crate::{app::Ctx, effects::Effects, error::JobError, fulfilment::Renewing, store::renewals::Charge};

/// Runs the job.
///
/// # Errors
/// When the database is away.
pub async fn run(job: &ResolveCharge, ctx: &Ctx) -> Result<Effects, JobError> {
    let charges = ctx.store.charges_of(job.order_id).await?;
    let Some(charge) = charges.into_iter().find(Charge::is_open) else { return Ok(Effects::none()) };
    let renewing = Renewing::read(&ctx.store, job.order_id).await?;
    let answer = look_up::look_up(ctx, &renewing, &charge).await?;
    settle::settle(ctx, &renewing, &charge, answer).await
}
