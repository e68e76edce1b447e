//! Charges that were sent and of which nothing is known, while no job waits for their outcome: a person has given the job up,
//! or it has died. Nothing is charged again before that is known, so Stripe is asked.

use berth_jobs::renewals::ResolveCharge;
use jiff::{SignedDuration, Timestamp};

use super::{Action, PAGE, Page, Step, after_full_page};
use crate::{
    domain::timetable::ShopTimes,
    effects::Effects,
    store::{Store, StoreError, sweeps::Cursor},
};

pub(super) async fn page(store: &Store, as_of: Timestamp, after: Cursor) -> Result<Page, StoreError> {
    let silence = SignedDuration::from_mins(i64::from(ShopTimes::default().silent_intent_minutes));
    let charges = store.silent_charges(as_of - silence, after, PAGE).await?;
    let next = after_full_page(&charges, |charge| Cursor::after(charge.sent_at, charge.id.0));
    let (mut steps, mut effects) = (Vec::with_capacity(charges.len()), Effects::none());
    for charge in charges {
        effects = effects.enqueue(ResolveCharge { order_id: charge.order_id });
        steps.push(Step {
            action: Action::AskStripe,
            subject: charge.id.to_string(),
            detail: None,
            customer: Some((charge.customer_id, charge.email)),
            amount: Some(charge.amount),
            due_at: charge.sent_at,
            rows: 1,
        });
    }
    Ok(Page { steps, effects, next })
}
