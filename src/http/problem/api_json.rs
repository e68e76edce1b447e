//! JSON bodies whose refusals name the field.

use std::error::Error;

use axum::{
    Json,
    extract::{FromRequest, OptionalFromRequest, Request, rejection::JsonRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;

use super::{Problem, objects::OfObjects};

/// axum's `Json`, whose refusals are problems that name the field: member `field`, as in `items[0].quantity`.
#[derive(Clone, Copy, Debug, Default)]
pub struct ApiJson<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for ApiJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let read = <Json<OfObjects<T>> as FromRequest<S>>::from_request(request, state).await;
        let Json(OfObjects(body)) = read.map_err(Problem::from)?;
        Ok(Self(body))
    }
}

/// For routes whose body may be left out: one that says of what type it is is read.
impl<T: DeserializeOwned, S: Send + Sync> OptionalFromRequest<S> for ApiJson<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Option<Self>, Problem> {
        if request.headers().contains_key(header::CONTENT_TYPE) {
            return <Self as FromRequest<S>>::from_request(request, state).await.map(Some);
        }
        Ok(None)
    }
}

impl<T: serde::Serialize> IntoResponse for ApiJson<T> {
    fn into_response(self) -> Response {
        Json(self.0).into_response()
    }
}

impl From<JsonRejection> for Problem {
    fn from(rejection: JsonRejection) -> Self {
        if matches!(rejection, JsonRejection::MissingJsonContentType(_)) {
            return Self::unsupported_media_type();
        }
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            return Self::payload_too_large();
        }
        if !matches!(rejection, JsonRejection::JsonDataError(_) | JsonRejection::JsonSyntaxError(_)) {
            return Self::invalid_body("The body did not arrive whole: send it again.");
        }
        let text = rejection.source().map_or_else(|| rejection.body_text(), ToString::to_string);
        match path_and_reason(&text) {
            Some((path, reason)) => Self::invalid_body(format!("`{path}`: {reason}")).with("field", path),
            None => Self::invalid_body(text),
        }
    }
}

/// Splits `items[0].quantity: missing field …`. Messages about the whole body begin with words, and a path has no space.
fn path_and_reason(text: &str) -> Option<(&str, &str)> {
    text.split_once(": ").filter(|(path, _)| !path.contains(char::is_whitespace))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Cart {
        #[expect(dead_code, reason = "only its type matters")]
        items: Vec<Item>,
    }

    #[derive(Debug, Deserialize)]
    struct Item {
        #[expect(dead_code, reason = "only its type matters")]
        quantity: u8,
    }

    async fn refused(kind: &str, text: impl Into<Body>) -> Problem {
        let request = Request::builder().header(header::CONTENT_TYPE, kind).body(text.into()).unwrap();
        <ApiJson<Cart> as FromRequest<()>>::from_request(request, &()).await.unwrap_err()
    }

    #[tokio::test]
    async fn a_bad_field_is_named_by_its_path() {
        let json = "application/json";
        for (text, field, detail) in [
            (
                r#"{"items":[{"quantity":1},{"quantity":"two"}]}"#,
                json!("items[1].quantity"),
                "`items[1].quantity`: invalid type: string \"two\", expected u8 at line 1 column 42",
            ),
            (r#"{"items":[{}]}"#, json!("items[0]"), "`items[0]`: missing field `quantity` at line 1 column 12"),
            ("[]", json!(null), "invalid type: sequence, expected an object at line 1 column 0"),
            (r#"{"items":"#, json!("items"), "`items`: EOF while parsing a value at line 1 column 9"),
        ] {
            let problem = refused(json, text).await;
            assert_eq!(problem.detail(), detail);
            assert_eq!(problem.members.get("field").cloned().unwrap_or_default(), field, "{text}");
            assert_eq!((problem.status().as_u16(), problem.slug()), (400, "invalid-body"));
        }
    }

    #[tokio::test]
    async fn a_body_that_is_no_json_or_too_large_is_told_so() {
        let large = format!("{{\"items\":[{}]}}", " ".repeat(3 * 1024 * 1024));

        assert_eq!(refused("text/plain", "{}").await.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
        assert_eq!(refused("application/json", large).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    }
}
