//! URLs that may hold a password.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use url::Url;

pub(super) const REDACTED: &str = "[redacted]";

/// A URL that may hold a password: its `Debug` does not show it, and it has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretUrl(Url);

impl SecretUrl {
    /// The URL, password and all.
    #[must_use]
    pub fn expose(&self) -> &Url {
        &self.0
    }

    /// The URL with `[redacted]` in place of its password, for logs.
    #[must_use]
    pub fn redacted(&self) -> String {
        without_password(self.0.as_str())
    }
}

impl From<Url> for SecretUrl {
    fn from(url: Url) -> Self {
        Self(url)
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl<'de> Deserialize<'de> for SecretUrl {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(de::Error::custom)
    }
}

/// The URL with `[redacted]` for its password and for the values of parameters such as `password=` and `sslpassword=`.
/// A text that is no URL is redacted whole.
pub(super) fn without_password(text: &str) -> String {
    const PLACEHOLDER: &str = "berth-redacted";
    const TELLING: [&str; 5] = ["password", "passwd", "secret", "token", "key"];

    let Ok(mut url) = Url::parse(text) else {
        return REDACTED.to_owned();
    };
    let tells = |name: &str| TELLING.iter().any(|word| name.to_ascii_lowercase().contains(word));
    if url.password().is_none() && !url.query_pairs().any(|(name, _)| tells(&name)) {
        return text.to_owned();
    }
    if url.password().is_some() && url.set_password(Some(PLACEHOLDER)).is_err() {
        return REDACTED.to_owned();
    }
    if url.query_pairs().any(|(name, _)| tells(&name)) {
        let pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let shown = pairs.iter().map(|(name, value)| (name, if tells(name) { PLACEHOLDER } else { value }));
        url.query_pairs_mut().clear().extend_pairs(shown);
    }
    url.as_str().replace(PLACEHOLDER, REDACTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for (url, shown) in [
            ("postgres://berth:hunter2@db/berth", "postgres://berth:[redacted]@db/berth"),
            ("redis://:hunter2@cache:6379/1", "redis://:[redacted]@cache:6379/1"),
            ("postgres:///berth?host=/run&password=hunter2", "postgres:///berth?host=%2Frun&password=[redacted]"),
            ("smtp://mail.example.com:25", "smtp://mail.example.com:25"),
            ("hunter2", "[redacted]"),
        ] {
            assert_eq!(without_password(url), shown);
        }
    }

    #[test]
    fn its_debug_form_is_redacted() {
        let url: SecretUrl = Url::parse("redis://:hunter2@cache").unwrap().into();

        assert_eq!(format!("{url:?}"), "redis://:[redacted]@cache");
    }
}
