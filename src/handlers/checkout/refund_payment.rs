//! RefundPayment: gives back money that came and was not owed.

use berth_jobs::{checkout::RefundPayment, ids::PaymentId};

use crate::{
    app::Ctx,
    effects::{Alert, Effects, Fact},
    error::{JobError, chain},
    failpoint,
    gateways::stripe::{Amount, IdempotencyKey, Metadata, NewRefund, Refund, RefundStatus, Stripe},
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
    let Some(intent) = payment.intent.clone() else {
        return Err(JobError::Cancel(format!("{} names no intent to refund", payment.id)));
    };
    ctx.checkpoint(Effects::none()).await?;
    failpoint::hit("refund.before");
    let refund = ensure_refunded(ctx.stripe()?, &payment, intent).await?;
    failpoint::hit("refund.after");
    let refunded = Fact::Refunded { payment_id: payment.id, refund_id: refund.id.clone() };
    Ok(if is_void(&refund) { Effects::none().alert(failed(&payment, &refund)) } else { refunded.into() })
}

/// Whether the money did not leave after all.
fn is_void(refund: &Refund) -> bool {
    matches!(refund.status, Some(RefundStatus::Failed | RefundStatus::Canceled))
}

/// The refund of a payment: the one that was made before, by us or by a person, or a new one. Stripe forgets keys after a
/// day, and the job may have waited longer, so it is looked for first.
async fn ensure_refunded(stripe: &Stripe, payment: &Payment, intent: String) -> Result<Refund, JobError> {
    let ours = payment.id.to_string();
    let minor = payment.amount.to_minor().map_err(|error| JobError::Retry(chain(&error)))?;
    let known = stripe.find_refunds(&intent).await?;
    if let Some(refund) = known.iter().find(|refund| refund.metadata.get("payment_id") == Some(&ours)) {
        return Ok(refund.clone());
    }
    let standing: Vec<&Refund> = known.iter().filter(|refund| !is_void(refund)).collect();
    let given = standing.iter().filter_map(|refund| refund.amount).fold(0, i64::saturating_add);
    if let Some(refund) = standing.first().filter(|_| given >= minor) {
        return Ok((*refund).clone());
    }
    let refund = NewRefund {
        payment_intent: intent,
        amount: Amount::new(minor, payment.amount.currency().code()),
        reason: None,
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
