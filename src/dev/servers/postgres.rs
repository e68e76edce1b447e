//! A PostgreSQL of one's own: made, started, crashed and stopped at will.

mod initdb;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::time::{sleep, timeout};

use super::find::{Installation, find_postgres, find_postgres_of};
use super::home::{Home, RunAs, remove_if_there, throwaway};
use super::process::{
    BETWEEN_ATTEMPTS, Endings, Readiness, START_ATTEMPTS, ServerProcess, command_line, free_port, stop_orphan,
};
use super::{ServerError, failed_to};

const SERVER: &str = "PostgreSQL";
const ENDINGS: Endings = Endings { clean: Signal::SIGINT, quick: Signal::SIGQUIT };

/// The superuser of a private PostgreSQL.
pub const OWNER: &str = "berth_owner";

const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// PostgreSQL cuts longer names off.
const DATABASE_NAME_BYTES: usize = 63;

#[derive(Debug, Clone)]
pub struct PostgresOptions {
    /// The server's directory; made when it is missing, used again when it has data.
    pub data_dir: PathBuf,
    /// `None` takes a free one.
    pub port: Option<u16>,
    /// `postgresql.conf` settings. `fsync` stays on unless it is turned off here.
    pub settings: Vec<(String, String)>,
    /// Removes the directory when the server is dropped.
    pub throwaway: bool,
}

impl PostgresOptions {
    /// A server whose data stays in `data_dir`.
    pub fn in_directory(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into(), port: None, settings: Vec::new(), throwaway: false }
    }

    /// A server in the temporary folder that vanishes with its value; still as durable as a real one.
    pub fn throwaway() -> Self {
        Self { throwaway: true, ..Self::in_directory(throwaway("postgres")) }
    }

    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    fn fsync_is_off(&self) -> bool {
        self.settings.iter().any(|(name, value)| name == "fsync" && value == "off")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Connections are closed and everything is written: SIGINT.
    Fast,
    /// As a crash: the next start recovers from the log: SIGQUIT.
    Immediate,
}

impl StopMode {
    fn signal(self) -> Signal {
        match self {
            Self::Fast => ENDINGS.clean,
            Self::Immediate => ENDINGS.quick,
        }
    }
}

/// A PostgreSQL on 127.0.0.1 that lives as long as this value at most. Dropping it kills it (and blocks the thread for
/// a moment); [`stop`](Self::stop) is kinder.
#[derive(Debug)]
pub struct PrivatePostgres {
    installation: Installation,
    options: PostgresOptions,
    port: u16,
    password: String,
    process: Option<ServerProcess>,
    home: Home,
}

impl PrivatePostgres {
    /// Makes the data when there is none, stops an orphan of an earlier run, starts the server and waits until it answers.
    pub async fn start(options: PostgresOptions) -> Result<Self, ServerError> {
        let run_as = RunAs::unless_root(&options.data_dir.join("data"))?;
        let home = Home::claim(&options.data_dir, run_as)?;
        let installation = match major_of(&home.data())? {
            None => find_postgres()?,
            Some(major) => installed_for(major, &home)?,
        };
        stop_orphan(SERVER, &home, ENDINGS).await?;
        refuse_a_foreign_server(&home)?;
        let password = home.password()?;
        let sync = !options.fsync_is_off();
        let mut server = Self { installation, options, port: 0, password, process: None, home };
        if major_of(&server.home.data())?.is_none() {
            initdb::make_data(&server.installation, &server.home, sync).await?;
        }

        for attempt in 1..=START_ATTEMPTS {
            server.port = match server.options.port {
                Some(port) => port,
                None => free_port()?,
            };
            match server.launch().await {
                Ok(()) => break,
                Err(error) if attempt == START_ATTEMPTS => return Err(error),
                Err(error) => tracing::debug!(%error, attempt, "trying again on another port"),
            }
            sleep(BETWEEN_ATTEMPTS).await;
        }
        Ok(server)
    }

    /// Starts the server again after [`stop`](Self::stop) or [`kill9`](Self::kill9), on the same port with the same data.
    pub async fn start_again(&mut self) -> Result<(), ServerError> {
        for _ in 1..START_ATTEMPTS {
            match self.launch().await {
                Ok(()) => return Ok(()),
                // The last children of a killed server hold its shared memory until they notice.
                Err(error) => tracing::debug!(%error, "trying again on the same port"),
            }
            sleep(BETWEEN_ATTEMPTS).await;
        }
        self.launch().await
    }

    pub async fn stop(&mut self, mode: StopMode) -> Result<(), ServerError> {
        self.end(mode.signal()).await
    }

    /// Crashes the server and lets it recover.
    pub async fn restart_immediate(&mut self) -> Result<(), ServerError> {
        self.stop(StopMode::Immediate).await?;
        self.start_again().await
    }

    /// Kills the server's first process with SIGKILL; its children follow on their own.
    pub async fn kill9(&mut self) -> Result<(), ServerError> {
        self.end(Signal::SIGKILL).await
    }

    /// `postgres://berth_owner:…@127.0.0.1:…/database`; holds the password.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{OWNER}:{}@127.0.0.1:{}/{database}?sslmode=disable", self.password, self.port)
    }

    /// Makes the database unless it is there; returns its URL.
    pub async fn create_database(&self, name: &str) -> Result<String, ServerError> {
        let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte == b'_');
        let rest = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
        if !first || !rest || name.len() > DATABASE_NAME_BYTES {
            return Err(ServerError::DatabaseName(name.to_owned()));
        }
        let mut connection = PgConnection::connect(&self.url("postgres")).await?;
        let exists: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(name)
            .fetch_one(&mut connection)
            .await?;
        if !exists {
            // A name cannot be a parameter; it was checked above.
            sqlx::query(AssertSqlSafe(format!("create database \"{name}\""))).execute(&mut connection).await?;
        }
        connection.close().await?;
        Ok(self.url(name))
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id while the server runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(ServerProcess::pid)
    }

    /// Where the server's files are: the asked-for directory, or another one when we are root and the user that
    /// PostgreSQL runs as cannot reach that.
    pub fn directory(&self) -> &Path {
        self.home.directory()
    }

    async fn launch(&mut self) -> Result<(), ServerError> {
        self.process = None;
        let mut command = Command::new(&self.installation.program);
        command.arg("-D").arg(self.home.data()).current_dir(self.home.data());
        let port = self.port.to_string();
        let ours = [("listen_addresses", "127.0.0.1"), ("port", &port), ("unix_socket_directories", "")];
        let asked = self.options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in asked.chain(ours) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        if let Some(user) = self.home.run_as() {
            user.apply(&mut command);
        }

        let mut process = ServerProcess::spawn(SERVER, &mut command, &self.home, ENDINGS)?;
        let url = self.url("postgres");
        // The password is this server's own: no other server on the port would let us in.
        match process.until_ready(async || answers(&url).await).await {
            Readiness::Ready => {
                self.process = Some(process);
                Ok(())
            }
            Readiness::Exited | Readiness::TooLate => Err(did_not_start(&self.home)),
        }
    }

    async fn end(&mut self, signal: Signal) -> Result<(), ServerError> {
        if let Some(process) = &mut self.process {
            process.end(signal).await?;
            self.process = None;
            self.home.forget()?;
        }
        Ok(())
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        self.process = None;
        if self.options.throwaway
            && let Err(error) = remove_if_there(self.home.directory())
        {
            tracing::warn!(%error, "a private server's directory was left behind");
        }
    }
}

fn did_not_start(home: &Home) -> ServerError {
    let tail = home.log_tail().unwrap_or_else(|error| error.to_string());
    ServerError::DidNotStart { server: SERVER, log: home.log(), tail }
}

async fn answers(url: &str) -> bool {
    match timeout(CONNECT_WITHIN, PgConnection::connect(url)).await {
        Ok(Ok(connection)) => connection.close().await.is_ok(),
        Ok(Err(_)) | Err(_) => false,
    }
}

/// The major version that wrote the data; `None` when there is none.
fn major_of(data: &Path) -> Result<Option<u32>, ServerError> {
    let path = data.join("PG_VERSION");
    match fs::read_to_string(&path) {
        Ok(version) => Ok(version.trim().parse().ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed_to("read", &path)(error)),
    }
}

fn installed_for(major: u32, home: &Home) -> Result<Installation, ServerError> {
    let found = find_postgres_of(major);
    if let Err(ServerError::NotInstalled { .. }) = found {
        return Err(ServerError::OtherMajor { major, directory: home.data() });
    }
    found
}

/// Somebody may have started a server on our data by hand: that one is left alone. A `postmaster.pid` whose number
/// belongs to another kind of program by now is removed, because PostgreSQL would take it for a running server.
fn refuse_a_foreign_server(home: &Home) -> Result<(), ServerError> {
    let path = home.data().join("postmaster.pid");
    let Ok(content) = fs::read_to_string(&path) else {
        return Ok(());
    };
    let Some(pid) = content.lines().next().and_then(|line| line.trim().parse().ok()) else {
        return Ok(());
    };
    match command_line(pid) {
        Some(line) if line.contains("postgres") || line.contains("postmaster") => {
            Err(ServerError::NotOurs { pid, directory: home.data() })
        }
        Some(_) => remove_if_there(&path),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
