//! A panel in memory, for benches and tests: it keeps the contract, counts its creates, and fails when told to.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use berth_jobs::ids::AccountId;
use futures::future::BoxFuture;
use secrecy::SecretString;

use super::{
    AccountRef, Backup, BackupRef, Caps, Cause, CreateSpec, Created, Listed, Observed, OneTimeUrl, Panel, PanelError,
    PanelFuture, ServerInfo, Step, TaskOutcome, TaskRef, Usage,
};

mod accounts;

use accounts::{Files, Inner, Remote};

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

    /// Puts an account there that is somebody else's, as staff at the server would; does nothing where the name is taken.
    pub fn put_foreign(&self, username: &str) {
        let theirs = Remote {
            account_id: None,
            package: String::new(),
            password: SecretString::default(),
            suspended: None,
            files: Files::new(),
            restored: None,
        };
        self.inner().accounts.entry(username.to_owned()).or_insert(theirs);
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

    fn list(&self) -> PanelFuture<'_, Vec<Listed>> {
        Box::pin(async {
            self.reached().await?;
            Ok(self.inner().list())
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
