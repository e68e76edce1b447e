//! What Berth writes to customers: one typed context per mail, and its rendering.
//!
//! A mail is decided together with the fact it tells of, stored as JSON in a row, and rendered when it is sent.

mod account_notice;
mod context;
mod mjml;
mod renderer;
mod sample;
mod templates;
#[cfg(test)]
mod tests;

pub use account_notice::{AccountNotice, card_name};
pub use renderer::{RenderError, Renderer};
pub use templates::TemplateError;

use berth_jobs::ids::{AccountId, OrderId};
use serde::{Deserialize, Serialize};

/// A mail that is owed to a customer. As JSON: the context's fields and a `kind`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Mail {
    OrderConfirmation(OrderConfirmation),
    Welcome(Welcome),
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
    pub const KINDS: [&str; 10] = [
        "order_confirmation",
        "welcome",
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
        match self {
            Self::OrderConfirmation(mail) => format!("{}:{}", self.kind(), mail.order_id),
            Self::Welcome(mail) => format!("{}:{}", self.kind(), mail.account_id),
            Self::RenewalInvoice(mail)
            | Self::RenewalAnnounced(mail)
            | Self::AccountExpiring(mail)
            | Self::RenewalReminder(mail)
            | Self::RenewalDueToday(mail)
            | Self::RenewalOverdue(mail)
            | Self::SuspensionWarning(mail)
            | Self::TerminationWarning(mail) => match (mail.order_id, &mail.step) {
                (Some(order_id), None) => format!("{}:{order_id}", self.kind()),
                (_, step) => {
                    let step = step.as_deref().unwrap_or_default();
                    format!("{}:{}:{}:{step}", self.kind(), mail.account_id, mail.due_at)
                }
            },
        }
    }

    /// The account whose next step may wait until this mail is delivered: nobody is suspended who was not told.
    #[must_use]
    pub fn awaited_by(&self) -> Option<AccountId> {
        match self {
            Self::OrderConfirmation(_) | Self::Welcome(_) => None,
            Self::RenewalInvoice(mail)
            | Self::RenewalAnnounced(mail)
            | Self::AccountExpiring(mail)
            | Self::RenewalReminder(mail)
            | Self::RenewalDueToday(mail)
            | Self::RenewalOverdue(mail)
            | Self::SuspensionWarning(mail)
            | Self::TerminationWarning(mail) => Some(mail.account_id),
        }
    }

    /// The links a reader may click, each with its field's name.
    fn links(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::OrderConfirmation(mail) => vec![("order_url", mail.order_url.as_str())],
            Self::Welcome(mail) => {
                let mut links = vec![("site_url", mail.site_url.as_str()), ("reveal_url", mail.reveal_url.as_str())];
                links.extend(mail.control_panel_url.as_deref().map(|url| ("control_panel_url", url)));
                links
            }
            Self::RenewalInvoice(mail)
            | Self::RenewalAnnounced(mail)
            | Self::AccountExpiring(mail)
            | Self::RenewalReminder(mail)
            | Self::RenewalDueToday(mail)
            | Self::RenewalOverdue(mail)
            | Self::SuspensionWarning(mail)
            | Self::TerminationWarning(mail) => {
                let mut links = vec![("manage_url", mail.manage_url.as_str())];
                links.extend(mail.pay_url.as_deref().map(|url| ("pay_url", url)));
                links
            }
        }
    }
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
