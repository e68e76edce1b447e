//! The simulator's semantics over real HTTP.

mod api;
mod checkout;
mod endpoints;
mod faults;
mod harness;
mod money;
mod webhooks;
