//! The two daemons that speak this API, and how their administrators' commands differ.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A daemon's programs.
#[derive(Clone, Copy)]
pub(super) struct Product {
    pub(super) name: &'static str,
    daemons: &'static [&'static str],
    cli: &'static str,
    /// What comes before `waitready` and `shutdown`.
    admin: &'static [&'static str],
    /// What its client is told its directory by, and its client's own.
    dir: &'static str,
    conf: &'static str,
    /// What adds a client's certificate, after `config trust`.
    pub(super) trust: &'static str,
    pub(super) install: &'static str,
}

const INCUS: Product = Product {
    name: "incus",
    daemons: &["/usr/libexec/incus/incusd", "/usr/lib/incus/incusd", "/opt/incus/bin/incusd"],
    cli: "incus",
    admin: &["incus", "admin"],
    dir: "INCUS_DIR",
    conf: "INCUS_CONF",
    trust: "add-certificate",
    install: "apt-get install -t bookworm-backports incus-base && apt-get install btrfs-progs busybox-static",
};

const LXD: Product = Product {
    name: "lxd",
    daemons: &["/usr/bin/lxd", "/usr/sbin/lxd"],
    cli: "lxc",
    admin: &["lxd"],
    dir: "LXD_DIR",
    conf: "LXD_CONF",
    trust: "add",
    install: "apt-get install lxd btrfs-progs busybox-static",
};

impl Product {
    /// Incus, unless `BERTH_TEST_INCUS_DAEMON` says `lxd`.
    pub(super) fn chosen() -> Self {
        let lxd = env::var_os("BERTH_TEST_INCUS_DAEMON").is_some_and(|value| value == "lxd");
        if lxd { LXD } else { INCUS }
    }

    pub(super) fn daemon(self) -> Option<PathBuf> {
        self.daemons.iter().map(PathBuf::from).find(|path| path.exists())
    }

    /// A command of the client's, for the daemon below a directory.
    pub(super) fn command<S: AsRef<OsStr>>(self, below: &Path, args: &[S]) -> Command {
        self.within(below, Command::new(self.cli), args)
    }

    /// A command that waits for the daemon or ends it.
    pub(super) fn admin(self, below: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(self.admin[0]);
        command.args(&self.admin[1..]);
        self.within(below, command, args)
    }

    /// The daemon itself.
    pub(super) fn process(self, below: &Path) -> Command {
        let command = Command::new(self.daemon().unwrap());
        let log = below.join("log");
        self.within(below, command, &["--group".as_ref(), "root".as_ref(), "--logfile".as_ref(), log.as_os_str()])
    }

    fn within<S: AsRef<OsStr>>(self, below: &Path, mut command: Command, args: &[S]) -> Command {
        command.args(args).env(self.dir, below.join("daemon")).env(self.conf, below.join("conf")).stdin(Stdio::null());
        command
    }
}
