//! The header `If-Match`: a write that holds only for the version that its sender has seen.

use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, StatusCode, header, request::Parts},
};

use super::problem::Problem;

/// The version that a write is for; none where the header is missing or is `*`, which any version fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IfMatch(pub(super) Option<i32>);

impl IfMatch {
    /// Refuses a write that is for another version.
    pub(super) fn check(self, version: i32) -> Result<(), Problem> {
        match self.0 {
            Some(wanted) if wanted != version => Err(changed()),
            _ => Ok(()),
        }
    }
}

/// 412: somebody has changed the cart since it was read.
pub(super) fn changed() -> Problem {
    const DETAIL: &str = "The cart has changed since you read it: read it again, then decide anew.";

    Problem::new(StatusCode::PRECONDITION_FAILED, "cart-changed", "The cart has changed", DETAIL)
}

/// The `ETag` of a version.
pub(super) fn tag(version: i32) -> HeaderValue {
    HeaderValue::from_str(&format!("\"{version}\"")).unwrap_or_else(|_| HeaderValue::from_static("\"0\""))
}

impl<S: Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let mut values = parts.headers.get_all(header::IF_MATCH).iter();
        match (values.next(), values.next()) {
            (None, _) => Ok(Self(None)),
            (Some(value), None) => value.to_str().ok().and_then(read).map(Self).ok_or_else(refusal),
            (Some(_), Some(_)) => Err(refusal()),
        }
    }
}

fn refusal() -> Problem {
    Problem::invalid_request(
        "If-Match: send one ETag as you were given it, such as \"7\" with its quotation marks, or *",
    )
}

/// The version of a tag. A weak one is no tag of ours.
fn read(value: &str) -> Option<Option<i32>> {
    let value = value.trim();
    if value == "*" {
        return Some(None);
    }
    let digits = value.strip_prefix('"')?.strip_suffix('"')?;
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().map(Some)
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    async fn of(values: &[&str]) -> Result<IfMatch, Problem> {
        let mut request = Request::builder();
        for value in values {
            request = request.header("if-match", *value);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        IfMatch::from_request_parts(&mut parts, &()).await
    }

    #[tokio::test]
    async fn a_tag_is_read_as_it_was_given() {
        assert_eq!(of(&[]).await, Ok(IfMatch(None)));
        assert_eq!(of(&["*"]).await, Ok(IfMatch(None)));
        assert_eq!(of(&["\"17\""]).await, Ok(IfMatch(Some(17))));
        assert_eq!(tag(17), "\"17\"");
    }

    #[tokio::test]
    async fn what_is_no_tag_of_ours_is_refused() {
        for nonsense in ["17", "W/\"17\"", "\"\"", "\"+1\"", "\"-1\"", "\"1\", \"2\"", "\"99999999999\"", "\"", "x"] {
            assert_eq!(of(&[nonsense]).await.unwrap_err().status(), StatusCode::BAD_REQUEST, "{nonsense}");
        }
        assert!(of(&["\"1\"", "\"2\""]).await.is_err());
    }

    #[test]
    fn a_write_for_another_version_is_refused() {
        assert!(IfMatch(None).check(3).is_ok() && IfMatch(Some(3)).check(3).is_ok());
        assert_eq!(IfMatch(Some(2)).check(3).unwrap_err().slug(), "cart-changed");
    }
}
