//! Where somebody can be written to.

use serde::{Deserialize, Serialize};

/// An address within its country, which stands beside it. In tables and in the API it is an object of texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Address {
    /// Street and number.
    pub line1: String,
    /// Floor, building, care of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line2: Option<String>,
    /// The town.
    pub city: String,
    /// Where there are postal codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postal_code: Option<String>,
    /// State, province or county, where an address needs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

impl Address {
    /// The address as lines of a letter, without empty ones.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let place = [self.postal_code.as_deref(), Some(self.city.as_str())];
        let place: Vec<&str> = place.into_iter().flatten().filter(|part| !part.is_empty()).collect();
        let lines = [Some(self.line1.clone()), self.line2.clone(), Some(place.join(" ")), self.region.clone()];
        lines.into_iter().flatten().filter(|line| !line.is_empty()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_leaves_no_empty_line() {
        let full = Address {
            line1: "Am Hafen 1".into(),
            line2: Some("Tor 3".into()),
            city: "Hamburg".into(),
            postal_code: Some("20457".into()),
            region: Some("HH".into()),
        };
        let city = Address { city: "Hong Kong".into(), ..Address::default() };

        assert_eq!(full.lines(), ["Am Hafen 1", "Tor 3", "20457 Hamburg", "HH"]);
        assert_eq!(city.lines(), ["Hong Kong"]);
        assert!(Address::default().lines().is_empty());
    }
}
