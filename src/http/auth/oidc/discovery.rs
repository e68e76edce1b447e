//! What a provider publishes of itself, fetched when it is needed and seldom.

use std::{net::IpAddr, sync::Arc, time::Duration};

use jsonwebtoken::Algorithm;
use serde::Deserialize;
use tokio::{sync::Mutex, time::Instant};
use url::{Host, Url};

use super::super::{
    fetch::{self, FetchError},
    jwks::{Jwks, Pace},
};

/// Providers move their addresses seldom, and tell of it long before.
const MAX_AGE: Duration = Duration::from_secs(3_600);
/// How long a failed fetch is not repeated: whoever presses the button again and again is not to be the provider's trouble.
const AFTER_FAILURE: Duration = Duration::from_secs(2);
const BASIC: &str = "client_secret_basic";

#[derive(Debug)]
pub(super) struct Discovery {
    issuer: String,
    http: reqwest::Client,
    /// Held during a fetch: the others wait for its outcome.
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    discovered: Option<Arc<Discovered>>,
    next_fetch: Option<Instant>,
}

/// What is used of the document.
#[derive(Debug)]
pub(super) struct Discovered {
    pub(super) authorization_endpoint: Url,
    pub(super) token_endpoint: Url,
    pub(super) keys: Jwks,
    /// The client's secret goes into a header. Otherwise it goes into the form.
    pub(super) takes_basic: bool,
    /// It adds itself to what the browser brings back (RFC 9207), so that an answer without it is not its own.
    pub(super) says_who_it_is: bool,
    signs_by: Option<Vec<String>>,
    challenges: Option<Vec<String>>,
}

/// As OpenID Connect Discovery 1.0 and RFC 8414 name it.
#[derive(Deserialize)]
struct Document {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    id_token_signing_alg_values_supported: Option<Vec<String>>,
    code_challenge_methods_supported: Option<Vec<String>>,
}

impl Discovery {
    pub(super) fn new(issuer: String, http: reqwest::Client) -> Self {
        Self { issuer, http, known: Mutex::default() }
    }

    /// What is known, fetched anew when it is old. While the provider does not answer, what was known before stays in use.
    pub(super) async fn discovered(&self) -> Result<Arc<Discovered>, FetchError> {
        let mut known = self.known.lock().await;
        let early = known.next_fetch.is_some_and(|at| Instant::now() < at);
        match &known.discovered {
            Some(discovered) if early => return Ok(discovered.clone()),
            None if early => return Err(FetchError::Unusable("did not come a moment ago")),
            Some(_) | None => {}
        }
        // Set before the fetch: a browser that hangs up cancels it here and must not cause another at once.
        known.next_fetch = Some(Instant::now() + AFTER_FAILURE);
        match (self.fetch().await, &known.discovered) {
            (Ok(discovered), _) => {
                let discovered = Arc::new(discovered);
                *known = Known { discovered: Some(discovered.clone()), next_fetch: Some(Instant::now() + MAX_AGE) };
                Ok(discovered)
            }
            (Err(error), Some(before)) => {
                tracing::warn!(
                    error = crate::error::chain(&error),
                    "what the sign-in's provider says of itself could not be read: what it said before stays in use"
                );
                Ok(before.clone())
            }
            (Err(error), None) => Err(error),
        }
    }

    async fn fetch(&self) -> Result<Discovered, FetchError> {
        let url = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let url = url.parse().map_err(|_| FetchError::Unusable("has no address: the issuer is no URL"))?;
        let document: Document = serde_json::from_slice(&fetch::document(&self.http, &url).await?)?;
        self.usable(document)
    }

    fn usable(&self, document: Document) -> Result<Discovered, FetchError> {
        // Otherwise one provider could speak for another.
        if document.issuer != self.issuer {
            return Err(FetchError::Unusable(
                "is of another issuer: console.oidc.issuer must be as the provider writes it",
            ));
        }
        let methods = document.token_endpoint_auth_methods_supported;
        Ok(Discovered {
            authorization_endpoint: private(&document.authorization_endpoint)?,
            token_endpoint: private(&document.token_endpoint)?,
            keys: Jwks::new(private(&document.jwks_uri)?, self.http.clone(), Pace::default()),
            // What holds where it does not say.
            takes_basic: methods.is_none_or(|methods| methods.iter().any(|method| method == BASIC)),
            says_who_it_is: document.authorization_response_iss_parameter_supported,
            signs_by: document.id_token_signing_alg_values_supported,
            challenges: document.code_challenge_methods_supported,
        })
    }
}

impl Discovered {
    /// What of it does not fit these algorithms, or the flow.
    pub(super) fn misfit(&self, algorithms: &[Algorithm]) -> Option<String> {
        let ours: Vec<String> = algorithms.iter().map(|algorithm| format!("{algorithm:?}")).collect();
        if let Some(theirs) = self.signs_by.as_ref().filter(|theirs| !theirs.iter().any(|of| ours.contains(of))) {
            return Some(format!("it signs by {}, and {} is allowed", theirs.join(", "), ours.join(", ")));
        }
        let no_pkce = self.challenges.as_ref().is_some_and(|methods| !methods.iter().any(|method| method == "S256"));
        no_pkce.then(|| "it does not say that it takes PKCE's S256".to_owned())
    }
}

/// An address, if what is sent there can be read by nobody on the way.
fn private(address: &str) -> Result<Url, FetchError> {
    let url = Url::parse(address).map_err(|_| FetchError::Unusable("names an address that is none"))?;
    let here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => IpAddr::from(address).is_loopback(),
        Some(Host::Ipv6(address)) => IpAddr::from(address).is_loopback(),
        None => false,
    };
    if url.scheme() == "https" || (url.scheme() == "http" && here) {
        Ok(url)
    } else {
        Err(FetchError::Unusable("names an address that anybody could listen to on the way"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const ISSUER: &str = "https://id.example.com/realms/shop";

    fn read(changes: &Value) -> Result<Discovered, FetchError> {
        let mut document = json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://id.example.com/auth",
            "token_endpoint": "https://id.example.com/token",
            "jwks_uri": "https://id.example.com/keys",
        });
        for (name, value) in changes.as_object().unwrap() {
            document[name] = value.clone();
        }
        let http = crate::gateways::http_client::build(crate::gateways::http_client::Timeouts {
            connect: Duration::from_secs(1),
            total: Duration::from_secs(1),
        });
        let document = serde_json::from_value(document).unwrap();
        Discovery::new(ISSUER.to_owned(), http.unwrap()).usable(document)
    }

    #[test]
    fn a_document_of_another_issuer_or_with_open_addresses_is_not_used() {
        assert!(read(&json!({})).is_ok());
        assert!(read(&json!({ "token_endpoint": "http://127.0.0.1:9/token" })).is_ok());
        for wrong in [
            json!({ "issuer": "https://id.example.com/realms/other" }),
            json!({ "issuer": "https://id.example.com/realms/shop/" }),
            json!({ "token_endpoint": "http://id.example.com/token" }),
            json!({ "authorization_endpoint": "http://localhost.example.com/auth" }),
            json!({ "jwks_uri": "ftp://id.example.com/keys" }),
        ] {
            assert!(matches!(read(&wrong), Err(FetchError::Unusable(_))), "{wrong}");
        }
    }

    #[test]
    fn a_secret_goes_into_a_header_unless_only_the_form_is_taken() {
        let takes =
            |methods: Value| read(&json!({ "token_endpoint_auth_methods_supported": methods })).unwrap().takes_basic;

        assert!(read(&json!({})).unwrap().takes_basic);
        assert!(takes(json!(["client_secret_post", "client_secret_basic"])));
        assert!(!takes(json!(["client_secret_post"])));
    }

    #[test]
    fn what_does_not_fit_the_settings_is_told() {
        let misfit = |changes: Value| read(&changes).unwrap().misfit(&[Algorithm::RS256]);

        assert_eq!(misfit(json!({})), None);
        assert_eq!(misfit(json!({ "id_token_signing_alg_values_supported": ["ES256", "RS256"] })), None);
        let told = misfit(json!({ "id_token_signing_alg_values_supported": ["PS256"] })).unwrap();
        assert_eq!(told, "it signs by PS256, and RS256 is allowed");
        assert!(misfit(json!({ "code_challenge_methods_supported": ["plain"] })).unwrap().contains("S256"));
    }
}
