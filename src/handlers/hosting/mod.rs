//! Hosting accounts and the panels that they live on.

mod at_panel;
mod at_server;
pub mod change_package;
mod drift;
pub(crate) mod intending;
pub mod probe_server;
pub mod provision_account;
pub mod purge_account;
pub mod reconcile_account;
pub mod reconcile_server;
pub mod reset_password;
pub mod suspend_account;
pub mod terminate_account;
pub mod unsuspend_account;
