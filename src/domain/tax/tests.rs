use super::*;

fn country(code: &str) -> Country {
    code.parse().unwrap()
}

fn rules(inclusive: bool, seller: &str, rates: &[&str]) -> TaxRules {
    let rates: Vec<TaxRate> = rates.iter().map(|rate| rate.parse().unwrap()).collect();
    TaxRules::new(inclusive, Some(country(seller)), &rates).unwrap()
}

fn buyer(code: &str, vat_id: Option<&str>) -> TaxAddress {
    TaxAddress { country: country(code), vat_id: vat_id.map(|id| id.parse().unwrap()) }
}

const RATES: &[&str] = &["DE:*:19", "DE:books:7", "FR:*:20", "CH:hosting:8.1"];

#[test]
fn the_rate_is_that_of_the_buyers_country_and_the_category() {
    let rules = rules(false, "DE", RATES);

    for (buyer, category, rate) in [
        (buyer("DE", None), "hosting", "19"),
        (buyer("DE", None), "books", "7"),
        (buyer("FR", None), "books", "20"),
        (buyer("CH", None), "hosting", "8.1"),
        (buyer("CH", None), "books", "0"),
        (buyer("US", None), "hosting", "0"),
    ] {
        let treatment = rules.treatment(Some(&buyer));

        assert_eq!(treatment.rate(category).to_string(), rate, "{buyer:?} {category}");
        assert_eq!(treatment.note(), None);
    }
}

#[test]
fn an_unknown_address_is_taxed_as_the_sellers_own_country() {
    let rules = rules(true, "DE", RATES);

    assert_eq!(rules.treatment(None), rules.treatment(Some(&buyer("DE", None))));
    assert!(rules.treatment(None).inclusive && rules.need_address());
}

#[test]
fn without_rates_there_is_no_tax_and_no_note() {
    let nobody = TaxRules::new(false, None, &[]).unwrap();
    let seller = rules(false, "DE", &[]);

    for rules in [nobody, seller] {
        let treatment = rules.treatment(Some(&buyer("FR", Some("FR12345678901"))));

        assert_eq!(treatment, TaxTreatment::none());
        assert!(!rules.need_address());
    }
}

#[test]
fn a_business_in_another_country_of_the_union_owes_the_tax_itself() {
    let charged = |seller: &str, buyer: &TaxAddress| {
        let treatment = rules(false, seller, RATES).treatment(Some(buyer));
        (treatment.reverse_charge, treatment.rate("hosting").is_zero(), treatment.note().is_some())
    };

    assert_eq!(charged("DE", &buyer("FR", Some("FR12345678901"))), (true, true, true));
    assert_eq!(charged("FR", &buyer("DE", Some("DE123456789"))), (true, true, true));
    // At home, without a number, with another country's number, and across the Union's border it is charged as to anybody.
    assert_eq!(charged("DE", &buyer("DE", Some("DE123456789"))), (false, false, false));
    assert_eq!(charged("DE", &buyer("FR", None)), (false, false, false));
    assert_eq!(charged("DE", &buyer("FR", Some("DE123456789"))), (false, false, false));
    assert_eq!(charged("CH", &buyer("FR", Some("FR12345678901"))), (false, false, false));
    assert_eq!(charged("DE", &buyer("CH", Some("FR12345678901"))), (false, false, false));
}

#[test]
fn greece_is_el_in_its_numbers() {
    let id: VatId = "EL123456789".parse().unwrap();

    assert_eq!((id.country(), id.as_str()), (country("GR"), "EL123456789"));
    assert!(rules(false, "DE", RATES).treatment(Some(&buyer("GR", Some("EL123456789")))).reverse_charge);
    assert!("GR123456789".parse::<VatId>().is_err());
}

#[test]
fn numbers_of_every_country_of_the_union_are_known_by_their_shape() {
    let mut countries = std::collections::BTreeSet::new();
    for text in [
        "ATU12345678",
        "BE0123456789",
        "BG123456789",
        "BG1234567890",
        "CY12345678X",
        "CZ12345678",
        "CZ1234567890",
        "DE123456789",
        "DK12345678",
        "EE123456789",
        "EL123456789",
        "ESX1234567X",
        "ES12345678X",
        "FI12345678",
        "FR12345678901",
        "FRXX123456789",
        "HR12345678901",
        "HU12345678",
        "IE1234567X",
        "IE1A23456X",
        "IE1234567WA",
        "IT12345678901",
        "LT123456789",
        "LT123456789012",
        "LU12345678",
        "LV12345678901",
        "MT12345678",
        "NL123456789B01",
        "PL1234567890",
        "PT123456789",
        "RO12",
        "RO1234567890",
        "SE123456789012",
        "SI12345678",
        "SK1234567890",
    ] {
        let id: VatId = text.parse().unwrap();

        assert!(id.country().is_in_eu(), "{text}");
        countries.insert(id.country());
    }
    assert_eq!(countries.len(), 27);
    assert_eq!("de 123.456-789".parse::<VatId>().unwrap().as_str(), "DE123456789");
}

#[test]
fn what_has_no_such_shape_is_no_number() {
    for text in [
        "",
        "D",
        "DE",
        "DE12345678",
        "DE1234567890",
        "DE12345678X",
        "AT12345678",
        "GB123456789",
        "US123456789",
        "XX123456789",
        "ES123456789012",
        "DE１２３４５６７８９",
        "éé123456789",
    ] {
        assert!(text.parse::<VatId>().is_err(), "{text:?}");
    }
}

#[test]
fn the_union_ends_at_its_borders() {
    for code in ["GB", "CH", "NO", "US", "EL", "XI"] {
        assert!(!country(code).is_in_eu(), "{code}");
    }
    assert!("D".parse::<Country>().is_err() && "DEU".parse::<Country>().is_err() && "D1".parse::<Country>().is_err());
    assert_eq!(country("de"), country("DE"));
}

#[test]
fn rates_are_read_or_refused() {
    let rate: TaxRate = "at:hosting:20.5".parse().unwrap();

    assert_eq!(
        (rate.country, rate.category.as_str(), rate.percent.to_string()),
        (country("AT"), "hosting", "20.5".into())
    );
    assert!("DE:hosting:0".parse::<TaxRate>().is_ok());
    for text in [
        "",
        "DE",
        "DE:19",
        "DE:hosting:",
        "DE:hosting:-19",
        "DE:hosting:101",
        "DE:hosting:19:x",
        "DEU:*:19",
        "DE::19",
        "DE:*:19%",
        "DE:*:19.999",
        "DE:*:NaN",
    ] {
        assert_eq!(text.parse::<TaxRate>(), Err(InvalidTaxRules::Rate(text.to_owned())));
    }
}

#[test]
fn contradicting_rules_are_refused() {
    let rates: Vec<TaxRate> = ["DE:*:19", "DE:*:16"].iter().map(|rate| rate.parse().unwrap()).collect();

    assert_eq!(
        TaxRules::new(false, Some(country("DE")), &rates).unwrap_err().to_string(),
        "there are two rates for DE:*"
    );
    assert_eq!(TaxRules::new(false, None, &rates[..1]), Err(InvalidTaxRules::NoSeller));
}

#[test]
fn countries_are_called_by_their_names_and_other_letters_by_none() {
    for (code, name) in [("AD", "Andorra"), ("de", "Germany"), ("GB", "United Kingdom"), ("ZW", "Zimbabwe")] {
        assert_eq!(country(code).name(), Some(name));
    }
    for code in ["AA", "EL", "UK", "XX", "ZZ"] {
        assert_eq!(country(code).name(), None, "{code}");
    }
}
