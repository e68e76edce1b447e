//! What a line is known by: a hash over everything that makes it another line.

use std::{
    collections::BTreeSet,
    fmt::{self, Write},
    str::FromStr,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::{
    catalogue::ServiceId,
    configuration::{Configuration, canonical},
    money::Money,
};

const LEN: usize = 64;

/// SHA-256 over service, configuration, add-ons, given price and what keeps it apart, in hexadecimal: the same on every machine, in every version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LineKey(String);

/// A text that is the key of no line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the key of a line: {LEN} hexadecimal digits in lower case")]
pub struct InvalidLineKey(String);

impl LineKey {
    /// The key of a line whose configuration is whole.
    pub(super) fn of(
        service: &ServiceId,
        configuration: &Configuration,
        addons: &BTreeSet<&str>,
        price_override: Option<Money>,
        apart: Option<&str>,
    ) -> Self {
        let mut parts = vec!["berth line 1".to_owned(), service.to_string(), configuration.len().to_string()];
        parts.extend(configuration.iter().flat_map(|(option, value)| [option.clone(), canonical(value)]));
        parts.push(addons.len().to_string());
        parts.extend(addons.iter().map(|addon| (*addon).to_owned()));
        parts.extend(price_override.map(|price| price.to_string()));
        // No price begins so.
        parts.extend(apart.map(|apart| format!("apart {apart}")));
        let mut hash = Sha256::new();
        for part in parts {
            // Its length before each part: no two lists of parts run together into the same bytes.
            hash.update(format!("{}:", part.len()));
            hash.update(part);
        }
        let mut text = String::with_capacity(LEN);
        for byte in hash.finalize() {
            let _infallible = write!(text, "{byte:02x}");
        }
        Self(text)
    }

    /// The key as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LineKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for LineKey {
    type Error = InvalidLineKey;

    fn try_from(text: String) -> Result<Self, InvalidLineKey> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if text.len() == LEN && digits { Ok(Self(text)) } else { Err(InvalidLineKey(text)) }
    }
}

impl FromStr for LineKey {
    type Err = InvalidLineKey;

    fn from_str(text: &str) -> Result<Self, InvalidLineKey> {
        Self::try_from(text.to_owned())
    }
}

impl From<LineKey> for String {
    fn from(key: LineKey) -> Self {
        key.0
    }
}
