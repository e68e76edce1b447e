//! Signing in at the provider that the configuration names: the browser is sent there, and comes back once.

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Redirect, Response},
};
use minijinja::context;
use serde::Deserialize;

use super::{
    super::{
        auth::oidc::{Attempt, Oidc, Person, SignInError},
        client_address::ClientAddress,
    },
    ConsoleChecks,
    answer::{Trouble, page_for_anybody, with_cookie},
    forms::Asked,
    session::{back_again, began, no_secret, open, sent_away},
    sign_in::{Next, asking, count, is_of_the_console},
};
use crate::{
    app::App,
    secrets::{generate_token, hash_token},
    store::console::Staff,
};
use secrecy::ExposeSecret;

/// As `berth.console_sign_ins` keeps it.
const LONGEST_NEXT: usize = 2_000;

/// What the browser brings back.
#[derive(Deserialize)]
pub(super) struct Back {
    #[serde(default)]
    state: String,
    code: Option<String>,
    error: Option<String>,
    iss: Option<String>,
}

/// Sends the browser to the provider, with what only this browser can come back with.
pub(super) async fn send_away(
    State(app): State<App>,
    State(oidc): State<Option<Oidc>>,
    State(checks): State<ConsoleChecks>,
    from: ClientAddress,
    Asked(next): Asked<Next>,
) -> Result<Response, Trouble> {
    let oidc = oidc.ok_or_else(Trouble::not_found)?;
    count(&checks, from)?;
    let next = next.next.filter(|path| is_of_the_console(path) && path.len() <= LONGEST_NEXT);
    let secret = generate_token().map_err(|error| no_secret(&error))?;
    let cookie = sent_away(&app.config, &secret).ok_or_else(Trouble::database_away)?;
    let hash = hash_token(secret.expose_secret());
    let to = match oidc.where_to(&Attempt::of(secret)).await {
        Ok(to) => to,
        Err(error) => return failed(&app, from, next.as_deref(), &error),
    };
    app.store.keep_console_sign_in(&hash, next.as_deref()).await?;
    Ok(with_cookie(Redirect::to(to.as_str()).into_response(), cookie))
}

/// Opens a session for who comes back signed in and is staff. Whatever comes back, the attempt is over.
pub(super) async fn come_back(
    State(app): State<App>,
    State(oidc): State<Option<Oidc>>,
    State(checks): State<ConsoleChecks>,
    from: ClientAddress,
    headers: HeaderMap,
    Asked(back): Asked<Back>,
) -> Result<Response, Trouble> {
    let oidc = oidc.ok_or_else(Trouble::not_found)?;
    count(&checks, from)?;
    let answer = returned(&app, &oidc, from, &headers, &back).await?;
    Ok(with_cookie(answer, back_again(&app.config)))
}

async fn returned(
    app: &App,
    oidc: &Oidc,
    from: ClientAddress,
    headers: &HeaderMap,
    back: &Back,
) -> Result<Response, Trouble> {
    let Some(secret) = began(&app.config, headers) else {
        let why = "This browser has not begun to sign in, or more than ten minutes ago. Begin here.";
        return refused(app, from, None, why);
    };
    let Some(sent) = app.store.take_console_sign_in(&hash_token(secret.expose_secret())).await? else {
        let why = "This sign-in was used before, or is older than ten minutes. Begin again.";
        return refused(app, from, None, why);
    };
    let next = sent.next.as_deref();
    let attempt = Attempt::of(secret);
    if !attempt.is_answered_by(&back.state) {
        let why = "This answer is not to the sign-in that this browser began last. Begin again, in one window.";
        return refused(app, from, next, why);
    }
    if let Some(error) = &back.error {
        return refused(app, from, next, &denied(error));
    }
    let Some(code) = back.code.as_deref().filter(|code| !code.is_empty()) else {
        return refused(app, from, next, "The sign-in came back without an answer. Begin again.");
    };
    match oidc.staff(&attempt, code, back.iss.as_deref()).await {
        Ok(person) => enter(app, from, person, next).await,
        Err(error) => failed(app, from, next, &error),
    }
}

/// A page leads on, not a redirect: the provider has sent the browser here, and with what another site has begun it sends no
/// `Strict` cookie.
async fn enter(app: &App, from: ClientAddress, person: Person, next: Option<&str>) -> Result<Response, Trouble> {
    let staff = Staff { id: person.id, name: person.name };
    let cookie = open(app, &staff).await?;
    tracing::info!(staff = %staff.id, address = ?from.0, "a session of the console was opened by OpenID Connect");
    let to = next.filter(|path| is_of_the_console(path)).unwrap_or("/console");
    let page = page_for_anybody(app, StatusCode::OK, "entered.html", context! { to, name => staff.name })?;
    Ok(with_cookie(page, cookie))
}

fn denied(error: &str) -> String {
    match error {
        "access_denied" => {
            "The sign-in was refused there: by you, or because your account may not use the console.".to_owned()
        }
        "temporarily_unavailable" | "server_error" => {
            "The provider has trouble of its own just now. Try again in a minute, or sign in by a token.".to_owned()
        }
        // A word of the protocol, and nothing that somebody could make this page say.
        word if word.len() <= 40 && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') => {
            format!("The provider did not sign you in: {word}. Who runs this shop should look at [console.oidc].")
        }
        _ => "The provider did not sign you in, and does not say why in a word that is known.".to_owned(),
    }
}

fn refused(app: &App, from: ClientAddress, next: Option<&str>, why: &str) -> Result<Response, Trouble> {
    tracing::warn!(address = ?from.0, why, "somebody was not let in to the console by OpenID Connect");
    asking(app, StatusCode::FORBIDDEN, next, Some(why))
}

/// The log says more than the page: whoever forges tokens learns nothing from the page.
fn failed(app: &App, from: ClientAddress, next: Option<&str>, error: &SignInError) -> Result<Response, Trouble> {
    tracing::warn!(address = ?from.0, %error, "somebody was not let in to the console by OpenID Connect");
    let (status, why) = match error {
        SignInError::Provider(_) => (
            StatusCode::BAD_GATEWAY,
            "The provider does not answer as it should. Try again in a minute, or sign in by a token; the log and \
             `berth doctor` say what is wrong.",
        ),
        SignInError::Code => {
            (StatusCode::FORBIDDEN, "The provider says that this sign-in was used, or took too long. Begin again.")
        }
        SignInError::Word(_) => (
            StatusCode::FORBIDDEN,
            "What the provider says of you does not hold, so nobody was signed in. Begin again; if it happens again, the log \
             says why.",
        ),
        SignInError::NotStaff => (
            StatusCode::FORBIDDEN,
            "You are signed in there, but your account is not one of the staff's. Who runs this shop says in [console.oidc] \
             which are.",
        ),
    };
    asking(app, status, next, Some(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_says_no_word_that_somebody_else_has_put_into_an_address() {
        assert!(denied("access_denied").contains("refused there"));
        assert!(denied("login_required").contains("login_required"));
        for foreign in ["<b>", "call_0900", "Send your password to evil.test", &"a".repeat(41)] {
            assert!(!denied(foreign).contains(foreign), "{foreign}");
        }
    }
}
