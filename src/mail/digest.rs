//! What the shop's operator is told every morning.

use serde::{Deserialize, Serialize};

/// Tells the shop's operator what happened on a day, and what waits for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digest {
    pub day: jiff::civil::Date,
    pub orders_agreed: i64,
    pub orders_paid: i64,
    pub money_in: Vec<DigestSum>,
    pub renewals_issued: i64,
    pub renewals_paid: i64,
    /// Called off, or given up.
    pub renewals_ended: i64,
    pub charges_declined: i64,
    pub changes_made: i64,
    pub suspended: i64,
    pub removed: i64,
    pub mails_refused: i64,
    /// Not sent, for what they say was no longer true.
    #[serde(default)]
    pub mails_withdrawn: i64,
    /// Events of Stripe's that had not come and were found.
    pub events_found: i64,
    pub dead_jobs: i64,
    /// Open ones, by kind.
    pub alerts: Vec<DigestCount>,
    /// Each sweep and when it was due last.
    pub sweeps: Vec<(String, jiff::Timestamp)>,
}

/// Money that came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestSum {
    pub amount: String,
    pub currency: String,
    pub payments: i64,
}

/// How many there are of something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigestCount {
    pub name: String,
    pub count: i64,
}

/// The key under which the digest of a day is owed once.
#[must_use]
pub fn digest_key(day: jiff::civil::Date) -> String {
    format!("digest:{day}")
}
