//! What becomes of mails that are owed, beside their sending.

use berth_jobs::ids::MailId;
use jiff::Timestamp;

use super::Effects;
use crate::domain::outdated::Outdated;

/// A mail that is not sent, because what it says is no longer true.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WithdrawnMail {
    /// Which.
    pub id: MailId,
    /// Why.
    pub because: Outdated,
    /// When.
    pub at: Timestamp,
}

impl Effects {
    /// Withdraws a mail; what it said may be said anew by another one. Ignored when a mail server has taken it.
    #[must_use]
    pub fn withdraw(mut self, mail: WithdrawnMail) -> Self {
        self.withdrawn_mails.push(mail);
        self
    }
}
