//! What a declined card means for the next attempt.

/// What can be done about a decline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DeclineClass {
    /// Never try this card again: schemes fine those who do.
    Hard,
    /// The same card may work on another day.
    Soft,
    /// Only the customer can help: authenticate, or correct the card's data.
    NeedsCustomer,
}

/// Decline codes after which the same card is not tried again (docs.stripe.com/declines/codes).
const HARD: &[&str] = &[
    "card_not_supported",
    "currency_not_supported",
    "expired_card",
    "fraudulent",
    "incorrect_number",
    "invalid_account",
    "invalid_number",
    "lost_card",
    "merchant_blacklist",
    "new_account_information_available",
    "pickup_card",
    "restricted_card",
    "revocation_of_all_authorizations",
    "revocation_of_authorization",
    "security_violation",
    "stolen_card",
    "stop_payment_order",
    "transaction_not_allowed",
];

/// Reasons a customer must not be told: whoever holds the card may have stolen it.
const UNSPEAKABLE: &[&str] = &["fraudulent", "lost_card", "merchant_blacklist", "pickup_card", "stolen_card"];

impl DeclineClass {
    /// The issuer's advice counts most, then the decline code, then the error's code. What is unknown is `Soft`.
    #[must_use]
    pub fn of(advice_code: Option<&str>, decline_code: Option<&str>, code: Option<&str>) -> Self {
        match advice_code {
            Some("do_not_try_again") => return Self::Hard,
            Some("try_again_later") => return Self::Soft,
            Some("confirm_card_data") => return Self::NeedsCustomer,
            Some(_) | None => {}
        }
        match decline_code.or(code) {
            Some("authentication_required") => Self::NeedsCustomer,
            Some(reason) if HARD.contains(&reason) => Self::Hard,
            // `card_declined` and the soft codes, but also codes that are not known yet: few tries, then it ends by itself.
            Some(_) | None => Self::Soft,
        }
    }
}

/// Whether the customer may read why the card was declined; otherwise say only that it was.
#[must_use]
pub fn may_be_told(decline_code: &str) -> bool {
    !UNSPEAKABLE.contains(&decline_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(advice_code: Option<&str>, decline_code: Option<&str>, code: Option<&str>, expected: DeclineClass) {
        let class = DeclineClass::of(advice_code, decline_code, code);
        assert_eq!(class, expected, "{advice_code:?} {decline_code:?} {code:?}");
    }

    #[test]
    fn advice_outranks_the_decline_code() {
        let declined = Some("card_declined");
        check(Some("do_not_try_again"), Some("insufficient_funds"), declined, DeclineClass::Hard);
        check(Some("try_again_later"), Some("stolen_card"), declined, DeclineClass::Soft);
        check(Some("confirm_card_data"), Some("generic_decline"), declined, DeclineClass::NeedsCustomer);
        check(Some("some_new_advice"), Some("stolen_card"), declined, DeclineClass::Hard);
    }

    #[test]
    fn decline_codes_have_the_documented_class() {
        for hard in HARD {
            check(None, Some(hard), Some("card_declined"), DeclineClass::Hard);
        }
        for soft in [
            "insufficient_funds",
            "do_not_honor",
            "generic_decline",
            "try_again_later",
            "processing_error",
            "issuer_not_available",
            "reenter_transaction",
            "card_velocity_exceeded",
            "withdrawal_count_limit_exceeded",
            "approve_with_id",
            "call_issuer",
            "no_action_taken",
            "a_code_of_tomorrow",
        ] {
            check(None, Some(soft), Some("card_declined"), DeclineClass::Soft);
        }
    }

    #[test]
    fn without_a_decline_code_the_errors_own_code_decides() {
        check(None, None, Some("authentication_required"), DeclineClass::NeedsCustomer);
        check(None, None, Some("expired_card"), DeclineClass::Hard);
        check(None, None, Some("card_declined"), DeclineClass::Soft);
        check(None, None, None, DeclineClass::Soft);
    }

    #[test]
    fn a_thief_is_not_told_that_the_card_is_known_to_be_stolen() {
        assert!(!may_be_told("stolen_card"));
        assert!(may_be_told("insufficient_funds"));
    }
}
