//! Berth as processes of its own, to be killed.

use std::process::Stdio;

use super::Stack;

/// A process of Berth's.
pub(crate) struct Process {
    child: tokio::process::Child,
}

impl Process {
    /// Starts `berth` with the stack's settings and more variables.
    pub(crate) fn start(stack: &Stack, arguments: &[&str], more: &[(&str, &str)]) -> Self {
        let child = tokio::process::Command::new(env!("CARGO_BIN_EXE_berth"))
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .envs(stack.environment())
            .envs(more.iter().copied())
            .current_dir(stack.folder.path())
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { child }
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
        if let Some(pid) = self.child.id() {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
            nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        }
        self.child.wait().await.unwrap().code()
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
