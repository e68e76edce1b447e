//! Private PostgreSQL and Redis servers, and servers to sell hosting on: found on the machine, started on free ports, stopped
//! with their owner.
//!
//! `berth dev`, the tests and the benches use these; nothing here connects to, signals or stops a server that was
//! not started here. Each server has a directory of its own:
//!
//! | file          | what                                                                      |
//! |---------------|---------------------------------------------------------------------------|
//! | `owner.lock`  | locked while the process that started the server lives                    |
//! | `server.pid`  | the server's process id, so that an orphan of a killed run is found       |
//! | `server.log`  | what the server printed                                                   |
//! | `password`    | generated once, readable by its user only                                 |
//! | `data/`       | the server's own files                                                    |
//!
//! When the owner dies without stopping its servers (SIGKILL, a panic that aborts), a guard process that waits on a
//! pipe from it sees the pipe close and ends them. Should the guard be killed too, the next start in the same
//! directory stops the orphan first.

mod find;
mod home;
mod incus;
mod linux;
mod postgres;
mod process;
mod redis;

use std::io;
use std::path::{Path, PathBuf};

pub use self::find::{Installation, Version, find_postgres, find_redis};
pub use self::incus::{Container, IMAGE, PrivateIncus};
pub use self::linux::PrivateLinux;
pub use self::postgres::{OWNER, PostgresOptions, PrivatePostgres, StopMode};
pub(in crate::dev) use self::process::{free_port, guard, release_guard};
pub use self::redis::{Persistence, PrivateRedis, RedisOptions};

/// Why a private server could not be found, started or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    #[error("{server} is not installed; install it with `{install}`")]
    NotInstalled { server: &'static str, install: String },
    #[error("{server} {found} in {} is too old: {needed} or newer is needed; {advice}", directory.display())]
    TooOld { server: &'static str, found: Version, needed: Version, directory: PathBuf, advice: String },
    #[error("{} is in use by another running process of Berth", .0.display())]
    InUse(PathBuf),
    #[error("process {pid} serves {} and was not started by Berth; stop it first", directory.display())]
    NotOurs { pid: u32, directory: PathBuf },
    #[error(
        "the data in {} is of PostgreSQL {major}, which is not installed; install that version or remove the directory",
        directory.display()
    )]
    OtherMajor { major: u32, directory: PathBuf },
    #[error("PostgreSQL refuses to run as root and there is no user `postgres` or `nobody` to run it as")]
    NoUser,
    #[error("{} belongs to somebody else; remove it", .0.display())]
    ForeignDirectory(PathBuf),
    #[error("no free port was found on 127.0.0.1 after {0} attempts")]
    NoFreePort(u32),
    #[error("{server} did not start; the end of {} says: {tail}", log.display())]
    DidNotStart { server: &'static str, log: PathBuf, tail: String },
    #[error("{server} (process {pid}) is still alive after it was killed")]
    DidNotStop { server: &'static str, pid: u32 },
    #[error("`{0}` cannot name a database: lower-case letters, digits and `_`, at most 63, not beginning with a digit")]
    DatabaseName(String),
    #[error("`--panels {panel}` cannot be had on this machine: {why}")]
    CannotBeHad { panel: &'static str, why: String },
    #[error(
        "port {port} is taken by somebody else, and the addresses of sites hold it: free it, or choose others in {} and \
         begin anew with --reset",
        file.display()
    )]
    PortTaken { port: u16, file: PathBuf },
    #[error("could not {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("the private PostgreSQL refused a statement")]
    Database(#[from] sqlx::Error),
    #[error("the private Redis refused a command")]
    Redis(#[from] ::redis::RedisError),
}

/// For `map_err`: names what was tried and on which path.
fn failed_to(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ServerError {
    let path = path.to_owned();
    move |source| ServerError::Io { action, path, source }
}
