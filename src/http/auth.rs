//! Who is asking: customers' bearer tokens, verified by a shared secret or by published keys; and applications' keys.
//!
//! Tokens are Supabase's, or any issuer's whose `sub` is a UUID. Expiry is judged by real time, not by the business clock.

mod fetch;
mod jwks;
mod machine;
pub mod oidc;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderMap, header, request::Parts},
};
use berth_jobs::ids::CustomerId;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::problem::Problem;
use crate::{config::Auth, effects::CustomerContact};
use jwks::{Jwks, Pace};
pub use machine::{AuthenticatedMachine, StaffOrMachine};

/// A longer `Authorization` header is refused before it is parsed. Supabase's tokens have about 1 kB.
const MAX_HEADER_BYTES: usize = 8 * 1024;
/// How far the issuer's clock may be from ours.
const LEEWAY_SECONDS: u64 = 30;
/// What Supabase calls the holders of its API keys. They are no customers, whatever `sub` such a token may carry.
const ROLES_OF_MACHINES: [&str; 2] = ["service_role", "anon"];
/// RFC 5321's limit.
const MAX_EMAIL_BYTES: usize = 254;
const MAX_NAME_BYTES: usize = 200;
const HYPHENATED_UUID_BYTES: usize = 36;

/// Who is asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Customer {
    pub id: CustomerId,
    /// As the token says it.
    pub email: Option<String>,
    /// What the customer calls themselves: only for show.
    pub name: Option<String>,
    pub role: Role,
}

impl Customer {
    /// How to reach them. Refused where the token does not say: who buys must be told of it.
    pub(super) fn contact(self) -> Result<CustomerContact, Problem> {
        let detail = "Your token names no e-mail address, and the confirmation has to go somewhere.";
        let email = self.email.ok_or_else(|| Problem::unprocessable("no-email", detail))?;
        Ok(CustomerContact { id: self.id, email, name: self.name })
    }
}

/// What a signed-in person may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Customer,
    /// By `app_metadata.berth_role = "staff"`: a claim that users of Supabase cannot write themselves.
    Staff,
}

/// Verifies bearer tokens. Cheap to clone; clones share the fetched keys.
#[derive(Clone, Debug)]
pub struct Authenticator {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// For HS256, and for nothing else.
    shared: Option<DecodingKey>,
    /// For RS256 and ES256, each key for the one that it is made for.
    published: Option<Jwks>,
    audience: Option<String>,
    issuer: Option<String>,
}

/// Why a request is not let in.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("the token is not acceptable: {0}")]
    Token(&'static str),
    #[error("the token does not verify")]
    Unverified(#[from] jsonwebtoken::errors::Error),
    #[error("the issuer's keys were never fetched")]
    NoKeysYet { retry_after: Duration },
}

impl From<Refusal> for Problem {
    /// The reason is for the log: whoever forges tokens learns nothing from the answer.
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Token(_) | Refusal::Unverified(_) => Self::unauthorized(),
            Refusal::NoKeysYet { retry_after } => Self::unavailable(retry_after),
        }
    }
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    #[serde(default)]
    role: Value,
    #[serde(default)]
    email: Value,
    #[serde(default)]
    name: Value,
    #[serde(default)]
    user_metadata: Value,
    #[serde(default)]
    app_metadata: Value,
}

impl Authenticator {
    /// `http` fetches the published keys: it should follow no redirects. Nothing is fetched before the first token.
    #[must_use]
    pub fn new(auth: &Auth, http: reqwest::Client) -> Self {
        Self::with_pace(auth, http, Pace::default())
    }

    fn with_pace(auth: &Auth, http: reqwest::Client, pace: Pace) -> Self {
        let secret = auth.jwt_secret.as_ref();
        Self {
            inner: Arc::new(Inner {
                shared: secret.map(|secret| DecodingKey::from_secret(secret.expose_secret().as_bytes())),
                published: auth.jwks_url.clone().map(|url| Jwks::new(url, http, pace)),
                audience: auth.audience.clone(),
                issuer: auth.issuer.clone(),
            }),
        }
    }

    /// Who sent these headers. 401 without a valid token; 503 while the issuer's keys have never been reached.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Result<Customer, Problem> {
        let verified = match bearer(headers) {
            Ok(token) => self.inner.verify(token).await,
            Err(refusal) => Err(refusal),
        };
        verified.map_err(|refusal| {
            tracing::debug!(reason = ?refusal, "a request was not let in");
            refusal.into()
        })
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Refusal::Token("there is not one Authorization header"));
    };
    if value.len() > MAX_HEADER_BYTES {
        return Err(Refusal::Token("it is too long"));
    }
    let text = value.to_str().map_err(|_| Refusal::Token("it is not ASCII"))?;
    let (scheme, token) = text.split_once(' ').ok_or(Refusal::Token("it has no scheme"))?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Refusal::Token("its scheme is not Bearer"));
    }
    Ok(token.trim_matches(' '))
}

impl Inner {
    async fn verify(&self, token: &str) -> Result<Customer, Refusal> {
        let header = jsonwebtoken::decode_header(token)?;
        if header.crit.is_some() {
            return Err(Refusal::Token("it demands an extension"));
        }
        // The header chooses among our keys, never how a key is used.
        let (key, algorithm) = if header.alg == Algorithm::HS256 {
            let shared = self.shared.clone().ok_or(Refusal::Token("there is no shared secret"))?;
            (shared, Algorithm::HS256)
        } else if matches!(header.alg, Algorithm::RS256 | Algorithm::ES256) {
            let published = self.published.as_ref().ok_or(Refusal::Token("there are no published keys"))?;
            let kid = header.kid.as_deref().ok_or(Refusal::Token("it does not name its key"))?;
            published.key(kid).await?
        } else {
            return Err(Refusal::Token("its algorithm is not supported"));
        };
        let claims = jsonwebtoken::decode::<Claims>(token, &key, &self.validation(algorithm))?.claims;
        claims.try_into()
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        let mut required = vec!["exp", "sub"];
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        validation.validate_aud = self.audience.is_some();
        if let Some(audience) = &self.audience {
            validation.set_audience(&[audience]);
            required.push("aud");
        }
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            required.push("iss");
        }
        validation.set_required_spec_claims(&required);
        validation
    }
}

impl TryFrom<Claims> for Customer {
    type Error = Refusal;

    fn try_from(claims: Claims) -> Result<Self, Refusal> {
        if claims.role.as_str().is_some_and(|role| ROLES_OF_MACHINES.contains(&role)) {
            return Err(Refusal::Token("it belongs to a machine"));
        }
        let id =
            Uuid::try_parse(&claims.sub).ok().filter(|id| !id.is_nil() && claims.sub.len() == HYPHENATED_UUID_BYTES);
        let id = id.ok_or(Refusal::Token("its subject is not a UUID"))?;
        let staff = claims.app_metadata.get("berth_role").and_then(Value::as_str) == Some("staff");
        let names = [Some(&claims.name), claims.user_metadata.get("full_name"), claims.user_metadata.get("name")];
        Ok(Self {
            id: CustomerId(id),
            email: presentable(&claims.email, MAX_EMAIL_BYTES),
            name: names.into_iter().flatten().find_map(|name| presentable(name, MAX_NAME_BYTES)),
            role: if staff { Role::Staff } else { Role::Customer },
        })
    }
}

/// A text of one line that is not too long; anything else counts as not given.
fn presentable(claim: &Value, most_bytes: usize) -> Option<String> {
    let text = claim.as_str()?.trim();
    let fits = !text.is_empty() && text.len() <= most_bytes && !text.contains(char::is_control);
    fits.then(|| text.to_owned())
}

/// The signed-in customer, as an argument of a route. Refuses with 401.
#[derive(Clone, Debug)]
pub struct Authenticated(pub Customer);

/// A signed-in member of staff. Refuses with 401, and everybody else with 403.
#[derive(Clone, Debug)]
pub struct AuthenticatedStaff(pub Customer);

impl<S: Sync> FromRequestParts<S> for Authenticated
where
    Authenticator: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let authenticator = Authenticator::from_ref(state);
        authenticator.authenticate(&parts.headers).await.map(Self)
    }
}

impl<S: Sync> FromRequestParts<S> for AuthenticatedStaff
where
    Authenticator: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Authenticated(customer) = Authenticated::from_request_parts(parts, state).await?;
        match customer.role {
            Role::Staff => Ok(Self(customer)),
            Role::Customer => Err(Problem::forbidden("Only staff may do this.")),
        }
    }
}

/// Why no token could be made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("auth.jwt_secret is not set, and published keys cannot sign")]
    NoSecret,
    #[error("the token's end is out of range")]
    OutOfRange,
    #[error("the token could not be signed")]
    Sign(#[from] jsonwebtoken::errors::Error),
}

/// A token as the configured issuer would make it, with its audience and issuer: for `berth token` and tests.
/// `now` is real time.
pub fn development_token(
    auth: &Auth,
    user: Uuid,
    email: Option<&str>,
    staff: bool,
    now: Timestamp,
    ttl: Duration,
) -> Result<String, TokenError> {
    let secret = auth.jwt_secret.as_ref().ok_or(TokenError::NoSecret)?;
    let expiry = now.checked_add(ttl).map_err(|_| TokenError::OutOfRange)?;
    let mut claims = json!({
        "sub": user,
        "role": "authenticated",
        "iat": now.as_second(),
        "exp": expiry.as_second(),
    });
    let optional = [
        ("email", email.map(Value::from)),
        ("aud", auth.audience.clone().map(Value::from)),
        ("iss", auth.issuer.clone().map(Value::from)),
        ("app_metadata", staff.then(|| json!({ "berth_role": "staff" }))),
    ];
    for (claim, value) in optional {
        if let Some(value) = value {
            claims[claim] = value;
        }
    }
    let key = EncodingKey::from_secret(secret.expose_secret().as_bytes());
    Ok(jsonwebtoken::encode(&Header::new(Algorithm::HS256), &claims, &key)?)
}
