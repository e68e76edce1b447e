//! RefundPayment: gives back money that came and was not owed.

use berth_jobs::{checkout::RefundPayment, ids::PaymentId};

use crate::{
    app::Ctx,
    effects::{Alert, Effects, Fact},
    error::{JobError, chain},
    failpoint,
    gateways::stripe::{
        Amount, IdempotencyKey, Metadata, NewRefund, Refund, RefundReason, RefundStatus, Stripe,
    },
    store::payments::{Payment, PaymentState},
};

/// Runs the job.
///
/// # Errors
/// When Stripe or the database is away, or Stripe refuses.
pub async fn run(job: &RefundPayment, ctx: &Ctx) -> Result<Effects, JobError> {
    let payment = ctx.store.payment(job.payment_id).await?;
    if payment.state != PaymentState::Surplus {
        return Ok(Effects::none()); // gone back before
    }
    let Some(intent) = payment.stripe_payment_intent_id.clone() else {
        return Err(JobError::Cancel(format!("{} names no intent to refund", payment.id)));
    };
    ctx.checkpoint(Effects::none()).await?;
    failpoint::hit("refund.before");
    let refund = ensure_refunded(ctx.stripe()?, &payment, intent).await?;
    failpoint::hit("refund.after");
    let refunded = Fact::Refunded { payment_id: payment.id, refund_id: refund.id.clone() };
    Ok(match refund.status {
        Some(RefundStatus::Failed | RefundStatus::Canceled) => Effects::none().alert(failed(&payment, &refund)),
        _ => refunded.into(),
    })
}

/// The refund of a payment: the one that was made before, or a new one. Stripe forgets keys after a day, and the job may
/// have waited longer, so it is looked for first.
async fn ensure_refunded(stripe: &Stripe, payment: &Payment, intent: String) -> Result<Refund, JobError> {
    let ours = payment.id.to_string();
    let known = stripe.find_refunds(&intent).await?;
    if let Some(refund) = known.into_iter().find(|refund| refund.metadata.get("payment_id") == Some(&ours)) {
        return Ok(refund);
    }
    let minor = payment.amount.to_minor().map_err(|error| JobError::Retry(chain(&error)))?;
    let refund = NewRefund {
        payment_intent: intent,
        amount: Amount::new(minor, payment.amount.currency().code()),
        reason: Some(RefundReason::Duplicate),
        metadata: Metadata::from([
            ("payment_id".to_owned(), ours),
            ("order_id".to_owned(), payment.order_id.to_string()),
        ]),
    };
    Ok(stripe.refund(&key_of(payment.id)?, &refund).await?)
}

fn key_of(payment: PaymentId) -> Result<IdempotencyKey, JobError> {
    IdempotencyKey::of_row("refund", payment.0).map_err(|error| JobError::Retry(chain(&error)))
}

fn failed(payment: &Payment, refund: &Refund) -> Alert {
    Alert {
        kind: "refund_failed",
        subject: payment.id.to_string(),
        detail: format!(
            "{} of {} could not be given back ({}): pay it back by another way.",
            payment.amount, payment.order_id, refund.id
        ),
    }
}
