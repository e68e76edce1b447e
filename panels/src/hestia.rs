//! Accounts on a HestiaCP server, by its API of access keys (docs: `hestiacp.com/docs/server-administration/rest-api.html`):
//! each call runs one of the server's `v-…` commands. Hestia 1.6 or later, which tells a command's exit code in a header.
//!
//! An account is a Hestia user with a web domain, which are two commands: whoever is interrupted between them leaves a user
//! of ours without the domain, which is [`Observed::Partial`], and the next create finishes it. A DNS zone and a mail domain
//! are added beside the web domain where the package has room for them and the server has such services.
//!
//! **Ownership.** The user is made with our account's id in its full name (`Berth acc_…`), by the same command. It is ours
//! while that word is in the name, or, as customers may change their names, while it is the very user that a create once
//! answered: the `remote_id` is the username and the second in which the user was made, which Hestia keeps. Domain and age
//! prove nothing here, and no other account is ever touched.
//!
//! **Suspensions.** Hestia's have no reason and no author. So before Berth suspends it leaves the user a notification,
//! `Account suspended` / `berth: <reason>`, which only administrators can write, and takes it away after it has lifted the
//! suspension. A suspended user with that notification is suspended by us; one without it by somebody else, and left alone.
//! What follows from it: where the server lets suspended users look in (`POLICY_USER_VIEW_SUSPENDED`), a customer can delete
//! the notification, and then staff have to lift the suspension; and where staff lift one of ours by hand and later suspend
//! for a reason of their own, theirs counts as ours until Berth has activated the account once. The notification also tells
//! that an unsuspension has not ended: Hestia clears the user's flag first and opens the sites last.
//!
//! **Passwords** travel in the body of a request, and reach the server's scripts as Hestia's API gives them: as an argument,
//! which its `/proc` hides from customers (`hidepid=2`), and which its `sudo` may write to root's own log: `Defaults:hestiaweb
//! !syslog` keeps them out of it. The API's other way, a file in `/tmp`, would show them to every customer with a shell.
//!
//! **Not done.** Backups: Hestia names them by the minute they end in, rotates them by the package's number, and says of none
//! who asked for it, so that after a lost answer ours could not be told from the nightly one: [`Caps::backups`] is false.
//! Sign-in links: there are none, only a form: [`Caps::login_url`] is false. Disk space is limited only where the server's
//! quotas are turned on; numbers of domains, databases and mailboxes always are.

use secrecy::SecretString;
use url::Url;

use crate::{
    AccountRef, Backup, BackupRef, Caps, CreateSpec, Created, Listed, Observed, OneTimeUrl, Panel, PanelError,
    PanelFuture, ServerInfo, Step, TaskOutcome, TaskRef, Usage, http::HttpConfig,
};

mod account;
mod calls;
mod changes;
mod creates;
#[cfg(test)]
mod double;
mod exits;
mod reads;
mod suspensions;
mod turns;

use calls::Calls;
use turns::Turns;

/// The longest and the shortest name that Hestia takes.
const USERNAME_MAX: usize = 30;
const USERNAME_MIN: usize = 2;

/// One Hestia server, and the key that Berth works there with.
#[derive(Clone, Debug)]
pub struct HestiaConfig {
    /// The panel's endpoint, such as `https://web1.example.net:8083`, and how it is reached. Customers sign in there too.
    pub http: HttpConfig,
    /// The public half of an access key of the server's administrator, 20 characters. It needs the commands in
    /// [`HestiaConfig::COMMANDS`]; the profile `billing` that Hestia brings does not have them all.
    pub access_key: String,
    /// The secret half, 40 characters.
    pub secret_key: SecretString,
    /// Accounts without a domain of the customer's get `<username>.<base_domain>`.
    pub base_domain: String,
    /// Whether a DNS zone is made for the account's domain, where server and package have room for one.
    pub dns: bool,
    /// Whether a mail domain is.
    pub mail: bool,
}

impl HestiaConfig {
    /// The commands that the access key must be allowed: what an administrator writes to
    /// `/usr/local/hestia/data/api/berth` as `ROLE='admin'` and `COMMANDS='…'`, before `v-add-access-key admin berth`.
    pub const COMMANDS: &[&str] = &[
        "v-list-sys-info",
        "v-list-user-packages",
        "v-list-user",
        "v-list-users",
        "v-list-user-notifications",
        "v-list-web-domains",
        "v-search-domain-owner",
        "v-add-user",
        "v-add-web-domain",
        "v-add-dns-domain",
        "v-add-mail-domain",
        "v-add-user-notification",
        "v-delete-user-notification",
        "v-suspend-user",
        "v-unsuspend-user",
        "v-change-user-package",
        "v-change-user-password",
        "v-delete-user",
    ];

    /// A server with the usual limits, on which accounts get DNS zones and mail domains.
    #[must_use]
    pub fn new(
        endpoint: Url,
        access_key: impl Into<String>,
        secret_key: SecretString,
        base_domain: impl Into<String>,
    ) -> Self {
        Self {
            http: HttpConfig::new(endpoint),
            access_key: access_key.into(),
            secret_key,
            base_domain: base_domain.into(),
            dns: true,
            mail: true,
        }
    }
}

/// The driver `hestia`.
pub struct HestiaPanel {
    calls: Calls,
    turns: Turns,
    base_domain: String,
    dns: bool,
    mail: bool,
    control_panel_url: String,
}

impl HestiaPanel {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// [`PanelError::Misconfigured`] where the endpoint or a certificate cannot be used, or the key is none.
    pub fn new(config: HestiaConfig) -> Result<Self, PanelError> {
        let control_panel_url = config.http.endpoint.to_string();
        Ok(Self {
            calls: Calls::new(config.http, config.access_key, config.secret_key)?,
            turns: Turns::new(),
            base_domain: config.base_domain,
            dns: config.dns,
            mail: config.mail,
            control_panel_url,
        })
    }

    /// The domain that the account was or will be made with, as Hestia writes it: it drops a `www.` and a dot at the end.
    fn domain_of(&self, account: &AccountRef) -> String {
        let domain = match &account.domain {
            Some(domain) => domain.to_lowercase(),
            None => format!("{}.{}", account.username, self.base_domain).to_lowercase(),
        };
        let domain = domain.trim_matches('.');
        domain.strip_prefix("www.").unwrap_or(domain).to_owned()
    }
}

/// A name that Hestia takes as it is. It would take `_` too; but to Hestia `bob_x` is a login of bob's, which is locked
/// whenever bob is suspended.
fn check_name(account: &AccountRef) -> Result<&str, PanelError> {
    let name = account.username.as_str();
    let is_plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let begins_well = name.starts_with(|first: char| first.is_ascii_lowercase());
    if is_plain && begins_well && (USERNAME_MIN..=USERNAME_MAX).contains(&name.len()) {
        return Ok(name);
    }
    Err(PanelError::permanent(format!(
        "the username {name:?} is not {USERNAME_MIN} to {USERNAME_MAX} lower-case letters and digits, a letter first"
    )))
}

impl Panel for HestiaPanel {
    fn caps(&self) -> Caps {
        Caps {
            passwords: true,
            login_url: false,
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
        Box::pin(async move {
            let _turn = self.turns.of(&spec.account.username).await?;
            self.create(spec).await.map(Step::Done)
        })
    }

    fn ensure_suspended<'a>(&'a self, account: &'a AccountRef, reason: &'a str) -> PanelFuture<'a, Step<()>> {
        Box::pin(async move {
            let _turn = self.turns.of(&account.username).await?;
            self.suspend(account, reason).await.map(Step::Done)
        })
    }

    fn ensure_active<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Step<()>> {
        Box::pin(async move {
            let _turn = self.turns.of(&account.username).await?;
            self.activate(account).await.map(Step::Done)
        })
    }

    fn ensure_package<'a>(&'a self, account: &'a AccountRef, package: &'a str) -> PanelFuture<'a, Step<()>> {
        Box::pin(async move {
            let _turn = self.turns.of(&account.username).await?;
            self.change_package(account, package).await.map(Step::Done)
        })
    }

    fn ensure_absent<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Step<()>> {
        Box::pin(async move {
            let _turn = self.turns.of(&account.username).await?;
            self.remove(account).await.map(Step::Done)
        })
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
        Box::pin(async move {
            let _turn = self.turns.of(&account.username).await?;
            self.change_password(account, password).await.map(Step::Done)
        })
    }

    fn login_url<'a>(&'a self, _: &'a AccountRef) -> PanelFuture<'a, OneTimeUrl> {
        Box::pin(async { Err(PanelError::permanent("Hestia makes no sign-in links")) })
    }

    fn usage<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Usage> {
        Box::pin(self.used(account))
    }

    fn poll<'a>(&'a self, task: &'a TaskRef) -> PanelFuture<'a, Step<TaskOutcome>> {
        Box::pin(async move { Err(PanelError::permanent(format!("Hestia has no task {:?}", task.0))) })
    }
}

fn no_backups() -> PanelError {
    PanelError::permanent("Hestia makes no backups under a name of ours by its API")
}

#[cfg(test)]
mod tests;
