//! Stripe's test payment methods (`pm_card_…`) and how each behaves when it is charged.

use serde_json::{Value, json};

use super::error::StripeError;

/// What a charge on a card comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Succeeds,
    /// Refused with this decline code.
    Declines(String),
    /// Refused off-session; on-session the customer is asked to authenticate.
    NeedsAuthentication,
    /// Settles later, when the control endpoint says so.
    Processes,
}

impl Outcome {
    /// `succeed`, `authentication_required`, `processing`, or a decline code.
    pub(super) fn parse(text: &str) -> Self {
        match text {
            "succeed" => Self::Succeeds,
            "authentication_required" => Self::NeedsAuthentication,
            "processing" => Self::Processes,
            decline_code => Self::Declines(decline_code.into()),
        }
    }
}

/// A test payment method's card.
#[derive(Debug, Clone)]
pub(super) struct TestCard {
    pub(super) brand: &'static str,
    pub(super) last4: &'static str,
    pub(super) outcome: Outcome,
    /// Whether a customer may keep it: Stripe tries a card when it is attached.
    pub(super) attaches: bool,
    /// Refunds of its charges start `pending`.
    pub(super) refunds_wait: bool,
}

const DECLINES: &[(&str, &str, &str)] = &[
    ("pm_card_visa_chargeDeclined", "generic_decline", "0002"),
    ("pm_card_chargeDeclined", "generic_decline", "0002"),
    ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds", "9995"),
    ("pm_card_chargeDeclinedInsufficientFunds", "insufficient_funds", "9995"),
    ("pm_card_visa_chargeDeclinedLostCard", "lost_card", "9987"),
    ("pm_card_chargeDeclinedLostCard", "lost_card", "9987"),
    ("pm_card_visa_chargeDeclinedStolenCard", "stolen_card", "9979"),
    ("pm_card_chargeDeclinedStolenCard", "stolen_card", "9979"),
    ("pm_card_chargeDeclinedFraudulent", "fraudulent", "0019"),
    ("pm_card_radarBlock", "fraudulent", "0019"),
    ("pm_card_chargeDeclinedExpiredCard", "expired_card", "0069"),
    ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "0127"),
    ("pm_card_chargeDeclinedProcessingError", "processing_error", "0119"),
    ("pm_card_chargeDeclinedVelocityLimitExceeded", "card_velocity_exceeded", "6975"),
    ("pm_card_visa_chargeDeclinedVelocityLimitExceeded", "card_velocity_exceeded", "6975"),
];

/// The card a token stands for. Beyond Stripe's own tokens: `pm_card_chargeDeclined_<decline_code>`
/// declines with any code, `pm_card_chargeCustomerFail_<decline_code>` does so only once attached to
/// a customer, and `pm_card_processing` settles later.
pub(super) fn test_card(token: &str) -> Option<TestCard> {
    let plain = |brand, last4, outcome| TestCard { brand, last4, outcome, attaches: true, refunds_wait: false };
    let declines =
        |code: &str, last4, attaches| TestCard { attaches, ..plain("visa", last4, Outcome::Declines(code.into())) };
    let card = match token {
        "pm_card_visa" | "pm_card_us" | "pm_card_bypassPending" | "pm_card_refundFail" => {
            plain("visa", "4242", Outcome::Succeeds)
        }
        "pm_card_visa_debit" => plain("visa", "5556", Outcome::Succeeds),
        "pm_card_mastercard" => plain("mastercard", "4444", Outcome::Succeeds),
        "pm_card_amex" => plain("amex", "8431", Outcome::Succeeds),
        "pm_card_pendingRefund" => TestCard { refunds_wait: true, ..plain("visa", "5126", Outcome::Succeeds) },
        "pm_card_processing" => plain("visa", "3725", Outcome::Processes),
        "pm_card_chargeCustomerFail" => declines("generic_decline", "0341", true),
        "pm_card_authenticationRequired" | "pm_card_threeDSecure2Required" => {
            plain("visa", "3184", Outcome::NeedsAuthentication)
        }
        "pm_card_authenticationRequiredOnSetup" => plain("visa", "3155", Outcome::NeedsAuthentication),
        other => {
            if let Some((_token, code, last4)) = DECLINES.iter().find(|(token, _code, _last4)| *token == other) {
                return Some(declines(code, last4, false));
            }
            if let Some(code) = other.strip_prefix("pm_card_chargeDeclined_") {
                return Some(declines(code, "0002", false));
            }
            return other.strip_prefix("pm_card_chargeCustomerFail_").map(|code| declines(code, "0341", true));
        }
    };
    Some(card)
}

/// Whether a text looks like a test token rather than like the id of a payment method.
pub(super) fn is_token(text: &str) -> bool {
    text.starts_with("pm_card_")
}

/// What Stripe says about a decline: `code`, message, `advice_code` and the network's code.
pub(super) struct Decline {
    pub(super) code: String,
    pub(super) decline_code: String,
    pub(super) message: &'static str,
    pub(super) advice_code: &'static str,
    pub(super) network_decline_code: &'static str,
}

impl Decline {
    pub(super) fn of(decline_code: &str) -> Self {
        let (message, advice_code, network_decline_code) = match decline_code {
            "insufficient_funds" => ("Your card has insufficient funds.", "try_again_later", "51"),
            "expired_card" => ("Your card has expired.", "confirm_card_data", "54"),
            "incorrect_cvc" => ("Your card's security code is incorrect.", "confirm_card_data", "N7"),
            "processing_error" => {
                ("An error occurred while processing your card. Try again in a little bit.", "try_again_later", "96")
            }
            "card_not_supported" => ("Your card does not support this type of purchase.", "do_not_try_again", "57"),
            "authentication_required" => {
                ("Your card was declined. This transaction requires authentication.", "confirm_card_data", "1A")
            }
            "lost_card" => ("Your card was declined.", "do_not_try_again", "41"),
            "stolen_card" => ("Your card was declined.", "do_not_try_again", "43"),
            "fraudulent" | "pickup_card" | "restricted_card" | "invalid_account" | "stop_payment_order" => {
                ("Your card was declined.", "do_not_try_again", "04")
            }
            _ => ("Your card was declined.", "try_again_later", "05"),
        };
        let code = match decline_code {
            "expired_card" | "incorrect_cvc" | "processing_error" | "authentication_required" => decline_code,
            _ => "card_declined",
        };
        Self { code: code.into(), decline_code: decline_code.into(), message, advice_code, network_decline_code }
    }

    /// The 402 a request gets, without the objects it names.
    pub(super) fn error(&self) -> StripeError {
        StripeError::new(402, "card_error", self.message)
            .code(&self.code)
            .with("decline_code", self.decline_code.clone().into())
            .with("advice_code", self.advice_code.into())
            .with("network_decline_code", self.network_decline_code.into())
    }

    /// A charge's `outcome`.
    pub(super) fn outcome(&self) -> Value {
        json!({
            "advice_code": self.advice_code,
            "network_advice_code": null,
            "network_decline_code": self.network_decline_code,
            "network_status": "declined_by_network",
            "reason": self.decline_code,
            "risk_level": "normal",
            "risk_score": 20,
            "seller_message": "The bank did not return any further details with this decline.",
            "type": "issuer_declined",
        })
    }
}
