//! Tests of the whole: real PostgreSQL, Redis, HTTP and SMTP, and a Stripe of our own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on has failed")]
#![allow(clippy::print_stdout, reason = "a test's figures are for whoever reads its output")]
#![allow(clippy::disallowed_methods, reason = "tests start tasks and read variables of their own")]

mod a_year;
mod access;
mod api;
mod attacks;
mod broken;
mod buying;
mod cart;
mod cart_checkout;
mod changes;
mod chaos;
mod charges;
mod checkout;
mod checkout_crash;
mod console;
mod coupons;
mod crash;
mod credit;
mod disputes;
mod doctor;
mod full;
mod groups;
mod hosting_life;
mod invoices;
mod mail_pace;
mod mail_server_away;
mod many_accounts;
mod me;
mod observation;
mod orders;
mod orphans;
mod poison;
mod pooler;
mod postgres;
mod provisioning;
mod reconciling;
mod redis;
mod reference;
mod refunds;
mod renewals;
mod restored;
mod rights;
mod rotation;
mod schedule;
mod secrets;
mod servers;
mod service_manager;
mod shutdown;
mod smoke;
mod storm;
mod strangers;
mod support;
mod sweep_crash;
mod traces;
mod upgrade;
mod ways_in;
mod webhook;
mod wrong_clocks;
