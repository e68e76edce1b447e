//! `[console.oidc]`: the provider at which staff signs in to the console.

use secrecy::SecretString;
use serde::Deserialize;
use url::{Host, Url};

/// How ID tokens may be signed: by keys that only the provider has.
const ALGORITHMS: [&str; 2] = ["RS256", "ES256"];

/// `[console]`
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Console {
    pub oidc: Oidc,
}

/// `[console.oidc]`: nobody signs in so while there is no `issuer`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oidc {
    /// As the provider writes it, letter by letter.
    pub issuer: Option<String>,
    pub client_id: Option<String>,
    pub client_secret: Option<SecretString>,
    /// The claim that tells staff from others.
    pub claim: Option<String>,
    /// Any one of them makes staff.
    #[serde(default)]
    pub values: Vec<String>,
    pub scopes: Vec<String>,
    pub algorithms: Vec<String>,
    pub name: String,
}

impl Oidc {
    /// What of it cannot be used.
    pub(super) fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let Some(issuer) = &self.issuer else {
            if self.client_id.is_some() || self.claim.is_some() {
                faults.push("console.oidc.issuer is not set, and without it nobody signs in there".to_owned());
            }
            return faults;
        };
        for (missing, name, why) in [
            (self.client_id.is_none(), "client_id", "which the provider knows Berth by"),
            (self.claim.is_none(), "claim", "or else everybody whom the provider knows would be staff"),
            (self.values.is_empty(), "values", "or else everybody whom the provider knows would be staff"),
        ] {
            if missing {
                faults.push(format!("console.oidc.issuer is set: set console.oidc.{name}, {why}"));
            }
        }
        if !is_private(issuer) {
            faults
                .push("console.oidc.issuer must begin with https://, for who stands between could sign in".to_owned());
        }
        if !self.scopes.iter().any(|scope| scope == "openid") {
            faults.push("console.oidc.scopes must hold openid: without it there is no ID token".to_owned());
        }
        if let Some(other) = self.algorithms.iter().find(|name| !ALGORITHMS.contains(&name.as_str())) {
            faults.push(format!("console.oidc.algorithms holds {other}: there are {}", ALGORITHMS.join(", ")));
        }
        faults
    }
}

fn is_private(issuer: &str) -> bool {
    let Ok(url) = Url::parse(issuer) else { return false };
    let here = match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || here
}
