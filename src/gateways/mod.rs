//! The outside world: Stripe, mail servers, panels, each behind a type of our own.

pub mod certificate;
pub mod http_client;
pub mod smtp;
pub mod stripe;

/// The servers on which hosting accounts live: a crate of its own, which knows nothing of orders, money or jobs.
pub use berth_panels as panels;
