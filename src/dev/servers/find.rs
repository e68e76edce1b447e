//! Where this machine keeps PostgreSQL and Redis, and what to type when it has none.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::ServerError;

const OLDEST_POSTGRES: Version = Version { major: 15, minor: 0 };
const OLDEST_REDIS: Version = Version { major: 7, minor: 0 };

/// Folders that hold servers although they are often missing from a user's `PATH`.
const USUAL_FOLDERS: [&str; 6] = [
    "/usr/local/bin",
    "/usr/bin",
    "/usr/local/sbin",
    "/usr/sbin",
    "/opt/homebrew/bin",
    "/home/linuxbrew/.linuxbrew/bin",
];

/// Where packages put several PostgreSQL side by side: `<folder>/<prefix><version><suffix>`.
const VERSIONED_POSTGRES: [(&str, &str, &str); 5] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/opt/homebrew/opt", "postgresql@", "bin"),
    ("/usr/local/opt", "postgresql@", "bin"),
    ("/home/linuxbrew/.linuxbrew/opt", "postgresql@", "bin"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    pub major: u32,
    pub minor: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A server that is installed on this machine and new enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The server's program: `postgres` (its `initdb` lies beside it), `redis-server` or `valkey-server`.
    pub program: PathBuf,
    pub version: Version,
}

impl Installation {
    /// Another program of the same installation.
    pub(super) fn sibling(&self, name: &str) -> PathBuf {
        self.program.with_file_name(name)
    }
}

/// The first PostgreSQL of 15 or newer: on the `PATH`, where `pg_config` says, then where packages put them, newest first.
pub fn find_postgres() -> Result<Installation, ServerError> {
    Search::of_this_machine().postgres(None)
}

/// A PostgreSQL of exactly this major version, for data that was written by it.
pub(super) fn find_postgres_of(major: u32) -> Result<Installation, ServerError> {
    Search::of_this_machine().postgres(Some(major))
}

/// The first Redis of 7.0 or newer, or Valkey (every release of which is newer).
pub fn find_redis() -> Result<Installation, ServerError> {
    Search::of_this_machine().redis()
}

/// Where to look; a value so that a machine without servers can be described in a test.
struct Search {
    /// Folders in the order of preference.
    folders: Vec<PathBuf>,
    versioned_postgres: Vec<PathBuf>,
}

impl Search {
    fn of_this_machine() -> Self {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Self { folders: on_path(path), versioned_postgres: versioned_postgres() }
    }

    fn postgres(&self, major: Option<u32>) -> Result<Installation, ServerError> {
        let configured = self.folders.iter().filter_map(|folder| pg_config_bindir(&folder.join("pg_config")));
        let found = self
            .folders
            .iter()
            .cloned()
            .chain(configured)
            .chain(self.versioned_postgres.iter().cloned())
            // A link in /usr/local/bin leads to the folder where `initdb` and the rest are.
            .filter_map(|folder| folder.join("postgres").canonicalize().ok())
            .filter(|program| program.with_file_name("initdb").is_file())
            .filter_map(|program| installation(&program))
            .filter(|found| major.is_none_or(|major| found.version.major == major));
        first_new_enough("PostgreSQL", OLDEST_POSTGRES, found)
    }

    fn redis(&self) -> Result<Installation, ServerError> {
        // Not resolved: one program may serve under many names and look at the name it was called by.
        let found = ["redis-server", "valkey-server"]
            .iter()
            .flat_map(|name| self.folders.iter().map(move |folder| folder.join(name)))
            .filter(|program| program.is_file())
            .filter_map(|program| installation(&program));
        first_new_enough("Redis", OLDEST_REDIS, found)
    }
}

fn on_path(path: OsString) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    let usual = USUAL_FOLDERS.iter().map(PathBuf::from);
    for folder in std::env::split_paths(&path).filter(|folder| folder.is_absolute()).chain(usual) {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    folders
}

fn versioned_postgres() -> Vec<PathBuf> {
    let mut found: Vec<(u32, PathBuf)> = Vec::new();
    for (folder, prefix, suffix) in VERSIONED_POSTGRES {
        let Ok(entries) = Path::new(folder).read_dir() else {
            continue;
        }; // not this kind of machine
        for entry in entries.flatten() {
            let name = entry.file_name();
            let version = name.to_str().and_then(|name| name.strip_prefix(prefix)).and_then(|rest| rest.parse().ok());
            if let Some(version) = version {
                found.push((version, entry.path().join(suffix)));
            }
        }
    }
    found.sort_by_key(|(version, _)| std::cmp::Reverse(*version));
    found.into_iter().map(|(_, folder)| folder).collect()
}

fn pg_config_bindir(pg_config: &Path) -> Option<PathBuf> {
    if !pg_config.is_file() {
        return None;
    }
    let output = Command::new(pg_config).arg("--bindir").output().ok()?;
    let folder = String::from_utf8(output.stdout).ok()?;
    Some(PathBuf::from(folder.trim()))
}

/// `None` when the program does not run or prints no version: then it is not a server to be used.
fn installation(program: &Path) -> Option<Installation> {
    let output = Command::new(program).arg("--version").output().ok()?;
    let version = version_in(&String::from_utf8(output.stdout).ok()?)?;
    Some(Installation { program: program.to_owned(), version })
}

/// Reads `postgres (PostgreSQL) 15.13 (Debian …)`, `… 18beta1`, `Redis server v=7.0.15 sha=…`, `Valkey server v=8.1.1 …`.
fn version_in(output: &str) -> Option<Version> {
    output.split([' ', '=', '\n']).find_map(|word| {
        let mut numbers = word.split(|c: char| !c.is_ascii_digit());
        let major = numbers.next()?.parse().ok()?;
        let minor = numbers.next().and_then(|digits| digits.parse().ok()).unwrap_or(0);
        let is_release = word.as_bytes().iter().any(|byte| !byte.is_ascii_digit());
        // `18beta1` is before 18.0, but new enough for every feature that is used here.
        let minor = if word.contains('.') { minor } else { 0 };
        is_release.then_some(Version { major, minor })
    })
}

fn first_new_enough(
    server: &'static str,
    needed: Version,
    found: impl Iterator<Item = Installation>,
) -> Result<Installation, ServerError> {
    let mut too_old = None;
    for installation in found {
        if installation.version >= needed {
            return Ok(installation);
        }
        too_old.get_or_insert(installation);
    }
    let manager = PackageManager::of_this_machine();
    Err(match too_old {
        Some(old) => ServerError::TooOld {
            server,
            found: old.version,
            needed,
            directory: old.program.parent().map(Path::to_owned).unwrap_or_default(),
            advice: newer(server, manager),
        },
        None => ServerError::NotInstalled { server, install: install_command(server, manager) },
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PackageManager {
    Apt,
    Dnf,
    Brew,
    Unknown,
}

impl PackageManager {
    fn of_this_machine() -> Self {
        let has = |program: &str| {
            on_path(std::env::var_os("PATH").unwrap_or_default()).iter().any(|folder| folder.join(program).is_file())
        };
        // Homebrew runs on Linux too, where the distribution's own comes first.
        match () {
            () if has("apt-get") => Self::Apt,
            () if has("dnf") => Self::Dnf,
            () if has("brew") => Self::Brew,
            () => Self::Unknown,
        }
    }
}

/// The same commands as `bin/setup` runs.
fn install_command(server: &str, manager: PackageManager) -> String {
    let command = match (server, manager) {
        ("PostgreSQL", PackageManager::Apt) => "sudo apt-get install -y postgresql",
        ("PostgreSQL", PackageManager::Dnf) => "sudo dnf install -y postgresql-server",
        ("PostgreSQL", PackageManager::Brew) => "brew install postgresql@17",
        (_, PackageManager::Apt) => "sudo apt-get install -y redis-server",
        (_, PackageManager::Dnf) => "sudo dnf install -y valkey",
        (_, PackageManager::Brew) => "brew install redis",
        (_, PackageManager::Unknown) => {
            let each = [PackageManager::Apt, PackageManager::Dnf, PackageManager::Brew];
            return each.map(|manager| install_command(server, manager)).join("`, `");
        }
    };
    command.to_owned()
}

/// A distribution whose own package is too old needs the maker's repository.
fn newer(server: &str, manager: PackageManager) -> String {
    match (server, manager) {
        ("PostgreSQL", PackageManager::Apt) => "install it from PostgreSQL's repository with `sudo apt-get install -y \
             postgresql-common && sudo /usr/share/postgresql-common/pgdg/apt.postgresql.org.sh -y && sudo apt-get \
             install -y postgresql-17`"
            .to_owned(),
        ("Redis", PackageManager::Apt) => {
            "install it from Redis's repository: https://redis.io/docs/latest/operate/oss_and_stack/install/".to_owned()
        }
        (_, PackageManager::Apt | PackageManager::Dnf | PackageManager::Brew | PackageManager::Unknown) => {
            format!("install a newer one with `{}`", install_command(server, manager))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_the_servers_print() {
        let check =
            |output: &str, major, minor| assert_eq!(version_in(output), Some(Version { major, minor }), "{output}");

        check("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)\n", 15, 13);
        check("postgres (PostgreSQL) 18beta1\n", 18, 0);
        check("postgres (PostgreSQL) 14.9\n", 14, 9);
        check("Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=ae4d7c971a948f0\n", 7, 0);
        check("Valkey server v=8.1.3 sha=00000000:0 malloc=libc bits=64 build=0\n", 8, 1);
        assert_eq!(version_in("command not found"), None);
    }

    #[test]
    fn this_machine_has_servers_that_are_new_enough() {
        let postgres = find_postgres().unwrap();
        let redis = find_redis().unwrap();

        assert!(postgres.version >= OLDEST_POSTGRES);
        assert!(postgres.sibling("initdb").is_file());
        assert!(redis.version >= OLDEST_REDIS);
    }

    #[test]
    fn a_machine_without_servers_is_told_what_to_type() {
        let bare = Search { folders: vec![PathBuf::from("/nowhere")], versioned_postgres: Vec::new() };

        let postgres = bare.postgres(None).unwrap_err().to_string();
        let redis = bare.redis().unwrap_err().to_string();

        assert!(postgres.starts_with("PostgreSQL is not installed; install it with `"), "{postgres}");
        assert!(redis.starts_with("Redis is not installed; install it with `"), "{redis}");
        assert_eq!(install_command("Redis", PackageManager::Apt), "sudo apt-get install -y redis-server");
        assert_eq!(
            install_command("PostgreSQL", PackageManager::Unknown),
            "sudo apt-get install -y postgresql`, `sudo dnf install -y postgresql-server`, `brew install postgresql@17"
        );
    }

    #[test]
    fn an_old_server_is_named_and_a_newer_one_behind_it_is_taken() {
        let at =
            |major, path: &str| Installation { program: PathBuf::from(path), version: Version { major, minor: 2 } };
        let old = at(14, "/usr/lib/postgresql/14/bin/postgres");
        let new = at(16, "/usr/lib/postgresql/16/bin/postgres");

        let refused = first_new_enough("PostgreSQL", OLDEST_POSTGRES, [old.clone()].into_iter()).unwrap_err();
        let taken = first_new_enough("PostgreSQL", OLDEST_POSTGRES, [old, new.clone()].into_iter()).unwrap();

        assert!(
            refused.to_string().contains("14.2 in /usr/lib/postgresql/14/bin is too old: 15.0 or newer"),
            "{refused}"
        );
        assert_eq!(taken, new);
    }
}
