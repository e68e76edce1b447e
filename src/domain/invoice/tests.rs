use serde_json::json;

use super::*;

fn eur(text: &str) -> Money {
    Money::parse(text, Currency::Eur).unwrap()
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn unit() -> SoldUnit<'static> {
    SoldUnit {
        service_id: "vps-monthly",
        name: "VPS Hosting",
        plan_name: "starter",
        billing_cycle: "monthly",
        price: eur("20.00"),
        setup_fee: eur("0"),
        discount: eur("0"),
        tax: eur("3.80"),
        tax_rate: decimal("19.00"),
        total: eur("23.80"),
        configuration: Configuration::new(),
        addons: Vec::new(),
        domain: None,
        trial_days: 0,
    }
}

fn lines_of(units: &[SoldUnit<'_>]) -> Vec<InvoiceLine> {
    lines(units, Agreement::default(), &Catalogue::built_in().unwrap()).unwrap()
}

#[test]
fn units_that_are_alike_are_one_line_whose_amounts_are_their_sums() {
    let first = SoldUnit { discount: eur("3.34"), total: eur("20.46"), domain: Some("one.test"), ..unit() };
    let second = SoldUnit { discount: eur("3.33"), total: eur("20.47"), domain: Some("two.test"), ..unit() };

    let lines = lines_of(&[first, unit(), second]);

    let [line] = lines.as_slice() else { panic!("{lines:?}") };
    assert_eq!((line.quantity, line.unit_price, line.subtotal), (3, decimal("20.00"), decimal("60.00")));
    assert_eq!((line.discount, line.tax, line.total), (decimal("6.67"), decimal("11.40"), decimal("64.73")));
    assert_eq!(line.domains, ["one.test", "two.test"]);
}

#[test]
fn units_that_differ_in_what_a_line_says_of_each_are_lines_of_their_own() {
    let others = [
        unit(),
        SoldUnit { price: eur("20.01"), total: eur("23.81"), ..unit() },
        SoldUnit { tax_rate: decimal("7"), ..unit() },
        SoldUnit { setup_fee: eur("5"), ..unit() },
        SoldUnit { configuration: Configuration::from([("ram_gb".to_owned(), json!(8))]), ..unit() },
        SoldUnit { addons: vec!["Daily backups".to_owned()], ..unit() },
        SoldUnit { trial_days: 14, ..unit() },
        SoldUnit { billing_cycle: "annual", ..unit() },
    ];

    assert_eq!(lines_of(&others).len(), others.len());
}

#[test]
fn every_line_multiplies_out_and_sums_up() {
    // As prices that include tax are split: they differ by a cent.
    let cent = SoldUnit { price: eur("20.01"), total: eur("23.81"), ..unit() };
    let units = [unit(), cent.clone(), unit(), cent];

    for line in lines_of(&units) {
        assert_eq!(line.unit_price * Decimal::from(line.quantity), line.subtotal);
        assert_eq!(line.subtotal - line.discount + line.tax, line.total);
    }
}

#[test]
fn choices_are_told_by_the_catalogues_names_and_unknown_ones_by_their_ids() {
    let catalogue = Catalogue::built_in().unwrap();
    let region = catalogue.service("vps-monthly").unwrap().options().iter().find(|option| option.id() == "region");
    let OptionKind::Choice { choices, default } = region.unwrap().kind() else { panic!("a choice") };
    let named = choices.iter().find(|choice| choice.id() == default).unwrap().name();
    let configuration = Configuration::from([
        ("ram_gb".to_owned(), json!(8)),
        ("region".to_owned(), json!(default)),
        ("gone".to_owned(), json!("kept")),
    ]);
    let unit = SoldUnit { configuration, addons: vec!["Daily backups".to_owned()], ..unit() };

    let details: Vec<(String, Option<String>)> =
        lines_of(&[unit])[0].details.iter().map(|detail| (detail.name.clone(), detail.value.clone())).collect();

    assert!(details.contains(&("gone".to_owned(), Some("kept".to_owned()))), "{details:?}");
    assert!(details.iter().any(|(_, value)| value.as_deref() == Some(named)), "{details:?}");
    assert!(details.iter().any(|(name, value)| name != "ram_gb" && value.as_deref() == Some("8")), "{details:?}");
    assert_eq!(details.last().unwrap(), &("Daily backups".to_owned(), None));
}

#[test]
fn the_coupon_stands_where_it_took_something_off_and_the_note_everywhere() {
    let agreement = Agreement { coupon: Some("SPRING"), tax_note: Some("Reverse charge"), period: None };
    let cheaper = SoldUnit { service_id: "cloud-monthly", discount: eur("5"), total: eur("18.80"), ..unit() };

    let lines = lines(&[unit(), cheaper], agreement, &Catalogue::built_in().unwrap()).unwrap();

    let told: Vec<_> = lines.iter().map(|line| (line.coupon.as_deref(), line.tax_note.as_deref())).collect();
    assert_eq!(told, [(None, Some("Reverse charge")), (Some("SPRING"), Some("Reverse charge"))]);
}

#[test]
fn tax_is_summed_by_rate_and_loses_no_cent() {
    let units = [
        unit(),
        SoldUnit { service_id: "books", tax_rate: decimal("7"), tax: eur("1.40"), total: eur("21.40"), ..unit() },
        SoldUnit { service_id: "cloud-monthly", discount: eur("10"), tax: eur("1.90"), total: eur("11.90"), ..unit() },
        SoldUnit { service_id: "free", tax_rate: decimal("0"), tax: eur("0"), total: eur("20"), ..unit() },
    ];

    let totals = tax_totals(&lines_of(&units), Currency::Eur).unwrap();

    let shown: Vec<String> =
        totals.iter().map(|total| format!("{} % of {} is {}", total.rate, total.net, total.tax)).collect();
    assert_eq!(
        shown,
        ["19 % of 30.00 EUR is 5.70 EUR", "7 % of 20.00 EUR is 1.40 EUR", "0 % of 20.00 EUR is 0.00 EUR"]
    );
}

#[test]
fn two_currencies_are_refused() {
    let yen = Money::parse("500", Currency::Jpy).unwrap();
    let mixed = SoldUnit { discount: yen, ..unit() };

    assert!(lines(&[mixed], Agreement::default(), &Catalogue::built_in().unwrap()).is_err());
}

#[test]
fn the_documents_are_kept_as_these_texts() {
    let line = lines_of(&[SoldUnit { configuration: Configuration::new(), ..unit() }]).remove(0);
    let buyer = Buyer {
        email: "ada@example.com".into(),
        country: Some("DE".into()),
        address: Some(Address { line1: "Weg 1".into(), city: "Berlin".into(), ..Address::default() }),
        ..Buyer::default()
    };

    assert_eq!(
        serde_json::to_value(&line).unwrap(),
        json!({
            "service_id": "vps-monthly", "name": "VPS Hosting", "plan_name": "starter", "billing_cycle": "monthly",
            "quantity": 1, "unit_price": "20.00", "setup_fee": "0.00", "trial_days": 0, "details": [], "domains": [],
            "subtotal": "20.00", "discount": "0.00", "coupon": null, "tax_rate": "19", "tax": "3.80",
            "tax_note": null, "total": "23.80",
        })
    );
    assert_eq!(
        serde_json::to_value(&buyer).unwrap(),
        json!({
            "email": "ada@example.com", "name": null, "company": null, "country": "DE", "vat_id": null,
            "address": { "line1": "Weg 1", "city": "Berlin" },
        })
    );
    let read: InvoiceLine = serde_json::from_value(serde_json::to_value(&line).unwrap()).unwrap();
    assert_eq!(read, line);
    assert_eq!(serde_json::from_value::<Buyer>(json!({ "email": "a@b.test" })).unwrap().email, "a@b.test");
    assert_eq!(serde_json::from_value::<Seller>(json!({ "name": "Shop" })).unwrap().name, "Shop");
}
