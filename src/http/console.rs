//! `/console`: where the shop's staff sees what waits, what went wrong and why, and puts it right. Pages are whole without
//! scripts; what changes something is a form, asks for a reason, and goes the way that the API's routes go.

mod accounts;
mod answer;
mod forms;
mod jobs;
mod links;
mod mails;
mod oidc;
mod orders;
mod overview;
mod people;
mod servers;
mod session;
mod sign_in;
mod sweeps;
mod templates;

use std::num::NonZeroU32;

use axum::{
    Router,
    extract::FromRef,
    http::{HeaderMap, HeaderValue, header},
    middleware::map_response,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use tower_http::limit::RequestBodyLimitLayer;

use super::{BODY_LIMIT, HttpState, coupon_checks::AddressChecks};
use answer::Trouble;

pub(crate) use session::secret_of_ticket;

/// Whoever signs in types a token once; whoever guesses them types many.
const SIGN_INS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// Styles and a script of our own, nothing inline and nothing from elsewhere; forms go nowhere else, and nobody frames a page.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      frame-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'";
const STYLE: &str = include_str!("../../config/pages/console/console.css");
const SCRIPT: &str = include_str!("../../config/pages/console/console.js");

/// Counts who tries to sign in, by address.
#[derive(Clone)]
pub(super) struct ConsoleChecks(AddressChecks);

impl ConsoleChecks {
    pub(super) fn new() -> Self {
        Self(AddressChecks::per_minute(SIGN_INS_PER_MINUTE))
    }
}

impl FromRef<HttpState> for ConsoleChecks {
    fn from_ref(state: &HttpState) -> Self {
        state.console_checks.clone()
    }
}

/// The console's pages. They are no part of the API's description.
pub(super) fn routes() -> Router<HttpState> {
    Router::new()
        .route("/console", get(overview::show))
        .route("/console/login", get(sign_in::ask).post(sign_in::by_token))
        .route("/console/enter/{ticket}", get(sign_in::welcome))
        .route("/console/enter", post(sign_in::by_ticket))
        .route("/console/oidc", get(oidc::send_away))
        .route(super::auth::oidc::CALLBACK, get(oidc::come_back))
        .route("/console/logout", post(sign_in::leave))
        .route("/console/alerts", get(overview::alerts))
        .route("/console/alerts/{id}/resolve", post(overview::resolve))
        .route("/console/audit", get(overview::audit))
        .route("/console/search", get(overview::search))
        .route("/console/jobs", get(jobs::list))
        .route("/console/jobs/{id}", get(jobs::show))
        .route("/console/jobs/{id}/retry", post(jobs::retry))
        .route("/console/jobs/{id}/cancel", post(jobs::cancel))
        .route("/console/orders", get(orders::list))
        .route("/console/orders/{id}", get(orders::show))
        .route("/console/orders/{id}/approve", post(orders::approve))
        .route("/console/orders/{id}/reject", post(orders::reject))
        .route("/console/accounts", get(accounts::list))
        .route("/console/accounts/{id}", get(accounts::show))
        .route("/console/accounts/{id}/again", post(accounts::again))
        .route("/console/accounts/{id}/suspend", post(accounts::suspend))
        .route("/console/accounts/{id}/unsuspend", post(accounts::unsuspend))
        .route("/console/accounts/{id}/terminate", post(accounts::terminate))
        .route("/console/customers", get(people::customers))
        .route("/console/customers/{id}", get(people::customer))
        .route("/console/credit", get(people::credit))
        .route("/console/renewals", get(people::renewals))
        .route("/console/sweeps", get(sweeps::list))
        .route("/console/sweeps/{name}", get(sweeps::show))
        .route("/console/sweeps/{name}/plan", post(sweeps::plan))
        .route("/console/sweeps/{name}/run", post(sweeps::run))
        .route("/console/servers", get(servers::list))
        .route("/console/servers/{name}/drain", post(servers::drain))
        .route("/console/servers/{name}/undrain", post(servers::undrain))
        .route("/console/mails", get(mails::list))
        .route("/console/mails/{id}", get(mails::show))
        .route("/console/mails/{id}/html", get(mails::html))
        .route("/console/mails/{id}/resend", post(mails::resend))
        .route("/console/console.css", get(|| async { of_ours("text/css; charset=utf-8", STYLE) }))
        .route("/console/console.js", get(|| async { of_ours("text/javascript; charset=utf-8", SCRIPT) }))
        .route("/console/{*rest}", get(|| async { Trouble::not_found() }))
        .layer(RequestBodyLimitLayer::new(BODY_LIMIT))
        .layer(map_response(guarded))
}

fn of_ours(content_type: &'static str, text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, content_type)], text).into_response()
}

/// Whatever the console answers, errors as well.
async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let mut set = |name, value| set_unless_said(headers, name, value);
    set(header::CONTENT_SECURITY_POLICY, POLICY);
    set(header::X_FRAME_OPTIONS, "DENY");
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "no-referrer");
    set(header::CACHE_CONTROL, "no-store");
    response
}

fn set_unless_said(headers: &mut HeaderMap, name: header::HeaderName, value: &'static str) {
    headers.entry(name).or_insert(HeaderValue::from_static(value));
}
