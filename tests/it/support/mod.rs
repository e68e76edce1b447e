//! What a test of the whole stands on: private servers, a simulated Stripe, a mailbox, and Berth itself.

#![allow(dead_code, reason = "each test uses a part of it")]

mod check;
pub(crate) mod events;
pub(crate) mod keeper;
pub(crate) mod load;
pub(crate) mod process;
mod stack;

pub(crate) use stack::{Stack, StackOptions};
