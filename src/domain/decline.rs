//! Declined charges: whether the same card can be tried again, and what the customer may be told.

/// What can be done about a declined charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeclineClass {
    /// This card is never to be tried again: another one is.
    Hard,
    /// The same card may work another day.
    Soft,
    /// The customer has to do something: confirm with their bank, or correct the card's data.
    NeedsCustomer,
}

impl DeclineClass {
    /// The name in the database.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hard => "hard",
            Self::Soft => "soft",
            Self::NeedsCustomer => "needs_customer",
        }
    }
}

/// A text in the database that is no such class.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no class of declines that this version knows")]
pub struct UnknownClass(pub String);

impl std::str::FromStr for DeclineClass {
    type Err = UnknownClass;

    fn from_str(name: &str) -> Result<Self, UnknownClass> {
        [Self::Hard, Self::Soft, Self::NeedsCustomer]
            .into_iter()
            .find(|class| class.as_str() == name)
            .ok_or_else(|| UnknownClass(name.to_owned()))
    }
}

/// Codes after which a card is never tried again (<https://docs.stripe.com/declines/codes>).
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

/// Codes that say that the bank asks for the customer.
const NEEDS_CUSTOMER: &[&str] = &["authentication_not_handled", "authentication_required"];

/// Codes that Stripe asks to keep from whoever holds the card: they may have stolen it.
const KEPT: &[&str] =
    &["fraudulent", "lost_card", "merchant_blacklist", "pickup_card", "security_violation", "stolen_card"];

/// What Stripe says of a declined charge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Declined<'a> {
    /// The error's `code`, such as `card_declined` or `expired_card`.
    pub code: Option<&'a str>,
    /// The bank's reason, such as `insufficient_funds`.
    pub decline_code: Option<&'a str>,
    /// What the bank or the card's network advises.
    pub advice_code: Option<&'a str>,
}

impl Declined<'_> {
    /// What can be done about it. The advice counts before the reason, the reason before the error; what nobody knows is
    /// soft: it is tried a few times.
    #[must_use]
    pub fn class(&self) -> DeclineClass {
        let is_one_of =
            |codes: &[&str]| [self.decline_code, self.code].into_iter().flatten().any(|code| codes.contains(&code));
        match self.advice_code {
            Some("do_not_try_again") => DeclineClass::Hard,
            // Trying without the customer cannot help, whenever it is.
            _ if is_one_of(NEEDS_CUSTOMER) => DeclineClass::NeedsCustomer,
            Some("confirm_card_data") => DeclineClass::NeedsCustomer,
            Some("try_again_later") => DeclineClass::Soft,
            _ if is_one_of(HARD) => DeclineClass::Hard,
            _ => DeclineClass::Soft,
        }
    }

    /// The reason, where the customer may be told.
    #[must_use]
    pub fn shown(&self) -> Option<&str> {
        let reason = self.decline_code.or(self.code)?;
        (!KEPT.contains(&reason)).then_some(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(class: DeclineClass, codes: &[&str]) {
        for code in codes {
            let as_reason = Declined { code: Some("card_declined"), decline_code: Some(code), advice_code: None };
            assert_eq!(as_reason.class(), class, "{code}");
            let as_error = Declined { code: Some(code), ..Declined::default() };
            assert_eq!(as_error.class(), class, "{code} as the error itself");
        }
    }

    #[test]
    fn every_code_has_its_class() {
        check(
            DeclineClass::Hard,
            &[
                "lost_card",
                "stolen_card",
                "pickup_card",
                "restricted_card",
                "fraudulent",
                "invalid_account",
                "invalid_number",
                "incorrect_number",
                "expired_card",
                "new_account_information_available",
                "card_not_supported",
                "currency_not_supported",
                "revocation_of_authorization",
                "revocation_of_all_authorizations",
                "stop_payment_order",
                "transaction_not_allowed",
                "security_violation",
                "merchant_blacklist",
            ],
        );
        check(
            DeclineClass::Soft,
            &[
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
                "a_code_of_next_year",
            ],
        );
        check(DeclineClass::NeedsCustomer, &["authentication_required"]);
        assert_eq!(Declined::default().class(), DeclineClass::Soft);
    }

    #[test]
    fn the_advice_counts_before_the_reason() {
        for (reason, advice, class) in [
            ("insufficient_funds", "do_not_try_again", DeclineClass::Hard),
            ("authentication_required", "do_not_try_again", DeclineClass::Hard),
            ("authentication_required", "try_again_later", DeclineClass::NeedsCustomer),
            ("generic_decline", "confirm_card_data", DeclineClass::NeedsCustomer),
            ("incorrect_number", "confirm_card_data", DeclineClass::NeedsCustomer),
            ("card_not_supported", "try_again_later", DeclineClass::Soft),
            ("lost_card", "an_advice_of_next_year", DeclineClass::Hard),
        ] {
            let declined = Declined { code: None, decline_code: Some(reason), advice_code: Some(advice) };
            assert_eq!(declined.class(), class, "{reason}, {advice}");
        }
    }

    #[test]
    fn who_may_have_stolen_the_card_is_not_told_why() {
        let shown = |code| {
            Declined { code: Some("card_declined"), decline_code: code, advice_code: None }.shown().map(str::to_owned)
        };

        assert_eq!(shown(Some("insufficient_funds")).as_deref(), Some("insufficient_funds"));
        assert_eq!(shown(None).as_deref(), Some("card_declined"));
        for code in KEPT {
            assert_eq!(shown(Some(code)), None, "{code}");
        }
    }

    fn check_told(advice_code: Option<&str>, decline_code: Option<&str>, code: Option<&str>, expected: DeclineClass) {
        let class = Declined { code, decline_code, advice_code }.class();
        assert_eq!(class, expected, "{advice_code:?} {decline_code:?} {code:?}");
    }

    #[test]
    fn advice_outranks_the_decline_code() {
        let declined = Some("card_declined");
        check_told(Some("do_not_try_again"), Some("insufficient_funds"), declined, DeclineClass::Hard);
        check_told(Some("try_again_later"), Some("stolen_card"), declined, DeclineClass::Soft);
        check_told(Some("confirm_card_data"), Some("generic_decline"), declined, DeclineClass::NeedsCustomer);
        check_told(Some("some_new_advice"), Some("stolen_card"), declined, DeclineClass::Hard);
    }

    #[test]
    fn decline_codes_have_the_documented_class() {
        for hard in HARD {
            check_told(None, Some(hard), Some("card_declined"), DeclineClass::Hard);
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
            check_told(None, Some(soft), Some("card_declined"), DeclineClass::Soft);
        }
    }

    #[test]
    fn without_a_decline_code_the_errors_own_code_decides() {
        check_told(None, None, Some("authentication_required"), DeclineClass::NeedsCustomer);
        check_told(None, None, Some("expired_card"), DeclineClass::Hard);
        check_told(None, None, Some("card_declined"), DeclineClass::Soft);
        check_told(None, None, None, DeclineClass::Soft);
    }

    #[test]
    fn a_thief_is_not_told_that_the_card_is_known_to_be_stolen() {
        let may_be_told = |reason| Declined { decline_code: Some(reason), ..Declined::default() }.shown().is_some();

        assert!(!may_be_told("stolen_card"));
        assert!(may_be_told("insufficient_funds"));
    }
}
