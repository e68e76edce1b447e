//! A service manager: starts a process again whenever it ends.

use std::{
    collections::VecDeque,
    os::unix::process::ExitStatusExt,
    sync::{Arc, Mutex},
    time::Instant,
};

use nix::sys::signal::Signal;
use tokio::task::JoinHandle;

use super::process::{Launch, signal_to};

/// How a kept process ended.
#[derive(Clone, Debug)]
pub(crate) struct Death {
    /// The failpoints that it was armed with.
    pub(crate) armed: Option<String>,
    /// Whether the test killed it from outside.
    pub(crate) by_us: bool,
    /// The signal that ended it.
    pub(crate) signal: Option<i32>,
    pub(crate) at: Instant,
}

#[derive(Default)]
struct State {
    arms: VecDeque<String>,
    /// The running processes, by slot: the pid and whether the test has killed it.
    running: Vec<Option<(u32, bool)>>,
    deaths: Vec<Death>,
    starts: usize,
}

/// Keeps processes running until it is dropped.
pub(crate) struct Keeper {
    state: Arc<Mutex<State>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Keeper {
    /// Keeps `processes` processes running. Each start is armed with the next of `arms`, as long as there are any.
    pub(crate) fn start(launch: &Launch, processes: usize, arms: &[&str]) -> Self {
        let state = Arc::new(Mutex::new(State {
            arms: arms.iter().map(|arm| (*arm).to_owned()).collect(),
            running: vec![None; processes],
            ..State::default()
        }));
        let tasks = (0..processes).map(|slot| tokio::spawn(keep(launch.clone(), slot, Arc::clone(&state)))).collect();
        Self { state, tasks }
    }

    pub(crate) fn deaths(&self) -> Vec<Death> {
        self.state.lock().unwrap().deaths.clone()
    }

    pub(crate) fn starts(&self) -> usize {
        self.state.lock().unwrap().starts
    }

    /// The arms that no start has taken yet.
    pub(crate) fn arms_left(&self) -> usize {
        self.state.lock().unwrap().arms.len()
    }

    pub(crate) fn pids(&self) -> Vec<u32> {
        self.state.lock().unwrap().running.iter().flatten().map(|(pid, _)| *pid).collect()
    }

    /// SIGKILL to the process in a slot; what it was armed with is armed again later.
    pub(crate) fn kill(&self, slot: usize) {
        let mut state = self.state.lock().unwrap();
        if let Some((pid, by_us)) = &mut state.running[slot] {
            *by_us = true;
            signal_to(*pid, Signal::SIGKILL);
        }
    }
}

async fn keep(launch: Launch, slot: usize, state: Arc<Mutex<State>>) {
    loop {
        let (mut process, armed) = {
            let mut state = state.lock().unwrap();
            let armed = state.arms.pop_front();
            let process = match &armed {
                Some(armed) => launch.clone().with("BERTH_FAILPOINTS", armed).start(),
                None => launch.start(),
            };
            state.starts += 1;
            state.running[slot] = Some((process.pid(), false));
            (process, armed)
        };
        let status = process.wait().await;
        let mut state = state.lock().unwrap();
        let by_us = state.running[slot].take().is_some_and(|(_, by_us)| by_us);
        if by_us && let Some(armed) = armed.clone() {
            state.arms.push_back(armed);
        }
        state.deaths.push(Death { armed, by_us, signal: status.signal(), at: Instant::now() });
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
