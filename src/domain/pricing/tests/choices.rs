//! Options, add-ons, set-up fees, trials and given prices; and by what lines are known.

use serde_json::json;

use super::*;

/// A machine at 10.00 with memory at 4.00 a step, backups at 2.00, a set-up fee of 15.00 and a trial of 14 days.
fn machines() -> Catalogue {
    let text = "[[addon]]\nid = \"backups\"\nname = \"Backups\"\nprices.monthly = { USD = \"2.00\" }\n\
        [[addon]]\nid = \"ip\"\nname = \"Address\"\nprices.monthly = { USD = \"3.00\" }\n"
        .to_owned()
        + &shop_text(&["10.00", "5.00"]).replacen(
            "max_quantity = 100\n",
            "max_quantity = 100\nsetup_fee = { USD = \"15.00\" }\ntrial_days = 14\naddons = [\"backups\", \"ip\"]\n\
             [[service.option]]\nid = \"ram_gb\"\nname = \"Memory\"\nminimum = 2\nmaximum = 8\nstep = 2\nincluded = 2\n\
             price = { USD = \"4.00\" }\n",
            1,
        );
    Catalogue::from_toml(&text).unwrap()
}

fn configured(quantity: u32, ram: u32, addons: &[&str]) -> LineRequest {
    LineRequest {
        configuration: [("ram_gb".to_owned(), json!(ram))].into(),
        addon_ids: addons.iter().map(|addon| (*addon).to_owned()).collect(),
        ..line("a", quantity)
    }
}

fn key(line: &LineRequest) -> LineKey {
    line_key(&machines(), line, Currency::Usd).unwrap()
}

#[test]
fn a_line_costs_its_service_options_addons_and_setup_fee() {
    let quote = quote_in(&machines(), &[configured(2, 6, &["backups"])]).unwrap();

    let line = &quote.lines[0];
    assert_eq!((line.unit_price, line.setup_fee, line.line_total), (usd("20"), usd("15"), usd("70")));
    assert_eq!(line.configuration["ram_gb"], json!(6));
    assert_eq!(
        (line.addons[0].id.as_str(), line.addons[0].name.as_str(), line.addons[0].price),
        ("backups", "Backups", usd("2"))
    );
    assert_eq!((quote.subtotal, quote.total, line.trial_days), (usd("70"), usd("70"), 0));
    let units: Vec<_> = quote.units.iter().map(|unit| (unit.price, unit.setup_fee, unit.total)).collect();
    assert_eq!(units, [(usd("35"), usd("15"), usd("35")); 2]);
}

#[test]
fn a_trial_makes_the_first_period_free_but_not_the_setup_fee() {
    let tried = LineRequest { trial: true, ..configured(2, 2, &[]) };
    let without_trial = LineRequest { trial: true, ..line("b", 1) };

    let quote = quote_in(&machines(), &[tried, without_trial]).unwrap();

    let lines: Vec<_> = quote.lines.iter().map(|line| (line.unit_price, line.trial_days, line.line_total)).collect();
    assert_eq!(lines, [(usd("10"), 14, usd("30")), (usd("5"), 0, usd("5"))]);
    assert_eq!(quote.units[0].price, usd("15"));
}

#[test]
fn a_line_asked_for_twice_is_tried_only_if_both_ask_for_it() {
    let (tried, bought) = (LineRequest { trial: true, ..line("a", 1) }, line("a", 1));

    for lines in [[tried.clone(), bought.clone()], [bought, tried]] {
        let quote = quote_in(&machines(), &lines).unwrap();

        assert_eq!((quote.lines[0].trial_days, quote.lines[0].quantity, quote.total), (0, 2, usd("50")));
    }
}

#[test]
fn a_price_that_staff_gave_is_the_price_of_a_cycle_all_in_all() {
    let given = LineRequest { price_override: Some(usd("0.01")), ..configured(2, 8, &["backups"]) };

    let quote = quote_in(&machines(), &[given]).unwrap();

    assert_eq!(
        (quote.lines[0].unit_price, quote.lines[0].setup_fee, quote.total),
        (usd("0.01"), usd("15"), usd("30.02"))
    );
    let other = LineRequest { price_override: Some(Money::parse("1", Currency::Eur).unwrap()), ..line("a", 1) };
    assert_eq!(
        quote_in(&machines(), &[other]).unwrap_err().to_string(),
        "line 0: the price that was given to a is in EUR, not in USD"
    );
}

#[test]
fn what_cannot_be_had_with_a_service_is_refused() {
    let refusal = |line: LineRequest| quote_in(&machines(), &[line]).unwrap_err();

    let odd = refusal(configured(1, 3, &[]));
    assert_eq!(odd.to_string(), "line 0: a cannot be had so");
    assert_eq!(
        std::error::Error::source(&odd).unwrap().to_string(),
        "ram_gb is 3, but must be a whole number from 2 to 8, in steps of 2"
    );
    assert_eq!(refusal(configured(1, 2, &["parking"])).to_string(), "line 0: there is no add-on \"parking\" to a");
    let elsewhere = LineRequest { addon_ids: vec!["backups".to_owned()], ..line("b", 1) };
    assert_eq!(refusal(elsewhere).to_string(), "line 0: there is no add-on \"backups\" to b");
}

#[test]
fn lines_that_differ_in_nothing_are_one_and_all_others_are_not() {
    let asked = [
        line("a", 1),
        configured(2, 2, &[]),
        configured(1, 4, &[]),
        configured(1, 4, &["ip", "backups"]),
        configured(1, 4, &["backups", "ip", "backups"]),
    ];

    let quote = quote_in(&machines(), &asked).unwrap();

    let lines: Vec<_> = quote.lines.iter().map(|line| (line.quantity, line.addons.len(), line.unit_price)).collect();
    assert_eq!(lines, [(3, 0, usd("10")), (1, 0, usd("14")), (2, 2, usd("19"))]);
    let quantity = quote_in(&shop(&["1.00"]), &[line("a", 60), line("a", 41)]).unwrap_err();
    assert_eq!(quantity.to_string(), "line 1: a can be bought 1 to 100 at a time, not 101");
}

#[test]
fn a_line_is_known_by_all_that_makes_it_another_line() {
    let given = |text: &str| LineRequest { price_override: Some(usd(text)), ..line("a", 1) };
    let apart = |text: &str| LineRequest { apart: Some(text.to_owned()), ..line("a", 1) };
    let all = [
        line("a", 1),
        line("b", 1),
        configured(1, 4, &[]),
        configured(1, 4, &["backups"]),
        configured(1, 4, &["backups", "ip"]),
        given("1"),
        given("2"),
        apart("a.example"),
        apart("b.example"),
        apart("1.00 USD"),
    ];

    let keys: BTreeSet<LineKey> = all.iter().map(key).collect();

    assert_eq!(keys.len(), all.len());
    assert_eq!(key(&LineRequest { trial: true, ..line("a", 9) }), key(&line("a", 1)));
    assert_eq!(key(&configured(1, 2, &["ip", "backups"])), key(&configured(1, 2, &["backups", "ip", "ip"])));
}

#[test]
fn a_lines_key_stays_the_same_in_every_version() {
    // Carts keep it: one that changed would make every line in them another.
    let key = key(&configured(1, 4, &["backups"]));

    insta::assert_snapshot!(key, @"ded968a0911e71636eaded5cf789613a21718ae44a8d26dfd10be368348b2e89");
    assert_eq!(key.as_str().parse(), Ok(key.clone()));
    for text in ["", "abc", &key.as_str().to_uppercase(), &format!("{key}0")] {
        assert!(text.parse::<LineKey>().is_err(), "{text:?}");
    }
}

#[test]
fn a_cart_is_priced_below_what_stripe_charges_but_not_sold() {
    let request = PricingRequest {
        discount: off(percent("50"), &[]),
        ..PricingRequest::plain(Currency::Usd, vec![line("a", 1)])
    };
    let shop = shop(&["0.60"]);

    assert_eq!(unchecked(&shop, &request).unwrap().total, usd("0.30"));
    assert!(matches!(quote(&shop, &request), Err(PricingError::BelowMinimum { .. })));
}
