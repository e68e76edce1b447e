//! One file a job: read, decide, checkpoint, call outside, return what should be true.

pub mod checkout;
pub mod diagnosis;
pub mod hosting;
pub mod mail;
pub mod payments;
pub mod renewals;
pub mod sweeps;
