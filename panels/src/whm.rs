//! cPanel accounts on a WHM server, by WHM API 1 (docs: `api.docs.cpanel.net/specifications/whm.openapi`).
//!
//! WHM carries no ids of ours. An account is ours when its name is the one that we asked for, its owner is the reseller that
//! Berth sells under, and it either is the very account that a create once answered (name and time of creation, the
//! `remote_id`) or has the main domain of our intent and is not older than that. So the reseller in [`WhmConfig::owner`] must
//! be Berth's alone.
//!
//! A suspension is ours when its reason begins with `berth: `. Staff at the panel who suspend an account give another reason
//! or lock it, and Berth leaves that alone.
//!
//! WHM does its work before it answers: no call is pending. It makes backups of whole servers by schedule, and has no call
//! that makes one of an account under a name of ours or deletes it: [`Caps::backups`] is false.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::{
    AccountRef, Backup, BackupRef, Caps, CreateSpec, Created, Listed, Observed, OneTimeUrl, Panel, PanelError,
    PanelFuture, ServerInfo, Step, TaskOutcome, TaskRef, Usage, http::HttpConfig,
};

mod account;
mod calls;
mod changes;
#[cfg(test)]
mod double;
mod reads;
mod texts;

use calls::Calls;

/// `createacct` answers after 10 to 60 seconds, on a loaded server after more.
const CREATE_TIMEOUT: Duration = Duration::from_secs(240);
/// Answers quote all that a script has printed.
const BODY_MAX: usize = 4 * 1024 * 1024;
/// The longest name that WHM takes. Its first eight characters must be unique on the server.
const USERNAME_MAX: usize = 16;
/// Where cPanel's own users sign in, over TLS and in clear.
const CPANEL_PORTS: (u16, u16) = (2083, 2082);

/// One WHM server, and as whom Berth works there.
#[derive(Clone, Debug)]
pub struct WhmConfig {
    /// The endpoint, such as `https://web1.example.net:2087`, and how it is reached.
    pub http: HttpConfig,
    /// The WHM user whose token it is: `root` or a reseller. Its language must be English, as WHM translates its refusals.
    pub user: String,
    /// An API token. A reseller's needs the privileges to create, list, suspend, upgrade and kill accounts, to change
    /// passwords, to make sessions, and to show bandwidth.
    pub token: SecretString,
    /// The reseller that Berth's accounts belong to, and nobody else's.
    pub owner: String,
    /// Accounts without a domain of the customer's get `<username>.<base_domain>`.
    pub base_domain: String,
    /// How long a create is waited for.
    pub create_timeout: Duration,
}

impl WhmConfig {
    /// A server with the usual limits, on which `user` owns the accounts.
    #[must_use]
    pub fn new(endpoint: Url, user: impl Into<String>, token: SecretString, base_domain: impl Into<String>) -> Self {
        let user = user.into();
        Self {
            http: HttpConfig { body_max: BODY_MAX, ..HttpConfig::new(endpoint) },
            owner: user.clone(),
            user,
            token,
            base_domain: base_domain.into(),
            create_timeout: CREATE_TIMEOUT,
        }
    }
}

/// The driver `whm`.
pub struct WhmPanel {
    calls: Calls,
    owner: String,
    base_domain: String,
    create_timeout: Duration,
    control_panel_url: Option<String>,
}

impl WhmPanel {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// [`PanelError::Misconfigured`] where the endpoint, a certificate or the token cannot be used.
    pub fn new(config: WhmConfig) -> Result<Self, PanelError> {
        let control_panel_url = control_panel_url(&config.http.endpoint);
        Ok(Self {
            calls: Calls::new(config.http, &config.user, config.token)?,
            owner: config.owner,
            base_domain: config.base_domain,
            create_timeout: config.create_timeout,
            control_panel_url,
        })
    }

    /// The main domain that the account was or will be made with.
    fn domain_of(&self, account: &AccountRef) -> String {
        match &account.domain {
            Some(domain) => domain.to_ascii_lowercase(),
            None => format!("{}.{}", account.username, self.base_domain).to_ascii_lowercase(),
        }
    }
}

fn control_panel_url(endpoint: &Url) -> Option<String> {
    let mut url = endpoint.clone();
    let (tls, clear) = CPANEL_PORTS;
    url.set_port(Some(if url.scheme() == "https" { tls } else { clear })).ok()?;
    Some(url.into())
}

/// A name that WHM takes as it is: it would change others, and then answer for an account that we do not know.
fn check_name(account: &AccountRef) -> Result<&str, PanelError> {
    let name = account.username.as_str();
    let is_plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let begins_well = name.starts_with(|first: char| first.is_ascii_lowercase()) && !name.starts_with("test");
    if is_plain && begins_well && name.len() <= USERNAME_MAX {
        return Ok(name);
    }
    Err(PanelError::permanent(format!(
        "the username {name:?} is not 1 to {USERNAME_MAX} lower-case letters and digits, a letter first and not `test`"
    )))
}

impl Panel for WhmPanel {
    fn caps(&self) -> Caps {
        Caps {
            passwords: true,
            login_url: true,
            usage: true,
            backups: false,
            enforces_packages: true,
            tasks: false,
            username_max: USERNAME_MAX,
        }
    }

    fn probe(&self) -> PanelFuture<'_, ServerInfo> {
        Box::pin(self.server_info())
    }

    fn observe<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Observed> {
        Box::pin(self.observed(account))
    }

    fn list(&self) -> PanelFuture<'_, Vec<Listed>> {
        Box::pin(self.accounts())
    }

    fn ensure_created<'a>(&'a self, spec: &'a CreateSpec) -> PanelFuture<'a, Step<Created>> {
        Box::pin(async move { self.create(spec).await.map(Step::Done) })
    }

    fn ensure_suspended<'a>(&'a self, account: &'a AccountRef, reason: &'a str) -> PanelFuture<'a, Step<()>> {
        Box::pin(async move { self.suspend(account, reason).await.map(Step::Done) })
    }

    fn ensure_active<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Step<()>> {
        Box::pin(async move { self.activate(account).await.map(Step::Done) })
    }

    fn ensure_package<'a>(&'a self, account: &'a AccountRef, package: &'a str) -> PanelFuture<'a, Step<()>> {
        Box::pin(async move { self.change_package(account, package).await.map(Step::Done) })
    }

    fn ensure_absent<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Step<()>> {
        Box::pin(async move { self.remove(account).await.map(Step::Done) })
    }

    fn ensure_backup<'a>(&'a self, _: &'a AccountRef, _: &'a BackupRef) -> PanelFuture<'a, Step<Backup>> {
        Box::pin(async { Err(no_backups()) })
    }

    fn ensure_backup_absent<'a>(&'a self, _: &'a BackupRef) -> PanelFuture<'a, Step<()>> {
        Box::pin(async { Err(no_backups()) })
    }

    fn ensure_restored<'a>(&'a self, _: &'a AccountRef, _: &'a BackupRef) -> PanelFuture<'a, Step<()>> {
        Box::pin(async { Err(no_backups()) })
    }

    fn set_password<'a>(&'a self, account: &'a AccountRef, password: &'a SecretString) -> PanelFuture<'a, Step<()>> {
        Box::pin(async move { self.change_password(account, password).await.map(Step::Done) })
    }

    fn login_url<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, OneTimeUrl> {
        Box::pin(self.session(account))
    }

    fn usage<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Usage> {
        Box::pin(self.used(account))
    }

    fn poll<'a>(&'a self, task: &'a TaskRef) -> PanelFuture<'a, Step<TaskOutcome>> {
        Box::pin(async move { Err(PanelError::permanent(format!("WHM has no task {:?}", task.0))) })
    }
}

fn no_backups() -> PanelError {
    PanelError::permanent("WHM makes no backups of single accounts by its API")
}

#[cfg(test)]
mod tests;
