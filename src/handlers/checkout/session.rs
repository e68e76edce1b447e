//! What a Checkout Session means for its order: one decision, whoever tells of the session.

use berth_jobs::ids::{OrderId, StripeEventId};

use crate::{
    app::Ctx,
    domain::order::OrderEvent,
    effects::{Alert, Effects, EventOutcome, Fact, SettledEvent},
    error::{JobError, chain},
    failpoint,
    fulfilment::{self, PaidBy},
    gateways::stripe::{CheckoutPaymentStatus, CheckoutSession, CheckoutStatus, StripeEvent},
    store::{StoreError, orders::Order},
};

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
    let Some(order_id) = order_of(&session) else {
        return Ok(ignored("the session is not of an order of ours"));
    };
    let order = match ctx.store.order(order_id).await {
        Ok(order) => order,
        // The id has our shape, and yet we do not know it: another database's, or a lost one.
        Err(StoreError::Missing(_)) => return Ok(parked(format!("there is no order {order_id}"))),
        Err(error) => return Err(error.into()),
    };
    failpoint::hit("checkout.read");
    let told = match event.kind.as_str() {
        "checkout.session.async_payment_failed" => Told::Failure,
        _ => Told::Event,
    };
    Ok(act_on(ctx, &order, &session, told).settle_event(settled(EventOutcome::Applied, "")))
}

/// What the session means for the order.
pub(super) fn act_on(ctx: &Ctx, order: &Order, session: &CheckoutSession, told: Told) -> Effects {
    let known = match &order.stripe_session_id {
        Some(known) => known == &session.id,
        // The answer to its creation was lost: it carries our order's id, so it is ours.
        None => true,
    };
    let opened = Fact::SessionOpened { order_id: order.state.id, session_id: session.id.clone(), url: None };
    match session.payment_status {
        Some(CheckoutPaymentStatus::Paid) if !known => Effects::none().alert(alert_second_session(order, session)),
        _ if !known => Effects::none(),
        Some(CheckoutPaymentStatus::Paid) => paid(ctx, order, session).fact(opened),
        Some(CheckoutPaymentStatus::NoPaymentRequired) if order.total.is_zero() => {
            paid(ctx, order, session).fact(opened)
        }
        Some(CheckoutPaymentStatus::NoPaymentRequired) => {
            mismatched(order, session, "nothing was asked for").fact(opened)
        }
        _ if told == Told::Failure => moved(order, OrderEvent::PaymentFailed),
        _ if session.status == Some(CheckoutStatus::Expired) => moved(order, OrderEvent::Expired),
        _ if session.status == Some(CheckoutStatus::Complete) => moved(order, OrderEvent::PaymentDelayed).fact(opened),
        _ => Effects::none(),
    }
}

fn order_of(session: &CheckoutSession) -> Option<OrderId> {
    let ours = session.metadata.get("order_id").or(session.client_reference_id.as_ref())?;
    ours.parse().ok()
}

fn moved(order: &Order, event: OrderEvent) -> Effects {
    order.state.apply(event).map(Effects::from).unwrap_or_default()
}

/// The money has come. If it is what was agreed, the order goes to work; if not, a person looks at it.
fn paid(ctx: &Ctx, order: &Order, session: &CheckoutSession) -> Effects {
    if let Err(why) = compare(ctx, order, session) {
        return mismatched(order, session, &why);
    }
    let by = PaidBy { session: Some(session.id.clone()), intent: session.payment_intent.clone() };
    fulfilment::paid(ctx, ctx.now(), order, by)
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
    let due = order.total.to_minor().map_err(|error| chain(&error))?;
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
        Some(step) => Effects::from(step).alert(alert),
        None => Effects::none(),
    }
}

fn alert_second_session(order: &Order, session: &CheckoutSession) -> Alert {
    Alert {
        kind: "second_payment",
        subject: session.id.clone(),
        detail: format!("{} was paid by another session than its own; refund this one.", order.state.id),
    }
}
