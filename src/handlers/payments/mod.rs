//! Money that goes back: from what Stripe says of refunds and disputes to rows, papers and accounts.

mod papers;
pub mod sync_dispute;
pub mod sync_refunds;
pub mod trace_payment;
