//! What customers are told of an account that is to be renewed, or was not.

use berth_jobs::ids::{AccountId, OrderId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// Tells the customer how an account stands: its renewal, what is due for it, and what becomes of it otherwise. Amounts are
/// decimal text at the currency's scale: `"9.99"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountNotice {
    pub account_id: AccountId,
    /// The end of what is paid for.
    pub due_at: Timestamp,
    /// Which notice it is, where several of a kind are sent: `reminder_2`.
    pub step: Option<String>,
    pub customer_name: Option<String>,
    /// What was bought, in the catalogue's words: `Shared Hosting`.
    pub service_name: String,
    /// The name of its site, or its user name.
    pub site: Option<String>,
    /// The order that renews it.
    pub order_id: Option<OrderId>,
    pub total: Option<String>,
    /// How much of it the credit pays.
    pub credit: Option<String>,
    /// What is left to be paid.
    pub due: Option<String>,
    /// ISO 4217, upper case.
    pub currency: Option<String>,
    /// Until when it will be paid for.
    pub period_end: Option<Timestamp>,
    /// When the card is charged by itself.
    pub charged_at: Option<Timestamp>,
    /// The card that is charged: `Visa ending in 4242`.
    pub card: Option<String>,
    /// When what the notice warns of happens.
    pub happens_at: Option<Timestamp>,
    /// Where it can be paid.
    pub pay_url: Option<String>,
    /// Where the account can be looked at.
    pub manage_url: String,
}

impl AccountNotice {
    /// A notice that says nothing but which account it is about.
    #[must_use]
    pub fn new(account_id: AccountId, due_at: Timestamp, service_name: String, manage_url: String) -> Self {
        Self {
            account_id,
            due_at,
            step: None,
            customer_name: None,
            service_name,
            site: None,
            order_id: None,
            total: None,
            credit: None,
            due: None,
            currency: None,
            period_end: None,
            charged_at: None,
            card: None,
            happens_at: None,
            pay_url: None,
            manage_url,
        }
    }

    /// The key under which it is owed at most once: an invoice once an order, a notice once a step of a D.
    pub(super) fn key(&self, kind: &str) -> String {
        match (self.order_id, &self.step) {
            (Some(order_id), None) => format!("{kind}:{order_id}"),
            (_, step) => {
                let step = step.as_deref().unwrap_or_default();
                format!("{kind}:{}:{}:{step}", self.account_id, self.due_at)
            }
        }
    }

    pub(super) fn links(&self) -> Vec<(&'static str, &str)> {
        let mut links = vec![("manage_url", self.manage_url.as_str())];
        links.extend(self.pay_url.as_deref().map(|url| ("pay_url", url)));
        links
    }

    /// The same, to a person.
    #[must_use]
    pub fn to(self, customer_name: Option<String>) -> Self {
        Self { customer_name, ..self }
    }

    /// The same, with the name that its customer knows it by.
    #[must_use]
    pub fn of_site(self, site: Option<String>) -> Self {
        Self { site, ..self }
    }

    /// The same, with the card that is charged: its brand and last four digits.
    #[must_use]
    pub fn with_card(self, card: Option<(Option<String>, Option<String>)>) -> Self {
        Self { card: card.and_then(|(brand, last4)| card_name(brand.as_deref(), last4.as_deref())), ..self }
    }
}

/// How a card is called: `Visa ending in 4242`.
#[must_use]
pub fn card_name(brand: Option<&str>, last4: Option<&str>) -> Option<String> {
    let last4 = last4?;
    let brand = brand.filter(|brand| !brand.is_empty()).unwrap_or("card");
    let mut letters = brand.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    Some(format!("{first}{} ending in {last4}", letters.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_is_named_by_its_brand_and_last_digits_or_not_at_all() {
        assert_eq!(card_name(Some("visa"), Some("4242")).as_deref(), Some("Visa ending in 4242"));
        assert_eq!(card_name(None, Some("4242")).as_deref(), Some("Card ending in 4242"));
        assert_eq!(card_name(Some("visa"), None), None);
    }
}
