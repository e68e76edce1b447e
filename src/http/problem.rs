//! Problem details (RFC 9457): every error that HTTP answers, with a stable `type` and a sentence on what to do.

mod answers;
mod api_json;
mod objects;
mod types;

use std::{borrow::Cow, time::Duration};

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use problem_details::ProblemDetails;
use serde_json::{Map, Value};

pub use answers::ProblemJson;
pub(super) use answers::{Refuses, RefusesBody, RefusesStaff};
pub use api_json::ApiJson;
pub use types::{ProblemType, TYPES};

/// What every `type` begins with; a slug follows.
pub const TYPE_BASE: &str = "https://berth.dev/problems/";

/// One error answer: `application/problem+json`. It says only what its reader may know.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    status: StatusCode,
    slug: Cow<'static, str>,
    title: Cow<'static, str>,
    detail: String,
    members: Map<String, Value>,
    retry_after: Option<Duration>,
    challenge: bool,
}

impl Problem {
    /// A problem of one's own: `slug` becomes the `type` and never changes once it is out.
    #[must_use]
    pub fn new(
        status: StatusCode,
        slug: impl Into<Cow<'static, str>>,
        title: impl Into<Cow<'static, str>>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            status,
            slug: slug.into(),
            title: title.into(),
            detail: detail.into(),
            members: Map::new(),
            retry_after: None,
            challenge: false,
        }
    }

    /// Whether it is of the type with that slug.
    #[must_use]
    pub fn is(&self, slug: &str) -> bool {
        self.slug == slug
    }

    /// 400: the body is not what the route takes.
    #[must_use]
    pub fn invalid_body(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-body", "The request's body is not valid", detail)
    }

    /// 400: a header or a parameter of the query is not what the route takes.
    #[must_use]
    pub fn invalid_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-request", "The request is not valid", detail)
    }

    /// 401, with the challenge that RFC 6750 asks for. It does not say what was wrong with a token.
    #[must_use]
    pub fn unauthorized() -> Self {
        const DETAIL: &str = "Send a valid token as `Authorization: Bearer …`; sign in again if yours has expired.";

        let problem = Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "You are not signed in", DETAIL);
        Self { challenge: true, ..problem }
    }

    /// 403.
    #[must_use]
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", "You may not do this", detail)
    }

    /// 404, also for what exists and is somebody else's.
    #[must_use]
    pub fn not_found() -> Self {
        const DETAIL: &str =
            "There is nothing here, or it is not yours: check the address and whom you are signed in as.";

        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found", DETAIL)
    }

    /// 405.
    #[must_use]
    pub fn method_not_allowed() -> Self {
        const DETAIL: &str = "This address does not take that method: see /openapi.json.";

        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "Method not allowed", DETAIL)
    }

    /// 409: what is asked does not fit what is there now.
    #[must_use]
    pub fn conflict(slug: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, slug, "This does not fit the present state", detail)
    }

    /// 406.
    #[must_use]
    pub fn not_acceptable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_ACCEPTABLE, "not-acceptable", "There is no such representation", detail)
    }

    /// 410: whoever asks was deleted, at their own wish. Their orders and invoices can still be read.
    #[must_use]
    pub fn customer_deleted() -> Self {
        const DETAIL: &str = "You have deleted yourself here: nothing can be changed or bought as this customer any more. \
                              Sign up again to buy.";

        Self::new(StatusCode::GONE, "customer-deleted", "This customer was deleted", DETAIL)
    }

    /// 413.
    #[must_use]
    pub fn payload_too_large() -> Self {
        const DETAIL: &str = "Send a smaller body.";

        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "payload-too-large", "The request's body is too large", DETAIL)
    }

    /// 415.
    #[must_use]
    pub fn unsupported_media_type() -> Self {
        const DETAIL: &str = "Send JSON with the header `Content-Type: application/json`.";

        Self::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported-media-type",
            "The body's type is not supported",
            DETAIL,
        )
    }

    /// 422: understood and refused, for a reason that has a name.
    #[must_use]
    pub fn unprocessable(slug: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, slug, "This cannot be done", detail)
    }

    /// 429.
    #[must_use]
    pub fn too_many_requests(retry_after: Duration) -> Self {
        const DETAIL: &str = "Wait as long as `Retry-After` says, then try again.";

        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-requests", "Too many requests", DETAIL);
        Self { retry_after: Some(retry_after), ..problem }
    }

    /// 503: something that Berth needs is away; asking again is right.
    #[must_use]
    pub fn unavailable(retry_after: Duration) -> Self {
        const DETAIL: &str =
            "Something that Berth needs is away. Wait as long as `Retry-After` says, then send the same request again.";

        let problem = Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Temporarily unavailable", DETAIL);
        Self { retry_after: Some(retry_after), ..problem }
    }

    /// 503: the database is away.
    #[must_use]
    pub fn database_away() -> Self {
        Self::unavailable(Duration::from_secs(2))
    }

    /// 500. Log the cause with the same id: the answer tells nothing else of it.
    #[must_use]
    pub fn internal(request_id: impl Into<String>) -> Self {
        const DETAIL: &str = "This is our fault. Try again; if it stays, write to support with the request's id.";

        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "Something went wrong", DETAIL)
            .with("request_id", request_id.into())
    }

    /// Says something else than usual.
    #[must_use]
    pub fn with_detail(self, detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), ..self }
    }

    /// Adds a member beside the standard ones, which it cannot replace.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        const STANDARD: [&str; 5] = ["type", "title", "status", "detail", "instance"];

        if !STANDARD.contains(&name) {
            self.members.insert(name.to_owned(), value.into());
        }
        self
    }

    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// The last part of the `type`.
    #[must_use]
    pub fn slug(&self) -> &str {
        &self.slug
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let details = ProblemDetails::from_status_code(self.status).with_title(self.title).with_detail(self.detail);
        let details = match format!("{TYPE_BASE}{}", self.slug).parse::<axum::http::Uri>() {
            Ok(kind) => details.with_type(kind),
            Err(_) => details,
        };
        let mut response = details.with_extensions(self.members).into_response();
        let headers = response.headers_mut();
        if let Some(wait) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(wait.as_secs().max(1)));
        }
        if self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use axum::body::to_bytes;
    use serde_json::json;

    use super::*;

    async fn body(problem: Problem) -> (StatusCode, String, Value) {
        let response = problem.into_response();
        let kind = response.headers()[header::CONTENT_TYPE].to_str().unwrap().to_owned();
        let status = response.status();
        let bytes = to_bytes(response.into_body(), 10_000).await.unwrap();
        (status, kind, serde_json::from_slice(&bytes).unwrap())
    }

    #[tokio::test]
    async fn a_problem_is_problem_json_with_its_members() {
        let problem =
            Problem::unprocessable("coupon-expired", "The coupon SPRING ended on 1 June.").with("coupon", "SPRING");

        let (status, kind, body) = body(problem).await;

        assert_eq!((status, kind.as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "application/problem+json"));
        assert_eq!(
            body,
            json!({
                "type": "https://berth.dev/problems/coupon-expired",
                "title": "This cannot be done",
                "status": 422,
                "detail": "The coupon SPRING ended on 1 June.",
                "coupon": "SPRING",
            })
        );
    }

    #[tokio::test]
    async fn each_usual_problem_has_its_status_and_a_type_of_its_own() {
        let wait = Duration::from_secs(2);
        let usual = [
            (400, Problem::invalid_body("x")),
            (400, Problem::invalid_request("x")),
            (401, Problem::unauthorized()),
            (403, Problem::forbidden("x")),
            (404, Problem::not_found()),
            (405, Problem::method_not_allowed()),
            (409, Problem::conflict("in-flight", "x")),
            (410, Problem::customer_deleted()),
            (406, Problem::not_acceptable("x")),
            (413, Problem::payload_too_large()),
            (415, Problem::unsupported_media_type()),
            (422, Problem::unprocessable("no", "x")),
            (429, Problem::too_many_requests(wait)),
            (500, Problem::internal("req_1")),
            (503, Problem::unavailable(wait)),
        ];
        let mut types = std::collections::BTreeSet::new();

        for (status, problem) in usual {
            let (answered, _, body) = body(problem).await;
            assert_eq!((answered.as_u16(), &body["status"]), (status, &json!(status)));
            assert!(types.insert(body["type"].as_str().unwrap().to_owned()), "{body}");
        }
    }

    #[test]
    fn the_headers_that_go_with_a_status_are_there() {
        let wait = Problem::unavailable(Duration::from_millis(1)).into_response();
        let sign_in = Problem::unauthorized().into_response();

        assert_eq!(wait.headers()[header::RETRY_AFTER], "1");
        assert_eq!(sign_in.headers()[header::WWW_AUTHENTICATE], "Bearer");
    }

    #[tokio::test]
    async fn a_standard_member_cannot_be_replaced() {
        let (_, _, body) = body(Problem::not_found().with("status", 200)).await;

        assert_eq!(body["status"], 404);
    }
}
