//! TracePayment: an event says that money of a payment goes back, or is wanted back. Which payment is found out here; how things
//! stand is asked of Stripe by the job that follows, so that events may come twice, late and in any order.

use std::time::Duration;

use berth_jobs::{
    checkout::SyncCheckout,
    ids::{OrderId, StripeDisputeId},
    payments::{SyncDispute, SyncRefunds, TracePayment},
    renewals::ResolveCharge,
};
use jiff::SignedDuration;

use crate::{
    app::Ctx,
    effects::{Alert, Effects, EventOutcome, SettledEvent},
    error::{JobError, chain},
    fulfilment::{self, Anew},
    gateways::stripe::{CHARGE, EventError, GatewayError, Metadata, Purpose, StripeEvent},
    store::{StoreError, payments::Payment},
};

/// For so long the payment of an order of ours may still be on its way to its row.
const ON_ITS_WAY: SignedDuration = SignedDuration::from_hours(1);
/// How soon to look again for it.
const LOOK_AGAIN: Duration = Duration::from_secs(15);
/// How soon to look again for a renewal that is to be issued anew.
const ISSUED_AGAIN: Duration = Duration::from_secs(300);

/// What an event tells of a payment.
enum Told {
    /// Something of it went back, or is to.
    Refunds,
    /// Its bank wants it back.
    Dispute(StripeDisputeId),
    /// Its bank suspects fraud.
    Warning,
}

/// An event's subject: what it tells, and of which payment by Stripe's ids.
struct Subject {
    told: Told,
    intent: Option<String>,
    charge: Option<String>,
}

/// Runs the job.
///
/// # Errors
/// When Stripe or the database is away, or the payment is not known yet.
pub async fn run(job: &TracePayment, ctx: &Ctx) -> Result<Effects, JobError> {
    let body = ctx.store.stripe_event(&job.event_id).await?;
    let subject = match StripeEvent::parse(&body).and_then(|event| subject_of(&event)) {
        Ok(subject) => subject,
        Err(error) => return Ok(parked(job, &chain(&error))),
    };
    let Some(intent) = intent_of(ctx, &subject).await? else {
        return Ok(ignored(job, "it is about no payment of ours"));
    };
    let Some(payment) = ctx.store.payment_by_intent(&intent).await? else {
        return unknown(job, ctx, &intent).await;
    };
    Ok(follow(&subject.told, &payment).settle_event(settled(job, EventOutcome::Applied, None)))
}

fn subject_of(event: &StripeEvent) -> Result<Subject, EventError> {
    Ok(match event.kind.as_str() {
        "charge.refunded" => {
            let charge = event.charge()?;
            Subject { told: Told::Refunds, intent: charge.payment_intent, charge: Some(charge.id) }
        }
        "radar.early_fraud_warning.created" => {
            let warning = event.early_fraud_warning()?;
            Subject { told: Told::Warning, intent: warning.payment_intent, charge: warning.charge }
        }
        kind if kind.starts_with("charge.dispute.") => {
            let dispute = event.dispute()?;
            let told = Told::Dispute(StripeDisputeId(dispute.id));
            Subject { told, intent: dispute.payment_intent, charge: dispute.charge }
        }
        _ => {
            let refund = event.refund()?;
            Subject { told: Told::Refunds, intent: refund.payment_intent, charge: refund.charge }
        }
    })
}

/// The intent that the subject's payment was made by. Old versions of the API name only its charge.
async fn intent_of(ctx: &Ctx, subject: &Subject) -> Result<Option<String>, JobError> {
    if subject.intent.is_some() {
        return Ok(subject.intent.clone());
    }
    let Some(charge) = &subject.charge else { return Ok(None) };
    Ok(found(ctx.stripe()?.charge(charge).await)?.and_then(|charge| charge.payment_intent))
}

/// No payment of ours is by that intent: it is somebody else's, or its order's payment has not been told of yet.
async fn unknown(job: &TracePayment, ctx: &Ctx, intent: &str) -> Result<Effects, JobError> {
    let at_stripe = found(ctx.stripe()?.payment_intent(intent).await)?;
    let Some((purpose, metadata)) = at_stripe.and_then(|it| Some((Purpose::of(&it.metadata)?, it.metadata))) else {
        return Ok(ignored(job, "it is about no payment of ours"));
    };
    let order_id = match ctx.store.order(purpose.order).await {
        Ok(order) => order.state.id,
        Err(StoreError::Missing(_)) => match fulfilment::anew(&ctx.store, purpose.period, &job.event_id).await? {
            Anew::Issued(order) => order,
            Anew::ToCome => return Err(JobError::waiting("its period is not issued again yet", ISSUED_AGAIN)),
            Anew::Never => return Ok(ignored(job, "it is about no payment of ours")),
        },
        Err(error) => return Err(error.into()),
    };
    // An event that was found late is about a payment that was found late as well.
    if ctx.store.event_known_for(&job.event_id).await? < ON_ITS_WAY {
        ctx.checkpoint(asked(order_id, &metadata)).await?;
        return Err(JobError::waiting("the payment that it is about is not known yet", LOOK_AGAIN));
    }
    Ok(parked(job, &format!("no payment of {order_id} is known by {intent}")))
}

/// The payment's own event may be days away: Stripe is asked for it now.
fn asked(order_id: OrderId, metadata: &Metadata) -> Effects {
    if metadata.contains_key(CHARGE) {
        return Effects::none().enqueue(ResolveCharge { order_id });
    }
    Effects::none().enqueue(SyncCheckout { order_id })
}

/// What Stripe has of that name; `None` when it has none.
fn found<T>(answer: Result<T, GatewayError>) -> Result<Option<T>, GatewayError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(GatewayError::Refused { status: 404, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

fn follow(told: &Told, payment: &Payment) -> Effects {
    match told {
        Told::Refunds => Effects::none().enqueue(SyncRefunds { payment_id: payment.id }),
        Told::Dispute(dispute_id) => Effects::none().enqueue(SyncDispute { dispute_id: dispute_id.clone() }),
        Told::Warning => Effects::none().alert(Alert {
            kind: "early_fraud_warning",
            subject: payment.id.to_string(),
            detail: format!(
                "the bank suspects fraud in the payment of {}: a refund now may prevent a dispute.",
                payment.order_id
            ),
        }),
    }
}

fn settled(job: &TracePayment, outcome: EventOutcome, note: Option<&str>) -> SettledEvent {
    SettledEvent { event_id: job.event_id.clone(), outcome, note: note.map(str::to_owned) }
}

fn ignored(job: &TracePayment, why: &str) -> Effects {
    Effects::none().settle_event(settled(job, EventOutcome::Ignored, Some(why)))
}

/// What cannot be understood may be about money: a person is told.
fn parked(job: &TracePayment, why: &str) -> Effects {
    let detail = format!("{why}. Look it up at Stripe: money may have gone back.");
    let alert = Alert { kind: "event_parked", subject: job.event_id.to_string(), detail };
    Effects::none().settle_event(settled(job, EventOutcome::Parked, Some(why))).alert(alert)
}
