//! SyncCards: asks Stripe which cards a customer has saved. One that is new, or that they have chosen, is tried at once for
//! what is due.

use berth_jobs::renewals::SyncCards;
use jiff::Timestamp;

use crate::{
    app::Ctx,
    domain::card,
    effects::{CardsNews, Effects, Fact, KnownCard},
    error::JobError,
    gateways::stripe::{GatewayError, PaymentMethod, Stripe},
};

/// Runs the job.
///
/// # Errors
/// When Stripe or the database is away.
pub async fn run(job: &SyncCards, ctx: &Ctx) -> Result<Effects, JobError> {
    let Some(customer) = ctx.store.stripe_customer_id(job.customer_id).await? else {
        return Ok(Effects::none()); // who has never been at Stripe has no card there
    };
    let cards = saved(ctx.stripe()?, &customer).await?;
    let news = CardsNews {
        customer_id: job.customer_id,
        cards: cards.into_iter().map(|card| known(card, ctx.now())).collect(),
        chosen: job.chosen.clone(),
        at: ctx.now(),
    };
    Ok(Effects::from(Fact::CardsKnown(news)).look_at_all_of(job.customer_id))
}

/// The cards of a customer; none of one who was deleted at Stripe. That Stripe says so itself counts: to the key of another
/// Stripe account all customers are unknown.
async fn saved(stripe: &Stripe, customer: &str) -> Result<Vec<PaymentMethod>, GatewayError> {
    match stripe.cards(customer).await {
        Err(error @ GatewayError::Refused { .. }) if !error.is_misconfigured() => {
            let found = stripe.customer(customer).await?;
            if found.deleted { Ok(Vec::new()) } else { Err(error) }
        }
        answered => answered,
    }
}

fn known(method: PaymentMethod, now: Timestamp) -> KnownCard {
    let (exp_year, exp_month) = method.card.as_ref().map(|card| (card.exp_year, card.exp_month)).unwrap_or_default();
    let (brand, last4) = method.card.map(|card| (card.brand, card.last4)).unwrap_or_default();
    KnownCard {
        id: method.id,
        brand,
        last4,
        exp_month: exp_month.filter(|month| (1..=12).contains(month)),
        exp_year,
        expires_at: card::end_of_last_month(exp_year, exp_month),
        saved_at: method.created.unwrap_or(now),
    }
}
