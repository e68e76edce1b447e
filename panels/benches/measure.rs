//! The measurement of one driver.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use berth_jobs::ids::AccountId;
use berth_panels::{
    AccountRef, BackupRef, CreateSpec, Observed, Panel, PanelError, PanelFuture, Step, TaskOutcome, TaskRef,
};
use futures::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use secrecy::SecretString;

use crate::{
    memory,
    server::{Server, Work},
};

/// Creates at once, as many as the documented servers bear.
pub(crate) const AT_ONCE: usize = 8;
/// Accounts that come and go before anything is measured.
const WARM_UP: usize = 4;
/// What a server of the tests' would ask to wait for is meant for work that takes minutes.
const PAUSE_MAX: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(120);
/// Daemons that were reloaded, and started processes, come to rest.
const REST: Duration = Duration::from_secs(2);

/// Milliseconds by what was done.
pub(crate) type Millis = BTreeMap<Work, Vec<f64>>;

#[derive(Default)]
pub(crate) struct Measured {
    pub(crate) accounts: usize,
    pub(crate) driver: Millis,
    pub(crate) bare: Millis,
    pub(crate) creates_per_second: f64,
    /// Bytes an account that Berth's own process grew by; a process may shrink.
    pub(crate) own: f64,
    /// The same of the server's processes, by their names.
    pub(crate) servers: Vec<(&'static str, f64)>,
}

pub(crate) async fn measure(server: &dyn Server, accounts: usize) -> Result<Measured> {
    let panel = server.panel();
    panel.probe().await?;
    let [package, other_package] = server.packages();
    let warm_up = specs("w", WARM_UP, package);
    for work in Work::ALL {
        for spec in &warm_up {
            timed(panel, work, spec, other_package).await?;
        }
    }
    forget_backups(panel, &warm_up).await?;
    tokio::time::sleep(REST).await;

    let mut measured = Measured { accounts, ..Measured::default() };
    let before = Memory::of(server);
    let singly = specs("a", accounts, package);
    for spec in &singly {
        note(&mut measured.driver, Work::Create, timed(panel, Work::Create, spec, other_package).await?);
    }
    tokio::time::sleep(REST).await;
    Memory::of(server).since(&before, &mut measured);
    for work in Work::ALL.into_iter().filter(|work| ![Work::Create, Work::Remove].contains(work)) {
        for spec in &singly {
            note(&mut measured.driver, work, timed(panel, work, spec, other_package).await?);
        }
    }

    let at_once = specs("b", accounts, package);
    let begun = Instant::now();
    futures::stream::iter(&at_once)
        .map(|spec| timed(panel, Work::Create, spec, other_package))
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<_>>()
        .await?;
    measured.creates_per_second = accounts as f64 / begun.elapsed().as_secs_f64();

    futures::stream::iter(&at_once)
        .map(|spec| timed(panel, Work::Remove, spec, other_package))
        .buffer_unordered(AT_ONCE)
        .try_collect::<Vec<_>>()
        .await?;
    // The last one is what the reference copies; otherwise it finds the server as empty as the driver did.
    for spec in singly.iter().rev() {
        if spec.account.username == name("a", 0) {
            bare(server, &mut measured, &spec.account.username)?;
        }
        note(&mut measured.driver, Work::Remove, timed(panel, Work::Remove, spec, other_package).await?);
    }
    forget_backups(panel, &singly).await?;
    Ok(measured)
}

/// The same by hand, where that is simple.
fn bare(server: &dyn Server, measured: &mut Measured, like: &str) -> Result<()> {
    for work in Work::ALL {
        for number in 0..measured.accounts {
            let begun = Instant::now();
            let Some(done) = server.bare(work, &name("c", number), like) else { break };
            done?;
            note(&mut measured.bare, work, Some(millis(begun)));
        }
    }
    Ok(())
}

fn note(into: &mut Millis, work: Work, millis: Option<f64>) {
    into.entry(work).or_default().extend(millis);
}

fn millis(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

fn name(series: &str, number: usize) -> String {
    format!("bench{series}{number:06}")
}

fn specs(series: &str, accounts: usize, package: &str) -> Vec<CreateSpec> {
    let spec = |number| CreateSpec {
        account: AccountRef {
            account_id: AccountId::new(),
            username: name(series, number),
            remote_id: None,
            domain: None,
        },
        password: "Xk2mPq9wRt4vLs8z-hJn".to_owned().into(),
        package: package.to_owned(),
        owner_email: "owner@example.org".to_owned(),
        configuration: serde_json::Value::Null,
        addons: serde_json::Value::Null,
        intended_at: Timestamp::UNIX_EPOCH,
    };
    (0..accounts).map(spec).collect()
}

fn backup_of(spec: &CreateSpec) -> BackupRef {
    BackupRef::new(spec.account.account_id, 1)
}

/// Does it; the milliseconds that it took, or nothing where the driver cannot.
async fn timed(panel: &dyn Panel, work: Work, spec: &CreateSpec, other_package: &str) -> Result<Option<f64>> {
    let (caps, account, backup) = (panel.caps(), &spec.account, backup_of(spec));
    let password = SecretString::from("Another-8z-password-wRt4");
    let begun = Instant::now();
    match work {
        Work::Create => done(panel, || panel.ensure_created(spec)).await.map(drop)?,
        Work::Observe => {
            let observed = panel.observe(account).await?;
            if !matches!(observed, Observed::Present { .. }) {
                bail!("{} is observed as {observed:?}", account.username);
            }
        }
        Work::Suspend => done(panel, || panel.ensure_suspended(account, "non_payment")).await?,
        Work::Unsuspend => done(panel, || panel.ensure_active(account)).await?,
        Work::Password if !caps.passwords => return Ok(None),
        Work::Password => done(panel, || panel.set_password(account, &password)).await?,
        Work::Package => done(panel, || panel.ensure_package(account, other_package)).await?,
        Work::Backup if !caps.backups => return Ok(None),
        Work::Backup => done(panel, || panel.ensure_backup(account, &backup)).await.map(drop)?,
        Work::Remove => done(panel, || panel.ensure_absent(account)).await?,
    }
    Ok(Some(millis(begun)))
}

async fn forget_backups(panel: &dyn Panel, specs: &[CreateSpec]) -> Result<()> {
    if panel.caps().backups {
        for backup in specs.iter().map(backup_of) {
            done(panel, || panel.ensure_backup_absent(&backup)).await?;
        }
    }
    Ok(())
}

/// The result of a call, repeated as Berth's jobs do: after each task of the panel's, and where it is busy.
async fn done<'a, T>(panel: &dyn Panel, call: impl Fn() -> PanelFuture<'a, Step<T>>) -> Result<T> {
    let begun = Instant::now();
    loop {
        match call().await {
            Ok(Step::Done(value)) => return Ok(value),
            Ok(Step::Pending(task, pause)) => end_of(panel, task, pause).await?,
            Err(PanelError::Transient(_) | PanelError::RateLimited { .. }) if begun.elapsed() < PATIENCE => {
                tokio::time::sleep(PAUSE_MAX).await;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

async fn end_of(panel: &dyn Panel, mut task: TaskRef, mut pause: Duration) -> Result<()> {
    loop {
        tokio::time::sleep(pause.min(PAUSE_MAX)).await;
        match panel.poll(&task).await? {
            Step::Done(TaskOutcome::Succeeded) => return Ok(()),
            Step::Done(TaskOutcome::Failed(why)) => bail!("a task has failed: {why}"),
            Step::Pending(next, next_pause) => (task, pause) = (next, next_pause),
        }
    }
}

struct Memory {
    own: u64,
    servers: Vec<(&'static str, u64)>,
}

impl Memory {
    fn of(server: &dyn Server) -> Self {
        let parts = server.processes().into_iter();
        let servers = parts.map(|part| (part.name, memory::of_trees(&part.roots))).collect();
        Self { own: memory::own(), servers }
    }

    fn since(self, before: &Self, into: &mut Measured) {
        let an_account = |after: u64, before: u64| (after as f64 - before as f64) / into.accounts as f64;
        let own = an_account(self.own, before.own);
        let of = |name| before.servers.iter().find(|(found, _)| *found == name).map_or(0, |(_, bytes)| *bytes);
        let servers = self.servers.iter().map(|(name, bytes)| (*name, an_account(*bytes, of(*name)))).collect();
        (into.own, into.servers) = (own, servers);
    }
}
