//! Panels: the servers on which hosting accounts live, behind one trait whose mutations may all be repeated safely.
//!
//! The rule for callers: commit what is intended, then call; after [`PanelError::Ambiguous`] call [`Panel::observe`] and
//! decide from what it says. Every `ensure_…` observes first, acts only on an account whose ownership it can prove, and
//! answers as if it had done the work when the work is already done.

use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

use berth_jobs::ids::AccountId;
use futures::future::BoxFuture;
use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[cfg(test)]
mod conformance;
pub mod memory;
pub mod site;

/// What every call of a panel answers.
pub type PanelFuture<'a, T> = BoxFuture<'a, Result<T, PanelError>>;

/// One server's panel. Object-safe: the registry holds `Arc<dyn Panel>`.
///
/// No call takes an account of which it cannot prove that it is Berth's: where another account holds the name,
/// `ensure_created` answers [`PanelError::NameTaken`] and the other mutations [`PanelError::Permanent`].
pub trait Panel: Send + Sync {
    /// What this driver can do; asked before an operation is offered to a customer.
    fn caps(&self) -> Caps;

    /// A cheap read which shows that the server lives and takes our credentials.
    fn probe(&self) -> PanelFuture<'_, ServerInfo>;

    /// What is there under the account's name, and whether it is ours. Changes nothing.
    fn observe<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Observed>;

    /// Creates the account, finishes a half-created one, or adopts one that is ours already.
    fn ensure_created<'a>(&'a self, spec: &'a CreateSpec) -> PanelFuture<'a, Step<Created>>;

    /// Suspends, recording `reason` (a word for staff such as `payment_overdue`). A second time changes nothing.
    fn ensure_suspended<'a>(&'a self, account: &'a AccountRef, reason: &'a str) -> PanelFuture<'a, Step<()>>;

    /// Lifts our suspension; one made by somebody else is left alone and answered with [`PanelError::Permanent`].
    fn ensure_active<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Step<()>>;

    /// Puts the account on `package` and reads back that it took.
    fn ensure_package<'a>(&'a self, account: &'a AccountRef, package: &'a str) -> PanelFuture<'a, Step<()>>;

    /// Removes the account and its data, for good. One that is not there is a success.
    fn ensure_absent<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Step<()>>;

    /// Sets the login's password; [`PanelError::Permanent`] where [`Caps::passwords`] is false.
    fn set_password<'a>(&'a self, account: &'a AccountRef, password: &'a SecretString) -> PanelFuture<'a, Step<()>>;

    /// A link that signs its bearer in; [`PanelError::Permanent`] where [`Caps::login_url`] is false.
    fn login_url<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, OneTimeUrl>;

    /// What the account uses now; [`PanelError::Permanent`] where [`Caps::usage`] is false.
    fn usage<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Usage>;

    /// How a task from [`Step::Pending`] stands. After `Done(Succeeded)` repeat the `ensure_…` that started it:
    /// it answers `Done` with the result.
    fn poll<'a>(&'a self, task: &'a TaskRef) -> PanelFuture<'a, Step<TaskOutcome>>;
}

/// What a driver can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caps {
    /// Accounts have a password that opens something: the panel, SFTP or a shell.
    pub passwords: bool,
    /// The panel makes sign-in links.
    pub login_url: bool,
    /// The panel says what an account uses.
    pub usage: bool,
    /// The package's limits are enforced by the server, not only recorded.
    pub enforces_packages: bool,
    /// Work may be answered with [`Step::Pending`].
    pub tasks: bool,
    /// The longest username the panel takes, in characters.
    pub username_max: usize,
}

/// What a live server says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// The panel's name and version.
    pub version: String,
    /// The server's own name, where it says one.
    pub hostname: Option<String>,
    /// Name servers that customers point their domains to.
    pub nameservers: Vec<String>,
}

/// An account as a panel knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRef {
    /// Berth's id: the proof of ownership wherever the panel can carry it.
    pub account_id: AccountId,
    /// The login on the server, unique there.
    pub username: String,
    /// The panel's own id, once [`Created`] has told it.
    pub remote_id: Option<String>,
}

/// What is to be created. Equal on every retry: it is committed before the first call.
#[derive(Clone, Debug)]
pub struct CreateSpec {
    /// Whose account, under which name.
    pub account: AccountRef,
    /// The initial password; unused where [`Caps::passwords`] is false.
    pub password: SecretString,
    /// The panel's package (plan), by its name on the server.
    pub package: String,
    /// Where the panel sends the owner's notices.
    pub owner_email: String,
    /// The customer's own domain, if any.
    pub domain: Option<String>,
    /// What was chosen of the service's options, by their ids: an object, such as `{"ram_gb": 8}`, or null.
    pub configuration: Value,
    /// What was bought besides: an array of objects with an `id`, or null.
    pub addons: Value,
    /// When the intent was committed: an account that is older cannot be ours.
    pub intended_at: Timestamp,
}

/// An account that is there now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Created {
    /// The panel's own id of the account.
    pub remote_id: String,
    /// Where the site answers, if the panel knows.
    pub site_url: Option<String>,
    /// Where its owner signs in, if there is such a place.
    pub control_panel_url: Option<String>,
    /// An earlier call had made it already.
    pub adopted: bool,
}

/// Done, or being done by the panel: save the task, snooze for the duration, then [`Panel::poll`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<T> {
    Done(T),
    Pending(TaskRef, Duration),
}

/// A panel's name for work in progress.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TaskRef(pub String);

/// How a panel's task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskOutcome {
    Succeeded,
    /// The panel's reason, for staff.
    Failed(String),
}

/// What is found under an account's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observed {
    /// Nothing: the name is free.
    Absent,
    /// Ours, but half-created; `ensure_created` finishes it.
    Partial { missing: Vec<String> },
    /// Ours and whole.
    Present { remote_id: String, state: RemoteState, package: String },
    /// Somebody else's.
    Foreign,
}

/// Whether an account's services run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemoteState {
    Active,
    /// `ours`: Berth made the suspension and may lift it.
    Suspended {
        reason: Option<String>,
        ours: bool,
    },
}

/// What an account uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of the customer's files.
    pub disk_bytes: u64,
    /// Files and directories.
    pub inodes: u64,
    /// Bytes sent this calendar month, where the panel counts them.
    pub traffic_bytes: Option<u64>,
}

/// A sign-in link: whoever has it is in. Never stored, never logged.
#[derive(Clone, Debug)]
pub struct OneTimeUrl(pub SecretString);

type Source = Box<dyn std::error::Error + Send + Sync>;

/// A failure, named by what the caller can do about it. The chain joins at [`std::error::Error::source`].
#[derive(Debug)]
pub enum PanelError {
    /// Nothing was sent or applied (connection refused, server busy, a lock held): try again later.
    Transient(Cause),
    /// It may have been applied (a time-out or reset after sending, a 5xx, an answer that is cut off): observe, then decide.
    Ambiguous(Cause),
    /// Another account holds the username: take a new one, provided that no create under the old one was ambiguous.
    NameTaken(Cause),
    /// The panel will refuse the same request again (bad domain, unknown package, licence limit, unsupported): tell staff.
    Permanent(Cause),
    /// Our credentials or the server's set-up are wrong (401, TLS, a login page): open the breaker, park its jobs.
    Misconfigured(Cause),
    /// The server is full (disk, addresses): place elsewhere, if nothing was created yet.
    Capacity(Cause),
    /// Nothing was applied: wait at least this long; does not count as an attempt.
    RateLimited { retry_after: Duration, cause: Cause },
}

impl PanelError {
    /// A [`PanelError::Transient`] with one layer's message.
    pub fn transient(message: impl Into<String>) -> Self {
        Self::Transient(Cause::new(message))
    }

    /// A [`PanelError::Ambiguous`] with one layer's message.
    pub fn ambiguous(message: impl Into<String>) -> Self {
        Self::Ambiguous(Cause::new(message))
    }

    /// A [`PanelError::NameTaken`] with one layer's message.
    pub fn name_taken(message: impl Into<String>) -> Self {
        Self::NameTaken(Cause::new(message))
    }

    /// A [`PanelError::Permanent`] with one layer's message.
    pub fn permanent(message: impl Into<String>) -> Self {
        Self::Permanent(Cause::new(message))
    }

    /// A [`PanelError::Misconfigured`] with one layer's message.
    pub fn misconfigured(message: impl Into<String>) -> Self {
        Self::Misconfigured(Cause::new(message))
    }

    /// A [`PanelError::Capacity`] with one layer's message.
    pub fn capacity(message: impl Into<String>) -> Self {
        Self::Capacity(Cause::new(message))
    }

    /// The message and what lies beneath it, whatever the class.
    #[must_use]
    pub fn cause(&self) -> &Cause {
        match self {
            Self::Transient(cause)
            | Self::Ambiguous(cause)
            | Self::NameTaken(cause)
            | Self::Permanent(cause)
            | Self::Misconfigured(cause)
            | Self::Capacity(cause)
            | Self::RateLimited { cause, .. } => cause,
        }
    }
}

impl fmt::Display for PanelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self.cause(), f)
    }
}

impl std::error::Error for PanelError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        std::error::Error::source(self.cause())
    }
}

/// One layer's message, and the failure beneath it where there is one.
#[derive(Debug)]
pub struct Cause {
    message: String,
    source: Option<Source>,
}

impl Cause {
    /// A cause with nothing beneath it. Lower case, no full stop, no secrets.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }

    /// The same message, with the failure that led to it.
    #[must_use]
    pub fn because(mut self, source: impl Into<Source>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Cause {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        }
    }
}

/// The servers that this installation sells on, by name.
#[derive(Clone, Default)]
pub struct Panels {
    servers: BTreeMap<String, Server>,
}

#[derive(Clone)]
struct Server {
    driver: &'static str,
    panel: Arc<dyn Panel>,
}

impl Panels {
    /// A registry without servers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same registry with `server`, run by `driver` (such as `site`). A server named twice keeps the later one.
    #[must_use]
    pub fn with(mut self, server: impl Into<String>, driver: &'static str, panel: Arc<dyn Panel>) -> Self {
        self.servers.insert(server.into(), Server { driver, panel });
        self
    }

    /// The panel of a server, by the server's name.
    pub fn of(&self, server: &str) -> Result<Arc<dyn Panel>, UnknownServer> {
        self.server(server).map(|found| Arc::clone(&found.panel))
    }

    /// The name of the driver that runs a server.
    pub fn driver(&self, server: &str) -> Result<&'static str, UnknownServer> {
        self.server(server).map(|found| found.driver)
    }

    /// Every server's name and driver, by name.
    pub fn servers(&self) -> impl Iterator<Item = (&str, &'static str)> {
        self.servers.iter().map(|(name, server)| (name.as_str(), server.driver))
    }

    fn server(&self, name: &str) -> Result<&Server, UnknownServer> {
        self.servers.get(name).ok_or_else(|| UnknownServer(name.to_owned()))
    }
}

impl fmt::Debug for Panels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.servers()).finish()
    }
}

/// A server that the configuration does not (or no longer) name: its accounts' jobs are parked, not failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no server is called {0:?} in the configuration")]
pub struct UnknownServer(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_not_configured_is_named_in_the_refusal() {
        let panels = Panels::new().with("web1", "memory", Arc::new(memory::MemoryPanel::new()));

        assert!(panels.of("web1").is_ok());
        assert_eq!(panels.driver("web1"), Ok("memory"));
        assert_eq!(panels.of("web2").err(), Some(UnknownServer("web2".to_owned())));
    }

    #[test]
    fn an_error_shows_one_layer_and_keeps_the_next() {
        let beneath = std::io::Error::other("the disk said so");

        let error = PanelError::Ambiguous(Cause::new("the record could not be replaced").because(beneath));

        assert_eq!(error.to_string(), "the record could not be replaced");
        assert_eq!(std::error::Error::source(&error).map(ToString::to_string).as_deref(), Some("the disk said so"));
    }
}
