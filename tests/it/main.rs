//! Tests of the whole: real PostgreSQL, Redis, HTTP and SMTP, and a Stripe of our own.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::disallowed_methods, reason = "tests may")]

mod api;
mod checkout;
mod groups;
mod provisioning;
mod support;
mod webhook;
