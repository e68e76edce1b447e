//! Tests of the whole: real PostgreSQL, Redis, HTTP and SMTP, and a Stripe of our own.

mod checkout;
mod support;
mod webhook;
