//! What a page of the console sends: only what a page of the same session has written.

use axum::{
    body::Bytes,
    extract::{FromRef, FromRequest, FromRequestParts, Query, Request},
    http::request::Parts,
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{
    super::{
        auth::{Customer, Role},
        problem::Problem,
        reason::Reason,
        segments::Segments,
    },
    answer::Trouble,
    session::{Signed, is_from_here},
};
use crate::{
    app::App,
    effects::{Effects, NewAudit},
};
use berth_jobs::ids::CustomerId;

/// A form, and who has sent it. Refuses with 403 what another site has sent, or what no page of the session has written.
#[derive(Debug)]
pub(super) struct Posted<T> {
    pub(super) signed: Signed,
    pub(super) form: T,
}

#[derive(Deserialize)]
struct Token {
    #[serde(default)]
    csrf: String,
}

/// What an address names. What it cannot name is the address of nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named<T>(pub(super) T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Named<T> {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Trouble> {
        let named = Segments::<T>::from_request_parts(parts, state).await;
        named.map(|Segments(named)| Self(named)).map_err(|_| Trouble::not_found())
    }
}

/// What a query asks for.
#[derive(Clone, Debug)]
pub(super) struct Asked<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Trouble> {
        let asked = Query::<T>::from_request_parts(parts, state).await;
        let unreadable = |_| Problem::invalid_request("The address asks for something that cannot be read.");
        Ok(asked.map(|Query(asked)| Self(asked)).map_err(unreadable)?)
    }
}

/// What was done, on the page that is shown after it.
#[derive(Debug, Deserialize)]
pub(super) struct Done {
    /// Names a sentence of the layout.
    pub(super) done: Option<String>,
}

/// A form that asks for a reason only.
#[derive(Debug, Deserialize)]
pub(super) struct Because {
    /// Why.
    #[serde(default)]
    pub(super) reason: String,
}

impl<T, S> FromRequest<S> for Posted<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
    App: FromRef<S>,
{
    type Rejection = Trouble;

    async fn from_request(request: Request, state: &S) -> Result<Self, Trouble> {
        let (mut parts, body) = request.into_parts();
        if !is_from_here(&parts.headers) {
            return Err(foreign(parts.uri.path()));
        }
        let signed = Signed::from_request_parts(&mut parts, state).await?;
        let path = parts.uri.path().to_owned();
        let bytes = Bytes::from_request(Request::from_parts(parts, body), state).await;
        let bytes = bytes.map_err(|_| Problem::payload_too_large())?;
        let Token { csrf } = read(&bytes)?;
        if !signed.wrote(&csrf) {
            return Err(foreign(&path));
        }
        Ok(Self { signed, form: read(&bytes)? })
    }
}

/// Reads a form that nobody has signed.
pub(super) fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Trouble> {
    serde_html_form::from_bytes(bytes)
        .map_err(|error| Problem::invalid_body(format!("The form cannot be read: {error}.")).into())
}

/// 403: it was not sent from a page of this session.
pub(super) fn foreign(path: &str) -> Trouble {
    tracing::warn!(path, "a form of the console came from elsewhere, or from another session");
    Problem::forbidden("This form is not of your session: it may be that you signed in again since. Go back, reload, and send it once more.").into()
}

/// A reason that says something.
pub(super) fn reason(text: &str) -> Result<String, Trouble> {
    Reason::try_from(text.to_owned()).map(String::from).map_err(|why| Problem::invalid_body(format!("{why}.")).into())
}

/// What was done by hand, for the audit log.
pub(super) fn audit(
    app: &App,
    signed: &Signed,
    action: &'static str,
    subject: &str,
    reason: String,
    after: Value,
) -> Effects {
    Effects::none().audit(NewAudit {
        actor: signed.staff.id.to_string(),
        action,
        subject: subject.to_owned(),
        reason: Some(reason),
        before: None,
        after: Some(json!({ "by": signed.staff.name, "what": after })),
        at: app.clock.now(),
    })
}

/// The member of staff, as the API's routes know them.
pub(super) fn as_staff(signed: &Signed) -> Customer {
    Customer { id: CustomerId(signed.staff.id), email: None, name: Some(signed.staff.name.clone()), role: Role::Staff }
}

/// A text of a form or a query that says something.
pub(super) fn said(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|text| !text.is_empty())
}
