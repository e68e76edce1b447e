//! Tax that is added, tax that is included, and tax that the buyer owes.

use std::collections::BTreeMap;

use super::*;
use crate::domain::tax::REVERSE_CHARGE_NOTE;

fn at(inclusive: bool, rate: &str) -> TaxTreatment {
    TaxTreatment { inclusive, rates: BTreeMap::from([("*".to_owned(), rate.parse().unwrap())]), reverse_charge: false }
}

fn taxed(shop: &Catalogue, lines: &[LineRequest], discount: Option<Discount>, tax: TaxTreatment) -> Quote {
    quote(shop, &PricingRequest { discount, tax, ..PricingRequest::plain(Currency::Usd, lines.to_vec()) }).unwrap()
}

fn sums(quote: &Quote) -> [String; 5] {
    [quote.list_total, quote.subtotal, quote.discount, quote.tax, quote.total].map(|amount| amount.amount_text())
}

#[test]
fn exclusive_tax_is_added_to_the_price_after_the_discount() {
    let quote = taxed(&shop(&["100.00"]), &[line("a", 1)], off(percent("10"), &[]), at(false, "19"));

    assert_eq!(sums(&quote), ["100.00", "100.00", "10.00", "17.10", "107.10"]);
    assert_eq!(quote.lines[0].tax_rate.to_string(), "19");
    assert_eq!(quote.tax_note, None);
}

#[test]
fn inclusive_tax_is_told_within_the_price_and_the_discount() {
    let quote = taxed(&shop(&["119.00"]), &[line("a", 1)], off(percent("10"), &[]), at(true, "19"));

    assert_eq!(sums(&quote), ["119.00", "100.00", "10.00", "17.10", "107.10"]);
    assert_eq!(quote.lines[0].unit_price, usd("119.00"));
    assert_eq!((quote.units[0].price, quote.units[0].discount), (usd("100.00"), usd("10.00")));
}

#[test]
fn tax_is_rounded_once_a_line_and_shared_by_its_units() {
    // 3 × 0.55 at 10 % is 0.165, so 0.17; unit by unit it would be 0.18.
    let quote = taxed(&shop(&["0.55"]), &[line("a", 3)], None, at(false, "10"));

    let taxes: Vec<_> = quote.units.iter().map(|unit| unit.tax.amount_text()).collect();
    assert_eq!(taxes, ["0.06", "0.06", "0.05"]);
    assert_eq!((quote.tax, quote.total), (usd("0.17"), usd("1.82")));
}

#[test]
fn each_line_is_taxed_by_its_category() {
    let text = shop_text(&["10.00", "10.00"]).replacen(
        "max_quantity = 100\n",
        "max_quantity = 100\ntax_category = \"books\"\n",
        1,
    );
    let shop = Catalogue::from_toml(&text).unwrap();
    let rates = [("books", "7"), ("*", "19")].map(|(category, rate)| (category.to_owned(), rate.parse().unwrap()));
    let treatment = TaxTreatment { inclusive: false, rates: rates.into(), reverse_charge: false };

    let quote = taxed(&shop, &[line("a", 1), line("b", 1)], None, treatment);

    assert_eq!(quote.lines.iter().map(|line| line.tax).collect::<Vec<_>>(), [usd("0.70"), usd("1.90")]);
}

#[test]
fn a_buyer_who_owes_the_tax_is_charged_none_and_told_so() {
    let treatment = TaxTreatment { reverse_charge: true, ..at(false, "19") };

    let quote = taxed(&shop(&["100.00"]), &[line("a", 1)], None, treatment);

    assert_eq!(sums(&quote), ["100.00", "100.00", "0.00", "0.00", "100.00"]);
    assert_eq!((quote.tax_note, quote.lines[0].tax_rate), (Some(REVERSE_CHARGE_NOTE), Decimal::ZERO));
}

#[test]
fn setup_fees_are_taxed_and_told_apart_in_either_way() {
    let text =
        shop_text(&["100.00"]).replace("max_quantity = 100\n", "max_quantity = 100\nsetup_fee = { USD = \"19.00\" }\n");
    let shop = Catalogue::from_toml(&text).unwrap();

    let added = taxed(&shop, &[line("a", 2)], None, at(false, "19"));
    let included = taxed(&shop, &[line("a", 2)], None, at(true, "19"));

    assert_eq!(sums(&added), ["238.00", "238.00", "0.00", "45.22", "283.22"]);
    assert_eq!((added.units[0].price, added.units[0].setup_fee), (usd("119.00"), usd("19.00")));
    assert_eq!(sums(&included), ["238.00", "200.00", "0.00", "38.00", "238.00"]);
    assert_eq!((included.units[0].price, included.units[0].setup_fee), (usd("100.00"), usd("15.97")));
}

#[test]
fn tax_of_whole_discount_is_nothing() {
    for inclusive in [false, true] {
        let quote = taxed(&shop(&["4.99"]), &[line("a", 3)], off(percent("100"), &[]), at(inclusive, "19"));

        assert!(quote.total.is_zero() && quote.tax.is_zero(), "{inclusive}");
        assert_eq!(quote.discount, quote.subtotal);
    }
}

#[test]
fn yen_and_kronur_have_no_decimals_in_any_amount() {
    for (code, price, discount, tax, total) in [("JPY", "505", "51", "45", "499"), ("ISK", "505", "51", "45", "499")] {
        let currency: Currency = code.parse().unwrap();
        let shop = Catalogue::from_toml(&shop_text(&[price]).replace("USD", code)).unwrap();
        let request = PricingRequest {
            discount: off(percent("10"), &[]),
            tax: at(false, "10"),
            ..PricingRequest::plain(currency, vec![line("a", 1)])
        };

        let quote = quote(&shop, &request).unwrap();

        assert_eq!(sums(&quote), [price, price, discount, tax, total], "{code}");
        assert_eq!(quote.total.to_minor().unwrap(), if code == "ISK" { 49_900 } else { 499 });
    }
}
