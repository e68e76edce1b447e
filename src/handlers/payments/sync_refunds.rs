//! SyncRefunds: makes a payment's refunds agree with Stripe's. What was asked for is sent, and found again by its id in the
//! refund's metadata where it was sent before; what others gave back there gets a row.

use berth_jobs::{ids::RefundId, payments::SyncRefunds};

use super::papers::{self, Standing};
use crate::{
    app::Ctx,
    domain::{money::Money, refund::RefundState},
    effects::{Effects, Fact, RefundNews},
    error::{JobError, chain},
    failpoint,
    gateways::stripe::{self, Amount, GatewayError, IdempotencyKey, Metadata, RefundStatus},
    store::{payments::Payment, refunds::Refund},
};

/// The key of the refund's id in its metadata.
const OURS: &str = "refund_id";

/// How a refund that was asked for went.
enum Sent {
    /// Stripe has it.
    Made(stripe::Refund),
    /// It will never be made.
    Never(RefundState, String),
}

/// Runs the job.
///
/// # Errors
/// When Stripe or the database is away, or Stripe's answer is lost.
pub async fn run(job: &SyncRefunds, ctx: &Ctx) -> Result<Effects, JobError> {
    let payment = ctx.store.payment(job.payment_id).await?;
    let rows = ctx.store.refunds_of_payment(payment.id).await?;
    let Some(intent) = &payment.intent else {
        return Err(JobError::Cancel(format!("{} names no intent to refund", payment.id)));
    };
    let mut at_stripe = ctx.stripe()?.refunds_of(intent).await?;
    // The oldest first: in that order they get their rows and the numbers of their notes.
    at_stripe.reverse();
    let mut news = Vec::new();
    for row in rows.iter().filter(|row| row.state == RefundState::Requested) {
        if at_stripe.iter().any(|refund| is_of(refund, row)) {
            continue;
        }
        match give_back(ctx, &payment, intent, row, &at_stripe).await? {
            Sent::Made(refund) => at_stripe.push(refund),
            Sent::Never(state, why) => news.push(never(ctx, row, state, why)),
        }
    }
    for refund in &at_stripe {
        news.extend(news_of(ctx, &payment, &rows, refund)?);
    }
    let standing = standing(&rows, &news);
    let effects = papers::of_refunds(ctx, &payment, &standing).await?;
    Ok(news.into_iter().fold(effects, |effects, it| effects.fact(Fact::Refund(it))))
}

/// Whether Stripe's refund is the one of that row.
fn is_of(refund: &stripe::Refund, row: &Refund) -> bool {
    refund.metadata.get(OURS) == Some(&row.id.to_string()) || row.stripe_refund_id.as_ref() == Some(&refund.id)
}

/// Has Stripe give it back, under a key that is the row's. It was looked for before, since Stripe forgets keys after a day.
async fn give_back(
    ctx: &Ctx,
    payment: &Payment,
    intent: &str,
    row: &Refund,
    at_stripe: &[stripe::Refund],
) -> Result<Sent, JobError> {
    if ctx.store.rest_of(payment.id).await?.is_disputed {
        return Ok(Sent::Never(RefundState::Failed, "the payment is disputed".to_owned()));
    }
    if left_at_stripe(payment, at_stripe)? < minor(row.amount)? {
        return Ok(Sent::Never(RefundState::Cancelled, "it was given back at Stripe before".to_owned()));
    }
    let key = IdempotencyKey::of_row("refund", row.id.0).map_err(|error| JobError::Retry(chain(&error)))?;
    let request = stripe::NewRefund {
        payment_intent: intent.to_owned(),
        amount: Amount::new(minor(row.amount)?, row.amount.currency().code()),
        reason: None,
        metadata: Metadata::from([
            (OURS.to_owned(), row.id.to_string()),
            ("payment_id".to_owned(), payment.id.to_string()),
            ("order_id".to_owned(), payment.order_id.to_string()),
        ]),
    };
    ctx.checkpoint(Effects::none()).await?;
    failpoint::hit("refund.before");
    let answer = ctx.stripe()?.refund(&key, &request).await;
    failpoint::hit("refund.after");
    match answer {
        Ok(refund) => Ok(Sent::Made(refund)),
        Err(error) if is_final(&error) => Ok(Sent::Never(RefundState::Failed, chain(&error))),
        Err(error) => Err(error.into()),
    }
}

/// Whether asking again would be refused again, and nothing was done before.
fn is_final(error: &GatewayError) -> bool {
    match error {
        GatewayError::Refused { code, .. } => !error.is_misconfigured() && code.as_deref() != Some("idempotency_error"),
        GatewayError::Declined { .. } => true,
        GatewayError::RateLimited { .. } | GatewayError::Transient { .. } | GatewayError::InDoubt { .. } => false,
    }
}

fn minor(amount: Money) -> Result<i64, JobError> {
    amount.to_minor().map_err(|error| JobError::Retry(chain(&error)))
}

/// What of the payment has not gone back, as Stripe has it, in minor units.
fn left_at_stripe(payment: &Payment, at_stripe: &[stripe::Refund]) -> Result<i64, JobError> {
    let standing = at_stripe.iter().filter(|refund| !state_of(refund.status).is_void());
    let given = standing.filter_map(|refund| refund.amount).fold(0, i64::saturating_add);
    Ok(minor(payment.amount)?.saturating_sub(given))
}

const fn state_of(status: Option<RefundStatus>) -> RefundState {
    match status {
        Some(RefundStatus::Pending | RefundStatus::RequiresAction | RefundStatus::Unknown) => RefundState::Pending,
        // Versions of the API that say nothing knew only refunds that had been made.
        Some(RefundStatus::Succeeded) | None => RefundState::Succeeded,
        Some(RefundStatus::Failed) => RefundState::Failed,
        Some(RefundStatus::Canceled) => RefundState::Cancelled,
    }
}

fn never(ctx: &Ctx, row: &Refund, state: RefundState, why: String) -> RefundNews {
    RefundNews {
        id: row.id,
        payment_id: row.payment_id,
        stripe_refund_id: None,
        amount: row.amount,
        state,
        failure: Some(why),
        reason: row.reason.clone(),
        made_at: row.requested_at,
        at: ctx.now(),
    }
}

/// What Stripe's refund is news of, if it is.
fn news_of(
    ctx: &Ctx,
    payment: &Payment,
    rows: &[Refund],
    refund: &stripe::Refund,
) -> Result<Option<RefundNews>, JobError> {
    let state = state_of(refund.status);
    let row = rows.iter().find(|row| is_of(refund, row));
    if row.is_some_and(|row| !state.is_after(row.state)) {
        return Ok(None);
    }
    let amount = Money::from_minor(refund.amount.unwrap_or_default(), payment.amount.currency())
        .map_err(|error| JobError::Retry(chain(&error)))?;
    Ok(Some(RefundNews {
        id: row.map_or_else(RefundId::new, |row| row.id),
        payment_id: payment.id,
        stripe_refund_id: Some(refund.id.clone()),
        amount: row.map_or(amount, |row| row.amount),
        state,
        failure: refund.failure_reason.clone().filter(|_| state.is_void()),
        reason: refund.reason.clone().unwrap_or_else(|| "given back at Stripe".to_owned()),
        made_at: refund.created.unwrap_or_else(|| ctx.now()),
        at: ctx.now(),
    }))
}

/// All refunds as they stand with the news, the first one first.
fn standing(rows: &[Refund], news: &[RefundNews]) -> Vec<Standing> {
    let known = rows.iter().map(|row| {
        let told = news.iter().find(|it| it.id == row.id);
        let state = told.map_or(row.state, |it| it.state);
        Standing { id: row.id, amount: row.amount, state, has_note: row.credit_note.is_some() }
    });
    let found = news.iter().filter(|it| rows.iter().all(|row| row.id != it.id));
    known.chain(found.map(|it| Standing { id: it.id, amount: it.amount, state: it.state, has_note: false })).collect()
}
