//! The name of a site in the DNS, as customers give it.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// RFC 1035's 255 octets, less the length of the first label and the root.
const LONGEST: usize = 253;
const LONGEST_LABEL: usize = 63;

/// A name such as `example.com`: two labels or more of letters, digits and hyphens, in lower case. Names in other scripts are
/// taken in punycode. Whether somebody may have it, or can at all, is not asked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct DomainName(String);

/// Why a text is no domain name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidDomainName {
    /// Empty, or too long.
    #[error("a domain name has 1 to {LONGEST} characters")]
    Length,
    /// One label, such as `localhost`.
    #[error("a domain name has two parts or more, such as example.com")]
    OnePart,
    /// A part that is empty, too long, or holds something else than letters, digits and hyphens within.
    #[error(
        "each part of a domain name has 1 to {LONGEST_LABEL} letters, digits and hyphens, no hyphen at its ends; other \
         scripts are written in punycode (xn--…)"
    )]
    Part,
    /// An address of four numbers, or something that browsers take for one.
    #[error("a domain name does not end in a number: an IP address is none")]
    Address,
}

impl DomainName {
    /// The name, without a point at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is this domain or lies beneath it; `domain` is in lower case.
    #[must_use]
    pub fn is_within(&self, domain: &str) -> bool {
        self.0.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for DomainName {
    type Err = InvalidDomainName;

    /// Takes either case, spaces around it, and the root's point at its end.
    fn from_str(text: &str) -> Result<Self, InvalidDomainName> {
        let trimmed = text.trim();
        let name = trimmed.strip_suffix('.').unwrap_or(trimmed);
        if !(1..=LONGEST).contains(&name.len()) {
            return Err(InvalidDomainName::Length);
        }
        if !name.split('.').all(is_label) {
            return Err(InvalidDomainName::Part);
        }
        let (_, last) = name.rsplit_once('.').ok_or(InvalidDomainName::OnePart)?;
        // What a browser's parser takes for a number, and so the whole for an address: digits, or hexadecimal behind 0x.
        let hexadecimal = last.to_ascii_lowercase().strip_prefix("0x").is_some_and(is_hexadecimal);
        if hexadecimal || last.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidDomainName::Address);
        }
        Ok(Self(name.to_ascii_lowercase()))
    }
}

fn is_label(label: &str) -> bool {
    (1..=LONGEST_LABEL).contains(&label.len())
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !label.starts_with('-')
        && !label.ends_with('-')
}

fn is_hexadecimal(digits: &str) -> bool {
    digits.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl TryFrom<String> for DomainName {
    type Error = InvalidDomainName;

    fn try_from(text: String) -> Result<Self, InvalidDomainName> {
        text.parse()
    }
}

impl From<DomainName> for String {
    fn from(name: DomainName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests;
