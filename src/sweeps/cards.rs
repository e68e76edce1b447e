//! Saved cards that expire: whoever is to be charged on one is told before its last month is over, each notice once.

use berth_jobs::ids::CustomerId;
use jiff::{SignedDuration, Timestamp};

use super::{Action, PAGE, Page, Sources, Step, after_full_page};
use crate::{
    domain::timetable::card_expiring,
    effects::Effects,
    mail::{CardExpiring, Mail},
    store::{StoreError, cards::ExpiringCard, sweeps::Cursor},
};

pub(super) async fn page(sources: &Sources<'_>, as_of: Timestamp, after: Cursor) -> Result<Page, StoreError> {
    let timetable = sources.timetables.shop();
    let days = timetable.card_expiry_days.iter().copied().max().unwrap_or(0);
    let until = as_of.checked_add(SignedDuration::from_hours(i64::from(days) * 24)).unwrap_or(Timestamp::MAX);
    let cards = sources.store.expiring_cards(as_of, until, after, PAGE).await?;
    let next = after_full_page(&cards, |it| Cursor::after(it.card.expires_at, it.customer.id.0));
    let (mut steps, mut effects) = (Vec::new(), Effects::none());
    for card in &cards {
        let Some((number, since)) = card_expiring(as_of, card.card.expires_at, timetable) else { continue };
        let notice = notice(card, number);
        if card.told.contains(&CardExpiring::key(&notice.card_id, &notice.last_month, number)) {
            continue;
        }
        steps.push(step(card, since));
        effects = effects.mail(card.customer.id, Mail::CardExpiring(notice));
    }
    Ok(Page { steps, effects, next })
}

fn notice(expiring: &ExpiringCard, number: usize) -> CardExpiring {
    let card = &expiring.card;
    CardExpiring {
        customer_id: expiring.customer.id,
        card_id: card.id.clone(),
        number,
        customer_name: expiring.customer.name.clone(),
        card: card.shown(),
        last_month: CardExpiring::month(card.exp_year, card.exp_month),
    }
}

fn step(expiring: &ExpiringCard, since: Timestamp) -> Step {
    let customer: (CustomerId, String) = (expiring.customer.id, expiring.customer.email.clone());
    Step {
        action: Action::Notify,
        subject: expiring.card.id.clone(),
        detail: None,
        customer: Some(customer),
        amount: None,
        due_at: since,
        rows: 1,
    }
}
