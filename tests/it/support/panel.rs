//! A panel in memory that a test can hold, trip and watch.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use berth::{
    app::SITE_SERVER,
    gateways::panels::{
        AccountRef, Backup, BackupRef, Caps, CreateSpec, Created, Listed, Observed, OneTimeUrl, Panel, PanelError,
        PanelFuture, Panels, RemoteState, ServerInfo, Step, TaskOutcome, TaskRef, Usage, memory::MemoryPanel,
    },
};
use berth_jobs::ids::AccountId;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::oneshot;

/// A [`MemoryPanel`] whose creates can be refused or held, and whose mutations are counted while they run.
#[derive(Default)]
pub(crate) struct WatchedPanel {
    pub(crate) memory: MemoryPanel,
    refusals: Mutex<VecDeque<PanelError>>,
    holds: Mutex<VecDeque<Hold>>,
    refused_changes: Mutex<VecDeque<PanelError>>,
    held_changes: Mutex<VecDeque<Hold>>,
    running: Mutex<Running>,
    asked: Mutex<Vec<CreateSpec>>,
    logins: Mutex<VecDeque<Login>>,
    links: Mutex<Vec<String>>,
    passwords: Mutex<Vec<SecretString>>,
    uses: Mutex<Option<Usage>>,
    refused_lists: Mutex<VecDeque<PanelError>>,
    held_lists: Mutex<VecDeque<HeldList>>,
    /// The accounts of which the panel has not lost an answer yet are to lose their first one.
    loses_first: AtomicBool,
    makes_no_backups: bool,
}

/// What happens to the next wish for a sign-in link.
pub(crate) enum Login {
    /// It is answered with that.
    Refused(PanelError),
    /// It is never answered.
    Hangs,
}

/// A create, or a change, that has happened on the panel and whose answer waits.
struct Hold {
    reached: oneshot::Sender<AccountId>,
    released: oneshot::Receiver<()>,
}

/// A list that was asked for and waits to be made.
struct HeldList {
    reached: oneshot::Sender<()>,
    released: oneshot::Receiver<()>,
}

#[derive(Default)]
struct Running {
    now: HashMap<AccountId, u32>,
    most_of_one_account: u32,
    most: usize,
}

impl WatchedPanel {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A panel that makes no backups.
    pub(crate) fn without_backups() -> Arc<Self> {
        Arc::new(Self { makes_no_backups: true, ..Self::default() })
    }

    /// A panel that takes that long for every call.
    pub(crate) fn slow(latency: std::time::Duration) -> Arc<Self> {
        Arc::new(Self { memory: MemoryPanel::new().with_latency(latency), ..Self::default() })
    }

    /// This panel as the one that every installation has.
    pub(crate) fn registry(self: &Arc<Self>) -> Panels {
        let panel: Arc<dyn Panel> = self.clone();
        Panels::new().with(SITE_SERVER, "memory", panel)
    }

    /// The next create, or change of a package, is answered with `error`, and nothing is done.
    pub(crate) fn refuse(&self, error: PanelError) {
        self.refusals.lock().unwrap().push_back(error);
    }

    /// Does the first create of every account, and loses the answer.
    pub(crate) fn lose_first_answers(&self) {
        self.loses_first.store(true, Ordering::Relaxed);
    }

    /// Holds the answer to the next create: tells when it has happened, and waits for the release.
    pub(crate) fn hold(&self) -> (oneshot::Receiver<AccountId>, oneshot::Sender<()>) {
        let (reached, happened) = oneshot::channel();
        let (release, released) = oneshot::channel();
        self.holds.lock().unwrap().push_back(Hold { reached, released });
        (happened, release)
    }

    /// As [`refuse`](Self::refuse), for the next suspension, its end, new password, backup or removal.
    pub(crate) fn refuse_change(&self, error: PanelError) {
        self.refused_changes.lock().unwrap().push_back(error);
    }

    /// As [`hold`](Self::hold), for the next suspension, its end, new password, backup or removal.
    pub(crate) fn hold_change(&self) -> (oneshot::Receiver<AccountId>, oneshot::Sender<()>) {
        let (reached, happened) = oneshot::channel();
        let (release, released) = oneshot::channel();
        self.held_changes.lock().unwrap().push_back(Hold { reached, released });
        (happened, release)
    }

    /// The next list is answered with `error`.
    pub(crate) fn refuse_list(&self, error: PanelError) {
        self.refused_lists.lock().unwrap().push_back(error);
    }

    /// Holds the next list: tells that it was asked for, and makes it after the release.
    pub(crate) fn hold_list(&self) -> (oneshot::Receiver<()>, oneshot::Sender<()>) {
        let (reached, happened) = oneshot::channel();
        let (release, released) = oneshot::channel();
        self.held_lists.lock().unwrap().push_back(HeldList { reached, released });
        (happened, release)
    }

    /// What happens to the next wish for a sign-in link.
    pub(crate) fn trip_login(&self, login: Login) {
        self.logins.lock().unwrap().push_back(login);
    }

    /// The sign-in links that it has made.
    pub(crate) fn links(&self) -> Vec<String> {
        self.links.lock().unwrap().clone()
    }

    /// The passwords that it was told to set, in order, also those that it refused.
    pub(crate) fn passwords(&self) -> Vec<String> {
        self.passwords.lock().unwrap().iter().map(|password| password.expose_secret().to_owned()).collect()
    }

    /// What every account uses from now on.
    pub(crate) fn uses(&self, usage: Usage) {
        *self.uses.lock().unwrap() = Some(usage);
    }

    /// Whether an account is there, and serves its site.
    pub(crate) async fn state_of(&self, account: AccountId, username: &str) -> Option<RemoteState> {
        let on_panel = AccountRef { account_id: account, username: username.to_owned(), remote_id: None, domain: None };
        match self.memory.observe(&on_panel).await.unwrap() {
            Observed::Present { state, .. } => Some(state),
            Observed::Absent | Observed::Partial { .. } | Observed::Foreign => None,
        }
    }

    /// Does a change, unless it is to be refused; holds its answer, where that is to be held.
    async fn changed<T>(&self, account: AccountId, change: PanelFuture<'_, Step<T>>) -> Result<Step<T>, PanelError> {
        let _entered = self.enter(account);
        let refusal = self.refused_changes.lock().unwrap().pop_front();
        if let Some(refusal) = refusal {
            return Err(refusal);
        }
        let answer = change.await?;
        let hold = self.held_changes.lock().unwrap().pop_front();
        if let Some(Hold { reached, released }) = hold {
            reached.send(account).unwrap();
            released.await.unwrap();
        }
        Ok(answer)
    }

    /// The most calls that were under way for one account at a time.
    pub(crate) fn most_of_one_account(&self) -> u32 {
        self.running.lock().unwrap().most_of_one_account
    }

    /// What it was asked to create, in order.
    pub(crate) fn asked(&self) -> Vec<CreateSpec> {
        self.asked.lock().unwrap().clone()
    }

    /// The most accounts that were worked on at a time.
    pub(crate) fn most_at_once(&self) -> usize {
        self.running.lock().unwrap().most
    }

    fn enter(&self, account: AccountId) -> Entered<'_> {
        let mut running = self.running.lock().unwrap();
        let now = running.now.entry(account).or_default();
        *now += 1;
        let of_this = *now;
        running.most_of_one_account = running.most_of_one_account.max(of_this);
        running.most = running.most.max(running.now.len());
        Entered { panel: self, account }
    }
}

struct Entered<'a> {
    panel: &'a WatchedPanel,
    account: AccountId,
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let mut running = self.panel.running.lock().unwrap();
        if let Some(now) = running.now.get_mut(&self.account) {
            *now -= 1;
            if *now == 0 {
                running.now.remove(&self.account);
            }
        }
    }
}

impl Panel for WatchedPanel {
    fn caps(&self) -> Caps {
        Caps { backups: !self.makes_no_backups, ..self.memory.caps() }
    }

    fn probe(&self) -> PanelFuture<'_, ServerInfo> {
        self.memory.probe()
    }

    fn observe<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Observed> {
        self.memory.observe(account)
    }

    fn list(&self) -> PanelFuture<'_, Vec<Listed>> {
        Box::pin(async {
            let refusal = self.refused_lists.lock().unwrap().pop_front();
            if let Some(refusal) = refusal {
                return Err(refusal);
            }
            let hold = self.held_lists.lock().unwrap().pop_front();
            if let Some(HeldList { reached, released }) = hold {
                reached.send(()).unwrap();
                released.await.unwrap();
            }
            self.memory.list().await
        })
    }

    fn ensure_created<'a>(&'a self, spec: &'a CreateSpec) -> PanelFuture<'a, Step<Created>> {
        Box::pin(async {
            let _entered = self.enter(spec.account.account_id);
            let is_first = {
                let mut asked = self.asked.lock().unwrap();
                let is_first = asked.iter().all(|earlier| earlier.account.account_id != spec.account.account_id);
                asked.push(spec.clone());
                is_first
            };
            let refusal = self.refusals.lock().unwrap().pop_front();
            if let Some(refusal) = refusal {
                return Err(refusal);
            }
            let created = self.memory.ensure_created(spec).await?;
            if is_first && self.loses_first.load(Ordering::Relaxed) {
                return Err(PanelError::ambiguous("the answer was lost"));
            }
            let hold = self.holds.lock().unwrap().pop_front();
            if let Some(Hold { reached, released }) = hold {
                reached.send(spec.account.account_id).unwrap();
                released.await.unwrap();
            }
            Ok(created)
        })
    }

    fn ensure_suspended<'a>(&'a self, account: &'a AccountRef, reason: &'a str) -> PanelFuture<'a, Step<()>> {
        Box::pin(self.changed(account.account_id, self.memory.ensure_suspended(account, reason)))
    }

    fn ensure_active<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Step<()>> {
        Box::pin(self.changed(account.account_id, self.memory.ensure_active(account)))
    }

    fn ensure_package<'a>(&'a self, account: &'a AccountRef, package: &'a str) -> PanelFuture<'a, Step<()>> {
        Box::pin(async {
            let _entered = self.enter(account.account_id);
            let refusal = self.refusals.lock().unwrap().pop_front();
            if let Some(refusal) = refusal {
                return Err(refusal);
            }
            self.memory.ensure_package(account, package).await
        })
    }

    fn ensure_absent<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Step<()>> {
        Box::pin(self.changed(account.account_id, self.memory.ensure_absent(account)))
    }

    fn ensure_backup<'a>(&'a self, account: &'a AccountRef, backup: &'a BackupRef) -> PanelFuture<'a, Step<Backup>> {
        if self.makes_no_backups {
            return Box::pin(async { Err(PanelError::permanent("this panel makes no backups")) });
        }
        Box::pin(self.changed(account.account_id, self.memory.ensure_backup(account, backup)))
    }

    fn ensure_backup_absent<'a>(&'a self, backup: &'a BackupRef) -> PanelFuture<'a, Step<()>> {
        Box::pin(self.changed(backup.account_id(), self.memory.ensure_backup_absent(backup)))
    }

    fn ensure_restored<'a>(&'a self, account: &'a AccountRef, backup: &'a BackupRef) -> PanelFuture<'a, Step<()>> {
        Box::pin(async {
            let _entered = self.enter(account.account_id);
            self.memory.ensure_restored(account, backup).await
        })
    }

    fn set_password<'a>(&'a self, account: &'a AccountRef, password: &'a SecretString) -> PanelFuture<'a, Step<()>> {
        self.passwords.lock().unwrap().push(password.clone());
        Box::pin(self.changed(account.account_id, self.memory.set_password(account, password)))
    }

    fn login_url<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, OneTimeUrl> {
        Box::pin(async {
            let login = self.logins.lock().unwrap().pop_front();
            match login {
                Some(Login::Refused(error)) => return Err(error),
                Some(Login::Hangs) => std::future::pending().await,
                None => {}
            }
            let link = self.memory.login_url(account).await?;
            self.links.lock().unwrap().push(link.0.expose_secret().to_owned());
            Ok(link)
        })
    }

    fn usage<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Usage> {
        Box::pin(async {
            let counted = self.memory.usage(account).await?;
            Ok(self.uses.lock().unwrap().unwrap_or(counted))
        })
    }

    fn poll<'a>(&'a self, task: &'a TaskRef) -> PanelFuture<'a, Step<TaskOutcome>> {
        self.memory.poll(task)
    }
}
