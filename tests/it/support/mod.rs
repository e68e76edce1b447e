//! What a test of the whole stands on: private servers, a simulated Stripe, a mailbox, and Berth itself.

#![allow(dead_code, reason = "each test uses a part of it")]

pub(crate) mod ask;
mod calendar;
pub(crate) mod cart;
mod check;
pub(crate) mod cutter;
pub(crate) mod events;
pub(crate) mod hosting;
mod kept;
pub(crate) mod load;
mod money;
pub(crate) mod oidc;
mod panel;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod purchase;
pub(crate) mod raw;
pub(crate) mod renewing;
pub(crate) mod shop;
pub(crate) mod sse;
mod stack;

pub(crate) use berth::dev::keeper;
pub(crate) use panel::{Login, WatchedPanel};
pub(crate) use stack::{Running, STRIPE_KEY, Stack, StackOptions, WEBHOOK_SECRET, size};
