//! What `berth dev` adds: private servers, a Stripe to buy from, a mailbox to read.

pub mod mailbox;
pub mod servers;
pub mod stripe_sim;
