//! What Stripe asks of amounts: currencies by three letters, and a least and a largest charge.

use super::error::StripeError;

const LARGEST: i64 = 99_999_999;
const USUAL_LEAST: i64 = 50;

/// Least charges in minor units where they are not 50 (docs.stripe.com/currencies).
const LEAST: &[(&str, i64)] = &[
    ("aed", 200),
    ("czk", 1_500),
    ("dkk", 250),
    ("gbp", 30),
    ("hkd", 400),
    ("huf", 17_500),
    ("mxn", 1_000),
    ("myr", 200),
    ("nok", 300),
    ("pln", 200),
    ("ron", 200),
    ("sek", 300),
    ("thb", 1_000),
];

/// The currency in lower case, as Stripe answers it.
pub(super) fn currency(text: &str, param: &str) -> Result<String, StripeError> {
    let lower = text.to_ascii_lowercase();
    if lower.len() == 3 && lower.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return Ok(lower);
    }
    Err(StripeError::refused(format!("Invalid currency: {text}.")).param(param).not_kept())
}

/// Refuses what is too little or too much to charge.
pub(super) fn check_amount(amount: i64, currency: &str, param: &str) -> Result<(), StripeError> {
    let least = LEAST.iter().find(|(name, _least)| *name == currency).map_or(USUAL_LEAST, |(_name, least)| *least);
    if amount < 1 {
        return Err(StripeError::invalid(
            "parameter_invalid_integer",
            param,
            "This value must be greater than or equal to 1.",
        ));
    }
    if amount < least {
        return Err(StripeError::refused(format!("Amount must be at least {least} {currency} in minor units"))
            .code("amount_too_small")
            .param(param));
    }
    if amount > LARGEST {
        return Err(StripeError::refused(format!("Amount must be no more than {LARGEST} {currency} in minor units"))
            .code("amount_too_large")
            .param(param));
    }
    Ok(())
}
