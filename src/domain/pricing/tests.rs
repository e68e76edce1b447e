use proptest::prelude::*;

use super::*;

fn line(service_id: &str, quantity: u32) -> LineRequest {
    LineRequest { service_id: service_id.to_owned(), quantity }
}

fn usd(text: &str) -> Money {
    Money::parse(text, Currency::Usd).unwrap()
}

fn quote_usd(lines: &[LineRequest]) -> Result<Quote, PricingError> {
    quote(&Catalogue::built_in().unwrap(), Currency::Usd, lines)
}

/// A catalogue of services `a`, `b`, … at the given prices in USD, 100 of each at most.
fn shop(prices: &[&str]) -> Catalogue {
    let services = prices.iter().zip('a'..).map(|(price, id)| {
        format!(
            "[[service]]\nid = \"{id}\"\nname = \"{id}\"\nservice_type = \"shared\"\nplan_name = \"starter\"\n\
             billing_cycle = \"monthly\"\nprices = {{ USD = \"{price}\" }}\npool = \"p\"\npackage = \"p\"\nmax_quantity = 100\n"
        )
    });
    Catalogue::from_toml(&services.collect::<String>()).unwrap()
}

#[test]
fn a_cart_costs_what_its_lines_cost() {
    let quote = quote_usd(&[line("shared-monthly", 2), line("vps-annual", 1)]).unwrap();

    let lines: Vec<_> =
        quote.lines.iter().map(|line| (line.service.name(), line.quantity, line.unit_price, line.line_total)).collect();
    assert_eq!(
        lines,
        [("Shared Hosting - Monthly", 2, usd("4.99"), usd("9.98")), ("VPS - Annual", 1, usd("199.99"), usd("199.99")),]
    );
    assert_eq!((quote.subtotal, quote.total), (usd("209.97"), usd("209.97")));
    assert!(quote.discount.is_zero() && quote.tax.is_zero());
}

#[test]
fn a_quantity_of_three_makes_three_units() {
    let quote = quote_usd(&[line("cloud-monthly", 1), line("wordpress-monthly", 3)]).unwrap();

    let units: Vec<_> =
        quote.units.iter().map(|unit| (unit.line, unit.service_id.as_str(), unit.price, unit.total)).collect();
    let wordpress = (1, "wordpress-monthly", usd("9.99"), usd("9.99"));
    assert_eq!(units, [(0, "cloud-monthly", usd("99.99"), usd("99.99")), wordpress, wordpress, wordpress]);
}

#[test]
fn the_same_service_twice_is_one_line() {
    let quote = quote_usd(&[line("vps-monthly", 1), line("shared-monthly", 1), line("vps-monthly", 2)]).unwrap();

    let lines: Vec<_> = quote.lines.iter().map(|line| (line.service.id().as_str(), line.quantity)).collect();
    assert_eq!(lines, [("vps-monthly", 3), ("shared-monthly", 1)]);
    assert_eq!(quote.total, usd("64.96"));
}

#[test]
fn what_cannot_be_sold_is_refused_with_its_line() {
    let good = line("shared-monthly", 1);
    for (lines, sentence) in [
        (vec![], "there is nothing to price"),
        (
            vec![good.clone(), line("shared hosting-monthly", 1)],
            "line 1: there is no service \"shared hosting-monthly\"",
        ),
        (vec![good.clone(), line("vps-monthly", 0)], "line 1: vps-monthly can be bought 1 to 10 at a time, not 0"),
        (vec![line("vps-monthly", 11)], "line 0: vps-monthly can be bought 1 to 10 at a time, not 11"),
        (
            vec![line("vps-monthly", 6), good.clone(), line("vps-monthly", 5)],
            "line 2: vps-monthly can be bought 1 to 10 at a time, not 11",
        ),
        (
            vec![good, line("shared-monthly", u32::MAX)],
            "line 1: shared-monthly can be bought 1 to 10 at a time, not 4294967295",
        ),
    ] {
        assert_eq!(quote_usd(&lines).unwrap_err().to_string(), sentence);
    }
}

#[test]
fn a_service_is_sold_only_in_the_currencies_it_has_a_price_in() {
    let refusal = quote(&Catalogue::built_in().unwrap(), Currency::Eur, &[line("vps-monthly", 1)]).unwrap_err();

    assert_eq!(refusal.to_string(), "line 0: vps-monthly is not sold in EUR");
}

#[test]
fn an_order_of_more_than_a_hundred_accounts_is_refused() {
    let shop = shop(&["1.00", "2.00"]);

    let full = quote(&shop, Currency::Usd, &[line("a", 60), line("b", 40)]).unwrap();
    let over = quote(&shop, Currency::Usd, &[line("a", 60), line("b", 41)]);

    assert_eq!(full.units.len(), 100);
    assert_eq!(over, Err(PricingError::TooManyUnits { line: 1 }));
}

#[test]
fn a_free_order_is_priced_at_zero() {
    let quote = quote(&shop(&["0"]), Currency::Usd, &[line("a", 2)]).unwrap();

    assert!(quote.total.is_zero());
    assert_eq!(quote.units.len(), 2);
}

#[test]
fn a_total_that_stripe_would_not_charge_is_refused() {
    let dear = quote(&shop(&["999999.99"]), Currency::Usd, &[line("a", 2)]);

    assert_eq!(
        dear.unwrap_err().to_string(),
        "the total of 1999999.98 USD is above 999999.99 USD, the largest amount that can be charged at once"
    );
    assert_eq!(
        check_chargeable(usd("0.49")).unwrap_err().to_string(),
        "the total of 0.49 USD is below 0.50 USD, the smallest amount that can be charged"
    );
    for chargeable in ["0", "0.50", "999999.99"] {
        assert_eq!(check_chargeable(usd(chargeable)), Ok(()));
    }
}

#[test]
fn discount_and_tax_are_shared_by_the_units_to_the_cent() {
    let lines = quote(&shop(&["3.33", "3.34"]), Currency::Usd, &[line("a", 2), line("b", 1)]).unwrap().lines;

    let units = split_into_units(&lines, usd("1.00"), usd("0.10")).unwrap();

    let shares: Vec<_> = units.iter().map(|unit| (unit.discount, unit.tax, unit.total)).collect();
    assert_eq!(
        shares,
        [
            (usd("0.33"), usd("0.03"), usd("3.03")),
            (usd("0.33"), usd("0.03"), usd("3.03")),
            (usd("0.34"), usd("0.04"), usd("3.04")),
        ]
    );
}

fn any_lines() -> impl Strategy<Value = Vec<LineRequest>> {
    let ids: Vec<String> =
        Catalogue::built_in().unwrap().services().iter().map(|service| service.id().to_string()).collect();
    // Three lines of at most three: one service never reaches its ten, and nothing is refused.
    let line =
        (prop::sample::select(ids), 1_u32..=3).prop_map(|(service_id, quantity)| LineRequest { service_id, quantity });
    prop::collection::vec(line, 1..=3)
}

proptest! {
    #[test]
    fn lines_and_units_sum_to_the_total(lines in any_lines()) {
        let quote = quote_usd(&lines).unwrap();

        let of_lines = Money::sum(Currency::Usd, quote.lines.iter().map(|line| line.line_total));
        let of_units = Money::sum(Currency::Usd, quote.units.iter().map(|unit| unit.total));
        prop_assert_eq!(of_lines, Ok(quote.subtotal));
        prop_assert_eq!(of_units, Ok(quote.total));
        let asked: u32 = lines.iter().map(|line| line.quantity).sum();
        prop_assert_eq!(u32::try_from(quote.units.len()), Ok(asked));
        for unit in &quote.units {
            prop_assert_eq!(quote.lines[unit.line].service.id(), &unit.service_id);
        }
    }

    #[test]
    fn the_order_of_lines_does_not_change_the_total(
        (lines, shuffled) in any_lines().prop_flat_map(|lines| (Just(lines.clone()), Just(lines).prop_shuffle())),
    ) {
        prop_assert_eq!(quote_usd(&lines).unwrap().total, quote_usd(&shuffled).unwrap().total);
    }

    #[test]
    fn shared_discounts_and_taxes_sum_up(lines in any_lines(), percent in 0_i64..=100, tax in 0_i64..=100_000) {
        let quote = quote_usd(&lines).unwrap();
        let discount = Money::from_minor(quote.subtotal.to_minor().unwrap() * percent / 100, Currency::Usd).unwrap();
        let tax = Money::from_minor(tax, Currency::Usd).unwrap();

        let units = split_into_units(&quote.lines, discount, tax).unwrap();

        prop_assert_eq!(Money::sum(Currency::Usd, units.iter().map(|unit| unit.discount)), Ok(discount));
        prop_assert_eq!(Money::sum(Currency::Usd, units.iter().map(|unit| unit.tax)), Ok(tax));
        let total = quote.subtotal.checked_sub(discount).unwrap().checked_add(tax).unwrap();
        prop_assert_eq!(Money::sum(Currency::Usd, units.iter().map(|unit| unit.total)), Ok(total));
    }
}
