//! What an event of Stripe's makes true, however it came: by the webhook, or found in Stripe's own list.

use berth_jobs::{
    AnyJob,
    checkout::{CloseCheckout, CompleteCheckout},
    ids::StripeEventId,
    payments::TracePayment,
    renewals::{NoteCardEvent, NoteChargeEvent},
};
use bytes::Bytes;

use crate::{
    effects::{Alert, Effects, EventOutcome, NewStripeEvent},
    gateways::stripe::{CHARGE, StripeEvent},
};

/// The types of events that mean a job: what Stripe is asked for, in case that one never came.
pub const KINDS: &[&str] = &[
    "checkout.session.completed",
    "checkout.session.async_payment_succeeded",
    "checkout.session.async_payment_failed",
    "checkout.session.expired",
    "payment_intent.succeeded",
    "payment_intent.payment_failed",
    "payment_intent.canceled",
    "setup_intent.succeeded",
    "payment_method.attached",
    "payment_method.updated",
    "payment_method.automatically_updated",
    "payment_method.detached",
    "customer.deleted",
    "charge.refunded",
    "charge.refund.updated",
    "refund.created",
    "refund.updated",
    "refund.failed",
    "charge.dispute.created",
    "charge.dispute.updated",
    "charge.dispute.closed",
    "charge.dispute.funds_withdrawn",
    "charge.dispute.funds_reinstated",
    "radar.early_fraud_warning.created",
];

/// The table: which event of Stripe means which job. All others are stored and acknowledged.
fn job_for(event: &StripeEvent) -> Option<AnyJob> {
    let event_id = StripeEventId(event.id.clone());
    match event.kind.as_str() {
        "checkout.session.completed" => Some(CompleteCheckout { event_id }.into()),
        "checkout.session.async_payment_succeeded" => Some(CompleteCheckout { event_id }.into()),
        "checkout.session.async_payment_failed" => Some(CloseCheckout { event_id }.into()),
        "checkout.session.expired" => Some(CloseCheckout { event_id }.into()),
        "payment_intent.succeeded" if is_charge(event) => Some(NoteChargeEvent { event_id }.into()),
        "payment_intent.payment_failed" if is_charge(event) => Some(NoteChargeEvent { event_id }.into()),
        "payment_intent.canceled" if is_charge(event) => Some(NoteChargeEvent { event_id }.into()),
        "setup_intent.succeeded" => Some(NoteCardEvent { event_id }.into()),
        "payment_method.attached" => Some(NoteCardEvent { event_id }.into()),
        "payment_method.updated" => Some(NoteCardEvent { event_id }.into()),
        "payment_method.automatically_updated" => Some(NoteCardEvent { event_id }.into()),
        "payment_method.detached" => Some(NoteCardEvent { event_id }.into()),
        "customer.deleted" => Some(NoteCardEvent { event_id }.into()),
        "charge.refunded" => Some(TracePayment { event_id }.into()),
        "charge.refund.updated" => Some(TracePayment { event_id }.into()),
        "refund.created" => Some(TracePayment { event_id }.into()),
        "refund.updated" => Some(TracePayment { event_id }.into()),
        "refund.failed" => Some(TracePayment { event_id }.into()),
        "charge.dispute.created" => Some(TracePayment { event_id }.into()),
        "charge.dispute.updated" => Some(TracePayment { event_id }.into()),
        "charge.dispute.closed" => Some(TracePayment { event_id }.into()),
        "charge.dispute.funds_withdrawn" => Some(TracePayment { event_id }.into()),
        "charge.dispute.funds_reinstated" => Some(TracePayment { event_id }.into()),
        "radar.early_fraud_warning.created" => Some(TracePayment { event_id }.into()),
        _ => None,
    }
}

/// Whether it is about a charge of a saved card. What is paid on a page is told by the page's own events.
fn is_charge(event: &StripeEvent) -> bool {
    event.payment_intent().is_ok_and(|intent| intent.metadata.contains_key(CHARGE))
}

/// An authentic event's row, and what becomes true beside it: its job where one follows. Known before, it changes nothing.
#[must_use]
pub fn effects_of(event: &StripeEvent, payload: Bytes, livemode: bool) -> (Effects, NewStripeEvent) {
    let id = StripeEventId(event.id.clone());
    let stored = |outcome| NewStripeEvent { id: id.clone(), kind: event.kind.clone(), payload, outcome };
    if event.account.is_some() {
        // A connected account's: Berth has none.
        return (Effects::none(), stored(EventOutcome::Ignored));
    }
    if event.livemode.is_some_and(|of_event| of_event != livemode) {
        let alert = Alert {
            kind: "event_of_other_mode",
            subject: id.to_string(),
            detail: format!("{} came although stripe.livemode is {livemode}: is an endpoint set up twice?", event.kind),
        };
        return (Effects::none().alert(alert), stored(EventOutcome::Parked));
    }
    match job_for(event) {
        Some(job) => (Effects::none().enqueue(job), stored(EventOutcome::Pending)),
        None => (Effects::none(), stored(EventOutcome::Ignored)),
    }
}
