//! Panels: the servers on which hosting accounts live, behind one trait whose mutations may all be repeated safely.
//!
//! The rule for callers: commit what is intended, then call; after [`PanelError::Ambiguous`] call [`Panel::observe`] and
//! decide from what it says. Every `ensure_…` observes first, acts only on an account whose ownership it can prove, and
//! answers as if it had done the work when the work is already done.

use std::time::Duration;

use berth_jobs::ids::AccountId;
use futures::future::BoxFuture;
use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use serde_json::Value;

mod backup;
#[cfg(test)]
mod conformance;
pub mod directadmin;
mod error;
pub mod hestia;
pub mod http;
pub mod incus;
pub mod linux;
pub mod memory;
pub mod private;
pub mod proxmox;
mod servers;
pub mod site;
pub mod whm;

pub use backup::{Backup, BackupRef, InvalidBackupRef};
pub use error::{Cause, PanelError};
pub use servers::{Panels, Placement, ServerState, UnknownServer};

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

    /// Every account of Berth's that the server has, whole or in part: those under its mark, and nobody else's. Changes nothing.
    ///
    /// The mark is what [`observe`](Self::observe) takes for a proof, as far as it needs no account to compare with: our id where
    /// the panel carries it, elsewhere the owner whom Berth alone works as. Asked seldom, and may take a while.
    fn list(&self) -> PanelFuture<'_, Vec<Listed>>;

    /// Creates the account, finishes a half-created one, or adopts one that is ours already.
    fn ensure_created<'a>(&'a self, spec: &'a CreateSpec) -> PanelFuture<'a, Step<Created>>;

    /// Suspends, recording `reason` (a word for staff such as `non_payment`, shown to no visitor). A second time changes
    /// nothing, another reason replaces the first; a suspension that somebody else made stays theirs and is a success.
    fn ensure_suspended<'a>(&'a self, account: &'a AccountRef, reason: &'a str) -> PanelFuture<'a, Step<()>>;

    /// Lifts our suspension; one made by somebody else is left alone and answered with [`PanelError::Permanent`].
    fn ensure_active<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Step<()>>;

    /// Puts the account on `package` and reads back that it took.
    fn ensure_package<'a>(&'a self, account: &'a AccountRef, package: &'a str) -> PanelFuture<'a, Step<()>>;

    /// Removes the account and its data, for good. One that is not there is a success. Backups outlive it: whoever wants
    /// one makes it first.
    fn ensure_absent<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Step<()>>;

    /// Keeps the account's files under our own name for the backup, whole or not at all. One that was made before is
    /// answered as it is, also when the account has changed or is gone since; one that is found damaged is made anew.
    /// [`PanelError::Permanent`] when the account is not there, or where [`Caps::backups`] is false.
    fn ensure_backup<'a>(&'a self, account: &'a AccountRef, backup: &'a BackupRef) -> PanelFuture<'a, Step<Backup>>;

    /// Deletes a backup, for good. One that is not there is a success.
    fn ensure_backup_absent<'a>(&'a self, backup: &'a BackupRef) -> PanelFuture<'a, Step<()>>;

    /// Puts the files of the account's own backup in the place of those that it has now, which are lost; what else it is
    /// (package, suspension) stays. An account takes a backup once: a second time changes nothing.
    /// [`PanelError::Permanent`] when account or backup are not there, or the backup is not whole.
    fn ensure_restored<'a>(&'a self, account: &'a AccountRef, backup: &'a BackupRef) -> PanelFuture<'a, Step<()>>;

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
    /// The panel keeps backups of its accounts, and restores them.
    pub backups: bool,
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
    /// The customer's own domain, if any: part of the proof where a panel cannot carry our id.
    pub domain: Option<String>,
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

/// An account of Berth's, as a server lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Whose it is, where the panel carries our id.
    pub account_id: Option<AccountId>,
    /// The login on the server.
    pub username: String,
    /// The panel's own id, where the list tells it: as [`Created`] has it.
    pub remote_id: Option<String>,
    /// Whether it is suspended, by whomever.
    pub suspended: bool,
}

/// What an account uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of the customer's files.
    pub disk_bytes: u64,
    /// Files and directories, where the panel counts them.
    pub inodes: Option<u64>,
    /// Bytes sent this calendar month, where the panel counts them.
    pub traffic_bytes: Option<u64>,
}

/// A sign-in link: whoever has it is in. Never stored, never logged.
#[derive(Clone, Debug)]
pub struct OneTimeUrl(pub SecretString);
