//! The outside world: Stripe, mail servers, panels, each behind a type of our own.

pub mod http_client;
pub mod panels;
pub mod smtp;
pub mod stripe;
