//! From what Stripe says of a session to what becomes of its order.

pub mod close_checkout;
pub mod complete_checkout;
pub mod expire_checkout;
mod session;
mod surplus;
pub mod sync_checkout;
mod unheard;
