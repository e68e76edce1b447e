//! The outside world: Stripe, mail servers, panels, each behind a type of our own.

pub mod certificate;
pub mod http_client;
#[cfg(feature = "otlp")]
pub mod otlp;
pub mod smtp;
pub mod stripe;
pub mod watched_panel;

/// The servers on which hosting accounts live: a crate of its own, which knows nothing of orders, money or jobs.
pub use berth_panels as panels;
