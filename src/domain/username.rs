//! Usernames of hosting accounts: legal on every panel, telling nothing about the customer, the same each time they are derived.

use std::{fmt, str::FromStr};

use berth_jobs::ids::AccountId;
use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// WHM tells accounts apart by their first 8 characters, and DirectAdmin adds to names for databases: 8 suits all panels.
const LEN: usize = 8;

const DERIVED_LEN: usize = LEN - InstallationPrefix::LEN;

/// Consonants and digits: without vowels no words arise, and nothing looks like something else (0 and o, 1 and l).
const ALPHABET: &[u8; 27] = b"bcdfghjkmnpqrstvwxz23456789";

/// Names that a system or a panel keeps for itself, among those of 8 characters.
const RESERVED_NAMES: &[&str] = &["memcache", "operator", "postgres", "services", "username"];

/// Beginnings that panels or databases refuse, or that look like an account of the system.
const RESERVED_PREFIXES: &[&str] = &[
    "admin",
    "apache",
    "backup",
    "bin",
    "cpanel",
    "cpses",
    "daemon",
    "dbadmin",
    "debian",
    "exim",
    "ftp",
    "hestia",
    "http",
    "mail",
    "mysql",
    "named",
    "nginx",
    "nobody",
    "passenger",
    "pg",
    "proxy",
    "root",
    "sshd",
    "sync",
    "sys",
    "test",
    "virtfs",
    "whm",
    "www",
];

/// How many names are tried before the one that cannot be reserved is taken. More than two are hardly ever needed.
const MAX_TRIES: u32 = 32;

/// Why a text was refused as a username or as an installation's prefix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUsername {
    /// Not eight lower-case letters and digits that begin with a letter.
    #[error("{0:?} is not a username: 8 lower-case letters and digits, a letter first")]
    Form(String),
    /// A name, or the beginning of one, that systems keep for themselves.
    #[error("{0:?} is reserved by systems or panels")]
    Reserved(String),
    /// Not two lower-case letters or digits that begin with a letter.
    #[error("{0:?} is not an installation prefix: 2 lower-case letters and digits, a letter first")]
    Prefix(String),
}

/// The two characters that every username of one installation begins with, so that two installations can share a server.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct InstallationPrefix(String);

impl InstallationPrefix {
    const LEN: usize = 2;

    /// The two characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for InstallationPrefix {
    type Error = InvalidUsername;

    fn try_from(text: String) -> Result<Self, InvalidUsername> {
        if text.len() != Self::LEN || !letters_and_digits(&text) {
            return Err(InvalidUsername::Prefix(text));
        }
        if RESERVED_PREFIXES
            .iter()
            .any(|reserved| text.starts_with(reserved))
        {
            return Err(InvalidUsername::Reserved(text));
        }
        Ok(Self(text))
    }
}

impl FromStr for InstallationPrefix {
    type Err = InvalidUsername;

    fn from_str(text: &str) -> Result<Self, InvalidUsername> {
        Self::try_from(text.to_owned())
    }
}

impl From<InstallationPrefix> for String {
    fn from(prefix: InstallationPrefix) -> Self {
        prefix.0
    }
}

/// The secret that usernames are derived with, so that nobody can tell an account's id from its name or the next name from this one.
#[derive(Clone)]
pub struct UsernameKey([u8; 32]);

impl UsernameKey {
    /// A key of 32 secret bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for UsernameKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UsernameKey(…)")
    }
}

/// The name of a hosting account on its server: 8 lower-case letters and digits, a letter first, none that systems reserve.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Username(String);

impl Username {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Username {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for Username {
    type Error = InvalidUsername;

    fn try_from(text: String) -> Result<Self, InvalidUsername> {
        if text.len() != LEN || !letters_and_digits(&text) {
            return Err(InvalidUsername::Form(text));
        }
        if is_reserved(&text) {
            return Err(InvalidUsername::Reserved(text));
        }
        Ok(Self(text))
    }
}

impl FromStr for Username {
    type Err = InvalidUsername;

    fn from_str(text: &str) -> Result<Self, InvalidUsername> {
        Self::try_from(text.to_owned())
    }
}

impl From<Username> for String {
    fn from(username: Username) -> Self {
        username.0
    }
}

/// The name of an account. When it is taken on the server by somebody else, ask again with the next salt.
#[must_use]
pub fn username(
    prefix: &InstallationPrefix,
    key: &UsernameKey,
    account: AccountId,
    salt: u32,
) -> Username {
    (0..MAX_TRIES)
        .map(|attempt| derive(prefix, key, account, salt, attempt))
        .find(|name| !is_reserved(name))
        .map_or_else(
            || unreserved(&derive(prefix, key, account, salt, MAX_TRIES)),
            Username,
        )
}

fn derive(
    prefix: &InstallationPrefix,
    key: &UsernameKey,
    account: AccountId,
    salt: u32,
    attempt: u32,
) -> String {
    // HMAC fills short keys with zeros up to its block of 64 bytes, so this is the HMAC of the 32 bytes.
    let mut block = [0_u8; 64];
    for (to, from) in block.iter_mut().zip(key.0) {
        *to = from;
    }
    let mut mac = Hmac::<Sha256>::new(&block.into());
    mac.update(b"berth username|");
    mac.update(account.0.as_bytes());
    mac.update(&salt.to_be_bytes());
    mac.update(&attempt.to_be_bytes());
    let digest = mac.finalize().into_bytes();

    // Sixteen bytes: 27^6 names against 2^128 values, so no name is noticeably likelier than another.
    let mut value = digest
        .iter()
        .take(16)
        .fold(0_u128, |value, byte| (value << 8) | u128::from(*byte));
    let mut name = String::with_capacity(LEN);
    name.push_str(prefix.as_str());
    for _ in 0..DERIVED_LEN {
        let letters = ALPHABET.iter().zip(0_u128..);
        name.extend(
            letters
                .filter(|(_, place)| *place == value % 27)
                .map(|(letter, _)| char::from(*letter)),
        );
        value /= 27;
    }
    name
}

/// The name with its third character made a 9, which no reserved name or beginning has there.
fn unreserved(name: &str) -> Username {
    let ends = name.chars().enumerate().map(|(place, letter)| {
        if place == InstallationPrefix::LEN {
            '9'
        } else {
            letter
        }
    });
    Username(ends.collect())
}

fn is_reserved(name: &str) -> bool {
    RESERVED_NAMES.contains(&name)
        || RESERVED_PREFIXES
            .iter()
            .any(|reserved| name.starts_with(reserved))
}

fn letters_and_digits(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
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
        assert_ne!(
            username(&prefix("bt"), &UsernameKey::new([8; 32]), account(1), 0),
            name
        );
        assert_ne!(username(&prefix("bu"), &KEY, account(1), 0), name);
    }

    #[test]
    fn names_hardly_ever_collide() {
        let names: HashSet<_> = (0..20_000)
            .map(|number| username(&prefix("bt"), &KEY, account(number), 0))
            .collect();

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
        assert!(
            counts.iter().all(|count| (1_780..=2_220).contains(count)),
            "{counts:?}"
        );
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
        assert_eq!(
            RESERVED_NAMES.iter().chain(RESERVED_PREFIXES).find(ninth),
            None
        );
        // A beginning of two letters or fewer would reserve everything under it: such prefixes are refused.
        for short in RESERVED_PREFIXES
            .iter()
            .filter(|reserved| reserved.len() <= 2)
        {
            assert_eq!(
                short.parse::<InstallationPrefix>(),
                Err(InvalidUsername::Reserved((*short).to_owned()))
            );
        }

        assert_eq!(unreserved("wwwbcdfg").as_str(), "ww9bcdfg");
        assert!("ww9bcdfg".parse::<Username>().is_ok());
    }

    #[test]
    fn names_that_systems_keep_are_refused() {
        for name in [
            "postgres", "operator", "testbcdf", "rootbcdf", "pgbcdfgh", "adminbcd", "mysqlbcd",
            "wwwbcdfg", "cpanelbc",
        ] {
            assert_eq!(
                name.parse::<Username>(),
                Err(InvalidUsername::Reserved(name.to_owned()))
            );
        }
    }

    #[test]
    fn names_of_another_form_are_refused() {
        for name in [
            "",
            "bt",
            "btbcdfgh2",
            "2tbcdfgh",
            "btBcdfgh",
            "bt_cdfgh",
            "bt-cdfgh",
            "btcdfgé",
            "bt cdfgh",
        ] {
            assert_eq!(
                name.parse::<Username>(),
                Err(InvalidUsername::Form(name.to_owned()))
            );
        }
        for text in ["", "b", "btt", "2b", "BT", "b_", "é"] {
            assert_eq!(
                text.parse::<InstallationPrefix>(),
                Err(InvalidUsername::Prefix(text.to_owned()))
            );
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
}
