//! What the operators' console reads: rows as its pages show them, ids as texts. Reads here may be a little late, and are
//! bounded; what they lead to is decided by the same functions as everywhere else.

mod accounts;
mod alerts;
mod facts;
mod jobs;
mod mails;
mod orders;
mod overview;
mod people;
mod renewals;
mod search;
mod servers;
mod sessions;
mod story;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

pub use accounts::{AccountLine, AccountPage};
pub use alerts::AlertLine;
pub use jobs::{JobFilter, JobLine, JobPage};
pub use mails::{MailLine, MailPage};
pub use orders::{OrderLine, OrderPage, PaymentLine, UnitLine};
pub use overview::{Counts, QueueLine, StoppedPlan, SweepLine};
pub use people::{CreditLine, CustomerLine, CustomerPage, InvoiceLine};
pub use renewals::RenewalLine;
pub use search::Found;
pub use servers::ServerLine;
pub use sessions::{SentAway, Staff};
pub use story::Step;

/// So many rows are counted; there are "so many or more".
const MOST_COUNTED: i64 = 10_000;

/// A time, as pages are given it: text in RFC 3339.
#[derive(Clone, Copy, Debug, sqlx::Type)]
#[sqlx(transparent)]
pub struct At(jiff_sqlx::Timestamp);

impl From<At> for Timestamp {
    fn from(at: At) -> Self {
        at.0.to_jiff()
    }
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Timestamp::from(*self).serialize(serializer)
    }
}
