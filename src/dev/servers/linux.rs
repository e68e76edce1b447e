//! A server for the driver `linux`: nginx, php-fpm, MariaDB and sshd of one's own, each with a directory in the server's.

use std::{
    fs::{self, DirBuilder},
    io::{self, Write},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use nix::sys::signal::Signal;
use tokio::task::spawn_blocking;

use super::home::Home;
use super::process::{Endings, Readiness, ServerProcess, free_port, stop_orphan};
use super::{ServerError, failed_to};
use crate::gateways::panels::private::linux::{Daemon, INSTALL, LinuxServer, missing};

const ENDINGS: Endings = Endings { clean: Signal::SIGTERM, quick: Signal::SIGTERM };
/// Its customers' group, of all such servers on the machine.
const GROUP: &str = "berthdevsftp";
/// Browsers know by themselves that what ends so is this machine.
const DOMAIN: &str = "localhost";
/// Above those that Debian gives to people, below those that systemd gives to services.
const UIDS: (u32, u32) = (50_000, 59_999);
const PACKAGES: &str = include_str!("linux/packages.toml");
const PORTS: &str = "ports";
const HOST: &str = "berth-host";

/// A running server. Dropping it ends its daemons; its customers' accounts stay.
#[derive(Debug)]
pub struct PrivateLinux {
    server: LinuxServer,
    host: PathBuf,
    daemons: Vec<(Home, ServerProcess)>,
}

impl PrivateLinux {
    /// Whether the machine can have one; answers its privileged command.
    ///
    /// # Errors
    /// With what is missing, and what installs it.
    pub fn possible() -> Result<PathBuf, ServerError> {
        let cannot = |why| ServerError::CannotBeHad { panel: "linux", why };
        let lacking = missing();
        if !lacking.is_empty() {
            return Err(cannot(format!("it lacks {}; on Debian 12, as root: {INSTALL}", lacking.join(", "))));
        }
        let host = host().map_err(failed_to("find", HOST.as_ref()))?;
        if !host.is_file() {
            return Err(cannot(format!("{} is not there: cargo build -p berth-host", host.display())));
        }
        Ok(host)
    }

    /// Makes what is not there yet, stops what an earlier run left, starts the daemons and waits until they answer.
    ///
    /// # Errors
    /// When the machine cannot have one, or a daemon does not start.
    pub async fn start(dir: &Path) -> Result<Self, ServerError> {
        let host = Self::possible()?;
        let made = DirBuilder::new().mode(0o755).recursive(true).create(dir);
        made.map_err(failed_to("create", dir))?;
        let (http, ssh) = ports(dir)?;
        let server = LinuxServer {
            dir: dir.to_owned(),
            http,
            ssh,
            group: GROUP,
            domain: DOMAIN,
            uids: UIDS,
            packages: PACKAGES,
        };
        let mut homes = Vec::new();
        for daemon in server.daemons() {
            let home = Home::claim(&server.path(daemon.name), None)?;
            stop_orphan(daemon.name, &home, ENDINGS).await?;
            homes.push((home, daemon));
        }
        [http, ssh].into_iter().try_for_each(|port| refuse_taken(port, dir))?;
        let prepared = server.clone();
        let preparing = spawn_blocking(move || prepared.forget_run().and_then(|()| prepared.prepare()));
        preparing.await.map_err(io::Error::from).flatten().map_err(failed_to("prepare", dir))?;
        let mut running = Self { server, host, daemons: Vec::new() };
        for (home, daemon) in homes {
            running.launch(home, &daemon).await?;
        }
        Ok(running)
    }

    async fn launch(&mut self, home: Home, daemon: &Daemon) -> Result<(), ServerError> {
        let mut command = Command::new(daemon.program);
        command.args(&daemon.args).current_dir("/");
        let mut process = ServerProcess::spawn(daemon.name, &mut command, &home, ENDINGS)?;
        match process.until_ready(async || self.server.is_ready(daemon)).await {
            Readiness::Ready => {
                self.daemons.push((home, process));
                Ok(())
            }
            Readiness::Exited | Readiness::TooLate => {
                let tail = home.log_tail().unwrap_or_else(|error| error.to_string());
                Err(ServerError::DidNotStart { server: daemon.name, log: home.log(), tail })
            }
        }
    }

    /// The privileged command and its arguments before the verb.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        let settings = self.server.path("host.toml");
        vec![self.host.display().to_string(), "--config".to_owned(), settings.display().to_string()]
    }

    /// The port of its sites, on 127.0.0.1.
    #[must_use]
    pub fn sites_port(&self) -> u16 {
        self.server.http
    }

    /// The port of its SFTP, on 127.0.0.1.
    #[must_use]
    pub fn sftp_port(&self) -> u16 {
        self.server.ssh
    }

    /// Removes every account, with its login, files and databases.
    ///
    /// # Errors
    /// When an account's record cannot be read, or one is not removed.
    pub async fn empty(&self) -> Result<(), ServerError> {
        let records = self.server.path("state/accounts");
        let command = self.command();
        let emptying = spawn_blocking(move || match fs::read_dir(&records) {
            Ok(entries) => entries.into_iter().try_for_each(|entry| remove_account(&command, &entry?.path())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        });
        emptying.await.map_err(io::Error::from).flatten().map_err(failed_to("empty", &self.server.dir))
    }

    /// Empties it, ends it, and removes all that it was.
    ///
    /// # Errors
    /// When something of it cannot be removed.
    pub async fn remove(mut self) -> Result<(), ServerError> {
        self.empty().await?;
        self.stop().await?;
        let dir = &self.server.dir;
        fs::remove_dir_all(dir).map_err(failed_to("remove", dir))?;
        remove_group().map_err(failed_to("remove the group of", dir))
    }

    /// Ends the daemons, the last one first.
    ///
    /// # Errors
    /// When one does not end. The others are ended all the same.
    pub async fn stop(&mut self) -> Result<(), ServerError> {
        let mut stopped = Ok(());
        while let Some((home, mut process)) = self.daemons.pop() {
            let ended = process.end(ENDINGS.clean).await.and_then(|()| home.forget());
            stopped = stopped.and(ended);
        }
        stopped
    }
}

/// The privileged command, which is built beside this program.
fn host() -> io::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name(HOST))
}

/// Those of the first start: addresses of sites hold them.
fn ports(dir: &Path) -> Result<(u16, u16), ServerError> {
    let path = dir.join(PORTS);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let http = free_port()?;
            let mut ssh = free_port()?;
            while ssh == http {
                ssh = free_port()?;
            }
            let text = format!("{http} {ssh}\n");
            fs::write(&path, &text).map_err(failed_to("write", &path))?;
            text
        }
        Err(error) => return Err(failed_to("read", &path)(error)),
    };
    let kept = text.trim().split_once(' ').and_then(|(http, ssh)| Some((http.parse().ok()?, ssh.parse().ok()?)));
    let unreadable = || failed_to("understand", &path)(io::Error::from(io::ErrorKind::InvalidData));
    kept.ok_or_else(unreadable)
}

/// Refuses a port that somebody else listens on.
fn refuse_taken(port: u16, dir: &Path) -> Result<(), ServerError> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(_) => Err(ServerError::PortTaken { port, file: dir.join(PORTS) }),
    }
}

/// Removes the customers' group, unless another such server has customers in it.
fn remove_group() -> io::Result<()> {
    let groups = fs::read_to_string("/etc/group")?;
    let ours =
        groups.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|fields| fields.first() == Some(&GROUP));
    if ours.is_some_and(|fields| fields.last().is_none_or(|members| members.is_empty())) {
        Command::new("/usr/sbin/groupdel").arg(GROUP).stdin(Stdio::null()).status()?;
    }
    Ok(())
}

/// Removes the account of a record.
fn remove_account(command: &[String], record: &Path) -> io::Result<()> {
    let record: serde_json::Value = serde_json::from_slice(&fs::read(record)?)?;
    let request = serde_json::json!({
        "account": { "account_id": record["account_id"], "username": record["username"] },
    });
    let (program, args) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    let mut child =
        Command::new(program).args(args).arg("remove").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(request.to_string().as_bytes())?;
    }
    let output = child.wait_with_output()?;
    let said = || io::Error::other(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    output.status.success().then_some(()).ok_or_else(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ports_are_those_of_the_first_start() {
        let dir = tempfile::tempdir().unwrap();

        let first = ports(dir.path()).unwrap();
        let again = ports(dir.path()).unwrap();
        fs::write(dir.path().join(PORTS), "80 and 22").unwrap();
        let unreadable = ports(dir.path()).unwrap_err().to_string();

        assert_eq!(first, again);
        assert_ne!(first.0, first.1);
        assert!(unreadable.starts_with("could not understand "), "{unreadable}");
    }

    #[test]
    fn a_port_that_somebody_else_has_is_named() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();

        let refused = refuse_taken(port, Path::new("/srv/berth-dev")).unwrap_err().to_string();

        assert!(refused.starts_with(&format!("port {port} is taken by somebody else")), "{refused}");
        drop(taken);
        assert!(refuse_taken(port, Path::new("/srv/berth-dev")).is_ok());
    }
}
