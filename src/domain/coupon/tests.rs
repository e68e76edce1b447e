use jiff::{SignedDuration, civil::date};

use super::*;
use crate::domain::{
    catalogue::Catalogue,
    pricing::{LineRequest, PricingRequest},
};

fn usd(text: &str) -> Money {
    Money::parse(text, Currency::Usd).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn percentage(text: &str) -> CouponDiscount {
    CouponDiscount::Percentage(Percent::new(text.parse().unwrap()).unwrap())
}

fn fixed(amounts: &[Money]) -> CouponDiscount {
    CouponDiscount::Fixed(amounts.iter().map(|amount| (amount.currency(), *amount)).collect())
}

/// Ten per cent off everything, for everybody, for ever.
fn coupon() -> Coupon {
    Coupon {
        id: CouponId::new(),
        code: "SAVE10".parse().unwrap(),
        discount: percentage("10"),
        starts_at: None,
        ends_at: None,
        max_uses: None,
        max_uses_per_customer: None,
        minimum_spend: BTreeMap::new(),
        services: BTreeSet::new(),
        cycles: None,
        active: true,
    }
}

fn cart(currency: Currency, lines: &[(&str, u32)]) -> Quote {
    let lines = lines.iter().map(|(service, quantity)| LineRequest::new(*service, *quantity)).collect();
    pricing::quote(&Catalogue::built_in().unwrap(), &PricingRequest::plain(currency, lines)).unwrap()
}

fn check(coupon: &Coupon, now: &str, uses: Uses) -> Result<Discount, CouponRefusal> {
    coupon.check(at(now), uses, &cart(Currency::Usd, &[("shared-annual", 1)]))
}

const NOON: &str = "2026-11-25T12:00:00Z";

#[test]
fn a_code_is_one_however_it_is_typed() {
    // C13: the brief looked codes up in capitals and stored them as typed.
    let stored: CouponCode = "SAVE-10_now".parse().unwrap();

    for typed in ["save-10_now", " SAVE-10_NOW\n", "Save-10_Now"] {
        assert_eq!(typed.parse(), Ok(stored.clone()));
    }
    assert_eq!(serde_json::to_value(&stored).unwrap(), "SAVE-10_NOW");
}

#[test]
fn a_text_that_is_no_code_is_refused() {
    let longest = "A".repeat(40);
    assert!(longest.parse::<CouponCode>().is_ok() && "ABC".parse::<CouponCode>().is_ok());

    for text in ["", "AB", "SAVE 10", "SAVE%", "ÄÖÜ", "A'--", &format!("{longest}A")] {
        assert_eq!(text.parse::<CouponCode>(), Err(InvalidCouponCode), "{text:?}");
    }
}

#[test]
fn a_discount_has_one_of_two_types_and_the_value_of_that_type() {
    // C12, C14: the brief's table had no working check of the type, and an unknown one counted as a fixed amount.
    let amounts = BTreeMap::from([(Currency::Usd, usd("5"))]);
    let ten = Some(Decimal::TEN);
    let of = CouponDiscount::from_parts;

    assert_eq!(of("percentage", ten, BTreeMap::new()), Ok(percentage("10")));
    assert_eq!(of("fixed", None, amounts.clone()), Ok(fixed(&[usd("5")])));
    for name in ["", "Percentage", "percent", "free"] {
        assert_eq!(of(name, ten, BTreeMap::new()), Err(InvalidCoupon::UnknownType(name.to_owned())));
    }
    for (name, percent, amounts) in [
        ("percentage", None, BTreeMap::new()),
        ("percentage", None, amounts.clone()),
        ("percentage", ten, amounts.clone()),
        ("fixed", ten, amounts),
        ("fixed", None, BTreeMap::new()),
    ] {
        assert_eq!(of(name, percent, amounts), Err(InvalidCoupon::Value));
    }
    for discount in [percentage("10"), fixed(&[usd("5")])] {
        assert!(["percentage", "fixed"].contains(&discount.type_name()));
    }
}

#[test]
fn a_percentage_of_999_or_of_minus_50_is_refused() {
    // C15: the brief's table took both, and minus fifty per cent raised the price.
    for text in ["999", "-50", "0", "-0", "100.01", "33.333"] {
        let percent: Decimal = text.parse().unwrap();

        assert!(Percent::new(percent).is_err(), "{text}");
        assert!(CouponDiscount::from_parts("percentage", Some(percent), BTreeMap::new()).is_err(), "{text}");
    }
    for text in ["0.01", "15", "33.33", "100", "100.00", "12.500"] {
        assert!(Percent::new(text.parse().unwrap()).is_ok(), "{text}");
    }
    assert_eq!(
        Percent::new(Decimal::from(999)).unwrap_err().to_string(),
        "999 is not a percentage of more than 0 and at most 100 with at most 2 digits after the point"
    );
}

#[test]
fn a_fixed_amount_is_more_than_nothing_and_stands_under_its_currency() {
    // A `Money` is never negative: −50 does not even become an amount.
    assert!(Money::new(Decimal::from(-50), Currency::Usd).is_err());
    for (currency, amount) in [(Currency::Usd, usd("0")), (Currency::Eur, usd("5"))] {
        let discount = CouponDiscount::from_parts("fixed", None, BTreeMap::from([(currency, amount)]));

        assert_eq!(discount, Err(InvalidCoupon::Amount(currency)));
    }
}

#[test]
fn a_coupon_that_could_never_be_meant_is_refused() {
    let (early, late) = (Some(at("2026-01-01T00:00:00Z")), Some(at("2026-02-01T00:00:00Z")));
    let minimum_spend = BTreeMap::from([(Currency::Usd, usd("0"))]);
    for (coupon, refusal) in [
        (Coupon { starts_at: late, ends_at: early, ..coupon() }, InvalidCoupon::Period),
        (Coupon { starts_at: late, ends_at: late, ..coupon() }, InvalidCoupon::Period),
        (Coupon { max_uses: Some(0), ..coupon() }, InvalidCoupon::Limit("max_uses")),
        (Coupon { max_uses_per_customer: Some(0), ..coupon() }, InvalidCoupon::Limit("max_uses_per_customer")),
        (Coupon { cycles: Some(0), ..coupon() }, InvalidCoupon::Limit("cycles")),
        (Coupon { minimum_spend, ..coupon() }, InvalidCoupon::Amount(Currency::Usd)),
        (Coupon { discount: fixed(&[]), ..coupon() }, InvalidCoupon::Value),
    ] {
        assert_eq!(coupon.validate(), Err(refusal));
    }
    assert_eq!(Coupon { starts_at: early, ends_at: late, max_uses: Some(1), ..coupon() }.validate(), Ok(()));
}

#[test]
fn a_coupon_holds_through_the_last_day_in_the_shops_zone() {
    // C16: the brief's coupon ended at 00:00 UTC at the beginning of its last day.
    for (zone, last_instant) in [
        ("UTC", "2026-11-25T23:59:59.999999999Z"),
        ("Europe/Berlin", "2026-11-25T22:59:59.999999999Z"),
        ("America/Los_Angeles", "2026-11-26T07:59:59.999999999Z"),
        ("Pacific/Kiritimati", "2026-11-25T09:59:59.999999999Z"),
    ] {
        let ends_at = end_of_day(date(2026, 11, 25), &TimeZone::get(zone).unwrap());
        let coupon = Coupon { ends_at: Some(ends_at), ..coupon() };

        assert!(check(&coupon, last_instant, Uses::default()).is_ok(), "{zone}");
        let next = (at(last_instant) + SignedDuration::from_nanos(1)).to_string();
        assert_eq!(check(&coupon, &next, Uses::default()), Err(CouponRefusal::Expired), "{zone}");
    }
}

#[test]
fn a_day_ends_where_the_clock_skips_midnight_and_at_the_end_of_the_calendar() {
    // In Beirut the clock went from 23:59 on 26 March 2022 to 01:00 on the 27th.
    let beirut = TimeZone::get("Asia/Beirut").unwrap();
    let berlin = TimeZone::get("Europe/Berlin").unwrap();

    assert_eq!(end_of_day(date(2022, 3, 26), &beirut), at("2022-03-26T22:00:00Z"));
    assert_eq!(end_of_day(date(2026, 3, 29), &berlin), at("2026-03-29T22:00:00Z"));
    assert_eq!(end_of_day(date(9999, 12, 31), &berlin), Timestamp::MAX);
}

#[test]
fn the_three_refusals_say_what_they_always_said() {
    // C20
    let ended = Coupon { ends_at: Some(at(NOON)), ..coupon() };
    let used = |all: u32, by_customer: u32| Uses { all, by_customer };
    let limited = Coupon { max_uses: Some(2), max_uses_per_customer: Some(1), ..coupon() };
    let sentence = |outcome: Result<Discount, CouponRefusal>| outcome.unwrap_err().to_string();

    assert_eq!(sentence(check(&Coupon { active: false, ..coupon() }, NOON, used(0, 0))), "Invalid coupon code");
    assert_eq!(sentence(check(&ended, NOON, used(0, 0))), "Coupon has expired");
    assert_eq!(sentence(check(&limited, NOON, used(2, 0))), "Coupon usage limit reached");
    assert_eq!(sentence(check(&limited, NOON, used(1, 1))), "Coupon usage limit reached");
    assert!(check(&limited, NOON, used(1, 0)).is_ok());
}

#[test]
fn a_coupon_begins_at_its_instant_and_is_unknown_before() {
    let coupon = Coupon { starts_at: Some(at(NOON)), ..coupon() };

    assert_eq!(check(&coupon, "2026-11-25T11:59:59.999Z", Uses::default()), Err(CouponRefusal::Invalid));
    assert!(check(&coupon, NOON, Uses::default()).is_ok());
}

#[test]
fn the_minimum_is_of_what_it_applies_to_before_any_discount() {
    let coupon = |minimum: &str| Coupon {
        minimum_spend: BTreeMap::from([(Currency::Usd, usd(minimum))]),
        services: BTreeSet::from(["shared-annual".to_owned()]),
        ..coupon()
    };
    let cart = cart(Currency::Usd, &[("shared-annual", 1), ("vps-annual", 1)]);
    let check = |minimum: &str| coupon(minimum).check(at(NOON), Uses::default(), &cart);

    assert!(check("49.99").is_ok());
    let refusal = check("50").unwrap_err();
    assert_eq!(refusal, CouponRefusal::BelowMinimum { minimum: usd("50") });
    assert_eq!(refusal.to_string(), "This coupon applies from 50.00 USD on");
}

#[test]
fn a_coupon_applies_to_its_services_and_currencies_only() {
    let euro = cart(Currency::Eur, &[("shared-annual", 1)]);
    let check = |coupon: Coupon| coupon.check(at(NOON), Uses::default(), &euro);
    let services = BTreeSet::from(["vps-annual".to_owned()]);
    let minimum_spend = BTreeMap::from([(Currency::Usd, usd("1"))]);

    assert_eq!(check(Coupon { services, ..coupon() }), Err(CouponRefusal::NothingEligible));
    assert_eq!(check(Coupon { discount: fixed(&[usd("5")]), ..coupon() }), Err(CouponRefusal::OtherCurrency));
    assert_eq!(check(Coupon { minimum_spend, ..coupon() }), Err(CouponRefusal::OtherCurrency));
    assert!(check(coupon()).is_ok());
}

#[test]
fn a_coupon_of_n_cycles_applies_to_the_first_n() {
    let three = Coupon { cycles: Some(3), ..coupon() };

    let applied: Vec<u32> = (1..=5).filter(|cycle| three.applies_to_cycle(*cycle)).collect();

    assert_eq!(applied, [1, 2, 3]);
    assert!(coupon().applies_to_cycle(1_000));
}
