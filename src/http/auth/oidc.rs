//! Sign-in at the provider that the shop's staff uses for everything else: OpenID Connect by the authorization code flow with
//! PKCE. Whom the provider vouches for is staff by a claim that the configuration names, and by nothing else.

mod discovery;
mod id_token;

use std::sync::Arc;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{StatusCode, header};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use url::{Url, form_urlencoded};

use super::{
    Refusal,
    fetch::{self, FetchError},
};
use crate::config;
use discovery::{Discovered, Discovery};
pub use id_token::Person;

/// Where the provider sends the browser back to, below the public address.
pub const CALLBACK: &str = "/console/oidc/callback";

/// The whole of that address, as it is registered at the provider.
#[must_use]
pub fn redirect_uri(config: &config::Config) -> String {
    format!("{}{CALLBACK}", config.http.public_url.as_str().trim_end_matches('/'))
}

/// Signs in by a provider. Cheap to clone; clones share what is known of it.
#[derive(Clone, Debug)]
pub struct Oidc {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    client_id: String,
    client_secret: Option<SecretString>,
    scope: String,
    /// Registered at the provider, letter by letter.
    redirect_uri: String,
    rules: id_token::Rules,
    discovery: Discovery,
    http: reqwest::Client,
}

/// Why nobody is signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// It does not answer, or not as it should: somebody has to look at it, or at its settings here.
    #[error("the provider cannot be used: {0}")]
    Provider(String),
    /// The code was used before, is too old, or is another's.
    #[error("the provider does not know the code")]
    Code,
    /// What it says of the person does not hold.
    #[error("the provider's word is not acceptable: {0}")]
    Word(String),
    /// It vouches for somebody who is not of the staff.
    #[error("the person is not of the staff")]
    NotStaff,
}

impl From<FetchError> for SignInError {
    fn from(error: FetchError) -> Self {
        Self::Provider(crate::error::chain(&error))
    }
}

impl From<Refusal> for SignInError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Token(_) | Refusal::Unverified(_) => Self::Word(crate::error::chain(&refusal)),
            Refusal::NoKeysYet { .. } => Self::Provider(refusal.to_string()),
        }
    }
}

/// One way through the flow, of one browser. All that is told outside is drawn from a secret that only the browser keeps, and
/// none of it tells of another or of the secret.
#[derive(Clone, Debug)]
pub struct Attempt {
    secret: SecretString,
}

impl Attempt {
    /// `secret` is long, random, and of this browser only.
    #[must_use]
    pub const fn of(secret: SecretString) -> Self {
        Self { secret }
    }

    /// Comes back with the browser.
    #[must_use]
    pub fn state(&self) -> String {
        self.drawn("state")
    }

    /// Comes back in the ID token.
    #[must_use]
    pub fn nonce(&self) -> String {
        self.drawn("nonce")
    }

    /// Whether the browser that comes back is the one that was sent.
    #[must_use]
    pub fn is_answered_by(&self, state: &str) -> bool {
        self.state().as_bytes().ct_eq(state.as_bytes()).into()
    }

    /// Proves that who brings the code is who asked for it (RFC 7636).
    fn verifier(&self) -> SecretString {
        self.drawn("verifier").into()
    }

    fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.verifier().expose_secret()))
    }

    fn drawn(&self, what: &str) -> String {
        let mut hash = Sha256::new();
        hash.update("berth console oidc ");
        hash.update(what);
        hash.update("\0");
        hash.update(self.secret.expose_secret());
        URL_SAFE_NO_PAD.encode(hash.finalize())
    }
}

/// What a provider that answers says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// How many of its keys can be used.
    pub keys: usize,
    /// What does not fit the settings.
    pub misfit: Option<String>,
}

#[derive(Deserialize)]
struct Granted {
    id_token: String,
}

#[derive(Default, Deserialize)]
struct NotGranted {
    #[serde(default)]
    error: String,
}

impl Oidc {
    /// `None` where no provider is configured. `http` follows no redirects. Nothing is fetched before the first sign-in.
    #[must_use]
    pub fn new(config: &config::Config, http: reqwest::Client) -> Option<Self> {
        let settings = &config.console.oidc;
        let (issuer, client_id) = (settings.issuer.clone()?, settings.client_id.clone()?);
        Some(Self {
            inner: Arc::new(Inner {
                client_secret: settings.client_secret.clone(),
                scope: settings.scopes.join(" "),
                redirect_uri: redirect_uri(config),
                rules: id_token::Rules::new(issuer.clone(), client_id.clone(), settings),
                discovery: Discovery::new(issuer, http.clone()),
                client_id,
                http,
            }),
        })
    }

    /// Where the browser is sent, to come back to [`CALLBACK`].
    pub async fn where_to(&self, attempt: &Attempt) -> Result<Url, SignInError> {
        let discovered = self.inner.discovery.discovered().await?;
        let mut url = discovered.authorization_endpoint.clone();
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.inner.client_id)
            .append_pair("redirect_uri", &self.inner.redirect_uri)
            .append_pair("scope", &self.inner.scope)
            .append_pair("state", &attempt.state())
            .append_pair("nonce", &attempt.nonce())
            .append_pair("code_challenge", &attempt.challenge())
            .append_pair("code_challenge_method", "S256");
        Ok(url)
    }

    /// Who has signed in, for a code that came back; refused unless they are staff. `said_by` is the issuer that the browser
    /// brought along (RFC 9207).
    pub async fn staff(&self, attempt: &Attempt, code: &str, said_by: Option<&str>) -> Result<Person, SignInError> {
        let discovered = self.inner.discovery.discovered().await?;
        match said_by {
            Some(issuer) if issuer != self.inner.rules.issuer() => {
                return Err(SignInError::Word("another provider has sent the browser back".to_owned()));
            }
            None if discovered.says_who_it_is => {
                return Err(SignInError::Word("the browser does not say which provider has sent it back".to_owned()));
            }
            Some(_) | None => {}
        }
        let token = self.granted(&discovered, attempt, code).await?;
        self.inner.rules.staff(&discovered.keys, token.expose_secret(), &attempt.nonce()).await
    }

    /// The ID token for a code. It is asked for once: a code whose answer was lost is used up.
    async fn granted(
        &self,
        discovered: &Discovered,
        attempt: &Attempt,
        code: &str,
    ) -> Result<SecretString, SignInError> {
        let inner = &self.inner;
        let verifier = attempt.verifier();
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &inner.redirect_uri),
            ("code_verifier", verifier.expose_secret()),
        ];
        let mut request = inner.http.post(discovered.token_endpoint.clone()).header(header::ACCEPT, "application/json");
        match &inner.client_secret {
            // RFC 6749, 2.3.1: both are encoded as in a form first.
            Some(secret) if discovered.takes_basic => {
                request = request.basic_auth(encoded(&inner.client_id), Some(encoded(secret.expose_secret())));
            }
            Some(secret) => {
                form.extend([("client_id", inner.client_id.as_str()), ("client_secret", secret.expose_secret())]);
            }
            None => form.push(("client_id", &inner.client_id)),
        }
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        let response = request.send().await.map_err(FetchError::from)?;
        let status = response.status();
        let body = fetch::body(response).await?;
        if status == StatusCode::OK {
            let granted: Result<Granted, _> = serde_json::from_slice(&body);
            return Ok(granted.map_err(|_| FetchError::Unusable("has no ID token"))?.id_token.into());
        }
        // What it says beside the error's name may repeat what was sent.
        let NotGranted { error } = serde_json::from_slice(&body).unwrap_or_default();
        Err(match error.as_str() {
            "invalid_grant" => SignInError::Code,
            "invalid_client" | "unauthorized_client" => {
                SignInError::Provider(format!("it answered {status}, {error}: look at client_id and client_secret"))
            }
            _ => FetchError::Status(status).into(),
        })
    }

    /// Asks the provider what it says of itself, and for its keys: for `berth doctor`.
    pub async fn look(&self) -> Result<Looked, SignInError> {
        let discovered = self.inner.discovery.discovered().await?;
        let keys = discovered.keys.fetch().await?.len();
        Ok(Looked { keys, misfit: discovered.misfit(self.inner.rules.algorithms()) })
    }
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(secret: &str) -> Attempt {
        Attempt::of(secret.into())
    }

    #[test]
    fn an_attempt_is_answered_by_its_own_state_only() {
        let ours = attempt("one");

        assert!(ours.is_answered_by(&attempt("one").state()));
        for other in [attempt("two").state(), ours.nonce(), ours.challenge(), String::new(), "one".to_owned()] {
            assert!(!ours.is_answered_by(&other), "{other}");
        }
    }

    #[test]
    fn what_is_told_outside_tells_nothing_of_the_rest() {
        let ours = attempt("one");
        let verifier = ours.verifier().expose_secret().to_owned();

        let told = [ours.state(), ours.nonce(), ours.challenge(), verifier.clone()];

        // As RFC 7636 wants a verifier to be.
        assert!((43..=128).contains(&verifier.len()));
        for (at, one) in told.iter().enumerate() {
            assert!(told.iter().skip(at + 1).all(|other| other != one), "{told:?}");
        }
        assert!(!format!("{ours:?}").contains("one"));
    }
}
