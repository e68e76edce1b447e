//! Asking for jobs from a Rust program: over HTTP ([`Client`]), or within the program's own transaction of the database that it
//! shares with Berth ([`enqueue_in`]).
//!
//! Both answer the id of the job that is in the ledger: a new one, the one that was asked for under the same key before, or one
//! that waits already and will do the same.

mod http;
mod sql;

pub use http::{Client, ClientError, Enqueued, JobStatus};
pub use sql::enqueue_in;

/// How a job is asked for, beside what it is to do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The caller's own key, 1 to 255 characters. While a job under the same key is in the ledger (until a week after its end),
    /// asking again changes nothing: send one where a request may be repeated.
    pub key: Option<String>,
    /// When it is due, within 400 days, as RFC 3339 has it: `2030-01-01T00:00:00Z`. Without it, now.
    pub run_at: Option<String>,
}

impl Options {
    /// Under a key of the caller's own.
    #[must_use]
    pub fn key(key: impl Into<String>) -> Self {
        Self { key: Some(key.into()), run_at: None }
    }

    /// The same, due at a time.
    #[must_use]
    pub fn at(self, run_at: impl Into<String>) -> Self {
        Self { run_at: Some(run_at.into()), ..self }
    }
}
