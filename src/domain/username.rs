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
        if RESERVED_PREFIXES.iter().any(|reserved| text.starts_with(reserved)) {
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
pub fn username(prefix: &InstallationPrefix, key: &UsernameKey, account: AccountId, salt: u32) -> Username {
    (0..MAX_TRIES)
        .map(|attempt| derive(prefix, key, account, salt, attempt))
        .find(|name| !is_reserved(name))
        .map_or_else(|| unreserved(&derive(prefix, key, account, salt, MAX_TRIES)), Username)
}

fn derive(prefix: &InstallationPrefix, key: &UsernameKey, account: AccountId, salt: u32, attempt: u32) -> String {
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
    let mut value = digest.iter().take(16).fold(0_u128, |value, byte| (value << 8) | u128::from(*byte));
    let mut name = String::with_capacity(LEN);
    name.push_str(prefix.as_str());
    for _ in 0..DERIVED_LEN {
        let letters = ALPHABET.iter().zip(0_u128..);
        name.extend(letters.filter(|(_, place)| *place == value % 27).map(|(letter, _)| char::from(*letter)));
        value /= 27;
    }
    name
}

/// The name with its third character made a 9, which no reserved name or beginning has there.
fn unreserved(name: &str) -> Username {
    let ends =
        name.chars().enumerate().map(|(place, letter)| if place == InstallationPrefix::LEN { '9' } else { letter });
    Username(ends.collect())
}

fn is_reserved(name: &str) -> bool {
    RESERVED_NAMES.contains(&name) || RESERVED_PREFIXES.iter().any(|reserved| name.starts_with(reserved))
}

fn letters_and_digits(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_lowercase())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

#[cfg(test)]
mod tests;
