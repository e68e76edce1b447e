//! What follows from what became of a charge.

use std::{cmp, time::Duration};

use berth_jobs::{
    ids::PaymentId,
    payments::SyncRefunds,
    renewals::{ResolveCharge, SyncCards},
};
use jiff::SignedDuration;

use super::{
    answer::{Answer, money},
    notices,
    unheard::Unheard,
};
use crate::{
    app::Ctx,
    domain::{
        card,
        renewal::{RenewalEvent, RenewalPhase, next_look_up},
    },
    effects::{ChargeDecline, ChargeNews, ChargeState, Effects, Fact, NewJob},
    error::{JobError, chain},
    fulfilment::{self, PaidBy, Renewing},
    gateways::stripe::{Amount, CHARGE, PaymentIntentStatus},
    store::renewals::{Charge, DeclineCodes},
};

/// Stripe is not asked sooner than this what became of a charge.
const SOONEST_LOOK_UP: SignedDuration = SignedDuration::from_mins(5);

/// How soon to look again at what is being paid on a page.
const PAGE_WAIT: Duration = Duration::from_secs(600);

/// What becomes true by the answer.
pub(super) async fn settle(
    ctx: &Ctx,
    renewing: &Renewing,
    charge: &Charge,
    answer: Answer,
) -> Result<Effects, JobError> {
    match answer {
        Answer::Paid { intent, received } => {
            let fact = news(ctx, charge, ChargeState::Succeeded, Some(intent.clone()));
            let by = PaidBy { session: None, intent: Some(intent), card: shown(ctx, renewing, &charge.card_id).await? };
            Ok(paid(ctx, renewing, by, received.as_ref()).await?.fact(fact))
        }
        Answer::Declined { intent, decline } => declined(ctx, renewing, charge, intent, decline).await,
        Answer::Unknown { intent } => in_doubt(ctx, renewing, charge, intent),
        Answer::NotMade => Ok(not_made(ctx, renewing, charge)),
        Answer::CardGone => {
            let sync = SyncCards { customer_id: renewing.order.customer.id, chosen: None };
            Ok(not_made(ctx, renewing, charge).enqueue(sync))
        }
    }
}

/// What follows from a charge that was answered while the rest was refused, because the renewal was moved meanwhile, as when it
/// was called off: what was learnt is kept, and the rest is decided anew.
pub(super) async fn answered(ctx: &Ctx, renewing: &Renewing, charge: &Charge) -> Result<Effects, JobError> {
    let intent = charge.intent.clone();
    let answer = match (charge.state.as_str(), charge.decline, &intent) {
        ("succeeded", _, Some(intent)) => Answer::of(ctx.stripe()?.payment_intent(intent).await?),
        (_, Some(class), _) => {
            let DeclineCodes { code, decline_code, advice_code } = charge.codes.clone();
            Answer::Declined { intent, decline: ChargeDecline { class, code, decline_code, advice_code } }
        }
        _ => Answer::NotMade,
    };
    settle(ctx, renewing, charge, answer).await
}

/// Money has come by an intent of ours. What is not owed goes back.
pub(super) async fn paid(
    ctx: &Ctx,
    renewing: &Renewing,
    by: PaidBy,
    received: Option<&Amount>,
) -> Result<Effects, JobError> {
    let id = renewing.order.state.id;
    let Some(intent) = &by.intent else { return Ok(Effects::none()) };
    if ctx.store.payment_by_intent(intent).await?.is_some() {
        return Ok(Effects::none()); // told before
    }
    let Some(amount) = received.and_then(money) else {
        return Err(JobError::Retry(format!("{intent} of {id} is paid, and does not say how much came")));
    };
    if amount == renewing.order.due()
        && let Some(effects) = fulfilment::renewed(ctx, ctx.now(), renewing, by.clone())
    {
        return Ok(effects);
    }
    Ok(fulfilment::returned(ctx.now(), renewing, amount, by))
}

/// The renewal is paid, or being paid, by what nothing had told of: the charge that was about to be sent is not. Where that was a
/// charge of what is due, the row stands for it.
pub(super) async fn unheard(
    ctx: &Ctx,
    renewing: &Renewing,
    charge: &Charge,
    found: Unheard,
) -> Result<Effects, JobError> {
    let Unheard { intent, session, is_refunded } = found;
    let received = intent.received();
    let is_charge = intent.metadata.contains_key(CHARGE);
    let effects = if intent.status != PaymentIntentStatus::Succeeded {
        if !is_charge {
            return Err(JobError::waiting(&format!("{} is being paid on a page", charge.order_id), PAGE_WAIT));
        }
        settle(ctx, renewing, charge, Answer::of(intent)).await?
    } else if is_charge && received.as_ref().and_then(money) == Some(charge.amount) {
        settle(ctx, renewing, charge, Answer::of(intent)).await?
    } else {
        let card = match &intent.payment_method {
            Some(card) => shown(ctx, renewing, card).await?,
            None => None,
        };
        let by = PaidBy { session, intent: Some(intent.id), card };
        let effects = paid(ctx, renewing, by, received.as_ref()).await?;
        if effects.renewal_moves.is_empty() {
            effects.and(not_made(ctx, renewing, charge)) // what came goes back, and what is due is charged
        } else {
            effects.fact(news(ctx, charge, ChargeState::NotMade, None))
        }
    };
    let payments: Vec<PaymentId> = effects.new_payments.iter().map(|payment| payment.id).collect();
    Ok(if is_refunded {
        payments.into_iter().fold(effects, |all, payment_id| all.enqueue(SyncRefunds { payment_id }))
    } else {
        effects
    })
}

/// The card that was charged, as its holder knows it.
async fn shown(ctx: &Ctx, renewing: &Renewing, card_id: &str) -> Result<Option<String>, JobError> {
    let cards = ctx.store.cards_of(renewing.order.customer.id).await?;
    Ok(cards.iter().find(|card| card.id == card_id).map(|it| card::shown(it.brand.as_deref(), it.last4.as_deref())))
}

/// The bank says no, or asks for the customer, who is told. A renewal that was called off meanwhile ends with it.
async fn declined(
    ctx: &Ctx,
    renewing: &Renewing,
    charge: &Charge,
    intent: Option<String>,
    decline: ChargeDecline,
) -> Result<Effects, JobError> {
    let event = RenewalEvent::from(decline.class);
    let fact = news(ctx, charge, ChargeState::Declined(decline.clone()), intent);
    let Some(step) = renewing.renewal.state.apply(event) else { return Ok(fact.into()) };
    let effects = Effects::from(fact).move_renewal(step);
    if step.to() == RenewalPhase::Void {
        return Ok(fulfilment::withdrawn(ctx.now(), renewing, effects));
    }
    let mail = notices::declined(ctx, renewing, charge, &decline).await?;
    Ok(effects.mail(renewing.order.customer.id, mail))
}

/// It was certainly not made: it can be made again.
fn not_made(ctx: &Ctx, renewing: &Renewing, charge: &Charge) -> Effects {
    let fact = news(ctx, charge, ChargeState::NotMade, None);
    let Some(step) = renewing.renewal.state.apply(RenewalEvent::NotCharged) else { return fact.into() };
    let effects = Effects::from(fact).move_renewal(step);
    if step.to() == RenewalPhase::Void {
        return fulfilment::withdrawn(ctx.now(), renewing, effects);
    }
    effects
}

/// Nobody knows what became of it: Stripe is asked, again and again and ever more seldom, and nothing is charged meanwhile.
pub(super) fn in_doubt(
    ctx: &Ctx,
    renewing: &Renewing,
    charge: &Charge,
    intent: Option<String>,
) -> Result<Effects, JobError> {
    let asked = charge.lookups + u32::from(charge.state == "in_doubt");
    let next = next_look_up(charge.sent_at, asked).map_err(|error| JobError::Retry(chain(&error)))?;
    let run_at = cmp::max(next, ctx.now() + SOONEST_LOOK_UP);
    let resolve = NewJob::now(ResolveCharge { order_id: charge.order_id }.into()).at(run_at);
    let mut effects = Effects::from(news(ctx, charge, ChargeState::InDoubt, intent));
    effects.jobs.push(resolve);
    let step = renewing.renewal.state.apply(RenewalEvent::OutcomeUnknown);
    Ok(step.into_iter().fold(effects, Effects::move_renewal))
}

fn news(ctx: &Ctx, charge: &Charge, state: ChargeState, intent: Option<String>) -> Fact {
    Fact::Charge(ChargeNews { charge_id: charge.id, state, intent, at: ctx.now() })
}
