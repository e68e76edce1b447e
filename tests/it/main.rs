//! Tests of the whole: real PostgreSQL, Redis, HTTP and SMTP, and a Stripe of our own.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "tests may")]

mod broken;
mod checkout;
mod crash;
mod poison;
mod postgres;
mod redis;
mod shutdown;
mod support;
mod webhook;
