//! What the console answers: pages, and what went wrong as a page.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{Html, IntoResponse, Redirect, Response},
};
use jiff::Timestamp;
use minijinja::{Value, context, value::Serde};
use serde::Serialize;

use super::{
    super::{orders::of_store, problem::Problem},
    session::Signed,
    templates,
};
use crate::{app::App, clock::Clock, store::StoreError};

/// Why there is no page.
#[derive(Debug)]
pub(super) enum Trouble {
    /// Nobody is signed in; who is comes to this page.
    SignIn(String),
    /// Anything that the API would answer so as well.
    Problem(Problem),
    /// What is asked for does not fit what is there now.
    Refused(String),
}

impl Trouble {
    pub(super) fn sign_in(wanted: Option<&str>) -> Self {
        let next = wanted.filter(|path| *path != "/console").map(encoded);
        Self::SignIn(next.map_or_else(|| "/console/login".to_owned(), |next| format!("/console/login?next={next}")))
    }

    pub(super) fn not_found() -> Self {
        Self::Problem(
            Problem::not_found().with_detail("There is no such page, or no such row. Search for what you want."),
        )
    }

    pub(super) fn database_away() -> Self {
        Self::Problem(Problem::database_away())
    }
}

impl From<Problem> for Trouble {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Missing(_) => Self::not_found(),
            error @ (StoreError::Database(_) | StoreError::Unreadable { .. }) => Self::Problem(of_store(error)),
        }
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        match self {
            Self::SignIn(to) => Redirect::to(&to).into_response(),
            Self::Refused(why) => said(StatusCode::CONFLICT, &why),
            Self::Problem(problem) => {
                let mut response = said(problem.status(), problem.detail());
                // How soon to try again.
                if let Some(value) = problem.into_response().headers().get(header::RETRY_AFTER) {
                    response.headers_mut().insert(header::RETRY_AFTER, value.clone());
                }
                response
            }
        }
    }
}

fn said(status: StatusCode, detail: &str) -> Response {
    let page = templates::fill("trouble.html", context! { status => status.as_u16(), detail });
    (status, Html(page.unwrap_or_default())).into_response()
}

/// What every page knows besides its own values.
#[derive(Serialize)]
struct Frame<'a> {
    /// Which part of the console it is.
    part: &'a str,
    staff: &'a str,
    csrf: String,
    now: Timestamp,
    real_now: Timestamp,
    shop: &'a str,
}

/// A page for somebody who is signed in.
pub(super) fn page(
    app: &App,
    signed: &Signed,
    (part, template): (&str, &str),
    values: impl Serialize,
) -> Result<Response, Trouble> {
    let frame = Frame {
        part,
        staff: &signed.staff.name,
        csrf: signed.csrf(),
        now: app.clock.now(),
        real_now: Clock::machine(),
        shop: &app.shop.name,
    };
    let values = context! { ..Value::from(Serde(&values)), ..Value::from(Serde(&frame)) };
    Ok(Html(templates::fill(template, values)?).into_response())
}

/// A page for whoever is not.
pub(super) fn page_for_anybody(
    app: &App,
    status: StatusCode,
    template: &str,
    values: Value,
) -> Result<Response, Trouble> {
    let values = context! { shop => app.shop.name.clone(), ..values };
    Ok((status, Html(templates::fill(template, values)?)).into_response())
}

/// Back to a page of the console, after something was done. `done` names a sentence of the layout.
pub(super) fn done(path: &str, done: &'static str) -> Response {
    Redirect::to(&format!("{path}?done={done}")).into_response()
}

/// With a cookie.
pub(super) fn with_cookie(mut response: Response, cookie: HeaderValue) -> Response {
    response.headers_mut().append(header::SET_COOKIE, cookie);
    response
}

/// A text as a parameter of a query.
pub(super) fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}
