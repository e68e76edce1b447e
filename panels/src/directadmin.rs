//! Accounts on a DirectAdmin server, by its legacy `CMD_API_*` calls with `json=yes` and, where the newer API has what is
//! needed, by that (docs: `docs.directadmin.com/developer/api`, and `/static/swagger.json` on every server).
//!
//! DirectAdmin carries no ids of ours. An account is ours when its name is the one that we asked for, its creator is the
//! reseller that Berth sells under, and it either is the very account that a create once answered (name and date of creation,
//! the `remote_id`) or has the main domain of our intent and is not older than that. So the reseller in
//! [`DirectAdminConfig::user`] must be Berth's alone. Dates of creation are written in the server's own zone, which is not
//! told: an account that is less than half a day older than its intent passes for new.
//!
//! # Whose suspension it is
//! A user's configuration says why (`suspended_reason`, a word from the server's list of reasons) and since when
//! (`suspend_date`). Staff choose from the same list, so the word alone proves nothing. Berth therefore writes a mark among
//! the account's comments, which only the reseller and admins see: `[suspended-by-berth reason=… under=… at=…]`. It is written
//! before the suspension, without `at`; completed with the suspension's own date afterwards; and taken out after it was
//! lifted. What staff wrote there stays. A suspension is ours when the mark names its word and its date.
//!
//! A mark without a date is what a crash leaves between the first step and the last. Then the word alone decides; the job,
//! which is repeated, completes the mark. So these cases remain:
//!
//! - Staff suspend an account under Berth's own word while such a mark waits for its job: it passes for ours, and is lifted on
//!   payment. With a word of Berth's own in the server's list (see [`DirectAdminConfig::suspension_word`]) staff have no
//!   reason to choose it.
//! - Staff take the mark out of the comments, or lift our suspension and suspend anew: that is theirs, and Berth lifts it no
//!   more, also when the customer pays. `ensure_active` says so; whoever wants the account back lifts the suspension in
//!   DirectAdmin, and Berth finds the account active.
//! - Staff want an account to stay suspended that Berth has suspended: DirectAdmin does not suspend twice. They lift it and
//!   suspend anew under their own reason, or take out the mark.
//! - DirectAdmin suspends by itself at a limit of traffic or disk, under words of its own: left alone as staff's is.
//! - A server whose list lacks the word, or which tells no reason: the suspension is made, and the first one is answered with
//!   [`PanelError::Permanent`], as Berth could never lift it. A person lifts it and sets the word right.
//!
//! # What it does not do
//! DirectAdmin does its work before it answers: no call is pending. Its backups of single accounts are queued, named by
//! DirectAdmin and kept in the account's own home, so that they count against its quota and go when it goes:
//! [`Caps::backups`] is false.

use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::{
    AccountRef, Backup, BackupRef, Caps, CreateSpec, Created, Listed, Observed, OneTimeUrl, Panel, PanelError,
    PanelFuture, ServerInfo, Step, TaskOutcome, TaskRef, Usage, http::HttpConfig,
};

mod account;
mod answers;
mod calls;
mod changes;
#[cfg(test)]
mod double;
mod entities;
mod listing;
mod marks;
mod reads;
mod suspensions;
mod texts;

use calls::Calls;

/// A create restarts services; on a loaded server it takes minutes.
const CREATE_TIMEOUT: Duration = Duration::from_secs(240);
/// Answers list all users of a reseller.
const BODY_MAX: usize = 4 * 1024 * 1024;
/// The longest name that a server takes by default.
const USERNAME_MAX: usize = 10;
/// In every server's list of reasons, unless its admin took it out.
const SUSPENSION_WORD: &str = "billing";

/// One DirectAdmin server, and as whom Berth works there.
#[derive(Clone, Debug)]
pub struct DirectAdminConfig {
    /// The endpoint, such as `https://web1.example.net:2222`, and how it is reached.
    pub http: HttpConfig,
    /// The reseller that Berth's accounts belong to and nobody else's, or `admin|reseller` for an admin who acts as it.
    pub user: String,
    /// A login key of the reseller (or of the admin). It needs the commands `CMD_API_ACCOUNT_USER`, `CMD_API_MODIFY_USER`,
    /// `CMD_API_PACKAGES_USER`, `CMD_API_SELECT_USERS`, `CMD_API_SHOW_RESELLER_IPS`, `CMD_API_SHOW_USERS`,
    /// `CMD_API_SHOW_USER_CONFIG`, `CMD_API_USER_EXISTS`, `CMD_API_USER_PASSWD`, `CMD_COMMENTS` and `CMD_SHOW_USER`, and the
    /// newer API.
    pub login_key: SecretString,
    /// Accounts without a domain of the customer's get `<username>.<base_domain>`.
    pub base_domain: String,
    /// The address of new accounts; without one, the first that the reseller shares.
    pub ip: Option<String>,
    /// The word that suspensions are made under, from the server's `suspension_reason.txt`. Best is one that the admin adds
    /// there for Berth.
    pub suspension_word: String,
    /// How long a create is waited for.
    pub create_timeout: Duration,
}

impl DirectAdminConfig {
    /// A server with the usual limits.
    #[must_use]
    pub fn new(
        endpoint: Url,
        user: impl Into<String>,
        login_key: SecretString,
        base_domain: impl Into<String>,
    ) -> Self {
        Self {
            http: HttpConfig { body_max: BODY_MAX, ..HttpConfig::new(endpoint) },
            user: user.into(),
            login_key,
            base_domain: base_domain.into(),
            ip: None,
            suspension_word: SUSPENSION_WORD.to_owned(),
            create_timeout: CREATE_TIMEOUT,
        }
    }
}

/// The driver `directadmin`.
pub struct DirectAdminPanel {
    calls: Calls,
    /// The reseller.
    owner: String,
    base_domain: String,
    ip: Option<String>,
    suspension_word: String,
    create_timeout: Duration,
    control_panel_url: String,
}

impl DirectAdminPanel {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// [`PanelError::Misconfigured`] where the endpoint, a certificate, the user or the suspension word cannot be used.
    pub fn new(config: DirectAdminConfig) -> Result<Self, PanelError> {
        let (acts_for, owner) = match config.user.split_once('|') {
            Some((admin, reseller)) => (admin, reseller),
            None => (config.user.as_str(), config.user.as_str()),
        };
        if [acts_for, owner].iter().any(|name| name.is_empty() || name.contains([':', '|'])) {
            return Err(PanelError::misconfigured("DirectAdmin's user is not `reseller` or `admin|reseller`"));
        }
        if !marks::is_word(&config.suspension_word) {
            return Err(PanelError::misconfigured(
                "the suspension word has more in it than letters, digits, `_` and `-`",
            ));
        }
        let control_panel_url = config.http.endpoint.to_string();
        Ok(Self {
            owner: owner.to_owned(),
            calls: Calls::new(config.http, acts_for, owner, config.login_key)?,
            base_domain: config.base_domain,
            ip: config.ip,
            suspension_word: config.suspension_word,
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

/// A name that every server takes as it is.
fn check_name(account: &AccountRef) -> Result<&str, PanelError> {
    let name = account.username.as_str();
    let is_plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if is_plain && name.starts_with(|first: char| first.is_ascii_lowercase()) && name.len() <= USERNAME_MAX {
        return Ok(name);
    }
    Err(PanelError::permanent(format!(
        "the username {name:?} is not 1 to {USERNAME_MAX} lower-case letters and digits, a letter first"
    )))
}

impl Panel for DirectAdminPanel {
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
        Box::pin(async move { Err(PanelError::permanent(format!("DirectAdmin has no task {:?}", task.0))) })
    }
}

fn no_backups() -> PanelError {
    PanelError::permanent("DirectAdmin keeps no backups of single accounts that outlive them under a name of ours")
}

#[cfg(test)]
mod tests;
