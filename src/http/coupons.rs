//! Coupons, for staff only: no route shows a code to customers.

mod json;
mod terms;

use axum::{
    Json,
    extract::{Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use berth_jobs::ids::CouponId;
use serde::Deserialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use super::{
    auth::{AuthenticatedStaff, Customer},
    cart::of_commit,
    orders::of_store,
    paging::Listed,
    problem::{ApiJson, Problem, ProblemJson, Refuses, RefusesBody, RefusesStaff},
    reason::Reason,
    segments::Segments,
};
use crate::{
    app::App,
    domain::coupon::CouponCode,
    effects::{CouponChange, CouponTerms, Effects, NewAudit},
    store::coupons::StoredCoupon,
};
pub use json::CouponJson;
pub use terms::{CouponPatch, NewCoupon};

/// So many are listed when the caller does not say.
const USUAL: u8 = 20;
/// At most so many are listed at once.
const MOST: u8 = 100;

/// How to page.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct CouponsQuery {
    /// How many.
    #[param(minimum = 1, maximum = 100, default = 20)]
    limit: Option<u8>,
    /// The id of the last one of the page before: `cpn_…`.
    starting_after: Option<String>,
}

/// Why something is done.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Ending {
    #[schema(value_type = String, min_length = 1, max_length = 500, example = "posted in a forum")]
    reason: Reason,
}

/// Lists all coupons, the newest first.
#[utoipa::path(get, path = "/v1/coupons", tag = "staff", operation_id = "list_coupons", security(("bearer" = [])),
    params(CouponsQuery),
    responses(
        (status = 200, description = "A page of coupons.", body = Listed<CouponJson>),
        (status = 400, description = "A parameter is not what the route takes.", body = ProblemJson,
            content_type = "application/problem+json"),
        Refuses, RefusesStaff,
    ),
)]
pub async fn list(
    AuthenticatedStaff(_staff): AuthenticatedStaff,
    State(app): State<App>,
    query: Result<Query<CouponsQuery>, QueryRejection>,
) -> Result<Json<Listed<CouponJson>>, Problem> {
    let Query(query) = query.map_err(|error| Problem::invalid_request(error.body_text()))?;
    let limit = query.limit.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        return Err(Problem::invalid_request(format!("limit: 1 to {MOST}")));
    }
    let before: Option<CouponId> = query
        .starting_after
        .map(|id| id.parse())
        .transpose()
        .map_err(|error| Problem::invalid_request(format!("starting_after: {error}")))?;
    // One more than is shown tells whether there are more.
    let mut coupons = app.store.coupons(before, i64::from(limit) + 1).await.map_err(of_store)?;
    let has_more = coupons.len() > usize::from(limit);
    coupons.truncate(usize::from(limit));
    Ok(Json(Listed { data: coupons.iter().map(|coupon| CouponJson::of(&app, coupon)).collect(), has_more }))
}

/// Makes a coupon. Written down with its reason.
#[utoipa::path(post, path = "/v1/coupons", tag = "staff", operation_id = "create_coupon", security(("bearer" = [])),
    request_body = NewCoupon,
    responses(
        (status = 201, description = "The coupon.", body = CouponJson,
            headers(("Location" = String, description = "Where it is shown."))),
        (status = 409, description = "code-taken: another coupon has the code.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 422, description = "coupon-terms: such a coupon cannot be meant.", body = ProblemJson,
            content_type = "application/problem+json"),
        Refuses, RefusesStaff, RefusesBody,
    ),
)]
pub async fn create(
    AuthenticatedStaff(staff): AuthenticatedStaff,
    State(app): State<App>,
    ApiJson(new): ApiJson<NewCoupon>,
) -> Result<Response, Problem> {
    let (code, terms, reason) = new.read(&app)?;
    let id = CouponId::new();
    let by = staff.id.to_string();
    let change = CouponChange::Create { id, code: code.to_string(), terms: terms.clone(), by };
    let audit = Written { action: "coupon.create", id, reason, before: None, after: json::terms(&app, &code, &terms) };
    app.committer.write(audit.effects(&app, &staff, change)).await.map_err(|error| of_commit(&error))?;
    let coupon = app.store.coupon(id).await.map_err(of_store)?;
    let place = [(header::LOCATION, format!("/v1/coupons/{code}"))];
    Ok((StatusCode::CREATED, place, Json(CouponJson::of(&app, &coupon))).into_response())
}

/// Shows a coupon.
#[utoipa::path(get, path = "/v1/coupons/{code}", tag = "staff", operation_id = "show_coupon",
    security(("bearer" = [])),
    params(("code" = String, Path, description = "Its code, in capitals or not.")),
    responses(
        (status = 200, description = "The coupon.", body = CouponJson),
        (status = 404, description = "There is no such coupon.", body = ProblemJson,
            content_type = "application/problem+json"),
        Refuses, RefusesStaff,
    ),
)]
pub async fn show(
    AuthenticatedStaff(_staff): AuthenticatedStaff,
    State(app): State<App>,
    Segments(code): Segments<String>,
) -> Result<Json<CouponJson>, Problem> {
    let coupon = find(&app, &code).await?;
    Ok(Json(CouponJson::of(&app, &coupon)))
}

/// Changes what a coupon grants from now on. Orders that were made with it keep what they were granted.
#[utoipa::path(patch, path = "/v1/coupons/{code}", tag = "staff", operation_id = "change_coupon",
    security(("bearer" = [])),
    params(("code" = String, Path, description = "Its code, in capitals or not.")),
    request_body = CouponPatch,
    responses(
        (status = 200, description = "The coupon after it.", body = CouponJson),
        (status = 404, description = "There is no such coupon.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 409, description = "limit-below-uses: it has been used more often than that.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 422, description = "coupon-terms: such a coupon cannot be meant.", body = ProblemJson,
            content_type = "application/problem+json"),
        Refuses, RefusesStaff, RefusesBody,
    ),
)]
pub async fn change(
    AuthenticatedStaff(staff): AuthenticatedStaff,
    State(app): State<App>,
    Segments(code): Segments<String>,
    ApiJson(patch): ApiJson<CouponPatch>,
) -> Result<Json<CouponJson>, Problem> {
    let coupon = find(&app, &code).await?;
    let (terms, reason) = patch.read(&app, &coupon)?;
    if terms != coupon.terms {
        let change = CouponChange::Change { id: coupon.id, terms: terms.clone() };
        write(&app, &staff, &coupon, "coupon.change", reason, &terms, change).await?;
    }
    let coupon = app.store.coupon(coupon.id).await.map_err(of_store)?;
    Ok(Json(CouponJson::of(&app, &coupon)))
}

/// Takes a coupon out of use. Orders that wait to be paid keep it. One that has ended stays ended.
#[utoipa::path(post, path = "/v1/coupons/{code}/end", tag = "staff", operation_id = "end_coupon",
    security(("bearer" = [])),
    params(("code" = String, Path, description = "Its code, in capitals or not.")),
    request_body = Ending,
    responses(
        (status = 200, description = "The coupon after it.", body = CouponJson),
        (status = 404, description = "There is no such coupon.", body = ProblemJson,
            content_type = "application/problem+json"),
        (status = 409, description = "It has changed meanwhile: ask again.", body = ProblemJson,
            content_type = "application/problem+json"),
        Refuses, RefusesStaff, RefusesBody,
    ),
)]
pub async fn end(
    AuthenticatedStaff(staff): AuthenticatedStaff,
    State(app): State<App>,
    Segments(code): Segments<String>,
    ApiJson(ending): ApiJson<Ending>,
) -> Result<Json<CouponJson>, Problem> {
    let coupon = find(&app, &code).await?;
    if coupon.terms.active {
        let terms = CouponTerms { active: false, ..coupon.terms.clone() };
        let change = CouponChange::End(coupon.id);
        write(&app, &staff, &coupon, "coupon.end", ending.reason, &terms, change).await?;
    }
    let coupon = app.store.coupon(coupon.id).await.map_err(of_store)?;
    Ok(Json(CouponJson::of(&app, &coupon)))
}

async fn find(app: &App, code: &str) -> Result<StoredCoupon, Problem> {
    let code: CouponCode = code.parse().map_err(|_| Problem::not_found())?;
    let coupon = app.store.coupon_by_code(code.as_str(), None).await.map_err(of_store)?;
    coupon.ok_or_else(Problem::not_found)
}

async fn write(
    app: &App,
    staff: &Customer,
    coupon: &StoredCoupon,
    action: &'static str,
    reason: Reason,
    terms: &CouponTerms,
    change: CouponChange,
) -> Result<(), Problem> {
    let code = coupon.coupon().map_err(of_store)?.code;
    let before = Some(json::terms(app, &code, &coupon.terms));
    let audit = Written { action, id: coupon.id, reason, before, after: json::terms(app, &code, terms) };
    app.committer.write(audit.effects(app, staff, change)).await.map_err(|error| of_commit(&error))
}

/// What is written down of a change.
struct Written {
    action: &'static str,
    id: CouponId,
    reason: Reason,
    before: Option<Value>,
    after: Value,
}

impl Written {
    fn effects(self, app: &App, staff: &Customer, change: CouponChange) -> Effects {
        Effects::none().coupon(change).audit(NewAudit {
            actor: staff.id.to_string(),
            action: self.action,
            subject: self.id.to_string(),
            reason: Some(self.reason.into()),
            before: self.before,
            after: Some(self.after),
            at: app.clock.now(),
        })
    }
}
