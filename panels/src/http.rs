//! The one maker of HTTP clients for panels, and what their failures mean.
//!
//! A panel's address comes from an operator, and the client carries that server's credentials. So a client speaks to one
//! origin only; follows no redirect and no proxy of the environment; checks every address that it connects to, when it
//! connects (see [`addresses`]); verifies the server by the system's roots, a pinned CA or a pinned certificate; reads no
//! more of an answer than it was told to; and names a failure by what the caller may do next ([`PanelError`]).

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use reqwest::{Client, Method, RequestBuilder, redirect};
use url::{Host, Url};

use crate::{Cause, PanelError};

pub mod addresses;
mod answer;
mod failures;
mod tls;

pub use answer::{Answer, Incoming};
pub use tls::{ClientIdentity, Fingerprint, InvalidFingerprint, Trust};

use addresses::{Guarded, Rule};

/// Name lookup, TCP and TLS handshake.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// From the request's first byte to the answer's last, for one that changes nothing.
const READ_TIMEOUT: Duration = Duration::from_secs(20);
/// The same for one that may change something. Panels do the work before they answer.
const MUTATION_TIMEOUT: Duration = Duration::from_secs(120);
/// The largest answer that is read, unless the driver says otherwise.
const BODY_MAX: usize = 1024 * 1024;
/// All accounts of a server at once: some kilobytes each, of which the server makes up its mind for a while.
const LIST_BODY_MAX: usize = 64 * 1024 * 1024;
const LIST_TIMEOUT: Duration = Duration::from_secs(120);
/// Below the 60 s after which servers close idle connections: a request into a closing one would be ambiguous.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// A server is given few mutations at once; more idle connections than those are not needed.
const POOL_MAX_IDLE: usize = 8;

const USER_AGENT: &str = concat!("berth/", env!("CARGO_PKG_VERSION"));

/// One server's endpoint, and how far it is trusted.
#[derive(Clone)]
pub struct HttpConfig {
    /// Scheme, host and port, such as `https://web1.example.net:2087`. Plain `http` is for private servers only.
    pub endpoint: Url,
    /// Connects to this socket of the machine instead of the endpoint's host, which then is but a name.
    pub unix_socket: Option<PathBuf>,
    /// The server may be at a loopback or private address.
    pub private: bool,
    /// How the server proves who it is.
    pub trust: Trust,
    /// How we prove who we are, for servers that ask for a certificate.
    pub identity: Option<ClientIdentity>,
    /// Name lookup, TCP and TLS handshake.
    pub connect_timeout: Duration,
    /// A whole exchange that changes nothing.
    pub read_timeout: Duration,
    /// A whole exchange that may change something.
    pub mutation_timeout: Duration,
    /// The largest answer that is read, in bytes.
    pub body_max: usize,
}

impl HttpConfig {
    /// A public server, known by the system's roots, with the usual limits.
    #[must_use]
    pub fn new(endpoint: Url) -> Self {
        Self {
            endpoint,
            unix_socket: None,
            private: false,
            trust: Trust::System,
            identity: None,
            connect_timeout: CONNECT_TIMEOUT,
            read_timeout: READ_TIMEOUT,
            mutation_timeout: MUTATION_TIMEOUT,
            body_max: BODY_MAX,
        }
    }
}

impl fmt::Debug for HttpConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An endpoint with a password in it is refused, but may be shown before it is.
        f.debug_struct("HttpConfig")
            .field("endpoint", &self.endpoint.origin().ascii_serialization())
            .field("unix_socket", &self.unix_socket)
            .field("private", &self.private)
            .field("trust", &self.trust)
            .finish_non_exhaustive()
    }
}

/// Whether a request that got no answer may have changed something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It changes nothing: without an answer it is asked again.
    Read,
    /// It may have been applied: without an answer the caller observes.
    Mutation,
}

impl Effect {
    /// What it means that the request was sent, and no answer came that can be understood.
    #[must_use]
    pub fn unanswered(self, cause: Cause) -> PanelError {
        match self {
            Self::Read => PanelError::Transient(cause),
            Self::Mutation => PanelError::Ambiguous(cause),
        }
    }
}

/// A client of one server.
#[derive(Clone)]
pub struct Http {
    client: Client,
    config: Arc<HttpConfig>,
}

impl Http {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// [`PanelError::Misconfigured`] where the endpoint is none that may be called, or a certificate or key cannot be read.
    pub fn new(config: HttpConfig) -> Result<Self, PanelError> {
        let rule = Rule { private: config.private, clear: config.endpoint.scheme() == "http" };
        check_endpoint(&config, rule)?;
        let mut builder = Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(config.connect_timeout)
            .redirect(redirect::Policy::none())
            .no_proxy()
            // One request a connection: what breaks a connection makes one request ambiguous, not all that share it.
            .http1_only()
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            .pool_max_idle_per_host(POOL_MAX_IDLE)
            .dns_resolver(Guarded::new(rule))
            .tls_backend_preconfigured(tls::client_config(&config)?);
        if let Some(socket) = &config.unix_socket {
            // A pool opens connections that it may not need after all, and a daemon that waits for the first byte of one (as
            // Incus does, before it takes the next) hears nobody until the pool lets go. A socket's connections cost nothing.
            builder = builder.unix_socket(socket.clone()).pool_max_idle_per_host(0);
        }
        let client = builder.build().map_err(|error| {
            PanelError::Misconfigured(Cause::new("the panel's client could not be made").because(error))
        })?;
        Ok(Self { client, config: Arc::new(config) })
    }

    /// A request to the server, at the path of these segments: each is escaped, so that none leads elsewhere.
    pub fn request<S: AsRef<str>>(&self, method: Method, path: impl IntoIterator<Item = S>) -> RequestBuilder {
        let mut url = self.config.endpoint.clone();
        // Only URLs without a host have no segments, and those are no endpoints.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.clear().extend(path);
        }
        self.client.request(method, url)
    }

    /// Sends a request and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// When there is no answer that can be read, by the rules of this module.
    pub async fn send(&self, effect: Effect, request: RequestBuilder) -> Result<Answer, PanelError> {
        self.send_within(self.timeout(effect), effect, request).await
    }

    /// As [`Http::send`], with a time of its own.
    ///
    /// # Errors
    /// As [`Http::send`].
    pub async fn send_within(
        &self,
        timeout: Duration,
        effect: Effect,
        request: RequestBuilder,
    ) -> Result<Answer, PanelError> {
        self.open(timeout, effect, request).await?.whole(self.config.body_max).await
    }

    /// As [`Http::send`], for a read that is answered with every account of the server: larger, and slower, than any other.
    ///
    /// # Errors
    /// As [`Http::send`].
    pub async fn list(&self, request: RequestBuilder) -> Result<Answer, PanelError> {
        let body_max = self.config.body_max.max(LIST_BODY_MAX);
        self.open(LIST_TIMEOUT, Effect::Read, request).await?.whole(body_max).await
    }

    /// Sends a request and gives back the answer's head: for bodies too large to be held. `timeout` counts for the body too.
    ///
    /// # Errors
    /// As [`Http::send`].
    pub async fn open(
        &self,
        timeout: Duration,
        effect: Effect,
        request: RequestBuilder,
    ) -> Result<Incoming, PanelError> {
        let answer = request.timeout(timeout).send().await.map_err(|error| failures::of(effect, error))?;
        tracing::debug!(path = answer.url().path(), status = answer.status().as_u16(), "a panel has answered");
        Ok(Incoming::new(effect, answer))
    }

    fn timeout(&self, effect: Effect) -> Duration {
        match effect {
            Effect::Read => self.config.read_timeout,
            Effect::Mutation => self.config.mutation_timeout,
        }
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Http").field(&self.config).finish()
    }
}

/// The endpoint is an origin and nothing more, and no address in it is forbidden: a literal is never looked up, so no
/// resolver would be asked for it.
fn check_endpoint(config: &HttpConfig, rule: Rule) -> Result<(), PanelError> {
    let url = &config.endpoint;
    let refuse = |why: &str| Err(PanelError::misconfigured(format!("the panel's endpoint {why}")));
    if !url.username().is_empty() || url.password().is_some() {
        return refuse("has a user or password in it");
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return refuse("has more in it than scheme, host and port");
    }
    match url.scheme() {
        "https" => {}
        "http" if config.private || config.unix_socket.is_some() => {}
        "http" => {
            return refuse("is plain http, which would show the credentials: only a private server may have that");
        }
        _ => return refuse("is neither https nor http"),
    }
    let address = match url.host() {
        None => return refuse("has no host"),
        Some(Host::Domain(_)) => return Ok(()),
        Some(Host::Ipv4(address)) => address.into(),
        Some(Host::Ipv6(address)) => address.into(),
    };
    if config.unix_socket.is_some() {
        return Ok(());
    }
    rule.check(address).map_err(|error| {
        PanelError::Misconfigured(Cause::new("the panel's endpoint is not one that may be called").because(error))
    })
}

#[cfg(test)]
mod tests;
