//! `GET /pay/{token}`: where the links in mails lead. Whoever has the link is sent to the page on which the renewal is paid, or
//! told in a few words why there is nothing to pay. Nobody signs in for it.

use std::time::Duration;

use axum::{
    extract::{Path, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use serde::Serialize;

use super::{
    client_address::ClientAddress,
    coupon_checks::AddressChecks,
    pages::Page,
    problem::Problem,
    renewal_page::{self, RenewalPage},
};
use crate::app::App;

/// What a page says.
#[derive(Debug, Serialize)]
struct Words {
    shop: String,
    shop_url: String,
    support: String,
    title: &'static str,
    text: &'static str,
}

/// Sends to the page to pay on, or says why there is none.
pub(super) async fn open(
    State(app): State<App>,
    State(checks): State<AddressChecks>,
    from: ClientAddress,
    Path(token): Path<String>,
) -> Response {
    if let Err(problem) = checks.count(from) {
        return problem.into_response();
    }
    let order = app.secrets.as_ref().and_then(|keys| keys.order_of_pay_link(&token));
    let Some(order) = order else {
        let text = "This link leads nowhere. Open it as it stands in the mail, to its last letter, or sign in to pay.";
        return said(&app, StatusCode::NOT_FOUND, "This link is not valid", text);
    };
    match renewal_page::of(&app, order).await {
        Ok(RenewalPage::Open { url, .. }) => to(&url),
        Ok(RenewalPage::Paid) => said(
            &app,
            StatusCode::OK,
            "This is paid",
            "Thank you: there is nothing left to pay. A receipt comes by mail.",
        ),
        Ok(RenewalPage::CalledOff) => {
            let text = "The renewal was called off, so nothing is to be paid for it.";
            said(&app, StatusCode::GONE, "There is nothing to pay", text)
        }
        Ok(RenewalPage::Charging) => {
            let text = "Your saved card is being charged for this just now. You get a mail about how that ended; until \
                        then, please do not pay a second time.";
            said(&app, StatusCode::CONFLICT, "Your card is being charged", text)
        }
        Err(problem) => trouble(&app, &problem),
    }
}

/// What only looks at the link, as mail programs do, opens nothing.
pub(super) async fn look() -> StatusCode {
    StatusCode::NO_CONTENT
}

fn to(url: &str) -> Response {
    let mut response = Redirect::to(url).into_response();
    keep_quiet(&mut response);
    response
}

fn trouble(app: &App, problem: &Problem) -> Response {
    if problem.status() == StatusCode::NOT_FOUND {
        let text = "There is nothing to pay here. If you expected something else, please write to us.";
        return said(app, StatusCode::NOT_FOUND, "There is nothing to pay", text);
    }
    let text =
        "The page to pay on cannot be opened just now. Nothing was charged. Please try this link again in a minute.";
    let mut response = said(app, StatusCode::SERVICE_UNAVAILABLE, "One moment, please", text);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(RETRY_AFTER.as_secs()));
    response
}

/// How soon the link may be tried again when Stripe or the database is away.
const RETRY_AFTER: Duration = Duration::from_secs(30);

fn said(app: &App, status: StatusCode, title: &'static str, text: &'static str) -> Response {
    let words = Words {
        shop: app.shop.name.clone(),
        shop_url: app.shop.url.clone(),
        support: app.shop.support_email.clone(),
        title,
        text,
    };
    match Page::Pay.fill(words, "") {
        Ok(page) => {
            let mut response = (status, page).into_response();
            keep_quiet(&mut response);
            response
        }
        Err(problem) => problem.into_response(),
    }
}

/// The link is a secret: it is neither kept nor told onwards.
fn keep_quiet(response: &mut Response) {
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
}
