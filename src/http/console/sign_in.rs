//! Signing in and out: by a token of staff's, or by a link of `berth console`. `oidc.rs` has the third way in.

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Redirect, Response},
};
use minijinja::context;
use serde::Deserialize;

use super::{
    super::{
        auth::{Authenticator, Role},
        client_address::ClientAddress,
        problem::Problem,
    },
    ConsoleChecks,
    answer::{Trouble, page_for_anybody, with_cookie},
    forms::{Asked, Named, Posted, foreign, read},
    session::{forgotten, is_from_here, open},
};
use crate::{app::App, secrets::hash_token, store::console::Staff};

#[derive(Debug, Deserialize)]
pub(super) struct Next {
    pub(super) next: Option<String>,
}

#[derive(Deserialize)]
struct ByToken {
    #[serde(default)]
    token: String,
    next: Option<String>,
}

#[derive(Deserialize)]
struct ByTicket {
    #[serde(default)]
    ticket: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Nothing {}

/// Asks for a token.
pub(super) async fn ask(State(app): State<App>, Asked(next): Asked<Next>) -> Result<Response, Trouble> {
    asking(&app, StatusCode::OK, next.next.as_deref(), None)
}

pub(super) fn asking(
    app: &App,
    status: StatusCode,
    next: Option<&str>,
    trouble: Option<&str>,
) -> Result<Response, Trouble> {
    let provider = app.config.console.oidc.issuer.as_ref().map(|_| &app.config.console.oidc.name);
    let values = context! {
        next => next.filter(|path| is_of_the_console(path)),
        trouble,
        provider,
        dev => app.config.auth.jwt_secret.is_some(),
    };
    page_for_anybody(app, status, "login.html", values)
}

/// Opens a session for whoever has a token of staff's.
pub(super) async fn by_token(
    State(app): State<App>,
    State(authenticator): State<Authenticator>,
    State(checks): State<ConsoleChecks>,
    from: ClientAddress,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Trouble> {
    count(&checks, from)?;
    if !is_from_here(&headers) {
        return Err(foreign("/console/login"));
    }
    let form: ByToken = read(&body)?;
    let next = form.next.as_deref();
    let mut bearer = HeaderMap::new();
    let Ok(value) = HeaderValue::from_str(&format!("Bearer {}", form.token.trim())) else {
        return refused(&app, from, next, "This is no token: paste it whole, and nothing else.");
    };
    bearer.insert(header::AUTHORIZATION, value);
    let person = match authenticator.authenticate(&bearer).await {
        Ok(person) => person,
        Err(problem) if problem.status() == StatusCode::UNAUTHORIZED => {
            return refused(&app, from, next, "This token is not valid, or its time is over.");
        }
        Err(problem) => return Err(problem.into()),
    };
    match person.role {
        Role::Customer => refused(&app, from, next, "This token is a customer's. The console is for staff."),
        Role::Staff => {
            let name = person.email.or(person.name).unwrap_or_else(|| person.id.to_string());
            enter(&app, from, &Staff { id: person.id.0, name }, next).await
        }
    }
}

/// What a link of `berth console` shows: a button. Programs that only look at links use none up.
pub(super) async fn welcome(State(app): State<App>, Named(ticket): Named<String>) -> Result<Response, Trouble> {
    page_for_anybody(&app, StatusCode::OK, "enter.html", context! { ticket })
}

/// Opens a session for whoever has a ticket, which is used up by it.
pub(super) async fn by_ticket(
    State(app): State<App>,
    State(checks): State<ConsoleChecks>,
    from: ClientAddress,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Trouble> {
    count(&checks, from)?;
    if !is_from_here(&headers) {
        return Err(foreign("/console/enter"));
    }
    let form: ByTicket = read(&body)?;
    match app.store.take_console_ticket(&hash_token(&form.ticket)).await? {
        Some(staff) => enter(&app, from, &staff, None).await,
        None => refused(
            &app,
            from,
            None,
            "This link was used before, or is older than a minute. Make another one: berth console.",
        ),
    }
}

/// Ends the session.
pub(super) async fn leave(State(app): State<App>, Posted { signed, .. }: Posted<Nothing>) -> Result<Response, Trouble> {
    app.store.close_console_session(&signed.hash()).await?;
    tracing::info!(staff = %signed.staff.id, "a session of the console was ended");
    Ok(with_cookie(Redirect::to("/console/login").into_response(), forgotten(&app.config)))
}

async fn enter(app: &App, from: ClientAddress, staff: &Staff, next: Option<&str>) -> Result<Response, Trouble> {
    let cookie = open(app, staff).await?;
    tracing::info!(staff = %staff.id, address = ?from.0, "a session of the console was opened");
    let to = next.filter(|path| is_of_the_console(path)).unwrap_or("/console");
    Ok(with_cookie(Redirect::to(to).into_response(), cookie))
}

pub(super) fn count(checks: &ConsoleChecks, from: ClientAddress) -> Result<(), Problem> {
    checks.0.count(from).inspect_err(|_| {
        tracing::warn!(address = ?from.0, "too many tries to sign in to the console: locked out for a while");
    })
}

fn refused(app: &App, from: ClientAddress, next: Option<&str>, why: &str) -> Result<Response, Trouble> {
    tracing::warn!(address = ?from.0, why, "somebody was not let in to the console");
    asking(app, StatusCode::FORBIDDEN, next, Some(why))
}

/// Nobody is led elsewhere by a link to the page that asks for a token.
pub(super) fn is_of_the_console(path: &str) -> bool {
    let inside = path == "/console" || path.starts_with("/console/") || path.starts_with("/console?");
    inside && !path.contains(['\\', '\r', '\n']) && !path.contains("//")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_signs_in_comes_to_a_page_of_the_console_and_nowhere_else() {
        for path in ["/console", "/console/jobs?state=dead", "/console?done=x"] {
            assert!(is_of_the_console(path), "{path}");
        }
        for path in
            ["//evil.test", "https://evil.test", "/console//evil.test", "/consoles", "/v1/me", "/console/\\evil", ""]
        {
            assert!(!is_of_the_console(path), "{path}");
        }
    }
}
