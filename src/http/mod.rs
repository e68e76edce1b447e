//! The HTTP side: routes, authentication, problem details.

mod accept;
pub mod auth;
mod basket;
pub mod cart;
pub mod checkout;
mod client_address;
mod console;
mod coupon_checks;
pub mod coupons;
pub mod credit;
pub mod credit_notes;
pub mod health;
pub mod hosting;
mod if_match;
pub mod invoices;
pub mod jobs;
pub mod me;
mod measured;
mod metrics;
pub mod orders;
mod pages;
mod paging;
mod pay;
pub mod payment_methods;
pub mod plans;
pub mod problem;
mod reason;
mod reference;
mod renewal_page;
mod request_id;
mod segments;
mod server;
pub mod sites;
pub mod stripe;
pub mod sweeps;

use std::{num::NonZeroU32, time::Duration};

use axum::{Router, extract::FromRef, http::StatusCode, routing::get};
use berth_jobs::ids::{ApiKeyId, CustomerId};
use tokio_util::sync::CancellationToken;
use tower_http::{catch_panic::CatchPanicLayer, limit::RequestBodyLimitLayer, timeout::TimeoutLayer};
use utoipa::{
    Modify, OpenApi,
    openapi::security::{Http, HttpAuthScheme, SecurityScheme},
};
use utoipa_axum::{router::OpenApiRouter, routes};
use uuid::Uuid;

use crate::{
    app::App,
    gateways::http_client::{self, Timeouts},
    supervise::Supervisor,
};
use auth::{Authenticator, oidc::Oidc};
use checkout::InFlight;
use console::ConsoleChecks;
pub(crate) use console::secret_of_ticket as console_ticket;
use coupon_checks::{AddressChecks, CouponChecks, KeyChecks, SignInChecks};
pub use metrics::serve_metrics;
use orders::Feed;
use problem::{Problem, ProblemJson};
pub use server::serve;
use sites::Sites;

/// The largest body that a route of the API takes.
const BODY_LIMIT: usize = 64 * 1024;
/// How long a request may take. Longer than a call to Stripe with its retries.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Links to pay with are opened by people, and tried by those who guess: each may open a page at Stripe.
const PAY_LINKS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(30).unwrap();
/// Who asks for sign-in links and new passwords has a panel asked, whose time is everybody's.
const SIGN_INS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(10).unwrap();
/// How long the keys of a token's issuer may take to come.
const JWKS_TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(3), total: Duration::from_secs(5) };
/// How long the provider at which staff signs in may take: somebody waits for it.
const OIDC_TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(3), total: Duration::from_secs(10) };

/// What routes use.
#[derive(Clone)]
pub struct HttpState {
    app: App,
    authenticator: Authenticator,
    oidc: Option<Oidc>,
    checkouts: InFlight,
    feed: Feed,
    coupon_checks: CouponChecks,
    pay_checks: AddressChecks,
    sign_in_checks: SignInChecks,
    console_checks: ConsoleChecks,
    key_checks: KeyChecks,
    draining: CancellationToken,
}

/// Cancelled when the process takes nothing new.
#[derive(Clone)]
pub struct Draining(CancellationToken);

impl FromRef<HttpState> for Draining {
    fn from_ref(state: &HttpState) -> Self {
        Self(state.draining.clone())
    }
}

impl FromRef<HttpState> for CouponChecks {
    fn from_ref(state: &HttpState) -> Self {
        state.coupon_checks.clone()
    }
}

impl FromRef<HttpState> for AddressChecks {
    fn from_ref(state: &HttpState) -> Self {
        state.pay_checks.clone()
    }
}

impl FromRef<HttpState> for SignInChecks {
    fn from_ref(state: &HttpState) -> Self {
        state.sign_in_checks.clone()
    }
}

impl FromRef<HttpState> for KeyChecks {
    fn from_ref(state: &HttpState) -> Self {
        state.key_checks.clone()
    }
}

impl FromRef<HttpState> for App {
    fn from_ref(state: &HttpState) -> Self {
        state.app.clone()
    }
}

impl FromRef<HttpState> for InFlight {
    fn from_ref(state: &HttpState) -> Self {
        state.checkouts.clone()
    }
}

impl FromRef<HttpState> for Authenticator {
    fn from_ref(state: &HttpState) -> Self {
        state.authenticator.clone()
    }
}

impl FromRef<HttpState> for Option<Oidc> {
    fn from_ref(state: &HttpState) -> Self {
        state.oidc.clone()
    }
}

impl FromRef<HttpState> for Feed {
    fn from_ref(state: &HttpState) -> Self {
        state.feed.clone()
    }
}

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Berth",
        description = "Sells hosting, and keeps what was sold running. Amounts are decimal texts beside a currency; \
                       errors are problem details (RFC 9457), whose types /docs lists; lists page by `starting_after`."
    ),
    components(schemas(ProblemJson, cart::CartJson, coupons::CouponJson)),
    modifiers(&Bearer)
)]
struct Description;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let components = openapi.components.get_or_insert_default();
        components.add_security_scheme("bearer", scheme);
        let mut key = Http::new(HttpAuthScheme::Bearer);
        key.description = Some("An application's key: `berth_…`, by `berth keys create`.".to_owned());
        components.add_security_scheme("key", SecurityScheme::Http(key));
    }
}

/// The routes that the description tells of.
fn api() -> OpenApiRouter<HttpState> {
    OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(plans::list))
        .routes(routes!(cart::show, cart::clear))
        .routes(routes!(cart::add))
        .routes(routes!(cart::change, cart::remove))
        .routes(routes!(cart::apply_coupon, cart::remove_coupon))
        .routes(routes!(cart::choose_currency))
        .routes(routes!(cart::staff::show))
        .routes(routes!(cart::staff::give_price, cart::staff::take_price_back))
        .routes(routes!(coupons::list, coupons::create))
        .routes(routes!(coupons::show, coupons::change))
        .routes(routes!(coupons::end))
        .routes(routes!(checkout::create))
        .routes(routes!(orders::list))
        .routes(routes!(orders::show))
        .routes(routes!(invoices::show))
        .routes(routes!(orders::cancel::cancel))
        .routes(routes!(orders::review::approve))
        .routes(routes!(orders::review::reject))
        .routes(routes!(orders::refunds::refund))
        .routes(routes!(orders::refunds::list))
        .routes(routes!(credit::show, credit::grant))
        .routes(routes!(credit::take_back))
        .routes(routes!(credit_notes::list))
        .routes(routes!(credit_notes::show))
        .routes(routes!(orders::events::ticket))
        .routes(routes!(orders::events::listen))
        .routes(routes!(hosting::list))
        .routes(routes!(hosting::show, hosting::settings::set))
        .routes(routes!(hosting::plan::change))
        .routes(routes!(hosting::cancel::cancel))
        .routes(routes!(hosting::cancel::uncancel))
        .routes(routes!(hosting::staff::suspend))
        .routes(routes!(hosting::staff::unsuspend))
        .routes(routes!(hosting::staff::terminate))
        .routes(routes!(hosting::reveal))
        .routes(routes!(hosting::access::sign_in))
        .routes(routes!(hosting::access::reset_password))
        .routes(routes!(hosting::usage::list))
        .routes(routes!(hosting::renew::renew))
        .routes(routes!(payment_methods::list, payment_methods::save))
        .routes(routes!(payment_methods::remove))
        .routes(routes!(payment_methods::choose))
        .routes(routes!(me::show, me::replace, me::delete))
        .routes(routes!(sweeps::run))
        .routes(routes!(jobs::enqueue, jobs::find))
        .routes(routes!(jobs::schemas))
        .routes(routes!(jobs::show))
        .layer(RequestBodyLimitLayer::new(BODY_LIMIT))
        .merge(OpenApiRouter::new().routes(routes!(jobs::batch::enqueue)).layer(jobs::batch::body_limit()))
        .routes(routes!(stripe::receive))
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
}

/// What `/openapi.json` says.
#[must_use]
pub fn description() -> utoipa::openapi::OpenApi {
    api().split_for_parts().1
}

/// Every route, and what answers besides: `extra` routes of development, and the hosted sites by their host. Once the process
/// drains, `/readyz` says so and streams end.
///
/// # Errors
/// When no client for outgoing requests can be made.
pub fn router(app: App, extra: Option<Router>, tasks: &Supervisor) -> Result<Router, reqwest::Error> {
    let authenticator = Authenticator::new(&app.config.auth, http_client::build(JWKS_TIMEOUTS)?);
    let oidc = Oidc::new(&app.config, http_client::build(OIDC_TIMEOUTS)?);
    let sites = Sites::new(app.sites_dirs.clone(), &app.config.hosting.sites_domain);
    let feed = Feed::new(app.store.clone());
    let draining = tasks.draining.clone();
    let (of_listeners, until) = (feed.clone(), draining.clone());
    tasks.run("order feed", move || of_listeners.clone().run(until.clone()));
    let coupon_checks = CouponChecks::new(&app.config.http);
    let pay_checks = AddressChecks::per_minute(PAY_LINKS_PER_MINUTE);
    let sign_in_checks = SignInChecks::per_minute(SIGN_INS_PER_MINUTE, CustomerId(Uuid::nil()));
    let key_checks = KeyChecks::per_minute(app.config.http.requests_per_key, ApiKeyId(Uuid::nil()));
    let checkouts = InFlight::default();
    let console_checks = ConsoleChecks::new();
    let state = HttpState {
        app,
        authenticator,
        oidc,
        checkouts,
        coupon_checks,
        pay_checks,
        sign_in_checks,
        console_checks,
        key_checks,
        feed,
        draining,
    };
    let (api, description) = api().split_for_parts();
    let description = serde_json::to_string(&description).unwrap_or_default();
    let api = api
        .route("/pay/{token}", get(pay::open).head(pay::look))
        .merge(console::routes())
        .route("/docs", get(reference::show))
        .route("/metrics", get(metrics::among_routes))
        .route("/openapi.json", get(|| async { ([("content-type", "application/json")], description) }))
        .fallback(|| async { Problem::not_found() })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed() })
        .with_state(state);
    let all = match extra {
        Some(extra) => extra.merge(api),
        None => api,
    };
    Ok(sites.before(limited(all, REQUEST_TIMEOUT)))
}

/// The limit of time is for an answer's beginning: a stream of events goes on beyond it.
fn limited(routes: Router, timeout: Duration) -> Router {
    routes
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, timeout))
        .layer(axum::middleware::from_fn(request_id::answer))
        .layer(CatchPanicLayer::custom(request_id::answer_panic))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::{
        body::Body,
        http::Request,
        response::{Sse, sse::Event},
    };
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn a_stream_outlasts_the_time_within_which_an_answer_must_begin() {
        let events = || {
            futures::stream::unfold(0, |told| async move {
                tokio::time::sleep(LIMIT).await;
                (told < 3).then(|| (Ok::<_, Infallible>(Event::default().data("x")), told + 1))
            })
        };
        let routes = Router::new()
            .route("/stream", get(move || async move { Sse::new(events()) }))
            .route("/slow", get(|| async { tokio::time::sleep(LIMIT * 20).await }));
        let routes = limited(routes, LIMIT);
        let ask =
            async |path: &str| routes.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();

        let slow = ask("/slow").await;
        let streamed = ask("/stream").await.into_body().collect().await.unwrap().to_bytes();

        assert_eq!(slow.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(streamed.as_ref(), b"data: x\n\ndata: x\n\ndata: x\n\n");
    }
}
