//! What `berth dev` adds: private servers and real ones to sell on, a Stripe to buy from, a mailbox to read; and what `berth
//! chaos` does to all of it.

pub mod chaos;
pub mod keeper;
pub mod mailbox;
pub mod run;
pub mod servers;
pub mod stripe_sim;
pub mod tour;
pub mod trigger;
