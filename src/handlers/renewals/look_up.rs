//! What became of a charge, as Stripe says when it is asked: by the intent that it is known by, or by its id among the intents
//! of its customer.

use jiff::SignedDuration;

use super::answer::Answer;
use crate::{
    app::Ctx,
    error::JobError,
    fulfilment::Renewing,
    gateways::stripe::{CHARGE, GatewayError, PaymentIntent, PaymentIntentStatus, Stripe},
    store::renewals::Charge,
};

/// Stripe's clock is not ours.
const SKEW: SignedDuration = SignedDuration::from_hours(1);
/// A request may still be under way for so long after it was sent: what is not there yet may come.
const UNDER_WAY: SignedDuration = SignedDuration::from_mins(5);

/// Asks what became of a charge.
///
/// # Errors
/// When the database is away. That Stripe does not answer is an answer: it is not known.
pub(super) async fn look_up(ctx: &Ctx, renewing: &Renewing, charge: &Charge) -> Result<Answer, JobError> {
    let stripe = ctx.stripe()?;
    let Some(customer) = ctx.store.stripe_customer_id(renewing.order.customer.id).await? else {
        return Ok(Answer::CardGone);
    };
    match ask(stripe, &customer, renewing, charge).await {
        Ok(Answer::NotMade) if ctx.now().duration_since(charge.sent_at) < UNDER_WAY => {
            Ok(Answer::Unknown { intent: None })
        }
        Ok(answer) => Ok(answer),
        Err(error) => {
            tracing::warn!(charge = %charge.id, %error, "Stripe does not say what became of a charge");
            Ok(Answer::Unknown { intent: None })
        }
    }
}

async fn ask(stripe: &Stripe, customer: &str, renewing: &Renewing, charge: &Charge) -> Result<Answer, GatewayError> {
    if let Some(intent) = made_by_it(stripe, customer, charge).await? {
        return Ok(Answer::of(intent));
    }
    // It confirmed the intent of an earlier charge, if it was made at all.
    let Some(known) = &renewing.renewal.intent else { return Ok(Answer::NotMade) };
    let intent = stripe.payment_intent(known).await?;
    let decisive = match intent.status {
        PaymentIntentStatus::RequiresPaymentMethod => is_its_decline(stripe, &intent, charge).await?,
        PaymentIntentStatus::RequiresAction => intent.payment_method.as_deref() == Some(&charge.card_id),
        PaymentIntentStatus::RequiresConfirmation
        | PaymentIntentStatus::Processing
        | PaymentIntentStatus::RequiresCapture
        | PaymentIntentStatus::Canceled
        | PaymentIntentStatus::Succeeded
        | PaymentIntentStatus::Unknown => true,
    };
    Ok(if decisive { Answer::of(intent) } else { Answer::NotMade })
}

/// The intent that carries the charge's id.
async fn made_by_it(stripe: &Stripe, customer: &str, charge: &Charge) -> Result<Option<PaymentIntent>, GatewayError> {
    let search = stripe.find_payment_intents(customer, charge.sent_at - SKEW).await?;
    let id = charge.id.to_string();
    if let Some(found) = search.with_metadata(CHARGE, &id).next() {
        return Ok(Some(found.clone()));
    }
    if !search.complete {
        let reason = "the customer has more intents than were read".to_owned();
        return Err(GatewayError::Transient { reason });
    }
    Ok(None)
}

/// Whether the last decline of the intent is this charge's: of its card, and made when it was sent. Charges of one card are
/// half a day apart.
async fn is_its_decline(stripe: &Stripe, intent: &PaymentIntent, charge: &Charge) -> Result<bool, GatewayError> {
    let of_its_card = intent
        .last_payment_error
        .as_ref()
        .is_some_and(|error| error.payment_method.as_deref() == Some(&charge.card_id));
    let Some(latest) = intent.latest_charge.as_deref().filter(|_| of_its_card) else { return Ok(false) };
    Ok(stripe.charge(latest).await?.created.is_some_and(|made| made >= charge.sent_at - SKEW))
}
