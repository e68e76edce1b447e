//! What coupons take off.

use super::*;

fn discounted(shop: &Catalogue, lines: &[LineRequest], discount: Option<Discount>) -> Quote {
    quote(shop, &PricingRequest { discount, ..PricingRequest::plain(Currency::Usd, lines.to_vec()) }).unwrap()
}

/// C21: the brief's shop calculated 7.4985 and stored what it calculated.
#[test]
fn fifteen_per_cent_of_49_99_is_7_50() {
    let catalogue = Catalogue::built_in().unwrap();

    let quote = discounted(&catalogue, &[line("shared-annual", 1)], off(percent("15"), &[]));

    assert_eq!((quote.subtotal, quote.discount, quote.total), (usd("49.99"), usd("7.50"), usd("42.49")));
    assert_eq!(quote.lines[0].discount, usd("7.50"));
}

#[test]
fn a_percentage_is_rounded_once_and_handed_to_the_units_by_largest_remainder() {
    let quote = discounted(&shop(&["3.33", "3.34"]), &[line("a", 2), line("b", 1)], off(percent("10"), &[]));

    let shares: Vec<_> = quote.units.iter().map(|unit| (unit.discount, unit.total)).collect();
    assert_eq!(
        shares,
        [(usd("0.33"), usd("3.00")), (usd("0.33"), usd("3.00")), (usd("0.34"), usd("3.00"))],
        "line by line it would be 0.99"
    );
    assert_eq!((quote.discount, quote.total), (usd("1.00"), usd("9.00")));
}

/// C21: the brief's shop stored discounts above the subtotal.
#[test]
fn a_fixed_discount_is_never_more_than_what_it_is_taken_off() {
    let shop = shop(&["4.99", "9.99"]);
    let lines = [line("a", 1), line("b", 1)];
    let fixed = DiscountAmount::Fixed(usd("100"));

    let of_all = discounted(&shop, &lines, off(fixed, &[]));
    let of_one = discounted(&shop, &lines, off(fixed, &["a"]));
    let of_none = discounted(&shop, &lines, off(fixed, &["c"]));

    assert_eq!((of_all.subtotal, of_all.discount, of_all.total), (usd("14.98"), usd("14.98"), usd("0")));
    assert_eq!((of_one.discount, of_one.total), (usd("4.99"), usd("9.99")));
    assert!(of_none.discount.is_zero());
}

/// C26: a whole discount is an order to be provisioned at once; one that leaves cents is refused in words.
#[test]
fn a_discount_leaves_nothing_or_what_stripe_charges() {
    let shop = shop(&["4.99"]);
    let request = |amount: &str| PricingRequest {
        discount: off(DiscountAmount::Fixed(usd(amount)), &[]),
        ..PricingRequest::plain(Currency::Usd, vec![line("a", 1)])
    };

    assert!(discounted(&shop, &[line("a", 1)], off(percent("100"), &[])).total.is_zero());
    assert_eq!(
        quote(&shop, &request("4.50")).unwrap_err().to_string(),
        "the total of 0.49 USD is below 0.50 USD, the smallest amount that can be charged"
    );
    assert_eq!(quote(&shop, &request("4.49")).unwrap().total, usd("0.50"));
}

#[test]
fn a_discount_is_taken_off_its_services_only() {
    let quote = discounted(&shop(&["10.00", "20.00"]), &[line("a", 1), line("b", 2)], off(percent("50"), &["b"]));

    let lines: Vec<_> = quote.lines.iter().map(|line| (line.discount, line.total)).collect();
    assert_eq!(lines, [(usd("0"), usd("10")), (usd("20"), usd("20"))]);
    assert_eq!(eligible_total(&quote, &BTreeSet::from(["b".to_owned()])), Some(usd("40")));
    assert_eq!(eligible_total(&quote, &BTreeSet::from(["c".to_owned()])), None);
    assert_eq!(eligible_total(&quote, &BTreeSet::new()), Some(usd("50")));
}

#[test]
fn a_left_over_cent_goes_to_the_same_line_whatever_stands_first() {
    let shop = shop(&["5.00", "5.00", "5.00"]);
    let lines = [line("a", 1), line("b", 1), line("c", 1)];
    let cent = || off(DiscountAmount::Fixed(usd("0.01")), &[]);
    let of_b = |lines: &[LineRequest]| {
        let quote = discounted(&shop, lines, cent());
        let of = |id: &str| quote.lines.iter().find(|line| line.service.id().as_str() == id).unwrap().discount;
        [of("a"), of("b"), of("c")]
    };
    let [a, b, c] = lines.clone();

    let first = of_b(&lines);

    assert_eq!(Money::sum(Currency::Usd, first), Ok(usd("0.01")));
    for order in [[a.clone(), c.clone(), b.clone()], [b.clone(), a.clone(), c.clone()], [c, b, a]] {
        assert_eq!(of_b(&order), first);
    }
}

#[test]
fn what_costs_nothing_is_not_discounted() {
    let quote = discounted(&shop(&["0", "10.00"]), &[line("a", 2), line("b", 1)], off(percent("10"), &[]));

    assert_eq!(quote.lines.iter().map(|line| line.discount).collect::<Vec<_>>(), [usd("0"), usd("1")]);
    assert!(discounted(&shop(&["0"]), &[line("a", 1)], off(percent("10"), &[])).discount.is_zero());
}
