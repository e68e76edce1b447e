//! Hosting accounts and the panels that they live on.

pub mod provision_account;
pub mod reconcile_account;
