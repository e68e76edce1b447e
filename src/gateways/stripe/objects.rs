//! The parts of Stripe's objects that Berth reads: ids and what decides are essential, everything else may be absent.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;

use super::fields::{null_is_default, reference, seconds};
use crate::domain::{
    decline::{DeclineClass, Declined},
    money::{Currency, Money},
};

/// Key and value pairs that come back unchanged. At most 50, keys to 40 and values to 500 characters, no personal data.
pub type Metadata = BTreeMap<String, String>;

/// An amount in the smallest unit that Stripe counts the currency in (which is not always ISO 4217's).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Amount {
    /// Cents of a dollar, whole yen.
    pub minor: i64,
    /// Lower-case code of three letters.
    pub currency: String,
}

impl Amount {
    /// Takes the code in either case.
    #[must_use]
    pub fn new(minor: i64, currency: &str) -> Self {
        Self { minor, currency: currency.to_ascii_lowercase() }
    }

    fn of(minor: Option<i64>, currency: Option<&str>) -> Option<Self> {
        Some(Self::new(minor?, currency?))
    }
}

/// Who pays.
#[derive(Debug, Clone, Deserialize)]
pub struct Customer {
    /// `cus_…`
    pub id: String,
    /// Set on the stub that is left of a deleted customer.
    #[serde(default)]
    pub deleted: bool,
    /// Ours.
    #[serde(default, deserialize_with = "null_is_default")]
    pub metadata: Metadata,
}

/// A page hosted by Stripe on which an order is paid.
#[derive(Debug, Clone, Deserialize)]
pub struct CheckoutSession {
    /// `cs_…`
    pub id: String,
    /// Where to send the customer; absent once the session is no longer open.
    pub url: Option<String>,
    /// Whether the page can still be used.
    pub status: Option<CheckoutStatus>,
    /// Whether money came: `complete` does not say so.
    pub payment_status: Option<CheckoutPaymentStatus>,
    /// The total in minor units.
    pub amount_total: Option<i64>,
    /// Lower case.
    pub currency: Option<String>,
    /// `payment`, `setup` or `subscription`.
    pub mode: Option<String>,
    /// False in test mode.
    pub livemode: Option<bool>,
    /// `pi_…`
    #[serde(default, deserialize_with = "reference")]
    pub payment_intent: Option<String>,
    /// `seti_…`, in setup mode.
    #[serde(default, deserialize_with = "reference")]
    pub setup_intent: Option<String>,
    /// `cus_…`
    #[serde(default, deserialize_with = "reference")]
    pub customer: Option<String>,
    /// Our order.
    pub client_reference_id: Option<String>,
    /// Ours.
    #[serde(default, deserialize_with = "null_is_default")]
    pub metadata: Metadata,
    /// When an unused page closes.
    #[serde(default, deserialize_with = "seconds")]
    pub expires_at: Option<Timestamp>,
}

impl CheckoutSession {
    /// The total, to be compared with the order's before anything is fulfilled.
    #[must_use]
    pub fn total(&self) -> Option<Amount> {
        Amount::of(self.amount_total, self.currency.as_deref())
    }

    /// As [`total`](Self::total), in money; `None` also where it is nothing, or in a currency that Berth does not take.
    #[must_use]
    pub fn money(&self) -> Option<Money> {
        let total = self.total()?;
        let currency: Currency = total.currency.to_ascii_uppercase().parse().ok()?;
        Money::from_minor(total.minor, currency).ok().filter(|amount| !amount.is_zero())
    }
}

/// Whether a session can still be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckoutStatus {
    /// The customer may still pay.
    Open,
    /// The customer has finished; see the payment status.
    Complete,
    /// Too late, or expired by us.
    Expired,
    /// A word that is not known yet.
    #[serde(other)]
    Unknown,
}

/// Whether a session's money came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckoutPaymentStatus {
    /// The money is there.
    Paid,
    /// Not yet: a slow method may still succeed, days later.
    Unpaid,
    /// There was nothing to pay.
    NoPaymentRequired,
    /// A word that is not known yet.
    #[serde(other)]
    Unknown,
}

/// One payment, over all its attempts: at most one of them succeeds.
#[derive(Debug, Clone, Deserialize)]
pub struct PaymentIntent {
    /// `pi_…`
    pub id: String,
    /// Where the payment stands.
    pub status: PaymentIntentStatus,
    /// Asked for, in minor units.
    pub amount: Option<i64>,
    /// Received, in minor units.
    pub amount_received: Option<i64>,
    /// Lower case.
    pub currency: Option<String>,
    /// False in test mode.
    pub livemode: Option<bool>,
    /// When it was made.
    #[serde(default, deserialize_with = "seconds")]
    pub created: Option<Timestamp>,
    /// `cus_…`
    #[serde(default, deserialize_with = "reference")]
    pub customer: Option<String>,
    /// `pm_…`
    #[serde(default, deserialize_with = "reference")]
    pub payment_method: Option<String>,
    /// `ch_…`
    #[serde(default, deserialize_with = "reference")]
    pub latest_charge: Option<String>,
    /// Ours.
    #[serde(default, deserialize_with = "null_is_default")]
    pub metadata: Metadata,
    /// Why the latest attempt failed.
    pub last_payment_error: Option<PaymentError>,
}

impl PaymentIntent {
    /// What was asked for.
    #[must_use]
    pub fn asked(&self) -> Option<Amount> {
        Amount::of(self.amount, self.currency.as_deref())
    }

    /// What came in.
    #[must_use]
    pub fn received(&self) -> Option<Amount> {
        Amount::of(self.amount_received, self.currency.as_deref())
    }
}

/// Where a payment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PaymentIntentStatus {
    /// New, or the latest attempt was declined.
    RequiresPaymentMethod,
    /// Has a payment method and waits to be confirmed.
    RequiresConfirmation,
    /// The customer has to authenticate.
    RequiresAction,
    /// The bank is at it.
    Processing,
    /// Authorised, not captured; Berth does not ask for this.
    RequiresCapture,
    /// Will never be paid.
    Canceled,
    /// Paid.
    Succeeded,
    /// A word that is not known yet.
    #[serde(other)]
    Unknown,
}

/// Why an attempt failed.
#[derive(Debug, Clone, Deserialize)]
pub struct PaymentError {
    /// Mostly `card_declined`.
    pub code: Option<String>,
    /// The issuer's reason.
    pub decline_code: Option<String>,
    /// The card scheme's advice.
    pub advice_code: Option<String>,
    /// `pm_…`, the method that failed.
    #[serde(default, deserialize_with = "reference")]
    pub payment_method: Option<String>,
}

impl PaymentError {
    /// What can be done about it.
    #[must_use]
    pub fn class(&self) -> DeclineClass {
        let (code, decline_code) = (self.code.as_deref(), self.decline_code.as_deref());
        Declined { code, decline_code, advice_code: self.advice_code.as_deref() }.class()
    }
}

/// Money going back.
#[derive(Debug, Clone, Deserialize)]
pub struct Refund {
    /// `re_…`
    pub id: String,
    /// Where it stands; absent in old API versions.
    pub status: Option<RefundStatus>,
    /// In minor units.
    pub amount: Option<i64>,
    /// Lower case.
    pub currency: Option<String>,
    /// `ch_…`
    #[serde(default, deserialize_with = "reference")]
    pub charge: Option<String>,
    /// `pi_…`
    #[serde(default, deserialize_with = "reference")]
    pub payment_intent: Option<String>,
    /// Why the bank sent it back.
    pub failure_reason: Option<String>,
    /// Stripe's word for why it was made.
    pub reason: Option<String>,
    /// When it was made.
    #[serde(default, deserialize_with = "seconds")]
    pub created: Option<Timestamp>,
    /// Ours.
    #[serde(default, deserialize_with = "null_is_default")]
    pub metadata: Metadata,
}

/// Where a refund stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefundStatus {
    /// On its way.
    Pending,
    /// The customer has to do something.
    RequiresAction,
    /// Sent; it may still fail days later.
    Succeeded,
    /// The money is back in our balance, and the customer has not got it.
    Failed,
    /// Called back.
    Canceled,
    /// A word that is not known yet.
    #[serde(other)]
    Unknown,
}

/// One movement of money on a card.
#[derive(Debug, Clone, Deserialize)]
pub struct Charge {
    /// `ch_…`
    pub id: String,
    /// In minor units.
    pub amount: Option<i64>,
    /// All refunds so far together, in minor units: not the latest one.
    pub amount_refunded: Option<i64>,
    /// Lower case.
    pub currency: Option<String>,
    /// `succeeded`, `pending` or `failed`.
    pub status: Option<String>,
    /// When it was made.
    #[serde(default, deserialize_with = "seconds")]
    pub created: Option<Timestamp>,
    /// Refunded whole.
    #[serde(default)]
    pub refunded: bool,
    /// A dispute was opened.
    #[serde(default)]
    pub disputed: bool,
    /// `cus_…`
    #[serde(default, deserialize_with = "reference")]
    pub customer: Option<String>,
    /// `pi_…`
    #[serde(default, deserialize_with = "reference")]
    pub payment_intent: Option<String>,
    /// Ours.
    #[serde(default, deserialize_with = "null_is_default")]
    pub metadata: Metadata,
}

/// A customer's bank wants the money back.
#[derive(Debug, Clone, Deserialize)]
pub struct Dispute {
    /// `du_…` or `dp_…`
    pub id: String,
    /// `needs_response`, `under_review`, `won`, `lost`, `warning_…`
    pub status: Option<String>,
    /// What the cardholder claims.
    pub reason: Option<String>,
    /// When it was opened.
    #[serde(default, deserialize_with = "seconds")]
    pub created: Option<Timestamp>,
    /// In minor units.
    pub amount: Option<i64>,
    /// Lower case.
    pub currency: Option<String>,
    /// `ch_…`
    #[serde(default, deserialize_with = "reference")]
    pub charge: Option<String>,
    /// `pi_…`
    #[serde(default, deserialize_with = "reference")]
    pub payment_intent: Option<String>,
}

/// The issuer suspects fraud; a dispute often follows.
#[derive(Debug, Clone, Deserialize)]
pub struct EarlyFraudWarning {
    /// `issfr_…`
    pub id: String,
    /// Neither refunded nor disputed yet.
    #[serde(default)]
    pub actionable: bool,
    /// `ch_…`
    #[serde(default, deserialize_with = "reference")]
    pub charge: Option<String>,
    /// `pi_…`
    #[serde(default, deserialize_with = "reference")]
    pub payment_intent: Option<String>,
}

/// The saving of a card without a payment.
#[derive(Debug, Clone, Deserialize)]
pub struct SetupIntent {
    /// `seti_…`
    pub id: String,
    /// `succeeded`, `requires_payment_method` …
    pub status: Option<String>,
    /// `cus_…`
    #[serde(default, deserialize_with = "reference")]
    pub customer: Option<String>,
    /// `pm_…`
    #[serde(default, deserialize_with = "reference")]
    pub payment_method: Option<String>,
    /// Ours.
    #[serde(default, deserialize_with = "null_is_default")]
    pub metadata: Metadata,
}

/// A saved way to pay.
#[derive(Debug, Clone, Deserialize)]
pub struct PaymentMethod {
    /// `pm_…`
    pub id: String,
    /// `card` …
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// When it was made, which is when it was saved.
    #[serde(default, deserialize_with = "seconds")]
    pub created: Option<Timestamp>,
    /// `cus_…`; absent when detached.
    #[serde(default, deserialize_with = "reference")]
    pub customer: Option<String>,
    /// Of a card only.
    pub card: Option<Card>,
}

/// What may be shown of a card.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Card {
    /// `visa` …
    pub brand: Option<String>,
    /// The last four digits.
    pub last4: Option<String>,
    /// 1 to 12.
    pub exp_month: Option<i16>,
    /// Four digits.
    pub exp_year: Option<i16>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_of_tomorrow_is_unknown_and_not_an_error() {
        let intent: PaymentIntent =
            serde_json::from_str(r#"{"id":"pi_1","status":"pondering","metadata":null}"#).unwrap();

        assert_eq!(intent.status, PaymentIntentStatus::Unknown);
        assert!(intent.metadata.is_empty());
    }

    #[test]
    fn an_intent_without_a_status_is_an_error() {
        assert!(serde_json::from_str::<PaymentIntent>(r#"{"id":"pi_1"}"#).is_err());
    }
}
