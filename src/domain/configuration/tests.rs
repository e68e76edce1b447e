use serde_json::json;

use super::*;
use crate::domain::catalogue::Catalogue;

fn options() -> Vec<ServiceOption> {
    Catalogue::built_in().unwrap().service("vps-monthly").unwrap().options().to_vec()
}

fn configuration(value: Value) -> Configuration {
    serde_json::from_value(value).unwrap()
}

#[test]
fn what_is_not_said_is_taken_as_included() {
    let whole = configuration(json!({ "ram_gb": 2, "cpu_cores": 1, "disk_gb": 40, "region": "eu-central" }));

    assert_eq!(normalise(&options(), &Configuration::new()), Ok(whole.clone()));
    assert_eq!(normalise(&options(), &whole), Ok(whole.clone()));
    assert!(price(&options(), &whole, Currency::Usd).unwrap().is_zero());
}

#[test]
fn every_step_above_what_is_included_and_every_choice_has_its_price() {
    let asked = configuration(json!({ "ram_gb": 8, "disk_gb": 60, "region": "ap-southeast" }));
    let whole = normalise(&options(), &asked).unwrap();

    // Three steps of 2 GB at 4.00, one of 20 GB at 2.00, and 3.00 for the region.
    assert_eq!(price(&options(), &whole, Currency::Usd).unwrap().to_string(), "17.00 USD");
    assert_eq!(price(&options(), &whole, Currency::Gbp).unwrap().to_string(), "14.80 GBP");
}

#[test]
fn what_cannot_be_had_is_refused_with_what_can() {
    for (asked, sentence) in [
        (json!({ "ram_gb": 3 }), "ram_gb is 3, but must be a whole number from 2 to 32, in steps of 2"),
        (json!({ "ram_gb": 34 }), "ram_gb is 34, but must be a whole number from 2 to 32, in steps of 2"),
        (json!({ "ram_gb": -2 }), "ram_gb is -2, but must be a whole number from 2 to 32, in steps of 2"),
        (json!({ "ram_gb": 4.0 }), "ram_gb is 4.0, but must be a whole number from 2 to 32, in steps of 2"),
        (json!({ "ram_gb": "4" }), "ram_gb is \"4\", but must be a whole number from 2 to 32, in steps of 2"),
        (json!({ "ram_gb": null }), "ram_gb is null, but must be a whole number from 2 to 32, in steps of 2"),
        (json!({ "region": "moon" }), "region is \"moon\", but must be one of eu-central, us-east, ap-southeast"),
        (
            json!({ "region": ["us-east"] }),
            "region is [\"us-east\"], but must be one of eu-central, us-east, ap-southeast",
        ),
        (json!({ "gpu": 1 }), "there is no option \"gpu\"; there are ram_gb, cpu_cores, disk_gb, region"),
    ] {
        assert_eq!(normalise(&options(), &configuration(asked)).unwrap_err().to_string(), sentence);
    }
    let long = configuration(json!({ "x".repeat(10_000): 1 }));
    assert!(normalise(&[], &long).unwrap_err().to_string().len() < 200);
}
