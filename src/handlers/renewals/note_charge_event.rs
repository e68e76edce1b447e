//! NoteChargeEvent: acts on an event about the payment of a renewal by a saved card. Mostly it was known before.

use std::time::Duration;

use berth_jobs::renewals::{NoteChargeEvent, ResolveCharge};

use super::{settle, unheard};
use crate::{
    app::Ctx,
    effects::{Alert, Effects, EventOutcome, SettledEvent},
    error::{JobError, chain},
    fulfilment::{self, Anew, PaidBy, Renewing},
    gateways::stripe::{CHARGE, PaymentIntent, PaymentIntentStatus, Purpose, StripeEvent},
    store::{StoreError, renewals::Charge},
};

/// How soon to look again for a renewal that is to be issued anew.
const LOOK_AGAIN: Duration = Duration::from_secs(300);

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
    let Some(purpose) = Purpose::of(&intent.metadata) else {
        return Ok(parked(format!("{} is of a charge, and names no order", intent.id)));
    };
    let renewing = match Renewing::read(&ctx.store, purpose.order).await {
        Ok(renewing) => renewing,
        Err(StoreError::Missing(_)) => match fulfilment::anew(&ctx.store, purpose.period, &job.event_id).await? {
            Anew::Issued(_) if unheard::went_back(ctx, &intent).await? => {
                let note = Some(format!("{} is not known, and what it brought went back", purpose.order));
                return Ok(Effects::none().settle_event(settled(EventOutcome::Ignored, note)));
            }
            Anew::Issued(order) => Renewing::read(&ctx.store, order).await?,
            Anew::ToCome => return Err(JobError::waiting("its period is not issued again yet", LOOK_AGAIN)),
            Anew::Never => return Ok(parked(format!("there is no renewal {}", purpose.order))),
        },
        Err(error) => return Err(error.into()),
    };
    Ok(act_on(ctx, &renewing, intent).await?.settle_event(settled(EventOutcome::Applied, None)))
}

/// While a charge waits for its outcome, Stripe is asked for it at once. Without one, or where none of them is it, money that nobody has
/// heard of has come late, or was lost with the minutes after a backup.
async fn act_on(ctx: &Ctx, renewing: &Renewing, intent: PaymentIntent) -> Result<Effects, JobError> {
    let order_id = renewing.order.state.id;
    let charges = ctx.store.charges_of(order_id).await?;
    let waits = charges.iter().any(Charge::is_open) || renewing.renewal.state.phase.is_charging();
    if waits && !(intent.status == PaymentIntentStatus::Succeeded && is_lost(renewing, &charges, &intent)) {
        return Ok(Effects::none().enqueue(ResolveCharge { order_id }));
    }
    if intent.status != PaymentIntentStatus::Succeeded {
        return Ok(Effects::none());
    }
    let received = intent.received();
    let by = PaidBy { intent: Some(intent.id), ..PaidBy::default() };
    settle::paid(ctx, renewing, by, received.as_ref()).await
}

/// Whether no charge that is known has made the intent.
fn is_lost(renewing: &Renewing, charges: &[Charge], intent: &PaymentIntent) -> bool {
    let is_known = renewing.renewal.intent.as_ref() == Some(&intent.id);
    let made_by = intent.metadata.get(CHARGE);
    !is_known && charges.iter().all(|charge| made_by != Some(&charge.id.to_string()))
}
