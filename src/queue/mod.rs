//! How jobs travel: from the ledger through Redis to a worker, and back with what became of them.
//!
//! Postgres holds what is owed; Redis says who is next and may be emptied at any moment.

pub mod backend;
pub mod committer;
pub(crate) mod inbox;
pub mod lease;
pub(crate) mod push;
pub mod redis;
pub mod relay;
