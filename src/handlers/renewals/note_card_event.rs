//! NoteCardEvent: acts on an event about a card or its customer. What the cards are now, Stripe is asked by another job.

use berth_jobs::{
    ids::CustomerId,
    renewals::{NoteCardEvent, SyncCards},
};

use crate::{
    app::Ctx,
    effects::{Effects, EventOutcome, SettledEvent},
    error::{JobError, chain},
    gateways::stripe::{EventError, StripeEvent},
};

/// Runs the job.
///
/// # Errors
/// When the database is away.
pub async fn run(job: &NoteCardEvent, ctx: &Ctx) -> Result<Effects, JobError> {
    let body = ctx.store.stripe_event(&job.event_id).await?;
    let settled = |outcome, note: Option<String>| {
        Effects::none().settle_event(SettledEvent { event_id: job.event_id.clone(), outcome, note })
    };
    let told = match StripeEvent::parse(&body).and_then(|event| read(&event)) {
        Ok(told) => told,
        Err(error) => return Ok(settled(EventOutcome::Parked, Some(chain(&error)))),
    };
    // A purchase has its card asked about by itself, and mostly before this is told.
    if told.is_new && told.is_known(ctx).await? {
        return Ok(settled(EventOutcome::Applied, None));
    }
    let Some(customer_id) = customer_of(ctx, &told).await? else {
        return Ok(settled(EventOutcome::Ignored, Some("it is of nobody whom we know".to_owned())));
    };
    Ok(settled(EventOutcome::Applied, None).enqueue(SyncCards { customer_id, chosen: told.chosen }))
}

/// What the event names.
struct Told {
    /// Stripe's id of the customer.
    customer: Option<String>,
    /// Stripe's id of the card.
    card: Option<String>,
    /// The card, where the customer has just saved it to be charged.
    chosen: Option<String>,
    /// Nothing is told but that the card was saved.
    is_new: bool,
}

impl Told {
    async fn is_known(&self, ctx: &Ctx) -> Result<bool, JobError> {
        match &self.card {
            Some(card) => Ok(ctx.store.has_card(card).await?),
            None => Ok(false),
        }
    }
}

fn read(event: &StripeEvent) -> Result<Told, EventError> {
    Ok(match event.kind.as_str() {
        "setup_intent.succeeded" => {
            let setup = event.setup_intent()?;
            Told {
                customer: setup.customer,
                card: setup.payment_method.clone(),
                chosen: setup.payment_method,
                is_new: false,
            }
        }
        "customer.deleted" => Told { customer: Some(event.customer()?.id), card: None, chosen: None, is_new: false },
        kind => {
            let method = event.payment_method()?;
            let is_new = kind == "payment_method.attached";
            Told { customer: method.customer, card: Some(method.id), chosen: None, is_new }
        }
    })
}

/// A card that was taken away names its customer no more, but we know whose it was.
async fn customer_of(ctx: &Ctx, told: &Told) -> Result<Option<CustomerId>, JobError> {
    if let Some(at_stripe) = &told.customer {
        return Ok(ctx.store.customer_at_stripe(at_stripe).await?);
    }
    match &told.card {
        Some(card) => Ok(ctx.store.owner_of_card(card).await?),
        None => Ok(None),
    }
}
