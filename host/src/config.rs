//! The command's own settings: a file that only root can write, because what it says is run as root.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use serde::Deserialize;

use crate::{
    failure::{Failure, OrFail as _},
    names,
};

/// Where the settings are unless the command is told otherwise.
pub(crate) const DEFAULT: &str = "/etc/berth/host.toml";

/// Write permission of the group and of the world.
const OTHERS_WRITE: u32 = 0o022;
/// Below are the users of the system and its staff.
const UID_MIN: u32 = 1000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The directory of all homes; every directory above must be root's, or sshd lets nobody in.
    pub(crate) homes: PathBuf,
    /// Records, locks, tickets.
    pub(crate) state: PathBuf,
    pub(crate) backups: PathBuf,
    /// An account answers as `<username>.<base_domain>`, besides its own domain.
    pub(crate) base_domain: String,
    /// A site's address with `{host}` in it, such as `http://{host}/`.
    pub(crate) url: String,
    /// The group whose members sshd lets in by SFTP only.
    pub(crate) sftp_group: String,
    /// Whom nginx serves as.
    pub(crate) web_user: String,
    /// The first and last uid that customers get.
    pub(crate) uids: (u32, u32),
    pub(crate) nginx: Nginx,
    pub(crate) php: Php,
    pub(crate) mariadb: Mariadb,
    /// Where WordPress is copied from, as its archive unpacks.
    pub(crate) wordpress: Option<PathBuf>,
    pub(crate) packages: BTreeMap<String, Package>,
    /// With less than that free for homes, no account is made.
    #[serde(default = "min_free")]
    pub(crate) min_free_mb: u64,
    /// How long a reload waits for changes that are under way, in milliseconds.
    #[serde(default = "patience")]
    pub(crate) reload_patience_ms: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nginx {
    /// The directory whose `*.conf` nginx includes in its `http` block; nobody else writes there.
    pub(crate) vhosts: PathBuf,
    pub(crate) listen: Vec<SocketAddr>,
    /// The program and its arguments that show whether the files pass, such as `["/usr/sbin/nginx", "-t", "-q"]`.
    pub(crate) test: Vec<String>,
    pub(crate) pid_file: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Php {
    /// The directory whose `*.conf` php-fpm includes. A pool of the operator's must be there too: without any, php-fpm ends.
    pub(crate) pools: PathBuf,
    /// The directory of the pools' sockets.
    pub(crate) sockets: PathBuf,
    pub(crate) test: Vec<String>,
    pub(crate) pid_file: PathBuf,
    /// The interpreter, for WordPress.
    pub(crate) cli: PathBuf,
    /// What no customer may call, such as `exec`.
    #[serde(default)]
    pub(crate) disable_functions: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Mariadb {
    /// Root signs in by it without a password (`unix_socket`).
    pub(crate) socket: PathBuf,
    #[serde(default = "client")]
    pub(crate) client: PathBuf,
    #[serde(default = "dump")]
    pub(crate) dump: PathBuf,
}

/// What is sold under a package's name.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Package {
    /// Requests that PHP answers at once.
    pub(crate) php_children: u32,
    pub(crate) memory_mb: u32,
    /// Holds where the file system enforces it.
    pub(crate) disk_mb: u64,
    #[serde(default)]
    pub(crate) wordpress: bool,
}

fn patience() -> u64 {
    1_000
}

fn min_free() -> u64 {
    1_024
}

fn client() -> PathBuf {
    "/usr/bin/mariadb".into()
}

fn dump() -> PathBuf {
    "/usr/bin/mariadb-dump".into()
}

impl Config {
    pub(crate) fn load(path: &Path) -> Result<Self, Failure> {
        only_roots(path)?;
        let text = fs::read_to_string(path).or_fail(format!("{} could not be read", path.display()))?;
        let config: Self = toml::from_str(&text)
            .map_err(|error| Failure::misconfigured(format!("{}: {}", path.display(), error.message())))?;
        config.check()?;
        Ok(config)
    }

    pub(crate) fn package(&self, name: &str) -> Result<&Package, Failure> {
        self.packages.get(name).ok_or_else(|| Failure::permanent(format!("there is no package {name:?}")))
    }

    fn check(&self) -> Result<(), Failure> {
        let wrong = |what: &str| Err(Failure::misconfigured(format!("the configuration's {what}")));
        for path in self.paths() {
            // They are written into the daemons' files.
            let plain = path.to_str().is_some_and(|text| text.bytes().all(is_plain));
            if !path.is_absolute() || !plain {
                return wrong(&format!("path {path:?} is not absolute or has an unusual character"));
            }
        }
        for program in [self.nginx.test.first(), self.php.test.first()] {
            if !program.is_some_and(|program| program.starts_with('/')) {
                return wrong("test commands do not begin with an absolute path");
            }
        }
        for word in [&self.sftp_group, &self.web_user].into_iter().chain(&self.php.disable_functions) {
            if word.is_empty() || !word.bytes().all(|byte| is_plain(byte) && byte != b'/') {
                return wrong(&format!("word {word:?} has an unusual character"));
            }
        }
        if !names::is_domain(&format!("x.{}", self.base_domain)) {
            return wrong("base_domain is no domain");
        }
        if self.authority("x.org").is_none() {
            return wrong("url is not like http://{host}/");
        }
        if self.uids.0 < UID_MIN || self.uids.0 > self.uids.1 {
            return wrong("uids do not begin at 1000 or later");
        }
        if self.wordpress.is_none() && self.packages.values().any(|package| package.wordpress) {
            return wrong("packages have WordPress, but it says not where to copy it from");
        }
        Ok(())
    }

    fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        let (nginx, php, mariadb) = (&self.nginx, &self.php, &self.mariadb);
        [&self.homes, &self.state, &self.backups, &nginx.vhosts, &nginx.pid_file]
            .into_iter()
            .chain([&php.pools, &php.sockets, &php.pid_file, &php.cli])
            .chain([&mariadb.socket, &mariadb.client, &mariadb.dump])
            .chain(&self.wordpress)
    }

    /// A host's address.
    pub(crate) fn url_of(&self, host: &str) -> String {
        self.url.replace("{host}", host)
    }

    /// How a browser names a host in its requests: with the port, where the address has one.
    pub(crate) fn authority(&self, host: &str) -> Option<String> {
        let (before, after) = self.url.split_once("{host}")?;
        let port = after.strip_suffix('/')?;
        let is_port = port.is_empty() || port.strip_prefix(':').is_some_and(|digits| digits.parse::<u16>().is_ok());
        (["http://", "https://"].contains(&before) && is_port).then(|| format!("{host}{port}"))
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._-".contains(&byte)
}

/// Refuses a file that somebody else than root could have written or exchanged.
fn only_roots(path: &Path) -> Result<(), Failure> {
    let real = fs::canonicalize(path).map_err(|error| {
        Failure::misconfigured(format!("there are no settings at {}", path.display())).because(error)
    })?;
    for part in real.ancestors() {
        let metadata = fs::metadata(part).or_fail(format!("{} could not be looked at", part.display()))?;
        if metadata.uid() != 0 || metadata.mode() & OTHERS_WRITE != 0 {
            let message = format!("{} can be written by others than root", part.display());
            return Err(Failure::misconfigured(message));
        }
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Settings as an operator might write them.
    pub(crate) const TEXT: &str = r#"
        homes = "/srv/berth"
        state = "/var/lib/berth-host"
        backups = "/var/backups/berth"
        base_domain = "sites.example.net"
        url = "http://{host}:8080/"
        sftp_group = "berthsftp"
        web_user = "www-data"
        uids = [20000, 59999]
        [nginx]
        vhosts = "/etc/nginx/berth"
        listen = ["127.0.0.1:8080", "[::1]:8080"]
        test = ["/usr/sbin/nginx", "-t"]
        pid_file = "/run/nginx.pid"
        [php]
        pools = "/etc/php/8.2/fpm/pool.d"
        sockets = "/run/php"
        test = ["/usr/sbin/php-fpm8.2", "-t"]
        pid_file = "/run/php/php8.2-fpm.pid"
        cli = "/usr/bin/php8.2"
        disable_functions = ["exec", "system"]
        [mariadb]
        socket = "/run/mysqld/mysqld.sock"
        [packages.small]
        php_children = 4
        memory_mb = 128
        disk_mb = 1024
    "#;

    pub(crate) fn config() -> Config {
        let config: Config = toml::from_str(TEXT).unwrap();
        config.check().unwrap();
        config
    }

    #[test]
    fn what_would_be_written_into_a_daemons_file_must_be_harmless() {
        for (good, bad) in [
            ("/etc/nginx/berth", "/etc/nginx/a; b"),
            ("/srv/berth", "srv/berth"),
            ("berthsftp", "berth,root"),
            ("sites.example.net", "sites example"),
            ("\"exec\"", "\"exec\\n\""),
            ("http://{host}:8080/", "http://host/"),
            ("http://{host}:8080/", "ftp://{host}/"),
            ("20000", "0"),
            ("\"/usr/sbin/nginx\", \"-t\"", "\"nginx\""),
        ] {
            let config: Config = toml::from_str(&TEXT.replace(good, bad)).unwrap();

            assert!(config.check().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_settings_that_the_readme_shows_are_taken() {
        let readme = include_str!("../README.md");
        let text = readme.split("```toml").nth(1).and_then(|rest| rest.split("```").next()).unwrap();

        let config: Config = toml::from_str(text).unwrap();

        assert!(config.check().is_ok());
    }

    #[test]
    fn the_sudoers_line_of_the_readme_allows_every_verb_and_nothing_else() {
        let readme = include_str!("../README.md").replace("\\\n", "");
        let alias = readme.lines().find_map(|line| line.trim().strip_prefix("Cmnd_Alias BERTH_HOST = ")).unwrap();

        let allowed: Vec<_> = alias.split(',').map(str::trim).collect();

        let verbs = berth_host::protocol::Verb::ALL.map(|verb| format!("/usr/sbin/berth-host {}", verb.as_str()));
        assert_eq!(allowed, verbs);
    }

    #[test]
    fn settings_that_others_can_write_are_refused() {
        let dir = tempfile::TempDir::new().unwrap();
        let path = dir.path().join("host.toml");
        fs::write(&path, TEXT).unwrap();

        // The temporary directory is everybody's.
        let refused = Config::load(&path).unwrap_err();

        assert_eq!(refused.class, berth_host::protocol::Class::Misconfigured);
    }

    #[test]
    fn an_authority_is_what_a_browser_sends() {
        assert_eq!(config().authority("a.org").as_deref(), Some("a.org:8080"));
        assert_eq!(config().url_of("a.org"), "http://a.org:8080/");
    }
}
