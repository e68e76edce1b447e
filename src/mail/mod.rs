//! What Berth writes to customers: one typed context per mail, and its rendering.
//!
//! A mail is decided together with the fact it tells of, stored as JSON in a row, and rendered when it is sent.

mod account_notice;
mod accounts;
mod changes;
mod claims;
mod context;
mod digest;
mod mjml;
mod payments;
mod renderer;
mod renewals;
mod sample;
mod templates;
#[cfg(test)]
mod tests;

pub use account_notice::{AccountNotice, card_name};
pub use accounts::{
    AccountSuspended, AccountTerminated, AccountUnsuspended, CancellationConfirmed, CancellationUndone, PasswordChanged,
};
pub use changes::{ChangeNotMade, PackageChanged};
pub use digest::{Digest, DigestCount, DigestSum, digest_key};
pub use payments::{DisputeOpened, RefundIssued};
pub use renderer::{RenderError, Renderer};
pub use renewals::{CardExpiring, PaymentConfirmationNeeded, PaymentFailed, RenewalReceipt};
pub use templates::TemplateError;

use berth_jobs::ids::{AccountId, OrderId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A mail that is owed to a customer. As JSON: the context's fields and a `kind`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Mail {
    OrderConfirmation(OrderConfirmation),
    Welcome(Welcome),
    PackageChanged(PackageChanged),
    ChangeNotMade(ChangeNotMade),
    Digest(Digest),
    RenewalReceipt(RenewalReceipt),
    PaymentFailed(PaymentFailed),
    PaymentConfirmationNeeded(PaymentConfirmationNeeded),
    CardExpiring(CardExpiring),
    AccountSuspended(AccountSuspended),
    AccountUnsuspended(AccountUnsuspended),
    AccountTerminated(AccountTerminated),
    CancellationConfirmed(CancellationConfirmed),
    CancellationUndone(CancellationUndone),
    PasswordChanged(PasswordChanged),
    RefundIssued(RefundIssued),
    DisputeOpened(DisputeOpened),
    RenewalInvoice(AccountNotice),
    RenewalAnnounced(AccountNotice),
    AccountExpiring(AccountNotice),
    RenewalReminder(AccountNotice),
    RenewalDueToday(AccountNotice),
    RenewalOverdue(AccountNotice),
    SuspensionWarning(AccountNotice),
    TerminationWarning(AccountNotice),
}

/// Tells the customer that an order is paid. Amounts are decimal text at the currency's scale: `"9.99"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderConfirmation {
    pub order_id: OrderId,
    pub customer_name: Option<String>,
    pub lines: Vec<OrderLine>,
    pub subtotal: String,
    /// Positive, though it is taken off; `"0.00"` is not shown.
    pub discount: String,
    /// `"0.00"` is not shown.
    pub tax: String,
    pub total: String,
    /// ISO 4217, upper case.
    pub currency: String,
    pub paid_at: jiff::Timestamp,
    pub order_url: String,
}

/// One line of an order; `amount` is for the whole quantity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    pub name: String,
    pub quantity: u32,
    pub amount: String,
}

/// Tells the customer that an account is ready. It has no password and never will:
/// a mail lies in plain text on several machines for years, so it links to a page that shows the password once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    pub account_id: AccountId,
    pub customer_name: Option<String>,
    /// What was bought, in the catalogue's words: `Shared Hosting`.
    pub service_name: String,
    pub username: String,
    pub site_url: String,
    pub control_panel_url: Option<String>,
    /// Empty when the panel hosts no zones.
    pub nameservers: Vec<String>,
    /// The end of the period that is paid for.
    pub expires_at: jiff::Timestamp,
    pub reveal_url: String,
}

impl Mail {
    /// Every kind, in the order of the variants.
    pub const KINDS: [&str; 25] = [
        "order_confirmation",
        "welcome",
        "package_changed",
        "change_not_made",
        "digest",
        "renewal_receipt",
        "payment_failed",
        "payment_confirmation_needed",
        "card_expiring",
        "account_suspended",
        "account_unsuspended",
        "account_terminated",
        "cancellation_confirmed",
        "cancellation_undone",
        "password_changed",
        "refund_issued",
        "dispute_opened",
        "renewal_invoice",
        "renewal_announced",
        "account_expiring",
        "renewal_reminder",
        "renewal_due_today",
        "renewal_overdue",
        "suspension_warning",
        "termination_warning",
    ];

    /// The mail's name in rows, logs and file names of templates.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::OrderConfirmation(_) => "order_confirmation",
            Self::Welcome(_) => "welcome",
            Self::PackageChanged(_) => "package_changed",
            Self::ChangeNotMade(_) => "change_not_made",
            Self::Digest(_) => "digest",
            Self::RenewalReceipt(_) => "renewal_receipt",
            Self::PaymentFailed(_) => "payment_failed",
            Self::PaymentConfirmationNeeded(_) => "payment_confirmation_needed",
            Self::CardExpiring(_) => "card_expiring",
            Self::AccountSuspended(_) => "account_suspended",
            Self::AccountUnsuspended(_) => "account_unsuspended",
            Self::AccountTerminated(_) => "account_terminated",
            Self::CancellationConfirmed(_) => "cancellation_confirmed",
            Self::CancellationUndone(_) => "cancellation_undone",
            Self::PasswordChanged(_) => "password_changed",
            Self::RefundIssued(_) => "refund_issued",
            Self::DisputeOpened(_) => "dispute_opened",
            Self::RenewalInvoice(_) => "renewal_invoice",
            Self::RenewalAnnounced(_) => "renewal_announced",
            Self::AccountExpiring(_) => "account_expiring",
            Self::RenewalReminder(_) => "renewal_reminder",
            Self::RenewalDueToday(_) => "renewal_due_today",
            Self::RenewalOverdue(_) => "renewal_overdue",
            Self::SuspensionWarning(_) => "suspension_warning",
            Self::TerminationWarning(_) => "termination_warning",
        }
    }

    /// The key under which this mail is owed at most once: `welcome:acc_…`.
    #[must_use]
    pub fn dedupe_key(&self) -> String {
        let kind = self.kind();
        match self {
            Self::OrderConfirmation(mail) => format!("{kind}:{}", mail.order_id),
            Self::Welcome(mail) => format!("{kind}:{}", mail.account_id),
            Self::PackageChanged(mail) => format!("{kind}:{}", mail.change_id),
            Self::ChangeNotMade(mail) => format!("{kind}:{}", mail.change_id),
            Self::Digest(mail) => digest_key(mail.day),
            Self::RenewalReceipt(mail) => format!("{kind}:{}", mail.order_id),
            Self::PaymentFailed(mail) => format!("{kind}:{}", mail.charge_id),
            Self::PaymentConfirmationNeeded(mail) => format!("{kind}:{}", mail.charge_id),
            Self::CardExpiring(mail) => CardExpiring::key(&mail.card_id, &mail.last_month, mail.number),
            Self::AccountSuspended(mail) => AccountSuspended::key(mail.account_id, mail.suspended_at),
            Self::AccountUnsuspended(mail) => format!("{kind}:{}:{}", mail.account_id, mail.unsuspended_at),
            Self::AccountTerminated(mail) => format!("{kind}:{}:{}", mail.account_id, mail.terminated_at),
            Self::CancellationConfirmed(mail) => format!("{kind}:{}:{}", mail.account_id, mail.requested_at),
            Self::CancellationUndone(mail) => format!("{kind}:{}:{}", mail.account_id, mail.undone_at),
            Self::PasswordChanged(mail) => format!("{kind}:{}:{}", mail.account_id, mail.changed_at),
            Self::RefundIssued(mail) => format!("{kind}:{}", mail.refund_id),
            Self::DisputeOpened(mail) => format!("{kind}:{}", mail.dispute_id),
            Self::RenewalInvoice(mail)
            | Self::RenewalAnnounced(mail)
            | Self::AccountExpiring(mail)
            | Self::RenewalReminder(mail)
            | Self::RenewalDueToday(mail)
            | Self::RenewalOverdue(mail)
            | Self::SuspensionWarning(mail)
            | Self::TerminationWarning(mail) => mail.key(kind),
        }
    }

    /// The order, account, charge, refund or customer that it is about, if it is about one.
    #[must_use]
    pub fn about(&self) -> Option<Uuid> {
        Some(match self {
            Self::OrderConfirmation(mail) => mail.order_id.0,
            Self::Welcome(mail) => mail.account_id.0,
            Self::RenewalReceipt(mail) => mail.order_id.0,
            Self::PaymentFailed(mail) => mail.charge_id.0,
            Self::PaymentConfirmationNeeded(mail) => mail.charge_id.0,
            Self::CardExpiring(mail) => mail.customer_id.0,
            Self::PackageChanged(mail) => mail.account_id.0,
            Self::ChangeNotMade(mail) => mail.account_id.0,
            Self::Digest(_) => return None,
            Self::RefundIssued(mail) => mail.refund_id.0,
            Self::DisputeOpened(mail) => mail.order_id.0,
            Self::AccountSuspended(mail) => mail.account_id.0,
            Self::AccountUnsuspended(mail) => mail.account_id.0,
            Self::AccountTerminated(mail) => mail.account_id.0,
            Self::CancellationConfirmed(mail) => mail.account_id.0,
            Self::CancellationUndone(mail) => mail.account_id.0,
            Self::PasswordChanged(mail) => mail.account_id.0,
            Self::RenewalInvoice(mail)
            | Self::RenewalAnnounced(mail)
            | Self::AccountExpiring(mail)
            | Self::RenewalReminder(mail)
            | Self::RenewalDueToday(mail)
            | Self::RenewalOverdue(mail)
            | Self::SuspensionWarning(mail)
            | Self::TerminationWarning(mail) => mail.account_id.0,
        })
    }

    /// The account whose next step may wait until this mail is delivered: nobody is suspended who was not told.
    #[must_use]
    pub fn awaited_by(&self) -> Option<AccountId> {
        match self {
            Self::RenewalInvoice(mail)
            | Self::RenewalAnnounced(mail)
            | Self::AccountExpiring(mail)
            | Self::RenewalReminder(mail)
            | Self::RenewalDueToday(mail)
            | Self::RenewalOverdue(mail)
            | Self::SuspensionWarning(mail)
            | Self::TerminationWarning(mail) => Some(mail.account_id),
            Self::OrderConfirmation(_)
            | Self::Welcome(_)
            | Self::PackageChanged(_)
            | Self::ChangeNotMade(_)
            | Self::Digest(_)
            | Self::RenewalReceipt(_)
            | Self::PaymentFailed(_)
            | Self::PaymentConfirmationNeeded(_)
            | Self::CardExpiring(_)
            | Self::AccountSuspended(_)
            | Self::AccountUnsuspended(_)
            | Self::AccountTerminated(_)
            | Self::CancellationConfirmed(_)
            | Self::CancellationUndone(_)
            | Self::PasswordChanged(_)
            | Self::RefundIssued(_)
            | Self::DisputeOpened(_) => None,
        }
    }

    /// The links a reader may click, each with its field's name.
    fn links(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::OrderConfirmation(mail) => vec![("order_url", mail.order_url.as_str())],
            Self::RefundIssued(mail) => vec![("order_url", mail.order_url.as_str())],
            Self::DisputeOpened(mail) => vec![("order_url", mail.order_url.as_str())],
            Self::Welcome(mail) => {
                let mut links = vec![("site_url", mail.site_url.as_str()), ("reveal_url", mail.reveal_url.as_str())];
                links.extend(mail.control_panel_url.as_deref().map(|url| ("control_panel_url", url)));
                links
            }
            Self::PackageChanged(mail) => vec![("account_url", mail.account_url.as_str())],
            Self::ChangeNotMade(mail) => vec![("account_url", mail.account_url.as_str())],
            Self::Digest(_) => Vec::new(),
            Self::RenewalReceipt(mail) => vec![("invoice_url", mail.invoice_url.as_str())],
            Self::PaymentFailed(mail) => {
                vec![("pay_url", mail.pay_url.as_str()), ("cards_url", mail.cards_url.as_str())]
            }
            Self::PaymentConfirmationNeeded(mail) => vec![("pay_url", mail.pay_url.as_str())],
            Self::CardExpiring(_) => Vec::new(),
            Self::AccountSuspended(mail) => with_site(("action_url", &mail.action_url), mail.site_url.as_deref()),
            Self::AccountUnsuspended(mail) => with_site(("account_url", &mail.account_url), mail.site_url.as_deref()),
            Self::AccountTerminated(_) => Vec::new(),
            Self::CancellationConfirmed(mail) => vec![("account_url", mail.account_url.as_str())],
            Self::CancellationUndone(mail) => vec![("account_url", mail.account_url.as_str())],
            Self::PasswordChanged(mail) => vec![("reveal_url", mail.reveal_url.as_str())],
            Self::RenewalInvoice(mail)
            | Self::RenewalAnnounced(mail)
            | Self::AccountExpiring(mail)
            | Self::RenewalReminder(mail)
            | Self::RenewalDueToday(mail)
            | Self::RenewalOverdue(mail)
            | Self::SuspensionWarning(mail)
            | Self::TerminationWarning(mail) => mail.links(),
        }
    }
}

fn with_site<'a>(link: (&'static str, &'a String), site_url: Option<&'a str>) -> Vec<(&'static str, &'a str)> {
    let mut links = vec![(link.0, link.1.as_str())];
    links.extend(site_url.map(|url| ("site_url", url)));
    links
}

/// Who writes: the shop's own name and addresses, from config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Shop {
    pub name: String,
    pub url: String,
    pub support_email: String,
}

/// A mail ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    pub text: String,
    pub html: String,
}
