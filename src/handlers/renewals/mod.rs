//! Renewals that are charged on saved cards, and the cards.
//!
//! A charge is a row before anything is sent; its id is the idempotency key and stands in the intent's metadata. Whatever is
//! lost on the way, the row says what may have been sent: it is sent again under its key while Stripe remembers that, and
//! looked up after. What Stripe has and no row tells of, since a backup was restored, is looked for before anything is sent.

mod answer;
pub mod charge_renewal;
pub mod detach_card;
mod look_up;
pub mod note_card_event;
pub mod note_charge_event;
mod notices;
mod page;
pub mod resolve_charge;
mod send;
mod settle;
pub mod sync_cards;
mod unheard;
