use super::*;
use crate::domain::{money::Money, period::BillingCycle};

mod choices;

/// A catalogue of one service, with one line of it replaced.
fn with(key: &str, value: &str) -> String {
    let lines = [
        ("id", "\"shared-monthly\""),
        ("name", "\"Shared Hosting - Monthly\""),
        ("service_type", "\"shared\""),
        ("plan_name", "\"starter\""),
        ("billing_cycle", "\"monthly\""),
        ("prices", "{ USD = \"4.99\" }"),
        ("pool", "\"shared\""),
        ("package", "\"shared-starter\""),
        ("max_quantity", "10"),
    ];
    assert!(lines.iter().any(|(name, _)| *name == key), "no such key: {key}");
    let lines = lines.map(|(name, default)| format!("{name} = {}\n", if name == key { value } else { default }));
    format!("[[service]]\n{}", lines.concat())
}

fn refusal_of(text: &str) -> String {
    Catalogue::from_toml(text).unwrap_err().to_string()
}

#[test]
fn the_built_in_catalogue_sells_the_eight_services_at_their_prices() {
    let catalogue = Catalogue::built_in().unwrap();

    let sold: Vec<_> = catalogue
        .services()
        .iter()
        .take(8)
        .map(|service| {
            let price = service.price(Currency::Usd).unwrap().to_string();
            (
                service.id().as_str(),
                service.name(),
                price,
                service.service_type().as_str(),
                service.billing_cycle().as_str(),
            )
        })
        .collect();

    let expected = [
        ("shared-monthly", "Shared Hosting - Monthly", "4.99 USD", "shared", "monthly"),
        ("shared-annual", "Shared Hosting - Annual", "49.99 USD", "shared", "annual"),
        ("vps-monthly", "VPS - Monthly", "19.99 USD", "vps", "monthly"),
        ("vps-annual", "VPS - Annual", "199.99 USD", "vps", "annual"),
        ("cloud-monthly", "Cloud - Monthly", "99.99 USD", "cloud", "monthly"),
        ("cloud-annual", "Cloud - Annual", "999.99 USD", "cloud", "annual"),
        ("wordpress-monthly", "WordPress - Monthly", "9.99 USD", "wordpress", "monthly"),
        ("wordpress-annual", "WordPress - Annual", "99.99 USD", "wordpress", "annual"),
    ];
    assert_eq!(sold, expected.map(|(id, name, price, kind, cycle)| (id, name, price.to_owned(), kind, cycle)));
    assert!(catalogue.services().iter().take(8).all(|service| service.plan_name() == "starter"));
    assert!(catalogue.services().iter().skip(8).all(|service| service.plan_name() != "starter"));
}

#[test]
fn the_built_in_catalogue_has_three_tiers_of_each_type_in_three_currencies() {
    let catalogue = Catalogue::built_in().unwrap();

    for service_type in [ServiceType::Shared, ServiceType::Vps, ServiceType::Cloud, ServiceType::Wordpress] {
        for tier in ["starter", "professional", "enterprise"] {
            let cycles = catalogue
                .services()
                .iter()
                .filter(|service| service.service_type() == service_type && service.plan_name() == tier)
                .map(Service::billing_cycle);
            assert_eq!(
                cycles.collect::<Vec<_>>(),
                [BillingCycle::Monthly, BillingCycle::Annual],
                "{service_type} {tier}"
            );
        }
    }
    for service in catalogue.services() {
        let sold_in: Vec<Currency> = service.prices().map(|price| price.currency()).collect();
        assert_eq!(sold_in, [Currency::Eur, Currency::Gbp, Currency::Usd], "{}", service.id());
        let of_machines = matches!(service.service_type(), ServiceType::Vps | ServiceType::Cloud);
        let options: Vec<&str> = service.options().iter().map(ServiceOption::id).collect();
        assert_eq!(options, if of_machines { &["ram_gb", "cpu_cores", "disk_gb", "region"][..] } else { &[] });
        assert_eq!(service.needs_domain(), !of_machines, "{}", service.id());
        assert_eq!(service.addon_ids(), ["daily-backups", "dedicated-ip", "priority-support"]);
    }
}

#[test]
fn an_unknown_service_has_no_price() {
    let catalogue = Catalogue::built_in().unwrap();

    assert_eq!(catalogue.service("shared-monthly").map(Service::name), Some("Shared Hosting - Monthly"));
    // C25: the brief's page made `shared hosting-monthly` of the plan "Shared Hosting", and its shop sold that for nothing.
    for id in ["Shared Hosting", "shared hosting-monthly", "Shared-Monthly", "", "vps"] {
        assert_eq!(catalogue.service(id), None, "{id:?}");
    }
}

#[test]
fn a_refused_value_is_answered_with_service_key_and_what_is_allowed() {
    for (key, value, sentence) in [
        (
            "id",
            "\"Shared Monthly\"",
            "service Shared Monthly: id is \"Shared Monthly\", but must be lower-case letters, digits and hyphens",
        ),
        (
            "name",
            "\"\"",
            "service shared-monthly: name is \"\", but must be 1 to 100 bytes on one line, without spaces at its ends",
        ),
        (
            "name",
            "\" VPS\"",
            "service shared-monthly: name is \" VPS\", but must be 1 to 100 bytes on one line, without spaces at its ends",
        ),
        (
            "pool",
            "\"a\\nb\"",
            "service shared-monthly: pool is \"a\\nb\", but must be 1 to 100 bytes on one line, without spaces at its ends",
        ),
        (
            "service_type",
            "\"dedicated\"",
            "service shared-monthly: service_type is \"dedicated\", but must be shared, vps, cloud or wordpress",
        ),
        (
            "billing_cycle",
            "\"yearly\"",
            "service shared-monthly: billing_cycle is \"yearly\", but must be monthly or annual",
        ),
        (
            "prices",
            "{}",
            "service shared-monthly: prices is \"{}\", but must be at least one price, such as { USD = \"4.99\" }",
        ),
        (
            "prices",
            "{ USD = \"4.999\" }",
            "service shared-monthly: prices.USD is \"4.999\", but must be \"0\", or \"0.50\" to \"999999.99\" with at most 2 digits after the point",
        ),
        (
            "prices",
            "{ JPY = \"49\" }",
            "service shared-monthly: prices.JPY is \"49\", but must be \"0\", or \"50\" to \"99999999\" with at most 0 digits after the point",
        ),
        ("max_quantity", "0", "service shared-monthly: max_quantity is \"0\", but must be 1 to 100"),
        ("max_quantity", "101", "service shared-monthly: max_quantity is \"101\", but must be 1 to 100"),
        ("max_quantity", "-3", "service shared-monthly: max_quantity is \"-3\", but must be 1 to 100"),
    ] {
        assert_eq!(refusal_of(&with(key, value)), sentence);
    }
}

#[test]
fn prices_below_the_smallest_charge_or_above_the_largest_are_refused() {
    for price in ["0.49", "-4.99", "1000000", "free", "4,99", "1e2", ""] {
        assert!(refusal_of(&with("prices", &format!("{{ USD = \"{price}\" }}"))).contains("prices.USD"), "{price}");
    }
    for price in ["0", "0.00", "0.50", "999999.99"] {
        assert!(Catalogue::from_toml(&with("prices", &format!("{{ USD = \"{price}\" }}"))).is_ok(), "{price}");
    }
}

#[test]
fn a_price_that_is_no_text_is_refused() {
    for price in ["4.99", "5"] {
        let refusal = refusal_of(&with("prices", &format!("{{ USD = {price} }}")));

        assert!(refusal.starts_with("service shared-monthly: "), "{refusal}");
        assert!(refusal.contains("expected a string"), "{refusal}");
        assert!(refusal.contains("prices.USD"), "{refusal}");
    }
}

#[test]
fn currencies_that_cannot_be_charged_are_refused() {
    for code in ["UGX", "KWD", "usd", "XXX"] {
        let refusal = refusal_of(&with("prices", &format!("{{ {code} = \"5000\" }}")));

        assert!(refusal.contains(&format!("prices.{code}")) && refusal.contains("USD, ZAR"), "{refusal}");
    }
}

#[test]
fn unknown_and_missing_keys_are_named_with_the_service() {
    let unknown = refusal_of(&format!("{}prize = \"4.99\"\n", with("max_quantity", "1")));
    let missing = refusal_of(&with("max_quantity", "1").replace("pool = \"shared\"\n", ""));
    let nameless = refusal_of(&with("max_quantity", "1").replace("id = \"shared-monthly\"\n", ""));

    assert!(
        unknown.starts_with("service shared-monthly: unknown field `prize`, expected one of `id`, `name`"),
        "{unknown}"
    );
    assert!(missing.starts_with("service shared-monthly: missing field `pool`"), "{missing}");
    assert!(nameless.starts_with("service number 1: missing field `id`"), "{nameless}");
}

#[test]
fn an_id_used_twice_is_refused() {
    let twice = with("name", "\"One\"") + &with("name", "\"Two\"");

    assert_eq!(refusal_of(&twice), "service shared-monthly: the id is used twice; ids must be unique");
}

#[test]
fn a_file_that_is_no_catalogue_is_refused() {
    assert_eq!(refusal_of(""), "the catalogue lists 0 services; it must list 1 to 1000");
    assert!(refusal_of("[[service]\n").starts_with("the catalogue cannot be read: "));
    assert!(refusal_of("[[services]]\n").contains("unknown field `services`"));
}

#[test]
fn a_service_type_reads_back_as_it_was_written() {
    for word in ["shared", "vps", "cloud", "wordpress"] {
        let service_type: ServiceType = word.parse().unwrap();

        assert_eq!(service_type.as_str(), word);
        assert_eq!(serde_json::to_value(service_type).unwrap(), word);
    }
    assert!("Shared".parse::<ServiceType>().is_err());
}

#[test]
fn a_service_id_is_checked_when_it_is_read() {
    assert_eq!(serde_json::from_str::<ServiceId>("\"vps-annual\"").unwrap().as_str(), "vps-annual");
    assert!(serde_json::from_str::<ServiceId>("\"VPS annual\"").is_err());
    assert!("Shared Hosting".parse::<ServiceId>().is_err());
    assert!("x".repeat(101).parse::<ServiceId>().is_err());
}
