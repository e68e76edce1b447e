//! ResolveCharge: asks Stripe what became of a charge whose outcome is not known.

use berth_jobs::renewals::ResolveCharge;

use super::{look_up, settle};
use crate::{app::Ctx, effects::Effects, error::JobError, fulfilment::Renewing};

/// Runs the job.
///
/// # Errors
/// When the database is away.
pub async fn run(job: &ResolveCharge, ctx: &Ctx) -> Result<Effects, JobError> {
    let charges = ctx.store.charges_of(job.order_id).await?;
    let Some(charge) = charges.last() else { return Ok(Effects::none()) };
    let renewing = Renewing::read(&ctx.store, job.order_id).await?;
    if charge.is_open() {
        let answer = look_up::look_up(ctx, &renewing, charge).await?;
        return settle::settle(ctx, &renewing, charge, answer).await;
    }
    if renewing.renewal.state.phase.is_charging() {
        return settle::answered(ctx, &renewing, charge).await;
    }
    Ok(Effects::none())
}
