//! What has paid a renewal and nothing here tells of: it was paid after the backup that this database was restored from was
//! made. It is looked for at Stripe before a card is charged, by what it is for, so that a period is paid once, also where its
//! order was lost and is issued anew under another id.

use jiff::SignedDuration;

use super::send;
use crate::{
    app::Ctx,
    error::JobError,
    fulfilment::Renewing,
    gateways::stripe::{CHARGE, GatewayError, PaymentIntent, PaymentIntentStatus, Purpose, Stripe},
};

/// What was paid so long before the renewal was issued is found: as long ago as a backup may be from which everything else can be
/// made up for, since Stripe tells what has happened for 30 days.
const OLDEST_BACKUP: SignedDuration = SignedDuration::from_hours(31 * 24);

/// Of who has more payments in that time than are read (a thousand) at least the last day's are looked through: somebody who pays
/// for a thousand accounts is charged all the same.
const LEAST: SignedDuration = SignedDuration::from_hours(24);

/// What Stripe calls a customer whom it does not know.
const UNKNOWN: &str = "resource_missing";

/// A payment that was found.
pub(super) struct Unheard {
    /// Stripe's intent: the money has come, or its bank is at it.
    pub(super) intent: PaymentIntent,
    /// The page that it was paid on; `None` for a charge of a saved card.
    pub(super) session: Option<String>,
    /// Whether some of it went back, or all.
    pub(super) is_refunded: bool,
}

/// What pays the renewal already, if anything does.
///
/// # Errors
/// When Stripe or the database is away, or Stripe refuses to be asked: then nothing may be charged.
pub(super) async fn payment(ctx: &Ctx, renewing: &Renewing) -> Result<Option<Unheard>, JobError> {
    let Some(customer) = ctx.store.stripe_customer_id(renewing.order.customer.id).await? else { return Ok(None) };
    match look(ctx, ctx.stripe()?, &customer, renewing).await {
        Ok(found) => Ok(found),
        Err(Failed::Here(error)) => Err(error),
        // A customer of no name there has paid nothing there, and cannot be charged.
        Err(Failed::There(GatewayError::Refused { code: Some(code), .. })) if code == UNKNOWN => Ok(None),
        Err(Failed::There(error @ GatewayError::Refused { .. })) => {
            Err(send::refused(ctx, renewing.order.state.id, error).await?)
        }
        Err(Failed::There(error)) => Err(error.into()),
    }
}

/// Who has failed.
enum Failed {
    Here(JobError),
    There(GatewayError),
}

impl From<GatewayError> for Failed {
    fn from(error: GatewayError) -> Self {
        Self::There(error)
    }
}

impl From<crate::store::StoreError> for Failed {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Here(error.into())
    }
}

async fn look(ctx: &Ctx, stripe: &Stripe, customer: &str, renewing: &Renewing) -> Result<Option<Unheard>, Failed> {
    let since = renewing.renewal.issued_at - OLDEST_BACKUP;
    let search = stripe.find_payment_intents(customer, since).await?;
    let mut returned = None;
    for intent in search.intents.iter().filter(|intent| may_pay(renewing, intent)) {
        if ctx.store.payment_by_intent(&intent.id).await?.is_some() {
            continue;
        }
        match given_back(stripe, intent).await? {
            Back::Nothing => return Ok(Some(found(stripe, customer, intent, false).await?)),
            Back::Part => return Ok(Some(found(stripe, customer, intent, true).await?)),
            // What somebody gave back is not asked for again. Of another order it has paid nothing: that was called off.
            Back::All if is_of_order(renewing, intent) => returned = Some(intent),
            Back::All => {}
        }
    }
    let read_since = search.intents.last().and_then(|oldest| oldest.created);
    if !search.complete && read_since.is_none_or(|at| ctx.now().duration_since(at) < LEAST) {
        return Err(Failed::Here(JobError::Retry("the customer has more payments than were read".to_owned())));
    }
    Ok(match returned {
        Some(intent) => Some(found(stripe, customer, intent, true).await?),
        None => None,
    })
}

async fn found(
    stripe: &Stripe,
    customer: &str,
    intent: &PaymentIntent,
    is_refunded: bool,
) -> Result<Unheard, GatewayError> {
    let session = page_of(stripe, customer, intent).await?;
    Ok(Unheard { intent: intent.clone(), session, is_refunded })
}

fn is_of_order(renewing: &Renewing, intent: &PaymentIntent) -> bool {
    Purpose::of(&intent.metadata).is_some_and(|purpose| purpose.order == renewing.order.state.id)
}

/// Whether it is for this order or this period, and money. What its bank is at yet is so only if it would pay what is due.
fn may_pay(renewing: &Renewing, intent: &PaymentIntent) -> bool {
    let Renewing { order, renewal, .. } = renewing;
    let period = Purpose::of(&intent.metadata).and_then(|purpose| purpose.period);
    let is_of_period = period == Some((renewal.account_id, renewal.period_start));
    (is_of_order(renewing, intent) || is_of_period)
        && match intent.status {
            PaymentIntentStatus::Succeeded => true,
            PaymentIntentStatus::Processing => {
                intent.asked().as_ref().and_then(super::answer::money) == Some(order.due())
            }
            PaymentIntentStatus::RequiresPaymentMethod
            | PaymentIntentStatus::RequiresConfirmation
            | PaymentIntentStatus::RequiresAction
            | PaymentIntentStatus::RequiresCapture
            | PaymentIntentStatus::Canceled
            | PaymentIntentStatus::Unknown => false,
        }
}

/// How much of a payment went back. Its intent has succeeded all the same.
enum Back {
    Nothing,
    Part,
    All,
}

/// Whether all that an intent has brought went back.
///
/// # Errors
/// When Stripe does not answer.
pub(super) async fn went_back(ctx: &Ctx, intent: &PaymentIntent) -> Result<bool, JobError> {
    Ok(matches!(given_back(ctx.stripe()?, intent).await?, Back::All))
}

async fn given_back(stripe: &Stripe, intent: &PaymentIntent) -> Result<Back, GatewayError> {
    let Some(latest) = &intent.latest_charge else { return Ok(Back::Nothing) };
    let charge = stripe.charge(latest).await?;
    Ok(match charge.amount_refunded.unwrap_or(0) {
        _ if charge.refunded => Back::All,
        0 => Back::Nothing,
        _ => Back::Part,
    })
}

/// The page that was paid on, where it was no charge of a saved card.
async fn page_of(stripe: &Stripe, customer: &str, intent: &PaymentIntent) -> Result<Option<String>, GatewayError> {
    if intent.metadata.contains_key(CHARGE) {
        return Ok(None);
    }
    let sessions = stripe.newest_sessions(customer).await?;
    let page = sessions.into_iter().find(|session| session.payment_intent.as_deref() == Some(&intent.id));
    Ok(page.map(|session| session.id))
}
