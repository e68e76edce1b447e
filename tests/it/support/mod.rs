//! What a test of the whole stands on: private servers, a simulated Stripe, a mailbox, and Berth itself.

#![allow(dead_code, reason = "each test uses a part of it")]

pub(crate) mod events;
pub(crate) mod process;
mod stack;

pub(crate) use stack::Stack;
