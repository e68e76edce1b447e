//! Berth as processes of its own, to be killed.

use std::{ops::Deref, path::PathBuf, process::Stdio, time::Duration};

use nix::{sys::signal::Signal, unistd::Pid};

use super::Stack;

/// How to start a process of Berth's.
#[derive(Clone)]
pub(crate) struct Launch(berth::dev::keeper::Launch);

impl Launch {
    /// `berth` with the stack's settings.
    pub(crate) fn new(stack: &Stack, arguments: &[&str]) -> Self {
        let launch = berth::dev::keeper::Launch::of(env!("CARGO_BIN_EXE_berth"), arguments, stack.folder.path());
        Self(stack.environment().iter().fold(launch, |launch, (variable, value)| launch.with(variable, value)))
    }

    pub(crate) fn with(self, variable: &str, value: &str) -> Self {
        Self(self.0.with(variable, value))
    }

    /// With no settings but those of a file that the arguments name.
    pub(crate) fn without_environment(self) -> Self {
        Self(self.0.without_environment())
    }

    pub(crate) fn start(&self) -> Process {
        Process { child: self.0.spawn().unwrap() }
    }
}

impl Deref for Launch {
    type Target = berth::dev::keeper::Launch;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// A process of Berth's.
pub(crate) struct Process {
    child: tokio::process::Child,
}

impl Process {
    /// Starts `berth` with the stack's settings and more variables.
    pub(crate) fn start(stack: &Stack, arguments: &[&str], more: &[(&str, &str)]) -> Self {
        more.iter().fold(Launch::new(stack, arguments), |launch, (name, value)| launch.with(name, value)).start()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().expect("it runs")
    }

    /// SIGKILL.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM; answers the exit code.
    pub(crate) async fn terminate(&mut self) -> Option<i32> {
        if self.child.id().is_some() {
            self.signal(Signal::SIGTERM);
        }
        self.child.wait().await.unwrap().code()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        signal_to(self.pid(), signal);
    }

    /// Waits until it has frozen itself.
    pub(crate) async fn until_frozen(&self) {
        let path = format!("/proc/{}/stat", self.pid());
        // After the name, which stands in brackets, comes the state.
        let is_frozen = || std::fs::read_to_string(&path).unwrap().rsplit(") ").next().unwrap().starts_with('T');
        for _ in 0..600 {
            if is_frozen() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the process never froze");
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits for its end.
    pub(crate) async fn wait(&mut self) -> std::process::ExitStatus {
        self.child.wait().await.unwrap()
    }
}

/// Runs `berth` with the stack's settings and more variables to its end, and answers what it said.
pub(crate) async fn run(stack: &Stack, arguments: &[&str], more: &[(&str, &str)]) -> std::process::Output {
    let launch = more.iter().fold(Launch::new(stack, arguments), |launch, (name, value)| launch.with(name, value));
    let ended = launch.command().unwrap().stdout(Stdio::piped()).stderr(Stdio::piped()).output();
    tokio::time::timeout(Duration::from_secs(180), ended).await.expect("the command ends").unwrap()
}

pub(crate) fn signal_to(pid: u32, signal: Signal) {
    nix::sys::signal::kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
}

/// The processes that a process has started and that still run.
pub(crate) fn children_of(pid: u32) -> Vec<u32> {
    let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let children = |thread: PathBuf| std::fs::read_to_string(thread.join("children")).unwrap_or_default();
    threads
        .flatten()
        .flat_map(|thread| children(thread.path()).split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|pid| pid.parse().ok())
        .collect()
}
