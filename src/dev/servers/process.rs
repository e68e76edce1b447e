//! One server process: started in a process group of its own, guarded, waited for, ended.

use std::fs;
use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rand::Rng;
use tokio::time::{Instant, sleep};

use super::home::Home;
use super::{ServerError, failed_to};

/// Crash recovery of a development database takes seconds; a loaded machine a few more.
const READY_WITHIN: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(20);
/// For a server that was asked to stop, before it is killed.
const STOP_WITHIN: Duration = Duration::from_secs(30);
/// For the kernel to take away a process that was killed.
const GONE_WITHIN: Duration = Duration::from_secs(5);
/// How long dropping a running server may block its thread, at [`POLL_EVERY`] each, before it kills it.
const DROP_POLLS: u32 = 100;

/// A start that loses its port to another process is tried again; so is one that meets the last children of a killed
/// server.
pub(super) const START_ATTEMPTS: u32 = 5;
pub(super) const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(300);

/// Below the ports that Linux (32768) and macOS (49152) give to outgoing connections, so that nobody takes a server's
/// port while it restarts.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
const PORT_ATTEMPTS: u32 = 100;

/// Ends the server when its owner is gone: the owner holds the other end of standard input and writes a line before it
/// lets go of a server that it has stopped itself.
const GUARD: &str = r#"read -r stopped || kill -s "$2" "$1""#;

/// How one kind of server is ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct Endings {
    /// Cleanly, by the guard and for an orphan.
    pub(super) clean: Signal,
    /// At once but with its children, when its value is dropped.
    pub(super) quick: Signal,
}

/// A running server. Dropping it ends the server.
#[derive(Debug)]
pub(super) struct ServerProcess {
    server: &'static str,
    endings: Endings,
    child: Child,
    guard: Child,
}

/// What came of waiting for a server to answer.
pub(super) enum Readiness {
    Ready,
    Exited,
    TooLate,
}

impl ServerProcess {
    /// Starts `command` with its output in the log of `home`.
    pub(super) fn spawn(
        server: &'static str,
        command: &mut Command,
        home: &Home,
        endings: Endings,
    ) -> Result<Self, ServerError> {
        let log = home.open_log()?;
        let same_log = log.try_clone().map_err(failed_to("open", &home.log()))?;
        let program = command.get_program().to_owned();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(same_log)
            // Ctrl-C is for the owner, which then stops its servers in its own order.
            .process_group(0)
            .spawn()
            .map_err(failed_to("run", program.as_ref()))?;
        let pid = child.id();
        let guarded = home.record(pid).and_then(|()| guard(pid, endings.clean));
        match guarded {
            Ok(guard) => Ok(Self { server, endings, child, guard }),
            Err(error) => {
                child.kill().map_err(failed_to("kill", program.as_ref()))?;
                child.wait().map_err(failed_to("wait for", program.as_ref()))?;
                Err(error)
            }
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(super) fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks until `answers` says yes, the process exits, or [`READY_WITHIN`] is over.
    pub(super) async fn until_ready(&mut self, answers: impl AsyncFn() -> bool) -> Readiness {
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            if !self.is_running() {
                return Readiness::Exited;
            }
            if answers().await {
                return Readiness::Ready;
            }
            sleep(POLL_EVERY).await;
        }
        Readiness::TooLate
    }

    /// Sends `end`, then SIGKILL when the server is still there after [`STOP_WITHIN`]; returns when it is gone.
    pub(super) async fn end(&mut self, end: Signal) -> Result<(), ServerError> {
        for (signal, patience) in [(end, STOP_WITHIN), (Signal::SIGKILL, GONE_WITHIN)] {
            let deadline = Instant::now() + patience;
            if self.is_running() {
                send(self.pid(), signal)?;
            }
            while self.is_running() && Instant::now() < deadline {
                sleep(POLL_EVERY).await;
            }
            if !self.is_running() {
                release_guard(self.server, &mut self.guard);
                return Ok(());
            }
        }
        Err(ServerError::DidNotStop { server: self.server, pid: self.pid() })
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        for signal in [self.endings.quick, Signal::SIGKILL] {
            if !self.is_running() {
                break;
            }
            if let Err(error) = send(self.pid(), signal) {
                tracing::warn!(server = self.server, %error, "a private server could not be ended");
            }
            for _ in 0..DROP_POLLS {
                if !self.is_running() {
                    break;
                }
                std::thread::sleep(POLL_EVERY);
            }
        }
        if self.guard.stdin.is_some() {
            release_guard(self.server, &mut self.guard);
        }
    }
}

/// Tells the guard that there is nothing left to end.
pub(in crate::dev) fn release_guard(server: &str, guard: &mut Child) {
    if let Some(mut line) = guard.stdin.take()
        && let Err(error) = line.write_all(b"stopped\n")
    {
        tracing::debug!(server, %error, "the guard was gone before its server");
    }
    if let Err(error) = guard.wait() {
        tracing::debug!(server, %error, "the guard could not be waited for");
    }
}

/// Starts a process that sends `end` to `pid` when we are gone, or when its standard input is closed.
pub(in crate::dev) fn guard(pid: u32, end: Signal) -> Result<Child, ServerError> {
    let signal = end.as_str().trim_start_matches("SIG");
    Command::new("/bin/sh")
        .args(["-c", GUARD, "berth-guard", &pid.to_string(), signal])
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .map_err(failed_to("run", "/bin/sh".as_ref()))
}

fn send(pid: u32, signal: Signal) -> Result<(), ServerError> {
    let Ok(raw) = i32::try_from(pid) else {
        return Ok(());
    }; // no such process can be
    match kill(Pid::from_raw(raw), signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(errno) => Err(failed_to("signal", format!("process {pid}").as_ref())(errno.into())),
    }
}

/// Stops the server that an earlier, killed owner of `home` left behind: the process that it recorded, and only if its
/// command line still names `home`, because process ids are used again.
pub(super) async fn stop_orphan(server: &'static str, home: &Home, endings: Endings) -> Result<(), ServerError> {
    let Some(pid) = home.recorded() else {
        return Ok(());
    };
    let alive = || serves(pid, home);
    for (signal, patience) in [(endings.clean, STOP_WITHIN), (Signal::SIGKILL, GONE_WITHIN)] {
        if !alive() {
            return home.forget();
        }
        tracing::info!(server, pid, "stopping the server of an earlier run");
        send(pid, signal)?;
        let deadline = Instant::now() + patience;
        while alive() && Instant::now() < deadline {
            sleep(POLL_EVERY).await;
        }
    }
    if alive() { Err(ServerError::DidNotStop { server, pid }) } else { home.forget() }
}

fn serves(pid: u32, home: &Home) -> bool {
    command_line(pid).is_some_and(|line| line.contains(&*home.directory().to_string_lossy()))
}

/// The arguments of a running process; `None` when there is none, or only its corpse.
pub(super) fn command_line(pid: u32) -> Option<String> {
    let line = match fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).replace('\0', " "),
        Err(_) if fs::exists("/proc/self/cmdline").unwrap_or(false) => return None,
        // macOS has no /proc.
        Err(_) => {
            let output = Command::new("ps").args(["-o", "args=", "-p", &pid.to_string()]).output().ok()?;
            String::from_utf8_lossy(&output.stdout).into_owned()
        }
    };
    let line = line.trim();
    (!line.is_empty()).then(|| line.to_owned())
}

/// A port on which nobody listens on 127.0.0.1 right now.
pub(in crate::dev) fn free_port() -> Result<u16, ServerError> {
    for _ in 0..PORT_ATTEMPTS {
        let port = rand::rng().random_range(PORTS);
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(ServerError::NoFreePort(PORT_ATTEMPTS))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("60").spawn().unwrap()
    }

    #[test]
    fn a_guard_whose_owner_dies_ends_the_server() {
        let mut server = sleeper();
        let mut guard = guard(server.id(), Signal::SIGTERM).unwrap();

        drop(guard.stdin.take()); // what the kernel does to the pipe of a process that is killed

        assert!(guard.wait().unwrap().success());
        assert!(!server.wait().unwrap().success());
    }

    #[test]
    fn a_guard_that_is_released_lets_the_process_live() {
        let mut server = sleeper();
        let mut guard = guard(server.id(), Signal::SIGTERM).unwrap();

        guard.stdin.take().unwrap().write_all(b"stopped\n").unwrap();

        assert!(guard.wait().unwrap().success());
        assert!(server.try_wait().unwrap().is_none());
        server.kill().unwrap();
        server.wait().unwrap();
    }

    #[test]
    fn free_ports_are_below_those_of_outgoing_connections() {
        let port = free_port().unwrap();

        assert!(PORTS.contains(&port));
        assert!(TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok());
    }
}
