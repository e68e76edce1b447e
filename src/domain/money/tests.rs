use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn money(text: &str, code: &str) -> Money {
    Money::parse(text, code.parse().unwrap()).unwrap()
}

/// What Stripe's page of currencies says.
#[derive(serde::Deserialize)]
struct StripeCurrencies {
    default_exponent: u32,
    zero_decimal: Vec<String>,
    times_100_multiples_of_100_only: Vec<String>,
    refuse: BTreeMap<String, String>,
    two_decimal_charges_but_zero_decimal_payouts: Vec<String>,
    minimum_charge_minor_units: BTreeMap<String, i64>,
}

fn stripe() -> StripeCurrencies {
    serde_json::from_str(include_str!("../../../tests/data/stripe/currencies.json")).unwrap()
}

#[test]
fn exponents_are_those_of_stripe() {
    let stripe = stripe();
    for currency in Currency::ALL {
        let code = currency.code().to_ascii_lowercase();
        let expected = if stripe.zero_decimal.contains(&code) { 0 } else { stripe.default_exponent };
        let in_hundreds = stripe.times_100_multiples_of_100_only.contains(&code);

        assert_eq!(currency.exponent(), expected, "{currency}");
        assert_eq!(currency.scale(), if in_hundreds { 0 } else { expected }, "{currency}");
    }
    assert!(stripe.zero_decimal.contains(&"jpy".to_owned()) && stripe.times_100_multiples_of_100_only == ["isk"]);
}

#[test]
fn currencies_that_stripe_treats_strangely_are_refused() {
    let stripe = stripe();
    let strange = stripe.refuse.keys().chain(&stripe.two_decimal_charges_but_zero_decimal_payouts);
    for code in strange.clone() {
        assert_eq!(code.parse::<Currency>(), Err(MoneyError::UnknownCurrency(code.clone())));
    }
    assert!(strange.count() >= 8 && stripe.refuse.contains_key("ugx"));
    for text in ["", "US", "USDX", "usd ", "€", "xxx"] {
        assert!(text.parse::<Currency>().is_err(), "{text:?}");
    }
}

#[test]
fn the_smallest_charges_are_those_of_stripe() {
    let stripe = stripe();
    for currency in Currency::ALL {
        let code = currency.code().to_ascii_lowercase();
        let published = stripe.minimum_charge_minor_units.get(&code).copied();

        // ISK alone has no published minimum.
        assert_eq!(currency.minimum_charge().to_minor(), Ok(published.unwrap_or(100)), "{currency}");
        assert_eq!(published.is_none(), *currency == Currency::Isk, "{currency}");
    }
}

#[test]
fn the_largest_charge_has_eight_digits() {
    assert_eq!(Currency::Usd.maximum_charge(), money("999999.99", "USD"));
    assert_eq!(Currency::Jpy.maximum_charge(), money("99999999", "JPY"));
    assert_eq!(Currency::Isk.maximum_charge(), money("999999", "ISK"));
}

#[test]
fn a_currency_reads_in_either_case_and_is_written_in_upper_case() {
    for currency in Currency::ALL {
        assert_eq!(currency.code().to_ascii_lowercase().parse(), Ok(*currency));
        assert_eq!(serde_json::to_string(currency).unwrap(), format!("\"{}\"", currency.code()));
    }
    assert_eq!(serde_json::from_str::<Currency>("\"eur\"").unwrap(), Currency::Eur);
    assert!(serde_json::from_str::<Currency>("\"UGX\"").is_err());
}

#[test]
fn amounts_are_minor_units_for_stripe_and_decimals_for_people() {
    for (text, code, minor, shown) in [
        ("4.99", "USD", 499, "4.99 USD"),
        ("4.9", "USD", 490, "4.90 USD"),
        ("10", "EUR", 1000, "10.00 EUR"),
        ("4.990", "USD", 499, "4.99 USD"),
        ("500", "JPY", 500, "500 JPY"),
        ("500.0", "JPY", 500, "500 JPY"),
        ("500", "ISK", 50_000, "500 ISK"),
        ("0", "USD", 0, "0.00 USD"),
    ] {
        let amount = money(text, code);

        assert_eq!(amount.to_minor(), Ok(minor), "{text} {code}");
        assert_eq!(amount.to_string(), shown);
        assert_eq!(format!("{} {}", amount.amount_text(), amount.currency()), shown);
        assert_eq!(Money::from_minor(minor, code.parse().unwrap()), Ok(amount));
    }
}

#[test]
fn digits_beyond_the_scale_are_refused_not_rounded() {
    for (text, code) in
        [("4.999", "USD"), ("19.991", "EUR"), ("1.5", "JPY"), ("1.5", "ISK"), ("0.0000000000000000000000000001", "USD")]
    {
        let outcome = Money::parse(text, code.parse().unwrap());

        assert!(matches!(outcome, Err(MoneyError::TooPrecise { .. })), "{text} {code}: {outcome:?}");
    }
}

#[test]
fn texts_that_are_no_plain_number_are_refused() {
    for text in ["", ".", "4.", ".5", "1e2", "+1", "-1", " 1", "1 ", "1,000", "1_000", "0x1", "4.9.9", "NaN", "٤"] {
        assert_eq!(Money::parse(text, Currency::Usd), Err(MoneyError::NotAnAmount(text.to_owned())), "{text:?}");
    }
    let thirty_digits = "1".repeat(30);
    assert_eq!(Money::parse(&thirty_digits, Currency::Usd), Err(MoneyError::NotAnAmount(thirty_digits)));
}

#[test]
fn amounts_below_zero_or_beyond_stripe_are_refused() {
    let largest = Money::from_minor(i64::MAX, Currency::Usd).unwrap();

    assert_eq!(Money::new(Decimal::new(-1, 2), Currency::Usd), Err(MoneyError::Negative));
    assert_eq!(Money::from_minor(-1, Currency::Usd), Err(MoneyError::Negative));
    assert_eq!(
        Money::from_minor(150, Currency::Isk),
        Err(MoneyError::NotWhole { minor: 150, currency: Currency::Isk })
    );
    assert_eq!(largest.checked_add(Currency::Usd.minimum_charge()), Err(MoneyError::TooLarge));
    assert_eq!(largest.checked_mul(u32::MAX), Err(MoneyError::TooLarge));
    assert_eq!(Money::new(Decimal::MAX, Currency::Usd), Err(MoneyError::TooLarge));
    assert_eq!(Money::new(Decimal::MAX, Currency::Jpy), Err(MoneyError::TooLarge));
    assert_eq!(money("1", "USD").checked_sub(money("1.01", "USD")), Err(MoneyError::Negative));
}

#[test]
fn minus_zero_is_zero() {
    let zero = Money::new("-0.00".parse().unwrap(), Currency::Usd).unwrap();

    assert_eq!(zero.to_string(), "0.00 USD");
    assert!(zero.is_zero());
}

#[test]
fn two_currencies_never_meet() {
    let mixed = MoneyError::MixedCurrencies { left: Currency::Usd, right: Currency::Eur };
    let (dollar, euro) = (money("1", "USD"), money("1", "EUR"));

    assert_ne!(dollar, euro);
    assert_eq!(dollar.checked_add(euro), Err(mixed.clone()));
    assert_eq!(dollar.checked_sub(euro), Err(mixed.clone()));
    assert_eq!(dollar.checked_cmp(euro), Err(mixed.clone()));
    assert_eq!(dollar.allocate_by(&[dollar, euro]), Err(mixed.clone()));
    assert_eq!(Money::sum(Currency::Usd, [dollar, euro]), Err(mixed));
}

#[test]
fn ten_percent_of_three_lines_is_split_without_losing_a_cent() {
    let lines = [money("3.33", "USD"), money("3.33", "USD"), money("3.34", "USD")];

    let shares = money("1.00", "USD").allocate_by(&lines).unwrap();

    assert_eq!(shares, [money("0.33", "USD"), money("0.33", "USD"), money("0.34", "USD")]);
}

#[test]
fn equal_parts_get_the_left_over_cents_in_their_order() {
    assert_eq!(
        money("0.05", "USD").allocate(&[1, 1, 1]).unwrap(),
        [money("0.02", "USD"), money("0.02", "USD"), money("0.01", "USD")]
    );
    assert_eq!(
        money("1.00", "USD").allocate(&[0, 7, 0]).unwrap(),
        [money("0", "USD"), money("1", "USD"), money("0", "USD")]
    );
    // A share of krónur is whole krónur, although Stripe counts hundredths.
    assert_eq!(money("5", "ISK").allocate(&[1, 1]).unwrap(), [money("3", "ISK"), money("2", "ISK")]);
}

#[test]
fn a_split_among_nobody_is_refused() {
    assert_eq!(money("1", "USD").allocate(&[]), Err(MoneyError::NoWeights));
    assert_eq!(money("1", "USD").allocate(&[0, 0]), Err(MoneyError::NoWeights));
}

#[test]
fn a_percentage_is_rounded_once_and_half_away_from_zero() {
    for (amount, code, percent, expected) in [
        // C21: the brief's shop kept 7.4985.
        ("49.99", "USD", "15", "7.50"),
        ("0.10", "USD", "5", "0.01"),
        ("0.30", "USD", "15", "0.05"),
        ("0.29", "USD", "15", "0.04"),
        ("100", "USD", "8.25", "8.25"),
        ("4.99", "USD", "100", "4.99"),
        ("4.99", "USD", "0", "0.00"),
        ("500", "JPY", "15", "75"),
        ("333", "JPY", "50", "167"),
        ("333", "ISK", "50", "167"),
    ] {
        let part = money(amount, code).percentage(percent.parse().unwrap()).unwrap();

        assert_eq!(part, money(expected, code), "{percent} % of {amount} {code}");
    }
}

#[test]
fn a_contained_percentage_is_what_was_added_to_the_rest() {
    for (amount, code, percent, expected) in [
        ("119.00", "EUR", "19", "19.00"),
        ("107", "EUR", "7", "7"),
        ("4.99", "EUR", "19", "0.80"),
        ("10.00", "EUR", "0", "0"),
        ("1100", "JPY", "10", "100"),
    ] {
        let part = money(amount, code).contained_percentage(percent.parse().unwrap()).unwrap();

        assert_eq!(part, money(expected, code), "{percent} % within {amount} {code}");
    }
}

#[test]
fn a_negative_or_boundless_percentage_is_refused() {
    let one = money("1", "USD");

    for part in [one.percentage(Decimal::from(-50)), one.contained_percentage(Decimal::from(-50))] {
        assert_eq!(part, Err(MoneyError::Negative));
    }
    assert_eq!(one.percentage(Decimal::MAX), Err(MoneyError::TooLarge));
    assert_eq!(one.percentage(Decimal::new(1, 28)), Ok(money("0", "USD")));
}

fn any_currency() -> impl Strategy<Value = Currency> {
    prop::sample::select(Currency::ALL)
}

/// Amounts up to what Stripe charges at once, in units of the last digit shown.
fn any_money(currency: Currency) -> impl Strategy<Value = Money> {
    (0..=99_999_999_i64).prop_map(move |units| Money::new(Decimal::new(units, currency.scale()), currency).unwrap())
}

fn two_amounts() -> impl Strategy<Value = (Money, Money)> {
    any_currency().prop_flat_map(|currency| (any_money(currency), any_money(currency)))
}

fn an_amount_and_lines() -> impl Strategy<Value = (Money, Vec<Money>)> {
    any_currency().prop_flat_map(|currency| (any_money(currency), prop::collection::vec(any_money(currency), 1..40)))
}

proptest! {
    #[test]
    fn minor_units_and_texts_read_back((amount, _) in two_amounts()) {
        prop_assert_eq!(Money::from_minor(amount.to_minor().unwrap(), amount.currency()), Ok(amount));
        prop_assert_eq!(Money::parse(&amount.amount_text(), amount.currency()), Ok(amount));
        prop_assert_eq!(amount.amount().scale(), amount.currency().scale());
    }

    #[test]
    fn what_was_added_can_be_taken_away((left, right) in two_amounts()) {
        let sum = left.checked_add(right).unwrap();

        prop_assert_eq!(right.checked_add(left), Ok(sum));
        prop_assert_eq!(sum.checked_sub(right), Ok(left));
        prop_assert_eq!(sum.to_minor().unwrap(), left.to_minor().unwrap() + right.to_minor().unwrap());
    }

    #[test]
    fn multiplying_is_adding_often((amount, _) in two_amounts(), times in 0_u32..30) {
        let added = Money::sum(amount.currency(), (0..times).map(|_| amount));

        prop_assert_eq!(amount.checked_mul(times), added);
    }

    #[test]
    fn parts_sum_to_the_whole_and_are_fair(
        (whole, _) in two_amounts(),
        weights in prop::collection::vec(0_u64..=u64::MAX, 1..40),
    ) {
        prop_assume!(weights.iter().any(|weight| *weight > 0));
        let total_weight: u128 = weights.iter().copied().map(u128::from).sum();

        let parts = whole.allocate(&weights).unwrap();

        prop_assert_eq!(parts.len(), weights.len());
        prop_assert_eq!(Money::sum(whole.currency(), parts.iter().copied()), Ok(whole));
        for (part, weight) in parts.iter().zip(&weights) {
            let product = u128::try_from(whole.shown_units()).unwrap() * u128::from(*weight);
            let part = u128::try_from(part.shown_units()).unwrap();
            prop_assert!(part == product / total_weight || part == product.div_ceil(total_weight));
        }
    }

    #[test]
    fn a_percentage_is_the_nearest_amount((amount, _) in two_amounts(), hundredths in 0_i64..=10_000) {
        let percent = Decimal::new(hundredths, 2);
        let exact = amount.amount() * percent / Decimal::ONE_HUNDRED;
        let contained = amount.amount() * percent / (Decimal::ONE_HUNDRED + percent);
        let nearest = |exact: Decimal| {
            let scale = amount.currency().scale();
            exact.round_dp_with_strategy(scale, rust_decimal::RoundingStrategy::MidpointAwayFromZero)
        };

        prop_assert_eq!(amount.percentage(percent).unwrap().amount(), nearest(exact));
        prop_assert_eq!(amount.contained_percentage(percent).unwrap().amount(), nearest(contained));
    }

    #[test]
    fn a_discount_is_never_more_than_its_line((whole, lines) in an_amount_and_lines()) {
        let total = Money::sum(whole.currency(), lines.iter().copied()).unwrap();
        prop_assume!(!total.is_zero() && whole.checked_cmp(total).unwrap().is_le());

        let discounts = whole.allocate_by(&lines).unwrap();

        prop_assert_eq!(Money::sum(whole.currency(), discounts.iter().copied()), Ok(whole));
        for (discount, line) in discounts.iter().zip(&lines) {
            prop_assert!(line.checked_sub(*discount).is_ok(), "{} off {}", discount, line);
        }
    }
}
