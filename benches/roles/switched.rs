//! A server whose panel goes away and comes back when it is told to.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use berth::{
    clock::Clock,
    gateways::panels::{
        AccountRef, Backup, BackupRef, Caps, CreateSpec, Created, Listed, Observed, OneTimeUrl, Panel, PanelError,
        PanelFuture, Panels, Placement, ServerInfo, Step, TaskOutcome, TaskRef, Usage,
        site::{SiteConfig, SitePanel},
    },
};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// One of the servers that Berth sells on, each with a `site` panel.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) weight: u32,
    pub(crate) capacity: Option<u32>,
    pub(crate) at_once: Option<u32>,
    /// Where it keeps its sites.
    pub(crate) dir: PathBuf,
}

/// How a panel fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Fares {
    Well,
    /// It refuses the connection.
    Refuses,
    /// It takes the connection and never answers.
    Hangs,
}

/// As long as the drivers that speak HTTP wait for what they read before they change anything.
const HANGS_FOR: Duration = Duration::from_secs(20);

/// The servers, and what each of their panels is told and asked.
pub(crate) fn panels(servers: &[Server]) -> (Panels, Vec<(String, Arc<Switched>)>) {
    let switched: Vec<_> =
        servers.iter().map(|server| (server.name.clone(), Arc::new(Switched::new(server)))).collect();
    let panels = servers.iter().zip(&switched).fold(Panels::new(), |panels, (server, (name, panel))| {
        let panel: Arc<dyn Panel> = Arc::<Switched>::clone(panel);
        let placement = Placement {
            weight: server.weight,
            capacity: server.capacity,
            at_once: server.at_once,
            ..Placement::default()
        };
        panels.with_placement(name.clone(), "site", panel, placement)
    });
    (panels, switched)
}

pub(crate) struct Switched {
    panel: SitePanel,
    state: Mutex<State>,
}

struct State {
    fares: Fares,
    /// When jobs began to ask it for something since it was last told how it fares, in microseconds of the machine's clock.
    asked: Vec<i64>,
}

impl Switched {
    fn new(server: &Server) -> Self {
        let panel = SitePanel::new(SiteConfig {
            sites_dir: server.dir.join("sites"),
            backups_dir: server.dir.join("backups"),
            url: "http://{username}.localhost/".to_owned(),
        });
        Self { panel, state: Mutex::new(State { fares: Fares::Well, asked: Vec::new() }) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn fare(&self, fares: Fares) {
        *self.state() = State { fares, asked: Vec::new() };
    }

    pub(crate) fn asked(&self) -> Vec<i64> {
        self.state().asked.clone()
    }

    fn reached<'a, T: Send + 'a>(&'a self, call: PanelFuture<'a, T>) -> PanelFuture<'a, T> {
        Box::pin(async move {
            let fares = {
                let mut state = self.state();
                state.asked.push(Clock::machine().as_microsecond());
                state.fares
            };
            faring(fares, call).await
        })
    }
}

async fn faring<T>(fares: Fares, call: PanelFuture<'_, T>) -> Result<T, PanelError> {
    match fares {
        Fares::Well => call.await,
        Fares::Refuses => Err(PanelError::transient("the server refused the connection")),
        Fares::Hangs => {
            tokio::time::sleep(HANGS_FOR).await;
            Err(PanelError::transient("the server did not answer in time"))
        }
    }
}

impl Panel for Switched {
    fn caps(&self) -> Caps {
        self.panel.caps()
    }

    fn probe(&self) -> PanelFuture<'_, ServerInfo> {
        // It is no job's.
        let fares = self.state().fares;
        Box::pin(faring(fares, self.panel.probe()))
    }

    fn observe<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Observed> {
        self.reached(self.panel.observe(account))
    }

    fn list(&self) -> PanelFuture<'_, Vec<Listed>> {
        self.reached(self.panel.list())
    }

    fn ensure_created<'a>(&'a self, spec: &'a CreateSpec) -> PanelFuture<'a, Step<Created>> {
        self.reached(self.panel.ensure_created(spec))
    }

    fn ensure_suspended<'a>(&'a self, account: &'a AccountRef, reason: &'a str) -> PanelFuture<'a, Step<()>> {
        self.reached(self.panel.ensure_suspended(account, reason))
    }

    fn ensure_active<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Step<()>> {
        self.reached(self.panel.ensure_active(account))
    }

    fn ensure_package<'a>(&'a self, account: &'a AccountRef, package: &'a str) -> PanelFuture<'a, Step<()>> {
        self.reached(self.panel.ensure_package(account, package))
    }

    fn ensure_absent<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Step<()>> {
        self.reached(self.panel.ensure_absent(account))
    }

    fn ensure_backup<'a>(&'a self, account: &'a AccountRef, backup: &'a BackupRef) -> PanelFuture<'a, Step<Backup>> {
        self.reached(self.panel.ensure_backup(account, backup))
    }

    fn ensure_backup_absent<'a>(&'a self, backup: &'a BackupRef) -> PanelFuture<'a, Step<()>> {
        self.reached(self.panel.ensure_backup_absent(backup))
    }

    fn ensure_restored<'a>(&'a self, account: &'a AccountRef, backup: &'a BackupRef) -> PanelFuture<'a, Step<()>> {
        self.reached(self.panel.ensure_restored(account, backup))
    }

    fn set_password<'a>(&'a self, account: &'a AccountRef, password: &'a SecretString) -> PanelFuture<'a, Step<()>> {
        self.reached(self.panel.set_password(account, password))
    }

    fn login_url<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, OneTimeUrl> {
        self.reached(self.panel.login_url(account))
    }

    fn usage<'a>(&'a self, account: &'a AccountRef) -> PanelFuture<'a, Usage> {
        self.reached(self.panel.usage(account))
    }

    fn poll<'a>(&'a self, task: &'a TaskRef) -> PanelFuture<'a, Step<TaskOutcome>> {
        self.reached(self.panel.poll(task))
    }
}
