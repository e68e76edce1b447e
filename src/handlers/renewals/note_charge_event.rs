//! NoteChargeEvent: acts on an event about the payment of a renewal by a saved card. Mostly it was known before.

use berth_jobs::{
    ids::OrderId,
    renewals::{NoteChargeEvent, ResolveCharge},
};

use super::settle;
use crate::{
    app::Ctx,
    effects::{Alert, Effects, EventOutcome, SettledEvent},
    error::{JobError, chain},
    fulfilment::Renewing,
    gateways::stripe::{PaymentIntent, PaymentIntentStatus, StripeEvent},
    store::{StoreError, renewals::Charge},
};

/// Runs the job.
///
/// # Errors
/// When the database is away.
pub async fn run(job: &NoteChargeEvent, ctx: &Ctx) -> Result<Effects, JobError> {
    let body = ctx.store.stripe_event(&job.event_id).await?;
    let settled = |outcome, note: Option<String>| SettledEvent { event_id: job.event_id.clone(), outcome, note };
    let parked = |why: String| {
        let detail = format!("{why}. Look it up at Stripe: money may have come.");
        let alert = Alert { kind: "event_parked", subject: job.event_id.to_string(), detail };
        Effects::none().settle_event(settled(EventOutcome::Parked, Some(why))).alert(alert)
    };
    let intent = match StripeEvent::parse(&body).and_then(|event| event.payment_intent()) {
        Ok(intent) => intent,
        Err(error) => return Ok(parked(chain(&error))),
    };
    let Some(order_id) = order_of(&intent) else {
        return Ok(parked(format!("{} is of a charge, and names no order", intent.id)));
    };
    let renewing = match Renewing::read(&ctx.store, order_id).await {
        Ok(renewing) => renewing,
        Err(StoreError::Missing(_)) => return Ok(parked(format!("there is no renewal {order_id}"))),
        Err(error) => return Err(error.into()),
    };
    Ok(act_on(ctx, &renewing, intent).await?.settle_event(settled(EventOutcome::Applied, None)))
}

fn order_of(intent: &PaymentIntent) -> Option<OrderId> {
    intent.metadata.get("order_id")?.parse().ok()
}

/// While a charge waits for its outcome, Stripe is asked for it at once. Without one, money that nobody has heard of can only
/// have come late.
async fn act_on(ctx: &Ctx, renewing: &Renewing, intent: PaymentIntent) -> Result<Effects, JobError> {
    let order_id = renewing.order.state.id;
    let charges = ctx.store.charges_of(order_id).await?;
    if charges.iter().any(Charge::is_open) || renewing.renewal.state.phase.is_charging() {
        return Ok(Effects::none().enqueue(ResolveCharge { order_id }));
    }
    if intent.status != PaymentIntentStatus::Succeeded {
        return Ok(Effects::none());
    }
    let received = intent.received();
    settle::paid(ctx, renewing, None, intent.id, received.as_ref()).await
}
