//! ChangePackage: makes an account what its customer has changed it to, then tells them; where that can no longer be, or the
//! panel refuses, the money is their credit.

use std::time::Duration;

use berth_jobs::hosting::ChangePackage;

use super::{
    at_panel::{self, Answer},
    at_server,
};
use crate::{
    app::Ctx,
    domain::{
        account::{AccountPhase, AccountState, PackageChange},
        money::Money,
        order::{Actor, OrderEvent},
    },
    effects::{Alert, CreditFor, CreditKind, Effects, Guard, PlanChangeStep},
    ending,
    error::JobError,
    failpoint,
    plan_change::{self, Obstacle},
    store::{accounts::Account, orders::Order, payments::PaymentState, plan_changes::PlanChange},
};

/// How soon an account is looked at again that something else is at work on.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// Runs the job.
///
/// # Errors
/// When the panel or the database is away, or something else is at work on the account.
pub async fn run(job: &ChangePackage, ctx: &Ctx) -> Result<Effects, JobError> {
    let account = ctx.store.account(job.account_id).await?;
    let Some(change) = ctx.store.change_to_make(account.state.id).await? else { return Ok(Effects::none()) };
    let order = match change.order_id {
        Some(id) => Some(ctx.store.order(id).await?),
        None => None,
    };
    let of = Change { account, change, order };
    let (server, on_panel) = at_panel::place_of_live(&of.account)?;
    let server = at_server::enter(ctx, server).await?;
    let state = match begin(ctx, &of).await? {
        Begun::Now(state) => state,
        Begun::Never(why) => return not_made(ctx, &of, PlanChangeStep::Void(why.to_owned()), why).await,
    };
    failpoint::hit("panel.before_change");
    let answer = server.panel().ensure_package(&on_panel, &of.change.to.package).await;
    failpoint::hit("panel.after_change");
    match at_panel::heard(ctx, server.heard(answer).await)? {
        Answer::Done(()) => made(ctx, &of, &state).await,
        Answer::Refused(why) => refused(ctx, &of, &state, why).await,
    }
}

/// A change, with all that it is about.
struct Change {
    account: Account,
    change: PlanChange,
    order: Option<Order>,
}

enum Begun {
    /// The intention is committed, and the renewal at the former price called off.
    Now(AccountState),
    /// It can no longer be made.
    Never(&'static str),
}

async fn begin(ctx: &Ctx, of: &Change) -> Result<Begun, JobError> {
    if of.account.state.phase == AccountPhase::Changing {
        // An earlier run has begun it.
        ctx.checkpoint(at_panel::as_read(&of.account)).await?;
        return Ok(Begun::Now(of.account.state.clone()));
    }
    match plan_change::obstacle(&of.account, &of.change, ctx.now()) {
        Some(Obstacle::Overtaken(why)) => return Ok(Begun::Never(why)),
        Some(Obstacle::Busy) => return Err(JobError::waiting("something else is at work on the account", LOOK_AGAIN)),
        None => {}
    }
    let renewals = ctx.store.unsettled_renewals(&[of.account.state.id]).await?;
    if renewals.iter().any(|open| open.state.phase.is_charging()) {
        return Err(JobError::waiting("its renewal is being charged", LOOK_AGAIN));
    }
    let to = PackageChange { service_id: of.change.to.service_id.clone(), package: of.change.to.package.clone() };
    let Some(step) = of.account.state.change(to) else {
        return Err(JobError::waiting("the account cannot be changed now", LOOK_AGAIN));
    };
    let state = of.account.state.after(&step);
    let mut effects = Effects::from(step).plan_change_step(of.change.id, PlanChangeStep::Begun);
    if let Some(order) = &of.order {
        effects = effects.guard(Guard::Order(order.state.id, order.state.version));
    }
    ctx.checkpoint(ending::call_off(effects, &renewals, Actor::Berth, ctx.now())).await?; // committed before anything is sent
    Ok(Begun::Now(state))
}

async fn made(ctx: &Ctx, of: &Change, state: &AccountState) -> Result<Effects, JobError> {
    let Change { account, change, order } = of;
    let Some(step) = state.changed(change.to.clone()) else { return Ok(Effects::none()) };
    let after = state.after(&step);
    // One that was issued while the panel was at work has the former price, too.
    let renewals = ctx.store.unsettled_renewals(&[account.state.id]).await?;
    let effects = at_panel::with_wishes(Effects::from(step), &after);
    let mut effects = ending::call_off(effects, &renewals, Actor::Berth, ctx.now())
        .plan_change_step(change.id, PlanChangeStep::Made)
        .mail(account.customer.id, plan_change::made(ctx, account, change, order.as_ref()));
    if let Ok(credit) = change.worth.checked_sub(change.cost) {
        effects = effects.credit_for(credit_for(ctx, of, false), CreditKind::Proration, credit);
    }
    let Some(order) = order else { return Ok(effects) };
    if let Some(step) = order.state.apply(OrderEvent::ChangeMade) {
        effects = effects.move_order(step);
    }
    if let Some(invoice) = order.invoice(&ctx.seller, &ctx.catalogue, ctx.now())? {
        effects = effects.invoice(invoice);
    }
    Ok(effects)
}

async fn refused(ctx: &Ctx, of: &Change, state: &AccountState, why: String) -> Result<Effects, JobError> {
    let alert = Alert {
        kind: "change_refused",
        subject: of.account.state.id.to_string(),
        detail: format!(
            "{} could not be made {}: {why}. What was paid for it is its customer's credit; when the cause is mended, ask \
             them to change again.",
            of.account.state.id, of.change.to.service_id,
        ),
    };
    let effects = not_made(ctx, of, PlanChangeStep::Refused(why.clone()), plan_change::REFUSED).await?.alert(alert);
    let Some(step) = state.change_refused(why) else { return Ok(effects) };
    let after = state.after(&step);
    Ok(at_panel::with_wishes(effects.move_account(step), &after))
}

/// The change ends, and what was paid for it is credited: the money as such, and the credit that it had taken.
async fn not_made(ctx: &Ctx, of: &Change, outcome: PlanChangeStep, why: &str) -> Result<Effects, JobError> {
    let Change { account, change, order } = of;
    let mut effects = Effects::none().plan_change_step(change.id, outcome);
    let Some(order) = order else {
        let nothing = Money::zero(change.cost.currency());
        return Ok(effects.mail(account.customer.id, plan_change::not_made(ctx, account, change, why, nothing)));
    };
    if let Some(step) = order.state.apply(OrderEvent::ChangeRefused) {
        effects = effects.move_order(step.because(why));
    }
    let paid = ctx.store.payments_of(order.state.id).await?;
    for payment in paid.iter().filter(|payment| payment.state == PaymentState::Succeeded) {
        effects = effects.payment_credited(payment.id).credit_for(
            credit_for(ctx, of, true),
            CreditKind::Overpayment,
            payment.amount,
        );
    }
    Ok(effects
        .credit_for(credit_for(ctx, of, true), CreditKind::Restored, order.credit)
        .mail(account.customer.id, plan_change::not_made(ctx, account, change, why, order.total)))
}

fn credit_for(ctx: &Ctx, of: &Change, of_order: bool) -> CreditFor {
    CreditFor {
        customer_id: of.account.customer.id,
        order_id: of.change.order_id.filter(|_| of_order),
        account_id: of.account.state.id,
        at: ctx.now(),
    }
}
