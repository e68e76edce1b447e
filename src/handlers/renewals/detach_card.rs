//! DetachCard: takes a card away at Stripe that its customer has removed here.

use berth_jobs::renewals::DetachCard;

use crate::{
    app::Ctx,
    effects::Effects,
    error::{JobError, chain},
    gateways::stripe::{GatewayError, IdempotencyKey},
};

/// Runs the job.
///
/// # Errors
/// When Stripe or the database is away, or Stripe refuses to hear us.
pub async fn run(job: &DetachCard, ctx: &Ctx) -> Result<Effects, JobError> {
    ctx.checkpoint(Effects::none()).await?;
    let key = IdempotencyKey::new(&format!("berth:detach:{}", job.card_id))
        .map_err(|error| JobError::Retry(chain(&error)))?;
    match ctx.stripe()?.detach_card(&key, &job.card_id).await {
        Ok(_) => Ok(Effects::none()),
        // Nobody has it any more: as wished.
        Err(GatewayError::Refused { status: 400 | 404, .. }) => Ok(Effects::none()),
        Err(error) => Err(error.into()),
    }
}
