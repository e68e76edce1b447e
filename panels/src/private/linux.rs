//! A server for the driver `linux`: nginx, php-fpm, MariaDB and sshd in one directory, on ports of their own.

use std::{
    fs, io,
    net::TcpStream,
    path::{Path, PathBuf},
    process::Command,
};

use super::run;

/// What is used of Debian 12.
const PROGRAMS: [&str; 10] = [
    "/usr/sbin/nginx",
    "/usr/sbin/php-fpm8.2",
    "/usr/bin/php8.2",
    "/usr/sbin/mariadbd",
    "/usr/bin/mariadb-install-db",
    "/usr/bin/mariadb-dump",
    "/usr/sbin/sshd",
    "/usr/bin/sftp",
    "/usr/bin/sshpass",
    "/usr/share/wordpress/wp-content/themes",
];

/// What installs them, as root.
pub const INSTALL: &str = "apt-get install --no-install-recommends nginx-light php8.2-fpm php8.2-cli php8.2-mysql \
                           mariadb-server openssh-server openssh-client sshpass wordpress wordpress-theme-twentytwentythree";

/// What the machine lacks for such a server, root's rights included.
#[must_use]
pub fn missing() -> Vec<&'static str> {
    let mut missing: Vec<_> = PROGRAMS.into_iter().filter(|path| !Path::new(path).exists()).collect();
    if !nix::unistd::Uid::effective().is_root() {
        missing.push("root");
    }
    missing
}

/// Where a server lies and how it is to be.
#[derive(Clone, Debug)]
pub struct LinuxServer {
    /// Its directory. All above must be root's alone, or sshd lets nobody in.
    pub dir: PathBuf,
    /// The port of its sites, on 127.0.0.1.
    pub http: u16,
    /// The port of its SFTP, on 127.0.0.1.
    pub ssh: u16,
    /// The group of its customers.
    pub group: &'static str,
    /// Its sites are `<username>.<domain>`.
    pub domain: &'static str,
    /// The first and the last uid of its customers.
    pub uids: (u32, u32),
    /// What is sold on it: the tables `[packages.…]` of `host.toml`.
    pub packages: &'static str,
}

/// A daemon of the server: it stays in the foreground, and SIGTERM ends it with its children.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// What its directory in the server's is called; its command line names that.
    pub name: &'static str,
    /// By absolute path.
    pub program: &'static str,
    /// Its arguments.
    pub args: Vec<String>,
}

impl LinuxServer {
    /// Writes all that the daemons read, and makes the group and the database, where they are not there yet.
    ///
    /// # Errors
    /// When something cannot be written, or a program fails.
    pub fn prepare(&self) -> io::Result<()> {
        for part in ["homes", "state", "vhosts", "pools", "run", "db", "log", "nginx", "php-fpm", "mariadb", "sshd"] {
            fs::create_dir_all(self.path(part))?;
        }
        for (path, template) in [
            ("nginx/nginx.conf", include_str!("linux/nginx.conf")),
            ("php-fpm/php-fpm.conf", include_str!("linux/php-fpm.conf")),
            ("mariadb/my.cnf", include_str!("linux/my.cnf")),
            ("sshd/sshd_config", include_str!("linux/sshd_config")),
            ("host.toml", include_str!("linux/host.toml")),
        ] {
            fs::write(self.path(path), self.filled(template))?;
        }
        run(Command::new("/usr/sbin/groupadd").args(["--force", self.group]))?;
        // Debian's sshd separates its privileges there.
        fs::create_dir_all("/run/sshd")?;
        let key = self.path("sshd/host_key");
        if !key.exists() {
            run(Command::new("/usr/bin/ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(key))?;
        }
        self.prepare_database()
    }

    fn filled(&self, template: &str) -> String {
        template
            .replace("{{dir}}", &self.dir.to_string_lossy())
            .replace("{{http}}", &self.http.to_string())
            .replace("{{ssh}}", &self.ssh.to_string())
            .replace("{{group}}", self.group)
            .replace("{{domain}}", self.domain)
            .replace("{{uids}}", &format!("[{}, {}]", self.uids.0, self.uids.1))
            .replace("{{packages}}", self.packages)
    }

    /// Made beside its place and moved there when it is whole, so that a half-made one is never started.
    fn prepare_database(&self) -> io::Result<()> {
        run(Command::new("/bin/chown").arg("mysql:").arg(self.path("db")))?;
        let (data, unfinished) = (self.path("mysql"), self.path("mysql.part"));
        if data.exists() {
            return Ok(());
        }
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished)?;
        }
        run(Command::new("/usr/bin/mariadb-install-db")
            .args(["--no-defaults", "--user=mysql", "--auth-root-authentication-method=socket", "--skip-test-db"])
            .arg(format!("--datadir={}", unfinished.display()))
            // What the caller's environment says may be for the caller alone.
            .arg(format!("--tmpdir={}", self.path("db").display())))?;
        fs::rename(unfinished, data)
    }

    /// The daemons, in the order in which they are started. A file of an earlier run which would say that they are ready
    /// is to be [forgotten](Self::forget_run) first.
    #[must_use]
    pub fn daemons(&self) -> [Daemon; 4] {
        let path = |name: &str| self.path(name).to_string_lossy().into_owned();
        let daemon = |name, program, args: &[&str]| Daemon {
            name,
            program,
            args: args.iter().map(|&arg| arg.to_owned()).collect(),
        };
        let defaults = format!("--defaults-file={}", path("mariadb/my.cnf"));
        [
            daemon("mariadb", "/usr/sbin/mariadbd", &[&defaults]),
            daemon(
                "php-fpm",
                "/usr/sbin/php-fpm8.2",
                &["--nodaemonize", "--fpm-config", &path("php-fpm/php-fpm.conf")],
            ),
            daemon("nginx", "/usr/sbin/nginx", &["-c", &path("nginx/nginx.conf")]),
            daemon("sshd", "/usr/sbin/sshd", &["-D", "-e", "-f", &path("sshd/sshd_config")]),
        ]
    }

    /// Removes what a run that was killed has left: the files by which daemons say that they are there.
    ///
    /// # Errors
    /// When one cannot be removed.
    pub fn forget_run(&self) -> io::Result<()> {
        for left in ["db/mysqld.sock", "run/php-fpm.pid", "run/nginx.pid"] {
            match fs::remove_file(self.path(left)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    /// Whether that daemon takes requests.
    #[must_use]
    pub fn is_ready(&self, daemon: &Daemon) -> bool {
        let listens = |port| TcpStream::connect(("127.0.0.1", port)).is_ok();
        match daemon.name {
            "mariadb" => self.path("db/mysqld.sock").exists(),
            "php-fpm" => self.path("run/php-fpm.pid").exists(),
            "nginx" => listens(self.http) && self.path("run/nginx.pid").exists(),
            _ => listens(self.ssh),
        }
    }

    /// A path in its directory.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}
