//! A panel in memory, for benches and tests: it keeps the contract, counts its creates, and fails when told to.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use berth_jobs::ids::AccountId;
use futures::future::BoxFuture;
use jiff::Timestamp;
use secrecy::SecretString;

use super::{
    AccountRef, Backup, BackupRef, Caps, Cause, CreateSpec, Created, Observed, OneTimeUrl, Panel, PanelError,
    PanelFuture, RemoteState, ServerInfo, Step, TaskOutcome, TaskRef, Usage,
};

/// How long a task's `Pending` asks the caller to wait.
const TASK_PAUSE: Duration = Duration::from_secs(5);

/// What happens to a mutation instead of an ordinary answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request is lost: nothing is applied, the answer is [`PanelError::Ambiguous`].
    BeforeApplying,
    /// The answer is lost: all is applied, the answer is [`PanelError::Ambiguous`].
    AfterApplying,
    /// Nothing is applied: [`PanelError::Transient`].
    Unreachable,
    /// Nothing is applied: [`PanelError::RateLimited`].
    RateLimited(Duration),
    /// Nothing is applied: [`PanelError::Misconfigured`].
    Unauthorized,
    /// Nothing is applied: [`PanelError::Capacity`].
    Full,
    /// Applied as a task, which is still running for that many polls.
    Task { polls: u32 },
}

/// The driver `memory`.
#[derive(Default)]
pub struct MemoryPanel {
    latency: Duration,
    dead: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    accounts: HashMap<String, Remote>,
    creates: BTreeMap<AccountId, u64>,
    backups: BTreeMap<BackupRef, Kept>,
    faults: VecDeque<Fault>,
    tasks: HashMap<String, u32>,
}

#[derive(Clone)]
struct Remote {
    account_id: AccountId,
    package: String,
    password: SecretString,
    suspended: Option<String>,
    files: Files,
    restored: Option<BackupRef>,
}

/// Texts by their paths.
type Files = BTreeMap<String, String>;

struct Kept {
    backup: Backup,
    files: Files,
}

impl MemoryPanel {
    /// An empty panel that answers at once.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The same panel, taking that long for every call.
    #[must_use]
    pub fn with_latency(mut self, latency: Duration) -> Self {
        self.latency = latency;
        self
    }

    /// From now on nothing reaches it: [`PanelError::Transient`].
    pub fn die(&self) {
        self.dead.store(true, Ordering::Relaxed);
    }

    /// It can be reached again.
    pub fn revive(&self) {
        self.dead.store(false, Ordering::Relaxed);
    }

    /// Queues a fault: each one meets one mutation, in order.
    pub fn script(&self, fault: Fault) {
        self.inner().faults.push_back(fault);
    }

    /// How often an account was created, ever, also by requests whose answer was lost.
    #[must_use]
    pub fn creates_of(&self, account: AccountId) -> u64 {
        self.inner().creates.get(&account).copied().unwrap_or(0)
    }

    /// How often each account was created, ever.
    #[must_use]
    pub fn creates(&self) -> BTreeMap<AccountId, u64> {
        self.inner().creates.clone()
    }

    /// How many accounts there are now.
    #[must_use]
    pub fn accounts(&self) -> usize {
        self.inner().accounts.len()
    }

    /// The password that would open an account now.
    #[must_use]
    pub fn password_of(&self, username: &str) -> Option<SecretString> {
        self.inner().accounts.get(username).map(|remote| remote.password.clone())
    }

    /// Puts a file into an account, as its owner would; does nothing where there is no such account.
    pub fn put_file(&self, username: &str, path: &str, text: &str) {
        if let Some(remote) = self.inner().accounts.get_mut(username) {
            remote.files.insert(path.to_owned(), text.to_owned());
        }
    }

    /// The files of an account by their paths; none where there is no such account.
    #[must_use]
    pub fn files_of(&self, username: &str) -> BTreeMap<String, String> {
        self.inner().accounts.get(username).map(|remote| remote.files.clone()).unwrap_or_default()
    }

    /// The backups that are there now, by name.
    #[must_use]
    pub fn backups(&self) -> Vec<Backup> {
        self.inner().backups.values().map(|kept| kept.backup.clone()).collect()
    }

    /// A panic of another thread leaves whole values behind: every change is one assignment.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes its time.
    async fn reached(&self) -> Result<(), PanelError> {
        if !self.latency.is_zero() {
            tokio::time::sleep(self.latency).await;
        }
        if self.dead.load(Ordering::Relaxed) {
            return Err(PanelError::transient("the panel refused the connection"));
        }
        Ok(())
    }

    /// Applies a mutation, unless the script says otherwise.
    async fn mutate<T>(&self, apply: impl FnOnce(&mut Inner) -> Result<T, PanelError>) -> Result<Step<T>, PanelError> {
        self.reached().await?;
        let mut inner = self.inner();
        match inner.faults.pop_front() {
            None => apply(&mut inner).map(Step::Done),
            Some(Fault::BeforeApplying) => Err(PanelError::ambiguous("the panel did not answer")),
            Some(Fault::AfterApplying) => {
                apply(&mut inner)?;
                Err(PanelError::ambiguous("the panel did not answer"))
            }
            Some(Fault::Unreachable) => Err(PanelError::transient("the panel refused the connection")),
            Some(Fault::RateLimited(retry_after)) => {
                Err(PanelError::RateLimited { retry_after, cause: Cause::new("the panel asks for fewer requests") })
            }
            Some(Fault::Unauthorized) => Err(PanelError::misconfigured("the panel refused the credentials")),
            Some(Fault::Full) => Err(PanelError::capacity("the server is full")),
            Some(Fault::Task { polls }) => {
                apply(&mut inner)?;
                let task = format!("task-{}", inner.tasks.len());
                inner.tasks.insert(task.clone(), polls);
                Ok(Step::Pending(TaskRef(task), TASK_PAUSE))
            }
        }
    }

    fn change<'a>(
        &'a self,
        account: &'a AccountRef,
        change: impl FnOnce(&mut Remote) + Send + 'a,
    ) -> BoxFuture<'a, Result<Step<()>, PanelError>> {
        Box::pin(self.mutate(|inner| inner.owned(account).map(change)))
    }
}

impl Inner {
    /// The account, once it is proved to be ours.
    fn owned(&mut self, account: &AccountRef) -> Result<&mut Remote, PanelError> {
        match self.accounts.get_mut(&account.username) {
            Some(remote) if remote.account_id == account.account_id => Ok(remote),
            Some(_) => Err(PanelError::permanent(format!("{} is somebody else's account", account.username))),
            None => Err(PanelError::permanent(format!("there is no account {}", account.username))),
        }
    }

    fn create(&mut self, spec: &CreateSpec) -> Result<Created, PanelError> {
        let AccountRef { account_id, username, .. } = &spec.account;
        let adopted = match self.accounts.get(username) {
            Some(remote) if remote.account_id == *account_id => true,
            Some(_) => return Err(PanelError::name_taken(format!("{username} is somebody else's account"))),
            None => false,
        };
        if !adopted {
            *self.creates.entry(*account_id).or_default() += 1;
            let remote = Remote {
                account_id: *account_id,
                package: spec.package.clone(),
                password: spec.password.clone(),
                suspended: None,
                files: Files::new(),
                restored: None,
            };
            self.accounts.insert(username.clone(), remote);
        }
        Ok(Created {
            remote_id: username.clone(),
            site_url: Some(format!("http://{username}.invalid/")),
            control_panel_url: None,
            adopted,
        })
    }

    fn back_up(&mut self, account: &AccountRef, reference: BackupRef) -> Result<Backup, PanelError> {
        own_backup(account, reference)?;
        if let Some(kept) = self.backups.get(&reference) {
            return Ok(kept.backup.clone());
        }
        let files = self.owned(account)?.files.clone();
        let bytes = files.values().map(|text| u64::try_from(text.len()).unwrap_or(u64::MAX)).sum();
        #[expect(clippy::disallowed_methods, reason = "a panel keeps its own, real time, as a server elsewhere would")]
        let backup = Backup { reference, bytes, made_at: Timestamp::now() };
        self.backups.insert(reference, Kept { backup: backup.clone(), files });
        Ok(backup)
    }

    fn restore(&mut self, account: &AccountRef, reference: BackupRef) -> Result<(), PanelError> {
        own_backup(account, reference)?;
        if self.owned(account)?.restored == Some(reference) {
            return Ok(());
        }
        let missing = || PanelError::permanent(format!("there is no backup {reference}"));
        let files = self.backups.get(&reference).ok_or_else(missing)?.files.clone();
        let remote = self.owned(account)?;
        remote.files = files;
        remote.restored = Some(reference);
        Ok(())
    }

    fn observe(&self, account: &AccountRef) -> Observed {
        match self.accounts.get(&account.username) {
            None => Observed::Absent,
            Some(remote) if remote.account_id != account.account_id => Observed::Foreign,
            Some(remote) => Observed::Present {
                remote_id: account.username.clone(),
                package: remote.package.clone(),
                state: match &remote.suspended {
                    None => RemoteState::Active,
                    Some(reason) => RemoteState::Suspended { reason: Some(reason.clone()), ours: true },
                },
            },
        }
    }
}

fn own_backup(account: &AccountRef, backup: BackupRef) -> Result<(), PanelError> {
    if backup.account_id() == account.account_id {
        return Ok(());
    }
    Err(PanelError::permanent(format!("{backup} is another account's backup")))
}

impl Panel for MemoryPanel {
    fn caps(&self) -> Caps {
        Caps {
            passwords: true,
            login_url: true,
            usage: true,
            backups: true,
            enforces_packages: false,
            tasks: true,
            username_max: 16,
        }
    }

    fn probe(&self) -> PanelFuture<'_, ServerInfo> {
        Box::pin(async {
            self.reached().await?;
            Ok(ServerInfo { version: "memory".to_owned(), hostname: None, nameservers: Vec::new() })
        })
    }

    fn observe<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Observed> {
        Box::pin(async {
            self.reached().await?;
            Ok(self.inner().observe(account))
        })
    }

    fn ensure_created<'a>(&'a self, spec: &'a CreateSpec) -> PanelFuture<'a, Step<Created>> {
        Box::pin(self.mutate(|inner| inner.create(spec)))
    }

    fn ensure_suspended<'a>(&'a self, account: &'a AccountRef, reason: &'a str) -> PanelFuture<'a, Step<()>> {
        self.change(account, |remote| remote.suspended = Some(reason.to_owned()))
    }

    fn ensure_active<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Step<()>> {
        self.change(account, |remote| remote.suspended = None)
    }

    fn ensure_package<'a>(&'a self, account: &'a AccountRef, package: &'a str) -> PanelFuture<'a, Step<()>> {
        self.change(account, |remote| package.clone_into(&mut remote.package))
    }

    fn ensure_absent<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Step<()>> {
        Box::pin(self.mutate(|inner| {
            if inner.accounts.contains_key(&account.username) {
                inner.owned(account)?;
                inner.accounts.remove(&account.username);
            }
            Ok(())
        }))
    }

    fn ensure_backup<'a>(&'a self, account: &'a AccountRef, backup: &'a BackupRef) -> PanelFuture<'a, Step<Backup>> {
        Box::pin(self.mutate(|inner| inner.back_up(account, *backup)))
    }

    fn ensure_backup_absent<'a>(&'a self, backup: &'a BackupRef) -> PanelFuture<'a, Step<()>> {
        Box::pin(self.mutate(|inner| {
            inner.backups.remove(backup);
            Ok(())
        }))
    }

    fn ensure_restored<'a>(&'a self, account: &'a AccountRef, backup: &'a BackupRef) -> PanelFuture<'a, Step<()>> {
        Box::pin(self.mutate(|inner| inner.restore(account, *backup)))
    }

    fn set_password<'a>(&'a self, account: &'a AccountRef, password: &'a SecretString) -> PanelFuture<'a, Step<()>> {
        self.change(account, |remote| remote.password = password.clone())
    }

    fn login_url<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, OneTimeUrl> {
        Box::pin(async {
            self.reached().await?;
            self.inner().owned(account)?;
            let token = uuid::Uuid::new_v4();
            Ok(OneTimeUrl(format!("http://{}.invalid/login?token={token}", account.username).into()))
        })
    }

    fn usage<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Usage> {
        Box::pin(async {
            self.reached().await?;
            self.inner().owned(account)?;
            Ok(Usage { disk_bytes: 0, inodes: None, traffic_bytes: None })
        })
    }

    fn poll<'a>(&'a self, task: &'a TaskRef) -> PanelFuture<'a, Step<TaskOutcome>> {
        Box::pin(async {
            self.reached().await?;
            match self.inner().tasks.get_mut(&task.0) {
                None => Err(PanelError::permanent(format!("there is no task {:?}", task.0))),
                Some(0) => Ok(Step::Done(TaskOutcome::Succeeded)),
                Some(left) => {
                    *left -= 1;
                    Ok(Step::Pending(task.clone(), TASK_PAUSE))
                }
            }
        })
    }
}

#[cfg(test)]
mod tests;
