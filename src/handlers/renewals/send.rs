//! A charge as it is sent: the first one makes the renewal's intent, later ones confirm it with the card named. The key is
//! made from the charge's row, so that it is made once however often it is sent.

use std::time::Duration;

use berth_jobs::ids::OrderId;

use super::answer::Answer;
use crate::{
    app::Ctx,
    effects::{Alert, ChargeDecline, Effects},
    error::{JobError, chain},
    fulfilment::Renewing,
    gateways::stripe::{
        Amount, CHARGE, Doubt, GatewayError, IdempotencyKey, NewCharge, PaymentIntent, PaymentIntentStatus, Purpose,
        Stripe,
    },
    store::renewals::Charge,
};

/// How soon to ask again while another request with the same key is under way.
const KEY_IN_USE_WAIT: Duration = Duration::from_secs(5);
/// How soon to try again what Stripe refuses to hear.
const REFUSED_WAIT: Duration = Duration::from_secs(600);

/// Sends the charge, and says what became of it.
///
/// # Errors
/// When nothing was done and the same is to be sent again later: Stripe is away, limits us, or refuses to hear us at all. The
/// charge stays under way then, so that nobody is suspended for what is not their fault.
pub(super) async fn send(ctx: &Ctx, renewing: &Renewing, charge: &Charge) -> Result<Answer, JobError> {
    let stripe = ctx.stripe()?;
    let customer = ctx.store.stripe_customer_id(renewing.order.customer.id).await?;
    let Some(customer) = customer else { return Ok(Answer::CardGone) };
    let new = new_charge(renewing, charge, customer)?;
    let (made, confirmed) = (key_of("pi", charge)?, key_of("confirm", charge)?);
    match ask(stripe, renewing, &new, &made, &confirmed).await {
        Ok(intent) => Ok(Answer::of(intent)),
        Err(error) => of_error(ctx, charge, error).await,
    }
}

async fn ask(
    stripe: &Stripe,
    renewing: &Renewing,
    new: &NewCharge,
    made: &IdempotencyKey,
    confirmed: &IdempotencyKey,
) -> Result<PaymentIntent, GatewayError> {
    let Some(known) = &renewing.renewal.intent else { return stripe.charge_off_session(made, new).await };
    let intent = stripe.payment_intent(known).await?;
    if has_ended(&intent) {
        return Ok(intent);
    }
    if intent.status == PaymentIntentStatus::Canceled {
        // It will never be paid: this attempt makes another one.
        return stripe.charge_off_session(made, new).await;
    }
    stripe.confirm_payment_intent(confirmed, &intent.id, &new.payment_method).await
}

/// Whether an earlier attempt has paid it, or is about to.
fn has_ended(intent: &PaymentIntent) -> bool {
    matches!(intent.status, PaymentIntentStatus::Succeeded | PaymentIntentStatus::Processing)
}

fn key_of(purpose: &str, charge: &Charge) -> Result<IdempotencyKey, JobError> {
    IdempotencyKey::of_row(purpose, charge.id.0).map_err(|error| JobError::Retry(chain(&error)))
}

fn new_charge(renewing: &Renewing, charge: &Charge, customer: String) -> Result<NewCharge, JobError> {
    let minor = charge.amount.to_minor().map_err(|error| JobError::Retry(chain(&error)))?;
    let period = Some((renewing.renewal.account_id, renewing.renewal.period_start));
    let mut metadata = Purpose { order: charge.order_id, period }.metadata();
    metadata.insert(CHARGE.to_owned(), charge.id.to_string());
    Ok(NewCharge {
        customer,
        payment_method: charge.card_id.clone(),
        amount: Amount::new(minor, charge.amount.currency().code()),
        description: Some(format!("{} until {}", renewing.account.service_name, day_of(renewing))),
        metadata,
    })
}

fn day_of(renewing: &Renewing) -> String {
    renewing.renewal.period_end.strftime("%Y-%m-%d").to_string()
}

async fn of_error(ctx: &Ctx, charge: &Charge, error: GatewayError) -> Result<Answer, JobError> {
    match error {
        GatewayError::Declined { class, code, decline_code, advice_code, payment_intent } => Ok(Answer::Declined {
            intent: payment_intent,
            decline: ChargeDecline { class, code, decline_code, advice_code },
        }),
        GatewayError::InDoubt { doubt: Doubt::KeyInUse, .. } => {
            Err(JobError::waiting("the same charge is being made by another request", KEY_IN_USE_WAIT))
        }
        GatewayError::InDoubt { .. } => Ok(Answer::Unknown { intent: None }),
        GatewayError::RateLimited { .. } | GatewayError::Transient { .. } => Err(error.into()),
        GatewayError::Refused { ref code, ref param, .. } => match (code.as_deref(), param.as_deref()) {
            // It was sent before with other words, or has ended meanwhile: what came of that is looked up.
            (Some("idempotency_error" | "payment_intent_unexpected_state"), _) => Ok(Answer::Unknown { intent: None }),
            (_, Some("payment_method")) if !error.is_misconfigured() => Ok(Answer::CardGone),
            // Also that the customer is unknown: to the key of another Stripe account all of them are.
            (_, _) => Err(refused(ctx, charge.order_id, error).await?),
        },
    }
}

/// Stripe does not hear us, or not this: a person is told, and the same is sent again later. The charge stays under way.
pub(super) async fn refused(ctx: &Ctx, order_id: OrderId, error: GatewayError) -> Result<JobError, JobError> {
    let misconfigured = error.is_misconfigured();
    let (subject, then) = if misconfigured {
        ("stripe.secret_key".to_owned(), "No card is charged and nobody is suspended for it until the key is mended")
    } else {
        (order_id.to_string(), "It is not charged, and its account is left as it is, until this is mended")
    };
    let detail = format!("{}. {then}; then it goes on by itself.", chain(&error));
    ctx.checkpoint(Effects::none().alert(Alert { kind: "charge_refused", subject, detail })).await?;
    Ok(if misconfigured { error.into() } else { JobError::waiting(&chain(&error), REFUSED_WAIT) })
}
