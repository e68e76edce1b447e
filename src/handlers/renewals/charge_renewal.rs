//! ChargeRenewal: charges the saved card for a renewal. Everything that may have changed since it was asked for is asked
//! again, in the commit that writes the charge down.

use berth_jobs::{checkout::SyncCheckout, ids::ChargeId, renewals::ChargeRenewal};
use jiff::SignedDuration;

use super::{answer::Answer, page, send, settle, unheard};
use crate::{
    app::Ctx,
    domain::{
        renewal::{RenewalEvent, RenewalPhase},
        timetable::{self, Step},
    },
    effects::{Effects, Guard, NewCharge},
    error::JobError,
    failpoint,
    fulfilment::{self, PaidBy, Renewing},
    store::{
        agenda::{AgendaCard, AgendaEntry},
        renewals::Charge,
    },
    timetables,
};

/// Stripe remembers a key for a day. Nearer to its end than this nothing is sent again, since it might be done again.
const KEY_LIFE: SignedDuration = SignedDuration::from_hours(23);

/// Runs the job.
///
/// # Errors
/// When Stripe or the database is away, or Stripe refuses to be asked.
pub async fn run(job: &ChargeRenewal, ctx: &Ctx) -> Result<Effects, JobError> {
    let renewing = Renewing::read(&ctx.store, job.order_id).await?;
    let charges = ctx.store.charges_of(job.order_id).await?;
    match charges.last() {
        Some(charge) if charge.is_open() => Box::pin(go_on(ctx, &renewing, charge)).await,
        Some(charge) if renewing.renewal.state.phase.is_charging() => settle::answered(ctx, &renewing, charge).await,
        Some(_) | None => Box::pin(begin(ctx, renewing)).await,
    }
}

/// An earlier run has written a charge down, and perhaps sent it.
async fn go_on(ctx: &Ctx, renewing: &Renewing, charge: &Charge) -> Result<Effects, JobError> {
    let fresh = ctx.now().duration_since(charge.sent_at) < KEY_LIFE;
    let waits = charge.state == "sent" && renewing.renewal.state.phase == RenewalPhase::Charging;
    if !fresh || !waits {
        return settle::in_doubt(ctx, renewing, charge, None);
    }
    ctx.checkpoint(Effects::none()).await?;
    charge_card(ctx, renewing, charge).await
}

async fn begin(ctx: &Ctx, mut renewing: Renewing) -> Result<Effects, JobError> {
    if renewing.order.due().is_zero() {
        return Ok(fulfilment::renewed(ctx, ctx.now(), &renewing, PaidBy::default()).unwrap_or_default());
    }
    ctx.stripe()?; // before anything says that a charge is under way
    let Some(entry) = ctx.store.agenda_entry(renewing.account.state.id).await? else { return Ok(Effects::none()) };
    let Some(card) = due_card(ctx, &renewing, &entry) else { return Ok(Effects::none()) };
    let Some(step) = renewing.renewal.state.apply(RenewalEvent::ChargeStarted) else { return Ok(Effects::none()) };
    let (order, new) = (renewing.order.state, new_charge(ctx, &renewing, step.attempts(), card));
    let charge = Charge::from(&new);
    renewing.renewal.state = renewing.renewal.state.after(&step);
    let begun = Effects::none()
        .move_renewal(step)
        .charge(new)
        .guard(Guard::Order(order.id, order.version))
        .guard(Guard::Account(entry.state.id, entry.state.version));
    ctx.checkpoint(begun).await?; // committed before anything is sent
    charge_card(ctx, &renewing, &charge).await
}

/// The card to charge, if a charge is due: nothing is asked of who leaves, was deleted, disputes a payment, has switched the
/// renewal off or has no card.
fn due_card<'a>(ctx: &Ctx, renewing: &Renewing, entry: &'a AgendaEntry) -> Option<&'a AgendaCard> {
    let is_its_period = entry.renewal.as_ref().is_some_and(|open| open.state.order_id == renewing.order.state.id);
    let timetable = timetables::of_account(ctx, &entry.service_id, &entry.timetable);
    let due = timetable::due(ctx.now(), &entry.facts, &timetable);
    let is_due = due.iter().any(|due| matches!(due.step, Step::Charge(_)));
    entry.card.as_ref().filter(|_| is_its_period && is_due)
}

fn new_charge(ctx: &Ctx, renewing: &Renewing, attempt: u32, card: &AgendaCard) -> NewCharge {
    NewCharge {
        id: ChargeId::new(),
        order_id: renewing.order.state.id,
        attempt,
        card_id: card.id.clone(),
        amount: renewing.order.due(),
        sent_at: ctx.now(),
    }
}

/// The page that it could be paid on is closed first: who has paid there has paid. Then whatever else has paid it is looked for: after
/// a backup was restored, Stripe may know more than we do.
async fn charge_card(ctx: &Ctx, renewing: &Renewing, charge: &Charge) -> Result<Effects, JobError> {
    let order_id = charge.order_id;
    let closed = match page::close(ctx, order_id).await? {
        page::Closed::Unpaid(facts) => facts,
        page::Closed::BeingPaid => {
            let effects = settle::settle(ctx, renewing, charge, Answer::NotMade).await?;
            return Ok(effects.enqueue(SyncCheckout { order_id }));
        }
    };
    let effects = match unheard::payment(ctx, renewing).await? {
        Some(found) => settle::unheard(ctx, renewing, charge, found).await?,
        None => {
            failpoint::hit("charge.before_send");
            let answer = send::send(ctx, renewing, charge).await;
            failpoint::hit("charge.after_send");
            let effects = settle::settle(ctx, renewing, charge, answer?).await?;
            failpoint::hit("charge.before_commit");
            effects
        }
    };
    Ok(closed.into_iter().fold(effects, Effects::fact))
}
