//! Problems as the description of the API tells them.

use utoipa::{IntoResponses, ToSchema};

/// A problem (RFC 9457). Other members say more where there is more to say, such as `field` or `item`.
#[derive(ToSchema)]
#[expect(dead_code, reason = "it only describes what `Problem` answers")]
pub struct ProblemJson {
    /// What it is, for programs: it never changes.
    #[schema(rename = "type", format = "uri", example = "https://berth.dev/problems/coupon-expired")]
    kind: String,
    /// What it is, for people.
    title: String,
    /// The HTTP status.
    #[schema(minimum = 400, maximum = 599)]
    status: u16,
    /// What is wrong here, and what to do.
    detail: String,
}

/// What every route for signed-in customers can refuse with.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it only describes what `Problem` answers")]
pub(in crate::http) enum Refuses {
    /// Sign in.
    #[response(status = 401, content_type = "application/problem+json")]
    Unauthorized(ProblemJson),
    /// Something that Berth needs is away: send the same again after `Retry-After`.
    #[response(status = 503, content_type = "application/problem+json")]
    Unavailable(ProblemJson),
}

/// What every route for staff can refuse with, beside [`Refuses`].
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it only describes what `Problem` answers")]
pub(in crate::http) enum RefusesStaff {
    /// Only staff may do this.
    #[response(status = 403, content_type = "application/problem+json")]
    Forbidden(ProblemJson),
}

/// What every route that takes a body can refuse with.
#[derive(IntoResponses)]
#[expect(dead_code, reason = "it only describes what `Problem` answers")]
pub(in crate::http) enum RefusesBody {
    /// The body, a header or a parameter is not what the route takes; `field` names the place in the body.
    #[response(status = 400, content_type = "application/problem+json")]
    BadRequest(ProblemJson),
    /// The body is too large.
    #[response(status = 413, content_type = "application/problem+json")]
    TooLarge(ProblemJson),
    /// The body is not JSON.
    #[response(status = 415, content_type = "application/problem+json")]
    NotJson(ProblemJson),
}
