//! The mails of renewals that are charged, and of the cards that they are charged on.

use berth_jobs::ids::{AccountId, ChargeId, CustomerId, OrderId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Tells the customer that a renewal is paid. Amounts are decimal text at the currency's scale.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewalReceipt {
    pub order_id: OrderId,
    pub account_id: AccountId,
    pub customer_name: Option<String>,
    /// What is renewed, in the catalogue's words.
    pub service_name: String,
    /// Its site's name, where it has one of its own.
    pub domain: Option<String>,
    pub invoice_number: Option<String>,
    pub total: String,
    /// What of the total the customer's credit has paid; `"0.00"` is not shown.
    pub credit: String,
    /// What was charged; `"0.00"` where the credit has paid all.
    pub paid: String,
    /// ISO 4217, upper case.
    pub currency: String,
    /// `Visa ending in 4242`, where a saved card was charged.
    pub card: Option<String>,
    pub paid_at: Timestamp,
    pub period_start: Timestamp,
    pub period_end: Timestamp,
    pub invoice_url: String,
}

/// Tells the customer that their card was declined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentFailed {
    pub charge_id: ChargeId,
    pub order_id: OrderId,
    pub customer_name: Option<String>,
    pub service_name: String,
    pub domain: Option<String>,
    /// What was to be charged.
    pub amount: String,
    pub currency: String,
    /// `Visa ending in 4242`.
    pub card: String,
    /// The bank's reason in words of ours; none where there is nothing to be told, or it must not be.
    pub reason: Option<String>,
    /// When the card is tried again; none where only another card, or the customer, can pay.
    pub next_try: Option<Timestamp>,
    pub due_at: Timestamp,
    /// Where it can be paid at once, by any card.
    pub pay_url: String,
    pub cards_url: String,
}

/// Asks the customer to confirm a payment: their bank wants to hear from them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PaymentConfirmationNeeded {
    pub charge_id: ChargeId,
    pub order_id: OrderId,
    pub customer_name: Option<String>,
    pub service_name: String,
    pub domain: Option<String>,
    pub amount: String,
    pub currency: String,
    /// `Visa ending in 4242`.
    pub card: String,
    pub due_at: Timestamp,
    /// Where they confirm.
    pub pay_url: String,
}

/// Tells the customer that their card expires before what is to be charged on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CardExpiring {
    pub customer_id: CustomerId,
    /// Stripe's.
    pub card_id: String,
    /// Which notice of this card's month, from 1.
    pub number: usize,
    pub customer_name: Option<String>,
    /// `Visa ending in 4242`.
    pub card: String,
    /// `11/2026`
    pub last_month: String,
}

impl CardExpiring {
    /// How the last month of a card is told: `11/2026`.
    #[must_use]
    pub fn month(year: Option<i16>, month: Option<i16>) -> String {
        format!("{:02}/{}", month.unwrap_or_default(), year.unwrap_or_default())
    }

    /// The key of the notice of that number for a card and its last month.
    #[must_use]
    pub fn key(card_id: &str, last_month: &str, number: usize) -> String {
        format!("card_expiring:{card_id}:{last_month}:{number}")
    }
}
