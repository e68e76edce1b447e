//! Tests of the whole: real PostgreSQL, Redis, HTTP and SMTP, and a Stripe of our own.

mod api;
mod checkout;
mod groups;
mod provisioning;
mod support;
mod webhook;
