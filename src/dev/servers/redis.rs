//! A Redis (or Valkey) of one's own: started, emptied, crashed and stopped at will.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::Signal;
use redis::AsyncCommands;
use redis::aio::MultiplexedConnection;
use tokio::time::{sleep, timeout};

use super::find::{Installation, find_redis};
use super::home::{Home, remove_if_there, throwaway};
use super::process::{BETWEEN_ATTEMPTS, Endings, Readiness, START_ATTEMPTS, ServerProcess, free_port, stop_orphan};
use super::{ServerError, failed_to};

const SERVER: &str = "Redis";
const ENDINGS: Endings = Endings { clean: Signal::SIGTERM, quick: Signal::SIGKILL };
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug, Clone)]
pub struct RedisOptions {
    /// The server's directory; made when it is missing.
    pub dir: PathBuf,
    /// `None` takes a free one.
    pub port: Option<u16>,
    /// Log every write to disk, synced each second, and read it back at the start.
    pub appendonly: bool,
    /// When to write snapshots, as in `redis.conf`: `60 1000`. `None` writes none.
    pub save: Option<String>,
    /// More lines of `redis.conf`, as name and unquoted value.
    pub extra: Vec<(String, String)>,
    /// Removes the directory when the server is dropped.
    pub throwaway: bool,
}

impl RedisOptions {
    /// A server that keeps its data in `dir` in an append-only file.
    pub fn in_directory(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), port: None, appendonly: true, save: None, extra: Vec::new(), throwaway: false }
    }

    /// A server in the temporary folder that holds its data in memory only and vanishes with its value.
    pub fn throwaway() -> Self {
        Self { appendonly: false, throwaway: true, ..Self::in_directory(throwaway("redis")) }
    }
}

/// What a restart does to the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// What was persisted comes back.
    Keep,
    /// The server comes back empty, as after the loss of its disk.
    Discard,
}

/// A Redis on 127.0.0.1 that lives as long as this value at most. Dropping it kills it.
#[derive(Debug)]
pub struct PrivateRedis {
    installation: Installation,
    options: RedisOptions,
    port: u16,
    password: String,
    process: Option<ServerProcess>,
    home: Home,
}

impl PrivateRedis {
    /// Stops an orphan of an earlier run, starts the server and waits until it answers.
    pub async fn start(options: RedisOptions) -> Result<Self, ServerError> {
        let installation = find_redis()?;
        let home = Home::claim(&options.dir, None)?;
        stop_orphan(SERVER, &home, ENDINGS).await?;
        let password = home.password()?;
        let mut server = Self { installation, options, port: 0, password, process: None, home };
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

    /// Starts the server again after [`stop`](Self::stop) or [`kill9`](Self::kill9), on the same port.
    pub async fn start_again(&mut self) -> Result<(), ServerError> {
        self.launch().await
    }

    /// Stops and starts the server on the same port.
    pub async fn restart(&mut self, persistence: Persistence) -> Result<(), ServerError> {
        self.stop().await?;
        match persistence {
            Persistence::Keep => {}
            Persistence::Discard => remove_if_there(&self.home.data())?,
        }
        self.launch().await
    }

    /// Stops the server; what it was told to persist is written.
    pub async fn stop(&mut self) -> Result<(), ServerError> {
        self.end(ENDINGS.clean).await
    }

    /// Kills the server with SIGKILL.
    pub async fn kill9(&mut self) -> Result<(), ServerError> {
        self.end(Signal::SIGKILL).await
    }

    /// Empties every database of the server.
    pub async fn flushall(&self) -> Result<(), ServerError> {
        let mut connection = connect(&self.url()).await?;
        Ok(connection.flushall::<()>().await?)
    }

    /// `redis://:…@127.0.0.1:…/0`; holds the password.
    pub fn url(&self) -> String {
        format!("redis://:{}@127.0.0.1:{}/0", self.password, self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id while the server runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(ServerProcess::pid)
    }

    pub fn directory(&self) -> &Path {
        self.home.directory()
    }

    async fn launch(&mut self) -> Result<(), ServerError> {
        self.process = None;
        let data = self.home.data();
        fs::create_dir_all(&data).map_err(failed_to("create", &data))?;
        let configuration = self.home.write_private("redis.conf", &self.configuration())?;
        let mut command = Command::new(&self.installation.program);
        command.arg(configuration).current_dir(&data);

        let mut process = ServerProcess::spawn(SERVER, &mut command, &self.home, ENDINGS)?;
        let url = self.url();
        // The password is this server's own: no other server on the port would let us in.
        match process.until_ready(async || answers(&url).await).await {
            Readiness::Ready => {
                self.process = Some(process);
                Ok(())
            }
            Readiness::Exited | Readiness::TooLate => {
                let tail = self.home.log_tail().unwrap_or_else(|error| error.to_string());
                Err(ServerError::DidNotStart { server: SERVER, log: self.home.log(), tail })
            }
        }
    }

    /// In a file and not in arguments, which every user of the machine can read.
    fn configuration(&self) -> String {
        let appendonly = if self.options.appendonly { "yes" } else { "no" };
        let mut lines = vec![
            "bind 127.0.0.1".to_owned(),
            format!("port {}", self.port),
            "protected-mode yes".to_owned(),
            format!("requirepass {}", self.password),
            // A queue must refuse a write when it is full, never forget one.
            "maxmemory-policy noeviction".to_owned(),
            format!("appendonly {appendonly}"),
            format!("save {}", self.options.save.as_deref().unwrap_or("\"\"")),
            format!("dir {}", quoted(&self.home.data())),
            // The command line keeps the path of this file, by which an orphan is known.
            "set-proc-title no".to_owned(),
        ];
        lines.extend(self.options.extra.iter().map(|(name, value)| format!("{name} {value}")));
        lines.join("\n") + "\n"
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

impl Drop for PrivateRedis {
    fn drop(&mut self) {
        self.process = None;
        if self.options.throwaway
            && let Err(error) = remove_if_there(self.home.directory())
        {
            tracing::warn!(%error, "a private server's directory was left behind");
        }
    }
}

async fn connect(url: &str) -> Result<MultiplexedConnection, redis::RedisError> {
    redis::Client::open(url)?.get_multiplexed_async_connection().await
}

async fn answers(url: &str) -> bool {
    let ping = async { connect(url).await?.ping::<String>().await };
    matches!(timeout(ANSWER_WITHIN, ping).await, Ok(Ok(_)))
}

fn quoted(path: &Path) -> String {
    format!("\"{}\"", path.to_string_lossy().replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests;
