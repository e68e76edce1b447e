//! What Berth writes to customers: one typed context per mail, and its rendering.
//!
//! A mail is decided together with the fact it tells of, stored as JSON in a row, and rendered when it is sent.

mod context;
mod mjml;
mod renderer;
mod sample;
mod templates;
#[cfg(test)]
mod tests;

pub use renderer::{RenderError, Renderer};
pub use templates::TemplateError;

use berth_jobs::ids::{AccountId, OrderId, PlanChangeId};
use serde::{Deserialize, Serialize};

/// A mail that is owed to a customer. As JSON: the context's fields and a `kind`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Mail {
    OrderConfirmation(OrderConfirmation),
    Welcome(Welcome),
    PackageChanged(PackageChanged),
    ChangeNotMade(ChangeNotMade),
    Digest(Digest),
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

/// Tells the customer that their account is what they changed it to. Amounts are decimal text; `"0.00"` is not shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackageChanged {
    pub change_id: PlanChangeId,
    pub account_id: AccountId,
    pub customer_name: Option<String>,
    /// What it was.
    pub previous_name: String,
    /// What it is now.
    pub service_name: String,
    /// What was paid, by card or on a page.
    pub paid: String,
    /// What was paid from the credit.
    pub from_credit: String,
    /// What was credited.
    pub credited: String,
    /// ISO 4217, upper case.
    pub currency: String,
    /// The end of the period that is paid for.
    pub expires_at: jiff::Timestamp,
    pub account_url: String,
}

/// Tells the customer that their account stays what it is, and where their money is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeNotMade {
    pub change_id: PlanChangeId,
    pub account_id: AccountId,
    pub customer_name: Option<String>,
    /// What it was to become.
    pub service_name: String,
    /// Why not: a sentence.
    pub reason: String,
    /// What they have of credit for it; `"0.00"` is not shown.
    pub credited: String,
    /// ISO 4217, upper case.
    pub currency: String,
    pub account_url: String,
}

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

impl Mail {
    /// Every kind, in the order of the variants.
    pub const KINDS: [&str; 5] = ["order_confirmation", "welcome", "package_changed", "change_not_made", "digest"];

    /// The mail's name in rows, logs and file names of templates.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::OrderConfirmation(_) => "order_confirmation",
            Self::Welcome(_) => "welcome",
            Self::PackageChanged(_) => "package_changed",
            Self::ChangeNotMade(_) => "change_not_made",
            Self::Digest(_) => "digest",
        }
    }

    /// The key under which this mail is owed at most once: `welcome:acc_…`.
    #[must_use]
    pub fn dedupe_key(&self) -> String {
        match self {
            Self::OrderConfirmation(mail) => format!("{}:{}", self.kind(), mail.order_id),
            Self::Welcome(mail) => format!("{}:{}", self.kind(), mail.account_id),
            Self::PackageChanged(mail) => format!("{}:{}", self.kind(), mail.change_id),
            Self::ChangeNotMade(mail) => format!("{}:{}", self.kind(), mail.change_id),
            Self::Digest(mail) => digest_key(mail.day),
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
            Self::PackageChanged(mail) => vec![("account_url", mail.account_url.as_str())],
            Self::ChangeNotMade(mail) => vec![("account_url", mail.account_url.as_str())],
            Self::Digest(_) => Vec::new(),
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
