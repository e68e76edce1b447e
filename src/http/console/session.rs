//! Who is signed in: a secret in a cookie, of which only the hash is stored. A form carries a token that is made from the
//! secret, so that only pages of this session can have written it.

use axum::{
    extract::{FromRef, FromRequestParts},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header, request::Parts},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::answer::Trouble;
use crate::{
    app::App,
    config::Config,
    secrets::{SecretError, generate_token, hash_token},
    store::console::Staff,
};

/// On a page that refreshes itself: nobody is using it for that.
const BY_ITSELF: HeaderName = HeaderName::from_static("x-berth-live");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// The cookie of who is signed in.
const SESSION: &str = "berth_console";
/// The cookie of who was sent to sign in elsewhere.
const SENT_AWAY: &str = "berth_oidc";
/// No secret of ours is longer.
const LONGEST_SECRET: usize = 200;

/// A signed-in member of staff. Whoever is not is asked to sign in, and comes back.
#[derive(Clone, Debug)]
pub(super) struct Signed {
    pub(super) staff: Staff,
    secret: SecretString,
}

impl Signed {
    /// The token that forms of this session carry.
    pub(super) fn csrf(&self) -> String {
        let mut hash = Sha256::new();
        hash.update("berth console form\0");
        hash.update(self.secret.expose_secret());
        URL_SAFE_NO_PAD.encode(hash.finalize())
    }

    pub(super) fn wrote(&self, token: &str) -> bool {
        self.csrf().as_bytes().ct_eq(token.as_bytes()).into()
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        hash_token(self.secret.expose_secret())
    }
}

impl<S: Sync> FromRequestParts<S> for Signed
where
    App: FromRef<S>,
{
    type Rejection = Trouble;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Trouble> {
        let app = App::from_ref(state);
        let to = || {
            let wanted = if parts.method == Method::GET { parts.uri.path_and_query() } else { None };
            Trouble::sign_in(wanted.map(|path| path.as_str()))
        };
        let secret = cookie(&name_of(&app.config, SESSION), &parts.headers).ok_or_else(to)?;
        let used = !parts.headers.contains_key(BY_ITSELF);
        let staff = app.store.console_session(&hash_token(secret.expose_secret()), used).await?;
        staff.map(|staff| Self { staff, secret }).ok_or_else(to)
    }
}

/// A new session, and the cookie that opens it. Whatever session the browser had is not taken over.
pub(super) async fn open(app: &App, staff: &Staff) -> Result<HeaderValue, Trouble> {
    let secret = generate_token().map_err(|error| no_secret(&error))?;
    app.store.open_console_session(&hash_token(secret.expose_secret()), staff).await?;
    let cookie = set_cookie(&app.config, &format!("{}; Max-Age=28800", secret.expose_secret()));
    HeaderValue::from_str(&cookie).map_err(|_| Trouble::database_away())
}

pub(super) fn no_secret(error: &SecretError) -> Trouble {
    tracing::error!(error = crate::error::chain(error), "no session of the console could be opened");
    Trouble::database_away()
}

/// What takes the cookie away.
pub(super) fn forgotten(config: &Config) -> HeaderValue {
    HeaderValue::from_str(&set_cookie(config, "; Max-Age=0")).unwrap_or(HeaderValue::from_static(""))
}

fn set_cookie(config: &Config, value: &str) -> String {
    format!("{}={value}; Path=/; HttpOnly; SameSite=Strict{}", name_of(config, SESSION), secure(config))
}

/// Binds a sign-in elsewhere to the browser that began it. Another site sends that browser back, so it is `Lax`: it comes along
/// when a person goes from page to page, and with nothing else.
pub(super) fn sent_away(config: &Config, secret: &SecretString) -> Option<HeaderValue> {
    let (name, secure) = (name_of(config, SENT_AWAY), secure(config));
    let cookie = format!("{name}={}; Max-Age=600; Path=/; HttpOnly; SameSite=Lax{secure}", secret.expose_secret());
    HeaderValue::from_str(&cookie).ok()
}

/// What takes that one away.
pub(super) fn back_again(config: &Config) -> HeaderValue {
    let (name, secure) = (name_of(config, SENT_AWAY), secure(config));
    let cookie = format!("{name}=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax{secure}");
    HeaderValue::from_str(&cookie).unwrap_or(HeaderValue::from_static(""))
}

/// Browsers keep a cookie of that prefix only where it is `Secure`, and let no other host set it.
fn name_of(config: &Config, name: &str) -> String {
    if is_here_only(config) { name.to_owned() } else { format!("__Host-{name}") }
}

fn secure(config: &Config) -> &'static str {
    if is_here_only(config) { "" } else { "; Secure" }
}

/// On one's own machine there is no certificate.
fn is_here_only(config: &Config) -> bool {
    let url = &config.http.public_url;
    url.scheme() == "http" && matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"))
}

/// What the browser was given when it was sent to sign in elsewhere.
pub(super) fn began(config: &Config, headers: &HeaderMap) -> Option<SecretString> {
    cookie(&name_of(config, SENT_AWAY), headers)
}

fn cookie(name: &str, headers: &HeaderMap) -> Option<SecretString> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(of, value)| *of == name && !value.is_empty() && value.len() <= LONGEST_SECRET)
        .map(|(_, value)| SecretString::from(value))
}

/// Whether a form was sent by a page of this site: browsers say so, and no page can make them say otherwise.
pub(super) fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    match (text(SEC_FETCH_SITE), text(header::ORIGIN), text(header::HOST)) {
        (Some(site), ..) => site == "same-origin",
        (None, Some(origin), Some(host)) => {
            let of = origin.strip_prefix("https://").or_else(|| origin.strip_prefix("http://"));
            of == Some(host)
        }
        (None, None, _) | (None, Some(_), None) => false,
    }
}

/// A ticket for one session, as `berth console` shows it, and what of it is stored.
///
/// # Errors
/// When the machine has no randomness.
pub(crate) fn secret_of_ticket() -> Result<(SecretString, [u8; 32]), SecretError> {
    let secret = generate_token()?;
    let hash = hash_token(secret.expose_secret());
    Ok((secret, hash))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(said: &[(&'static str, &'static str)]) -> HeaderMap {
        said.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn only_a_page_of_this_site_has_sent_a_form() {
        for (said, from_here) in [
            (&[("sec-fetch-site", "same-origin")][..], true),
            (&[("sec-fetch-site", "same-origin"), ("origin", "null")], true),
            (&[("origin", "https://shop.test"), ("host", "shop.test")], true),
            (&[("origin", "http://localhost:8080"), ("host", "localhost:8080")], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site"), ("origin", "https://shop.test"), ("host", "shop.test")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("origin", "https://evil.test"), ("host", "shop.test")], false),
            (&[("origin", "https://shop.test.evil.test"), ("host", "shop.test")], false),
            (&[("origin", "null"), ("host", "shop.test")], false),
            (&[("host", "shop.test")], false),
            (&[], false),
        ] {
            assert_eq!(is_from_here(&headers(said)), from_here, "{said:?}");
        }
    }

    #[test]
    fn a_cookie_is_secure_wherever_there_can_be_a_certificate() {
        let config = |url: &str| Config::from_settings(&[("http.public_url", url)]).unwrap();

        assert_eq!(
            set_cookie(&config("https://shop.test"), "x"),
            "__Host-berth_console=x; Path=/; HttpOnly; SameSite=Strict; Secure"
        );
        assert_eq!(
            set_cookie(&config("http://localhost:8080"), "x"),
            "berth_console=x; Path=/; HttpOnly; SameSite=Strict"
        );
        assert!(set_cookie(&config("http://shop.test"), "x").ends_with("; Secure"));
    }

    #[test]
    fn who_was_sent_away_is_known_by_a_cookie_that_comes_back_from_another_site() {
        let config = |url: &str| Config::from_settings(&[("http.public_url", url)]).unwrap();
        let set = |url: &str| sent_away(&config(url), &"x".into()).unwrap().to_str().unwrap().to_owned();

        assert_eq!(
            set("https://shop.test"),
            "__Host-berth_oidc=x; Max-Age=600; Path=/; HttpOnly; SameSite=Lax; Secure"
        );
        assert_eq!(set("http://localhost:8080"), "berth_oidc=x; Max-Age=600; Path=/; HttpOnly; SameSite=Lax");
        let over = back_again(&config("https://shop.test"));
        assert_eq!(over, "__Host-berth_oidc=; Max-Age=0; Path=/; HttpOnly; SameSite=Lax; Secure");
    }

    #[test]
    fn a_session_is_found_among_other_cookies() {
        let config = Config::from_settings(&[("http.public_url", "https://shop.test")]).unwrap();
        let found = |cookies: &'static str| {
            cookie(&name_of(&config, SESSION), &headers(&[("cookie", cookies)]))
                .map(|secret| secret.expose_secret().to_owned())
        };

        assert_eq!(found("a=b; __Host-berth_console=xyz; c=d"), Some("xyz".to_owned()));
        assert_eq!(found("berth_console=xyz"), None);
        assert_eq!(found("__Host-berth_console="), None);
    }

    #[test]
    fn a_form_token_belongs_to_one_session() {
        let signed = |secret: &str| Signed {
            staff: Staff { id: uuid::Uuid::nil(), name: "Ops".to_owned() },
            secret: secret.into(),
        };

        assert!(signed("one").wrote(&signed("one").csrf()));
        assert!(!signed("one").wrote(&signed("two").csrf()));
        assert!(!signed("one").wrote(""));
    }
}
