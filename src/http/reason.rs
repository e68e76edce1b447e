//! Why somebody does something, in their own words.

use serde::Deserialize;
use utoipa::ToSchema;

/// The longest reason, in characters.
const LONGEST: usize = 500;

/// 1 to 500 characters that say something, without NUL.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 500, pattern = r"^[^\u0000]*[^\s\u0000][^\u0000]*$")]
pub(super) struct Reason(String);

impl TryFrom<String> for Reason {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let says_something = !text.trim().is_empty() && !text.contains('\0');
        if !says_something || text.chars().count() > LONGEST {
            return Err("a reason has 1 to 500 characters, which say something");
        }
        Ok(Self(text))
    }
}

impl From<Reason> for String {
    fn from(reason: Reason) -> Self {
        reason.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_something_and_is_not_endless() {
        let reads = |text: &str| serde_json::from_value::<Reason>(serde_json::json!(text)).is_ok();

        for good in ["x", " changed my mind\n", &"ä".repeat(500)] {
            assert!(reads(good), "{good:?}");
        }
        for bad in ["", "  \n", "nul\0", &"ä".repeat(501)] {
            assert!(!reads(bad), "{bad:?}");
        }
    }
}
