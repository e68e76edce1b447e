//! What a mail says, as far as time may make it untrue before it is sent; and whether somebody waits for it.

use super::{AccountNotice, Mail};
use crate::domain::outdated::{Claim, ExpiringCard};

impl Mail {
    /// What it says that may not be true any more when a mail server takes it at last. What is a record, or carries something
    /// that its reader needs, lasts.
    #[must_use]
    pub fn claim(&self) -> Claim<'_> {
        match self {
            Self::RenewalAnnounced(mail)
            | Self::AccountExpiring(mail)
            | Self::RenewalReminder(mail)
            | Self::RenewalDueToday(mail)
            | Self::RenewalOverdue(mail)
            | Self::SuspensionWarning(mail)
            | Self::TerminationWarning(mail) => mail.claim(),
            Self::PaymentFailed(mail) => Claim::Declined(mail.charge_id),
            Self::PaymentConfirmationNeeded(mail) => Claim::Declined(mail.charge_id),
            Self::CardExpiring(mail) => Claim::CardExpires(ExpiringCard {
                customer: mail.customer_id,
                id: &mail.card_id,
                last_month: &mail.last_month,
                number: mail.number,
            }),
            Self::OrderConfirmation(_)
            | Self::Welcome(_)
            | Self::PackageChanged(_)
            | Self::ChangeNotMade(_)
            | Self::Digest(_)
            | Self::RenewalReceipt(_)
            | Self::AccountSuspended(_)
            | Self::AccountUnsuspended(_)
            | Self::AccountTerminated(_)
            | Self::CancellationConfirmed(_)
            | Self::CancellationUndone(_)
            | Self::PasswordChanged(_)
            | Self::RefundIssued(_)
            | Self::DisputeOpened(_)
            // Nobody is suspended who has not got it.
            | Self::RenewalInvoice(_) => Claim::Lasting,
        }
    }
}

impl Mail {
    /// Whether it goes to many at once and nobody waits for it: what sweeps, and the charges that they begin, have written.
    #[must_use]
    pub const fn is_bulk(&self) -> bool {
        match self {
            Self::RenewalInvoice(_)
            | Self::RenewalAnnounced(_)
            | Self::AccountExpiring(_)
            | Self::RenewalReminder(_)
            | Self::RenewalDueToday(_)
            | Self::RenewalOverdue(_)
            | Self::SuspensionWarning(_)
            | Self::TerminationWarning(_)
            | Self::PaymentFailed(_)
            | Self::PaymentConfirmationNeeded(_)
            | Self::CardExpiring(_) => true,
            // Who has paid on a page waits for it.
            Self::RenewalReceipt(mail) => mail.card.is_some(),
            Self::OrderConfirmation(_)
            | Self::Welcome(_)
            | Self::PackageChanged(_)
            | Self::ChangeNotMade(_)
            | Self::Digest(_)
            | Self::AccountSuspended(_)
            | Self::AccountUnsuspended(_)
            | Self::AccountTerminated(_)
            | Self::CancellationConfirmed(_)
            | Self::CancellationUndone(_)
            | Self::PasswordChanged(_)
            | Self::RefundIssued(_)
            | Self::DisputeOpened(_) => false,
        }
    }
}

impl AccountNotice {
    /// A step that this version does not know is not judged.
    fn claim(&self) -> Claim<'_> {
        match self.step.as_deref().map(str::parse) {
            Some(Ok(notice)) => Claim::Step { account: self.account_id, due_at: self.due_at, notice },
            Some(Err(_)) | None => Claim::Lasting,
        }
    }
}
