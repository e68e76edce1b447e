use std::collections::HashSet;

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn prefix(text: &str) -> InstallationPrefix {
    text.parse().unwrap()
}

fn account(number: u128) -> AccountId {
    AccountId(Uuid::from_u128(number))
}

const KEY: UsernameKey = UsernameKey::new([7; 32]);

#[test]
fn a_username_is_the_same_each_time_and_differs_with_every_input() {
    let name = username(&prefix("bt"), &KEY, account(1), 0);

    // Fixed for ever: accounts whose creation was interrupted are looked for under this name.
    assert_eq!(name.as_str(), "btm9x3n2");
    assert_eq!(username(&prefix("bt"), &KEY, account(1), 0), name);
    assert_ne!(username(&prefix("bt"), &KEY, account(1), 1), name);
    assert_ne!(username(&prefix("bt"), &KEY, account(2), 0), name);
    assert_ne!(username(&prefix("bt"), &UsernameKey::new([8; 32]), account(1), 0), name);
    assert_ne!(username(&prefix("bu"), &KEY, account(1), 0), name);
}

#[test]
fn names_hardly_ever_collide() {
    let names: HashSet<_> = (0..20_000).map(|number| username(&prefix("bt"), &KEY, account(number), 0)).collect();

    // 387 million names: one pair among 20,000 accounts is as likely as none, and a taken name is what the salt is for.
    assert!(names.len() >= 19_996, "{}", names.len());
}

#[test]
fn every_letter_of_the_alphabet_is_used_evenly() {
    let mut counts = [0_u32; 27];
    for number in 0..9_000 {
        let name = username(&prefix("bt"), &KEY, account(number), 0);
        for byte in name.as_str().bytes().skip(2) {
            counts[ALPHABET.iter().position(|letter| *letter == byte).unwrap()] += 1;
        }
    }

    // 54,000 letters, 2,000 of each; five standard deviations are 220.
    assert!(counts.iter().all(|count| (1_780..=2_220).contains(count)), "{counts:?}");
}

#[test]
fn a_reserved_name_is_skipped() {
    // Every third letter `w` would begin a name with `www`, `s` after `sy` … : with these prefixes some draws are reserved.
    let skipped = (0..3_000).filter(|number| {
        let first = derive(&prefix("ww"), &KEY, account(*number), 0, 0);
        let name = username(&prefix("ww"), &KEY, account(*number), 0);
        assert_eq!(name.as_str().parse(), Ok(name.clone()));
        if is_reserved(&first) {
            assert_ne!(first, name.as_str());
            return true;
        }
        assert_eq!(first, name.as_str());
        false
    });

    assert!((50..200).contains(&skipped.count()), "about one in 27");
}

#[test]
fn the_last_resort_is_never_reserved() {
    let ninth = |text: &&&str| text.as_bytes().get(2) == Some(&b'9');
    assert_eq!(RESERVED_NAMES.iter().chain(RESERVED_PREFIXES).find(ninth), None);
    // A beginning of two letters or fewer would reserve everything under it: such prefixes are refused.
    for short in RESERVED_PREFIXES.iter().filter(|reserved| reserved.len() <= 2) {
        assert_eq!(short.parse::<InstallationPrefix>(), Err(InvalidUsername::Reserved((*short).to_owned())));
    }

    assert_eq!(unreserved("wwwbcdfg").as_str(), "ww9bcdfg");
    assert!("ww9bcdfg".parse::<Username>().is_ok());
}

#[test]
fn names_that_systems_keep_are_refused() {
    for name in
        ["postgres", "operator", "testbcdf", "rootbcdf", "pgbcdfgh", "adminbcd", "mysqlbcd", "wwwbcdfg", "cpanelbc"]
    {
        assert_eq!(name.parse::<Username>(), Err(InvalidUsername::Reserved(name.to_owned())));
    }
}

#[test]
fn names_of_another_form_are_refused() {
    for name in ["", "bt", "btbcdfgh2", "2tbcdfgh", "btBcdfgh", "bt_cdfgh", "bt-cdfgh", "btcdfgé", "bt cdfgh"] {
        assert_eq!(name.parse::<Username>(), Err(InvalidUsername::Form(name.to_owned())));
    }
    for text in ["", "b", "btt", "2b", "BT", "b_", "é"] {
        assert_eq!(text.parse::<InstallationPrefix>(), Err(InvalidUsername::Prefix(text.to_owned())));
    }
    assert!(serde_json::from_str::<Username>("\"root\"").is_err());
}

#[test]
fn the_key_is_not_shown() {
    assert_eq!(format!("{KEY:?}"), "UsernameKey(…)");
}

proptest! {
    #[test]
    fn every_name_is_legal(number: u128, salt: u32, key: [u8; 32], prefix in "[a-z][a-z0-9]") {
        prop_assume!(prefix != "pg");
        let prefix: InstallationPrefix = prefix.parse().unwrap();

        let name = username(&prefix, &UsernameKey::new(key), account(number), salt);

        prop_assert_eq!(name.as_str().parse(), Ok(name.clone()));
        prop_assert!(name.as_str().starts_with(prefix.as_str()));
    }
}
