//! A service manager of a few lines: starts processes of Berth's again whenever they end, and kills them on request.

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io,
    os::unix::{fs::OpenOptionsExt, process::ExitStatusExt},
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill, killpg},
    unistd::Pid,
};
use tokio::{
    process::{Child, Command},
    task::JoinHandle,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;

use super::servers::{guard, release_guard};
use crate::supervise::spawn;

/// Before a process starts again that has ended by itself, such as one whose database is away.
const BEFORE_A_RESTART: Duration = Duration::from_millis(100);
/// The variable that arms a process' failpoints.
const FAILPOINTS: &str = "BERTH_FAILPOINTS";

/// How to start a process of Berth's: with no variables but those named here, and PATH.
#[derive(Clone, Debug)]
pub struct Launch {
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    folder: PathBuf,
    log: Option<PathBuf>,
}

impl Launch {
    /// `program` with those arguments, in a folder.
    #[must_use]
    pub fn of(program: impl Into<PathBuf>, arguments: &[&str], folder: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: arguments.iter().map(|argument| (*argument).to_owned()).collect(),
            environment: Vec::new(),
            folder: folder.into(),
            log: None,
        }
    }

    /// With one more variable.
    #[must_use]
    pub fn with(mut self, variable: &str, value: &str) -> Self {
        self.environment.push((variable.to_owned(), value.to_owned()));
        self
    }

    /// With no variables but PATH.
    #[must_use]
    pub fn without_environment(mut self) -> Self {
        self.environment.clear();
        self
    }

    /// As a service: what it prints goes to the end of that file, the terminal's signals do not reach it, and it ends when we
    /// are killed.
    #[must_use]
    pub fn as_a_service(mut self, log: impl Into<PathBuf>) -> Self {
        self.log = Some(log.into());
        self
    }

    /// Starts it. It is killed when the answer is dropped.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&self) -> io::Result<Child> {
        self.command()?.spawn()
    }

    /// How it is started.
    ///
    /// # Errors
    /// When its log cannot be opened.
    pub fn command(&self) -> io::Result<Command> {
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .kill_on_drop(true);
        if let Some(path) = &self.log {
            let log = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
            let same: File = log.try_clone()?;
            command.stdout(log).stderr(same).process_group(0);
        }
        Ok(command)
    }
}

/// How a kept process ended.
#[derive(Clone, Debug)]
pub struct Death {
    /// The failpoints that it was armed with.
    pub armed: Option<String>,
    /// Whether the keeper killed it on request.
    pub by_us: bool,
    /// The signal that ended it.
    pub signal: Option<i32>,
    /// When.
    pub at: Instant,
}

#[derive(Default)]
struct State {
    arms: VecDeque<String>,
    /// The running processes, by slot: the pid and whether it was killed on request.
    running: Vec<Option<(u32, bool)>>,
    deaths: Vec<Death>,
    starts: usize,
}

/// Keeps processes running until it is dropped or stopped.
pub struct Keeper {
    state: Arc<Mutex<State>>,
    stop: CancellationToken,
    grace: Arc<Mutex<Duration>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Keeper {
    /// Keeps `processes` processes running. Each start is armed with the next of `arms`, as long as there are any.
    #[must_use]
    pub fn start(launch: &Launch, processes: usize, arms: &[&str]) -> Self {
        let state = Arc::new(Mutex::new(State {
            arms: arms.iter().map(|arm| (*arm).to_owned()).collect(),
            running: vec![None; processes],
            ..State::default()
        }));
        let (stop, grace) = (CancellationToken::new(), Arc::default());
        let slot = |slot| Slot {
            launch: launch.clone(),
            slot,
            state: Arc::clone(&state),
            stop: stop.clone(),
            grace: Arc::clone(&grace),
        };
        let tasks = (0..processes).map(|at| spawn(slot(at).keep())).collect();
        Self { state, stop, grace, tasks }
    }

    /// How processes have ended so far.
    #[must_use]
    pub fn deaths(&self) -> Vec<Death> {
        lock(&self.state).deaths.clone()
    }

    /// How often one was started.
    #[must_use]
    pub fn starts(&self) -> usize {
        lock(&self.state).starts
    }

    /// The arms that no start has taken yet.
    #[must_use]
    pub fn arms_left(&self) -> usize {
        lock(&self.state).arms.len()
    }

    /// The processes that run.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        lock(&self.state).running.iter().flatten().map(|(pid, _)| *pid).collect()
    }

    /// SIGKILL to the process in a slot, if one runs there; what it was armed with is armed again later.
    pub fn kill(&self, slot: usize) {
        let mut state = lock(&self.state);
        if let Some(Some((pid, by_us))) = state.running.get_mut(slot) {
            *by_us = true;
            send(*pid, Signal::SIGKILL);
        }
    }

    /// SIGSTOP to the process in a slot; its pid, or `None` when none runs there.
    #[must_use]
    pub fn freeze(&self, slot: usize) -> Option<u32> {
        let state = lock(&self.state);
        let pid = state.running.get(slot).copied().flatten().map(|(pid, _)| pid)?;
        send(pid, Signal::SIGSTOP);
        Some(pid)
    }

    /// SIGCONT to a process of ours that is still there.
    pub fn thaw(&self, pid: u32) {
        let state = lock(&self.state);
        if state.running.iter().flatten().any(|(running, _)| *running == pid) {
            send(pid, Signal::SIGCONT);
        }
    }

    /// Asks every process to end, kills those that have not after `grace`, and starts none any more.
    pub async fn stop(mut self, grace: Duration) {
        *lock(&self.grace) = grace;
        self.stop.cancel();
        for task in self.tasks.drain(..) {
            if let Err(error) = task.await {
                tracing::warn!(%error, "a process' keeper has died");
            }
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// One process and those that come after it.
struct Slot {
    launch: Launch,
    slot: usize,
    state: Arc<Mutex<State>>,
    stop: CancellationToken,
    grace: Arc<Mutex<Duration>>,
}

impl Slot {
    async fn keep(self) {
        while !self.stop.is_cancelled() {
            let (mut child, pid, armed) = match self.start() {
                Ok(started) => started,
                Err(error) => {
                    tracing::warn!(%error, "a process cannot be started");
                    sleep(BEFORE_A_RESTART).await;
                    continue;
                }
            };
            let guarded = self.launch.log.is_some().then(|| guard(pid, Signal::SIGKILL)).and_then(Result::ok);
            let ended = tokio::select! {
                ended = child.wait() => ended,
                () = self.stop.cancelled() => self.end(&mut child, pid).await,
            };
            if self.launch.log.is_some() {
                // What it has started goes with it, as under a service manager.
                let _ = i32::try_from(pid).map(|pid| killpg(Pid::from_raw(pid), Signal::SIGKILL));
            }
            if let Some(mut guard) = guarded {
                release_guard("berth", &mut guard);
            }
            match ended {
                Ok(status) => self.note(status, armed).await,
                Err(error) => tracing::warn!(%error, pid, "a process cannot be waited for"),
            }
        }
    }

    fn start(&self) -> io::Result<(Child, u32, Option<String>)> {
        let mut state = lock(&self.state);
        let armed = state.arms.pop_front();
        let child = match &armed {
            Some(armed) => self.launch.clone().with(FAILPOINTS, armed).spawn()?,
            None => self.launch.spawn()?,
        };
        let pid = child.id().ok_or_else(|| io::Error::other("it has ended already"))?;
        state.starts += 1;
        if let Some(slot) = state.running.get_mut(self.slot) {
            *slot = Some((pid, false));
        }
        Ok((child, pid, armed))
    }

    async fn end(&self, child: &mut Child, pid: u32) -> io::Result<ExitStatus> {
        if let Some(Some((_, by_us))) = lock(&self.state).running.get_mut(self.slot) {
            *by_us = true;
        }
        let grace = *lock(&self.grace);
        if !grace.is_zero() {
            send(pid, Signal::SIGTERM);
            send(pid, Signal::SIGCONT);
            if let Ok(ended) = timeout(grace, child.wait()).await {
                return ended;
            }
        }
        child.kill().await?;
        child.wait().await
    }

    async fn note(&self, status: ExitStatus, armed: Option<String>) {
        let signal = status.signal();
        {
            let mut state = lock(&self.state);
            let by_us = state.running.get_mut(self.slot).and_then(Option::take).is_some_and(|(_, by_us)| by_us);
            if by_us && let Some(armed) = armed.clone() {
                state.arms.push_back(armed);
            }
            state.deaths.push(Death { armed, by_us, signal, at: Instant::now() });
        }
        if signal.is_none() && !self.stop.is_cancelled() {
            sleep(BEFORE_A_RESTART).await;
        }
    }
}

fn send(pid: u32, signal: Signal) {
    let Ok(raw) = i32::try_from(pid) else { return };
    if let Err(error) = kill(Pid::from_raw(raw), signal) {
        tracing::debug!(%error, pid, %signal, "a process was gone before its signal");
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
