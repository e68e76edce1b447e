//! The jobs that Berth runs: their names, payloads and ids, for Berth itself and for applications that enqueue them.
//!
//! A payload carries ids, never facts: the worker reads what is true when it starts. [`AnyJob`] is the closed list.

mod any;
pub mod checkout;
#[cfg(feature = "client")]
pub mod client;
pub mod diagnosis;
pub mod hosting;
pub mod ids;
mod job;
pub mod mail;
pub mod payments;
pub mod renewals;
pub mod sweeps;

pub use any::{AnyJob, DecodeError, JobKind};
pub use job::{Backoff, Class, Job, Queue, UnknownQueue};
