//! Options, add-ons and the other keys that may be left out.

use super::*;

/// A catalogue of one service with two add-ons, and these lines at the service's end.
fn ending_with(lines: &str) -> String {
    format!(
        "[[addon]]\nid = \"backups\"\nname = \"Backups\"\nprices.monthly = {{ USD = \"2.00\" }}\n\
         [[addon]]\nid = \"books\"\nname = \"Books\"\nprices.annual = {{ USD = \"9\" }}\ntax_category = \"books\"\n{}{lines}",
        with("max_quantity", "10")
    )
}

fn service_of(text: &str) -> Service {
    Catalogue::from_toml(text).unwrap().services()[0].clone()
}

fn usd(text: &str) -> Money {
    Money::parse(text, Currency::Usd).unwrap()
}

const RAM: &str = "[[service.option]]\nid = \"ram_gb\"\nname = \"Memory\"\nminimum = 2\nmaximum = 16\nstep = 2\nincluded = 4\nprice = { USD = \"0.25\" }\n";
const REGION: &str = "[[service.option]]\nid = \"region\"\nname = \"Region\"\ndefault = \"eu\"\nchoices = [{ id = \"eu\", name = \"Europe\" }, { id = \"asia\", name = \"Asia\", price = { USD = \"3\" } }]\n";

#[test]
fn what_is_left_out_has_its_default() {
    let service = service_of(&with("max_quantity", "10"));

    assert!(service.options().is_empty() && service.addon_ids().is_empty());
    assert!(service.setup_fee(Currency::Usd).is_zero());
    assert_eq!((service.trial_days(), service.tax_category(), service.needs_domain()), (0, "hosting", false));
    assert_eq!(service.renewal_price(), RenewalPrice::Locked);
}

#[test]
fn what_is_given_is_read() {
    let text = ending_with(&format!(
        "setup_fee = {{ USD = \"10\" }}\ntrial_days = 14\nneeds_domain = true\nrenewal_price = \"catalogue\"\n\
         addons = [\"backups\"]\n{RAM}{REGION}"
    ));

    let catalogue = Catalogue::from_toml(&text).unwrap();

    let service = catalogue.service("shared-monthly").unwrap();
    assert_eq!(service.setup_fee(Currency::Usd), usd("10"));
    assert_eq!((service.trial_days(), service.needs_domain()), (14, true));
    assert_eq!(service.renewal_price(), RenewalPrice::Catalogue);
    assert_eq!(service.addon_ids(), ["backups"]);
    let OptionKind::Number { minimum, maximum, step, included, price } = service.options()[0].kind() else { panic!() };
    assert_eq!((*minimum, *maximum, *step, *included, price[&Currency::Usd]), (2, 16, 2, 4, usd("0.25")));
    let OptionKind::Choice { choices, default } = service.options()[1].kind() else { panic!() };
    assert_eq!((choices[1].id(), choices[1].name(), default.as_str()), ("asia", "Asia", "eu"));
    assert_eq!((choices[0].price(Currency::Usd), choices[1].price(Currency::Usd)), (usd("0"), usd("3")));
    let addon = catalogue.addon("backups").unwrap();
    assert_eq!(addon.price(BillingCycle::Monthly, Currency::Usd), Some(usd("2")));
    assert_eq!(addon.price(BillingCycle::Annual, Currency::Usd), None);
    assert_eq!(addon.tax_category(), "hosting");
    assert_eq!((catalogue.addons().len(), catalogue.addon("none")), (2, None));
}

#[test]
fn a_refused_key_is_named_with_what_is_allowed() {
    for (lines, sentence) in [
        ("trial_days = 366\n", "service shared-monthly: trial_days is \"366\", but must be 0 to 365"),
        (
            "renewal_price = \"free\"\n",
            "service shared-monthly: renewal_price is \"free\", but must be locked or catalogue",
        ),
        (
            "tax_category = \"Hosting\"\n",
            "service shared-monthly: tax_category is \"Hosting\", but must be lower-case letters, digits, hyphens and underscores",
        ),
        (
            "setup_fee = { USD = \"-1\" }\n",
            "service shared-monthly: setup_fee.USD is \"-1\", but must be \"0\" to \"999999.99\" with at most 2 digits after the point",
        ),
        (
            "setup_fee = { EUR = \"1\" }\n",
            "service shared-monthly: setup_fee has no price in USD, in which the service is sold; \"0\" is free",
        ),
        (
            "addons = [\"parking\"]\n",
            "service shared-monthly: addons is \"parking\", but must be the id of an [[addon]]",
        ),
        (
            "addons = [\"backups\", \"backups\"]\n",
            "service shared-monthly: addons is \"backups\", but must be named once",
        ),
        (
            "addons = [\"books\"]\n",
            "service shared-monthly: addons is \"books\", but must be an add-on of the service's tax category, hosting",
        ),
        (
            "tax_category = \"books\"\naddons = [\"books\"]\n",
            "service shared-monthly: add-on books: prices.monthly has no price in USD, in which the service is sold; \"0\" is free",
        ),
    ] {
        assert_eq!(refusal_of(&ending_with(lines)), sentence);
    }
}

#[test]
fn a_refused_option_is_named_with_what_is_allowed() {
    for (option, from, to, sentence) in [
        (
            RAM,
            "ram_gb",
            "domain",
            "option: id is \"domain\", but must be unique among the service's options, and not domain",
        ),
        (RAM, "maximum = 16", "maximum = 1", "option ram_gb: maximum is \"1\", but must be 2 to 1000000"),
        (RAM, "maximum = 16", "maximum = 17", "option ram_gb: maximum is \"17\", but must be 2 and so many steps of 2"),
        (RAM, "included = 4", "included = 18", "option ram_gb: included is \"18\", but must be 2 to 16"),
        (RAM, "included = 4", "included = 5", "option ram_gb: included is \"5\", but must be 2 and so many steps of 2"),
        (RAM, "step = 2", "step = 0", "option ram_gb: step is \"0\", but must be 1 to 1000000"),
        (
            RAM,
            "step = 2\n",
            "",
            "option ram_gb: step is \"nothing\", but must be given: a number has minimum, maximum, step and included; a choice has choices and default",
        ),
        (RAM, "USD", "EUR", "option ram_gb: price has no price in USD, in which the service is sold; \"0\" is free"),
        (
            REGION,
            "default = \"eu\"",
            "default = \"us\"",
            "option region: default is \"us\", but must be one of eu, asia",
        ),
        (REGION, "default = \"eu\"\n", "", "option region: default is \"\", but must be one of eu, asia"),
        (
            REGION,
            "id = \"asia\"",
            "id = \"eu\"",
            "option region: choices: id is \"eu\", but must be unique among the choices",
        ),
        (
            REGION,
            "USD",
            "EUR",
            "option region: choice asia: price has no price in USD, in which the service is sold; \"0\" is free",
        ),
        (
            REGION,
            "default",
            "minimum = 1\ndefault",
            "option region: choices is \"beside them\", but must be alone with default: minimum, maximum, step, included and price are a number's",
        ),
    ] {
        let text = ending_with(&option.replace(from, to));

        assert_eq!(refusal_of(&text), format!("service shared-monthly: {sentence}"), "{text}");
    }
    let twice = refusal_of(&ending_with(&format!("{RAM}{RAM}")));
    assert!(twice.contains("option: id is \"ram_gb\", but must be unique"), "{twice}");
}

#[test]
fn a_refused_addon_is_named_with_what_is_allowed() {
    let with_addon = |lines: &str| format!("[[addon]]\n{lines}{}", with("max_quantity", "10"));
    for (lines, sentence) in [
        ("name = \"X\"\nprices = {}\n", "add-on number 1: missing field `id`"),
        ("id = \"x\"\nname = \"X\"\nprices = {}\n", "add-on x: prices is \"{}\", but must be a price a cycle"),
        (
            "id = \"x\"\nname = \"X\"\nprices.weekly = { USD = \"1\" }\n",
            "add-on x: prices.weekly is \"weekly\", but must be monthly or annual",
        ),
        (
            "id = \"x\"\nname = \"X\"\nprices.monthly = { USD = \"1.999\" }\n",
            "add-on x: prices.monthly.USD is \"1.999\", but must be \"0\" to",
        ),
        (
            "id = \"X\"\nname = \"X\"\nprices.monthly = { USD = \"1\" }\n",
            "add-on X: id is \"X\", but must be lower-case",
        ),
    ] {
        let refusal = refusal_of(&with_addon(lines));

        assert!(refusal.starts_with(sentence), "{refusal}");
    }
    let twice = ending_with("").replace("id = \"books\"", "id = \"backups\"");
    assert_eq!(refusal_of(&twice), "add-on backups: the id is used twice; ids must be unique");
}
