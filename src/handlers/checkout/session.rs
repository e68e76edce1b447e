//! What a Checkout Session means for its order: one decision, whoever tells of the session.

use std::time::Duration;

use berth_jobs::{
    ids::{AccountId, OrderId, PaymentId, StripeEventId},
    renewals::SyncCards,
};
use jiff::Timestamp;

use super::surplus;
use crate::{
    app::Ctx,
    domain::order::{OrderEvent, OrderPhase},
    effects::{
        Alert, CouponUse, CreditFor, CreditKind, Effects, EventOutcome, Fact, NewPayment, SessionNews, SessionState,
        SettledEvent,
    },
    error::{JobError, chain},
    failpoint,
    fulfilment::{self, Anew, PaidBy, Renewing},
    gateways::stripe::{CheckoutPaymentStatus, CheckoutSession, CheckoutStatus, Purpose, StripeEvent},
    plan_change,
    store::{StoreError, orders::Order, payments::PaymentState},
};

/// How soon to look again for a renewal that is to be issued anew.
const LOOK_AGAIN: Duration = Duration::from_secs(300);
/// The mode of a page on which a card is saved.
const SETUP: &str = "setup";

/// Who says how the session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// An event whose type says that a delayed payment failed.
    Failure,
    /// Another event.
    Event,
    /// Stripe, when asked.
    Lookup,
}

/// Acts on an event about a session. An event that is not about an order of ours is settled as such; one that cannot
/// be understood may be about money, so a person is told.
pub(super) async fn act_on_event(ctx: &Ctx, event_id: &StripeEventId, body: &[u8]) -> Result<Effects, JobError> {
    let settled = |outcome, note: &str| SettledEvent {
        event_id: event_id.clone(),
        outcome,
        note: Some(note.to_owned()).filter(|note| !note.is_empty()),
    };
    let parked = |why: String| {
        let detail = format!("{why}. Look it up at Stripe: money may have come.");
        let alert = Alert { kind: "event_parked", subject: event_id.to_string(), detail };
        Effects::none().settle_event(settled(EventOutcome::Parked, &why)).alert(alert)
    };
    let ignored = |why: &str| Effects::none().settle_event(settled(EventOutcome::Ignored, why));
    let event = match StripeEvent::parse(body) {
        Ok(event) => event,
        Err(error) => return Ok(parked(chain(&error))),
    };
    let session = match event.checkout_session() {
        Ok(session) => session,
        Err(error) => return Ok(parked(chain(&error))),
    };
    // A card was saved there, and nothing paid; one that says otherwise is looked at as every payment is.
    if session.mode.as_deref() == Some(SETUP) && session.payment_status != Some(CheckoutPaymentStatus::Paid) {
        return Ok(cards_of(ctx, &session).await?.settle_event(settled(EventOutcome::Applied, "")));
    }
    let Some(order_id) = order_of(&session) else {
        return Ok(match claimed_order(&session) {
            Some(order_id) => parked(format!("a session that Berth did not open was paid in the name of {order_id}")),
            None => ignored("the session is not of an order of ours"),
        });
    };
    let order = match ctx.store.order(order_id).await {
        Ok(order) => order,
        // The id has our shape, and yet we do not know it: another database's, or a lost one.
        Err(StoreError::Missing(_)) => {
            return Ok(match issued_anew(ctx, event_id, &session).await? {
                Some(effects) => effects.settle_event(settled(EventOutcome::Applied, "")),
                None => parked(format!("there is no order {order_id}")),
            });
        }
        Err(error) => return Err(error.into()),
    };
    failpoint::hit("checkout.read");
    let told = match event.kind.as_str() {
        "checkout.session.async_payment_failed" => Told::Failure,
        _ => Told::Event,
    };
    Ok(act_on(ctx, &order, &session, told).await?.settle_event(settled(EventOutcome::Applied, "")))
}

/// What the page of a renewal means whose order was lost, as a backup was restored, and is issued anew. `None` where it is none.
async fn issued_anew(
    ctx: &Ctx,
    event_id: &StripeEventId,
    session: &CheckoutSession,
) -> Result<Option<Effects>, JobError> {
    let period = Purpose::of(&session.metadata).and_then(|purpose| purpose.period);
    if period.is_some() && session.payment_status != Some(CheckoutPaymentStatus::Paid) {
        return Ok(Some(Effects::none())); // another page can be opened for it at any time
    }
    let order_id = match fulfilment::anew(&ctx.store, period, event_id).await? {
        Anew::Issued(order) => order,
        Anew::ToCome => {
            return Err(JobError::waiting("the period that it is for is not issued again yet", LOOK_AGAIN));
        }
        Anew::Never => return Ok(None),
    };
    let order = ctx.store.order(order_id).await?;
    Ok(Some(renewal_paid(ctx, &order, session).await?))
}

/// What the session means for the order.
pub(super) async fn act_on(
    ctx: &Ctx,
    order: &Order,
    session: &CheckoutSession,
    told: Told,
) -> Result<Effects, JobError> {
    let effects = match session.payment_status {
        Some(CheckoutPaymentStatus::Paid) if order.is_renewal => renewal_paid(ctx, order, session).await?,
        // Another page can be opened for it at any time, so that this one has ended ends nothing.
        _ if order.is_renewal => Effects::none(),
        Some(CheckoutPaymentStatus::Paid) => paid(ctx, order, session).await?,
        _ if !is_current(order, session) => Effects::none(),
        Some(CheckoutPaymentStatus::NoPaymentRequired) if order.total.is_zero() => {
            fulfilment::paid(ctx, ctx.now(), order, paid_by(session))?
        }
        Some(CheckoutPaymentStatus::NoPaymentRequired) => mismatched(order, session, "nothing was asked for"),
        _ if told == Told::Failure => ended(Effects::none(), order, OrderEvent::PaymentFailed, ctx.now()),
        _ if session.status == Some(CheckoutStatus::Expired) => {
            ended(Effects::none(), order, OrderEvent::Expired, ctx.now())
        }
        _ if session.status == Some(CheckoutStatus::Complete) => {
            order.state.apply(OrderEvent::PaymentDelayed).map(Effects::from).unwrap_or_default()
        }
        _ => Effects::none(),
    };
    Ok(effects.fact(Fact::Session(news(ctx, order, session, told))))
}

/// The order that Berth has opened the session for.
pub(super) fn order_of(session: &CheckoutSession) -> Option<OrderId> {
    Purpose::of(&session.metadata).map(|purpose| purpose.order)
}

/// The order that a paid session of somebody else's names. Whoever pays by a link to another product can write anything
/// there, so nothing follows from it by itself.
fn claimed_order(session: &CheckoutSession) -> Option<OrderId> {
    let is_paid = session.payment_status == Some(CheckoutPaymentStatus::Paid);
    session.client_reference_id.as_ref().filter(|_| is_paid)?.parse().ok()
}

/// Whether it is the page that the order is to be paid on now, and not one of before.
fn is_current(order: &Order, session: &CheckoutSession) -> bool {
    match &order.stripe_session_id {
        Some(known) => known == &session.id,
        // The answer to its creation was lost: it carries our order's id, so it is ours.
        None => version_of(order, session) == order.session_version,
    }
}

pub(super) fn version_of(order: &Order, session: &CheckoutSession) -> i32 {
    let told = session.metadata.get("session_version").and_then(|version| version.parse().ok());
    told.unwrap_or(order.session_version)
}

fn news(ctx: &Ctx, order: &Order, session: &CheckoutSession, told: Told) -> SessionNews {
    let state = match (session.payment_status, session.status) {
        (Some(CheckoutPaymentStatus::Paid), _) => SessionState::Paid,
        (_, Some(CheckoutStatus::Expired)) => SessionState::Expired,
        // Nobody can pay on it a second time.
        _ if told == Told::Failure => SessionState::Expired,
        _ => SessionState::Open,
    };
    SessionNews {
        session_id: session.id.clone(),
        order_id: order.state.id,
        version: version_of(order, session),
        state,
        url: session.url.clone(),
        expires_at: session.expires_at,
        at: ctx.now(),
    }
}

/// It will not be paid, as far as is known: what it has of a coupon is free for others.
pub(super) fn ended(effects: Effects, order: &Order, event: OrderEvent, now: Timestamp) -> Effects {
    let Some(step) = order.state.apply(event) else { return effects };
    let effects = fulfilment::credit_back(effects.move_order(step), order, now);
    if order.coupon.is_some() { effects.settle_coupon(order.state.id, CouponUse::Release) } else { effects }
}

/// The money has come. If it came on the order's page and is what was agreed, the order goes to work; if it is something
/// else, a person looks at it. What comes for an order that has been paid, was given up, or has another page, goes back.
async fn paid(ctx: &Ctx, order: &Order, session: &CheckoutSession) -> Result<Effects, JobError> {
    if let Some(account_id) = order.changes
        && surplus::is_given_up(order.state.phase)
    {
        return late_change(ctx, order, account_id, session).await;
    }
    if is_owed(order.state.phase) && is_current(order, session) {
        return match compare(ctx, order, session) {
            Ok(()) => Ok(with_card(fulfilment::paid(ctx, ctx.now(), order, paid_by(session))?, order, session)),
            Err(why) => Ok(mismatched(order, session, &why)),
        };
    }
    let payments = ctx.store.payments_of(order.state.id).await?;
    let was_told = surplus::was_told_before(&payments, order, session);
    Ok(if was_told { Effects::none() } else { surplus::goes_back(ctx.now(), order, session) })
}

/// Money for a change that was given up is credited, once; more of it goes back.
async fn late_change(
    ctx: &Ctx,
    order: &Order,
    account_id: AccountId,
    session: &CheckoutSession,
) -> Result<Effects, JobError> {
    let payments = ctx.store.payments_of(order.state.id).await?;
    if surplus::is_booked(&payments, session) {
        return Ok(Effects::none());
    }
    let was_credited = payments.iter().any(|payment| payment.state == PaymentState::Credited);
    let (Some(amount), Some(intent), false) = (session.money(), session.payment_intent.clone(), was_credited) else {
        return Ok(surplus::goes_back(ctx.now(), order, session));
    };
    let (account, change) =
        tokio::try_join!(ctx.store.account(account_id), ctx.store.change_of_order(account_id, order.state.id))?;
    let payment = NewPayment {
        id: PaymentId::new(),
        order_id: order.state.id,
        amount,
        stripe_session_id: Some(session.id.clone()),
        stripe_payment_intent_id: Some(intent),
        created_at: ctx.now(),
    };
    let of = CreditFor { customer_id: order.customer.id, order_id: Some(order.state.id), account_id, at: ctx.now() };
    Ok(Effects::none()
        .late_payment(payment)
        .credit_for(of, CreditKind::Overpayment, amount)
        .mail(order.customer.id, plan_change::not_made(ctx, &account, &change, plan_change::TOO_LATE, amount)))
}

/// The money for a renewal has come. While it is owed, and what came is what is due, the account is renewed; anything else
/// goes back.
async fn renewal_paid(ctx: &Ctx, order: &Order, session: &CheckoutSession) -> Result<Effects, JobError> {
    let payments = ctx.store.payments_of(order.state.id).await?;
    // One that was lost may have been taken for the same period under another order.
    let booked = match &session.payment_intent {
        Some(intent) => ctx.store.payment_by_intent(intent).await?,
        None => None,
    };
    if booked.is_some() || surplus::is_booked(&payments, session) {
        return Ok(Effects::none());
    }
    let renewing = Renewing::of(&ctx.store, order.clone()).await?;
    if compare(ctx, order, session).is_ok()
        && let Some(effects) = fulfilment::renewed(ctx, ctx.now(), &renewing, paid_by(session))
    {
        return Ok(with_card(effects, order, session));
    }
    Ok(match session.money() {
        Some(amount) if session.payment_intent.is_some() => {
            fulfilment::returned(ctx.now(), &renewing, amount, paid_by(session))
        }
        _ => surplus::goes_back(ctx.now(), order, session),
    })
}

/// The card that was paid with is saved for renewals: which one it is, Stripe is asked.
fn with_card(effects: Effects, order: &Order, session: &CheckoutSession) -> Effects {
    if session.customer.is_none() {
        return effects;
    }
    effects.enqueue(SyncCards { customer_id: order.customer.id, chosen: None })
}

/// Has the cards of the session's customer asked about, if they are one of ours.
async fn cards_of(ctx: &Ctx, session: &CheckoutSession) -> Result<Effects, JobError> {
    let Some(at_stripe) = &session.customer else { return Ok(Effects::none()) };
    let customer = ctx.store.customer_at_stripe(at_stripe).await?;
    Ok(match customer {
        Some(customer_id) => Effects::none().enqueue(SyncCards { customer_id, chosen: None }),
        None => Effects::none(),
    })
}

/// Whether an order's total is still to come, or may come late.
fn is_owed(phase: OrderPhase) -> bool {
    match phase {
        OrderPhase::Pending | OrderPhase::AwaitingPayment | OrderPhase::Failed | OrderPhase::Cancelled => true,
        OrderPhase::Held
        | OrderPhase::Processing
        | OrderPhase::Completed
        | OrderPhase::Rejected
        | OrderPhase::Withdrawn => false,
    }
}

fn paid_by(session: &CheckoutSession) -> PaidBy {
    PaidBy { session: Some(session.id.clone()), intent: session.payment_intent.clone(), card: None }
}

/// Whether what was paid is what was agreed.
fn compare(ctx: &Ctx, order: &Order, session: &CheckoutSession) -> Result<(), String> {
    let livemode = ctx.config.stripe.livemode;
    if session.livemode.is_some_and(|of_session| of_session != livemode) {
        return Err("the session is of the other mode".to_owned());
    }
    if session.mode.as_deref().is_some_and(|mode| mode != "payment") {
        return Err(format!("the session's mode is {}", session.mode.as_deref().unwrap_or_default()));
    }
    let paid = session.total().ok_or("the session does not say how much")?;
    let due = order.due().to_minor().map_err(|error| chain(&error))?;
    let same_currency = paid.currency.eq_ignore_ascii_case(order.total.currency().code());
    if paid.minor == due && same_currency {
        return Ok(());
    }
    Err(format!(
        "paid were {} {} in minor units, due are {due} {}",
        paid.minor,
        paid.currency,
        order.total.currency().code()
    ))
}

fn mismatched(order: &Order, session: &CheckoutSession, why: &str) -> Effects {
    let alert = Alert {
        kind: "payment_mismatch",
        subject: order.state.id.to_string(),
        detail: format!("session {}: {why}. Nothing is provisioned; refund it or correct the order.", session.id),
    };
    match order.state.apply(OrderEvent::PaymentMismatched) {
        Some(step) => Effects::from(step.because(format!("session {}: {why}", session.id))).alert(alert),
        None => Effects::none(),
    }
}
