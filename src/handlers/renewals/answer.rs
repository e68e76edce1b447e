//! What Stripe's answer says of a charge.

use crate::{
    domain::{
        decline::DeclineClass,
        money::{Currency, Money},
    },
    effects::ChargeDecline,
    gateways::stripe::{Amount, PaymentIntent, PaymentIntentStatus},
};

/// What became of a charge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The money has come.
    Paid {
        /// Stripe's intent.
        intent: String,
        /// How much it says that came.
        received: Option<Amount>,
    },
    /// It was declined, or the bank asks for the customer.
    Declined {
        /// Stripe's intent, where it says so.
        intent: Option<String>,
        /// Why.
        decline: ChargeDecline,
    },
    /// Nobody knows yet: the outcome is lost, or the bank is at it.
    Unknown {
        /// Stripe's intent, where it is known.
        intent: Option<String>,
    },
    /// It was certainly not made.
    NotMade,
    /// It was certainly not made, because Stripe does not know the card or its customer any more.
    CardGone,
}

impl Answer {
    /// What an intent says of the charge that was just made by it.
    pub(super) fn of(intent: PaymentIntent) -> Self {
        let received = intent.received();
        let id = intent.id;
        match intent.status {
            PaymentIntentStatus::Succeeded => Self::Paid { intent: id, received },
            PaymentIntentStatus::RequiresPaymentMethod => match intent.last_payment_error {
                Some(error) => Self::Declined {
                    decline: ChargeDecline {
                        class: error.class(),
                        code: error.code,
                        decline_code: error.decline_code,
                        advice_code: error.advice_code,
                    },
                    intent: Some(id),
                },
                None => Self::NotMade,
            },
            PaymentIntentStatus::RequiresAction => {
                let decline = ChargeDecline {
                    class: DeclineClass::NeedsCustomer,
                    code: None,
                    decline_code: None,
                    advice_code: None,
                };
                Self::Declined { intent: Some(id), decline }
            }
            PaymentIntentStatus::RequiresConfirmation | PaymentIntentStatus::Canceled => Self::NotMade,
            PaymentIntentStatus::Processing | PaymentIntentStatus::RequiresCapture | PaymentIntentStatus::Unknown => {
                Self::Unknown { intent: Some(id) }
            }
        }
    }
}

/// What Stripe counts in its smallest units, as money; `None` in a currency that Berth does not take.
pub(super) fn money(amount: &Amount) -> Option<Money> {
    let currency: Currency = amount.currency.to_ascii_uppercase().parse().ok()?;
    Money::from_minor(amount.minor, currency).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(rest: &str) -> Answer {
        Answer::of(serde_json::from_str(&format!(r#"{{"id":"pi_1",{rest}}}"#)).unwrap())
    }

    #[test]
    fn an_intents_status_says_what_became_of_the_charge() {
        let received = Some(Amount::new(499, "usd"));
        let paid = r#""status":"succeeded","amount_received":499,"currency":"usd""#;
        assert_eq!(answer(paid), Answer::Paid { intent: "pi_1".to_owned(), received });

        for waits in ["processing", "requires_capture", "pondering"] {
            let status = format!(r#""status":"{waits}""#);
            assert_eq!(answer(&status), Answer::Unknown { intent: Some("pi_1".to_owned()) }, "{waits}");
        }
        for nothing in ["requires_confirmation", "canceled", "requires_payment_method"] {
            assert_eq!(answer(&format!(r#""status":"{nothing}""#)), Answer::NotMade, "{nothing}");
        }
    }

    #[test]
    fn a_decline_is_told_with_its_class_and_an_action_is_the_customers() {
        let class = |rest: &str| {
            let Answer::Declined { decline, .. } = answer(rest) else { panic!("no decline: {rest}") };
            decline.class
        };
        let declined = |code: &str| {
            format!(
                r#""status":"requires_payment_method",
                   "last_payment_error":{{"code":"card_declined","decline_code":"{code}"}}"#
            )
        };

        assert_eq!(class(&declined("insufficient_funds")), DeclineClass::Soft);
        assert_eq!(class(&declined("stolen_card")), DeclineClass::Hard);
        assert_eq!(class(&declined("authentication_required")), DeclineClass::NeedsCustomer);
        assert_eq!(class(r#""status":"requires_action""#), DeclineClass::NeedsCustomer);
    }
}
