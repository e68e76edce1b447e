//! Cards, as far as they are shown and expire.

use jiff::{Span, Timestamp, civil::Date, tz::TimeZone};

/// A card as its holder knows it: `Visa ending in 4242`.
#[must_use]
pub fn shown(brand: Option<&str>, last4: Option<&str>) -> String {
    let brand = match brand {
        Some("visa") => "Visa",
        Some("mastercard") => "Mastercard",
        Some("amex") => "American Express",
        Some("diners") => "Diners Club",
        Some("discover") => "Discover",
        Some("jcb") => "JCB",
        Some("unionpay") => "UnionPay",
        Some(_) | None => "Card",
    };
    last4.map_or_else(|| brand.to_owned(), |digits| format!("{brand} ending in {digits}"))
}

/// The end of a card's last month, in UTC. A card that does not say when it expires does not expire.
#[must_use]
pub fn end_of_last_month(year: Option<i16>, month: Option<i16>) -> Timestamp {
    let end = || {
        let first = Date::new(year?, i8::try_from(month?).ok()?, 1).ok()?;
        let next = first.checked_add(Span::new().months(1)).ok()?;
        Some(next.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    end().unwrap_or(NEVER)
}

/// The last day of 9998: later than anything that is ever compared with it, and a time that a database can hold.
const NEVER: Timestamp = Timestamp::constant(253_370_764_800, 0);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_works_until_its_last_month_is_over() {
        let end = |year, month| end_of_last_month(Some(year), Some(month)).to_string();

        assert_eq!(end(2027, 2), "2027-03-01T00:00:00Z");
        assert_eq!(end(2026, 12), "2027-01-01T00:00:00Z");
    }

    #[test]
    fn a_card_that_says_nothing_or_nonsense_does_not_expire() {
        for (year, month) in [(None, Some(1)), (Some(2027), None), (Some(2027), Some(13)), (Some(9999), Some(12))] {
            assert!(end_of_last_month(year, month) >= NEVER, "{year:?} {month:?}");
        }
    }

    #[test]
    fn a_card_is_shown_as_its_holder_knows_it() {
        assert_eq!(shown(Some("visa"), Some("4242")), "Visa ending in 4242");
        assert_eq!(shown(Some("a brand of tomorrow"), Some("0001")), "Card ending in 0001");
        assert_eq!(shown(None, None), "Card");
    }
}
