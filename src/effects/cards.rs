//! Saved cards: what Stripe says of them, and what their customers choose.

use berth_jobs::{ids::CustomerId, renewals::DetachCard};
use jiff::Timestamp;

use super::Effects;

/// The cards that a customer has saved at Stripe: all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardsNews {
    /// Whose. Nothing is kept of who was forgotten.
    pub customer_id: CustomerId,
    /// Every card. What is not here is gone.
    pub cards: Vec<KnownCard>,
    /// The one that they have just saved to be charged from now on; ignored where it is not among them.
    pub chosen: Option<String>,
    /// When this was learnt.
    pub at: Timestamp,
}

/// What may be shown of a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownCard {
    /// Stripe's id: `pm_…`.
    pub id: String,
    /// `visa` …
    pub brand: Option<String>,
    /// The last four digits.
    pub last4: Option<String>,
    /// 1 to 12.
    pub exp_month: Option<i16>,
    /// Four digits.
    pub exp_year: Option<i16>,
    /// The end of its last month.
    pub expires_at: Timestamp,
    /// When it was saved.
    pub saved_at: Timestamp,
}

/// What a customer does to a card of theirs. Refused with `RowChanged` when they have no such card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CardChange {
    /// Whose.
    pub customer_id: CustomerId,
    /// Stripe's id.
    pub card_id: String,
    /// What.
    pub choice: CardChoice,
    /// When.
    pub at: Timestamp,
}

/// What becomes of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CardChoice {
    /// It is the one that is charged from now on.
    Charged,
    /// It is removed; if it was charged, the one that was saved last is from now on.
    Removed,
}

impl Effects {
    /// Has a card charged from now on, and at once for what is due.
    #[must_use]
    pub fn choose_card(mut self, customer_id: CustomerId, card_id: String, at: Timestamp) -> Self {
        self.card_changes.push(CardChange { customer_id, card_id, choice: CardChoice::Charged, at });
        self.look_at_all_of(customer_id)
    }

    /// Removes a card, and has it taken away at Stripe.
    #[must_use]
    pub fn remove_card(mut self, customer_id: CustomerId, card_id: String, at: Timestamp) -> Self {
        let detached = DetachCard { card_id: card_id.clone() };
        self.card_changes.push(CardChange { customer_id, card_id, choice: CardChoice::Removed, at });
        self.look_at_all_of(customer_id).enqueue(detached)
    }
}
