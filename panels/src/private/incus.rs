//! A server for the driver `incus`: a daemon in a directory of its own, and an image that is built in a moment. Two daemons
//! speak the same API, Incus and LXD.

use std::{
    env,
    ffi::OsStr,
    fs, io,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::run;

/// A program that is many.
pub const BUSYBOX: &str = "/bin/busybox";

/// A daemon's programs, and how its administrator's commands are called.
#[derive(Clone, Copy, Debug)]
pub struct Product {
    /// What it calls itself.
    pub name: &'static str,
    daemons: &'static [&'static str],
    cli: &'static str,
    /// What comes before `waitready` and `shutdown`.
    admin: &'static [&'static str],
    /// What its client is told its directory by, and its client's own.
    dir: &'static str,
    conf: &'static str,
    /// What adds a client's certificate, after `config trust`.
    pub trust: &'static str,
    /// What installs it, as root.
    pub install: &'static str,
}

/// Incus.
pub const INCUS: Product = Product {
    name: "incus",
    daemons: &["/usr/libexec/incus/incusd", "/usr/lib/incus/incusd", "/opt/incus/bin/incusd"],
    cli: "incus",
    admin: &["incus", "admin"],
    dir: "INCUS_DIR",
    conf: "INCUS_CONF",
    trust: "add-certificate",
    install: "apt-get install -t bookworm-backports incus-base && apt-get install btrfs-progs busybox-static",
};

/// LXD.
pub const LXD: Product = Product {
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
    /// Its daemon's program, if it is installed.
    #[must_use]
    pub fn daemon(self) -> Option<PathBuf> {
        self.daemons.iter().map(PathBuf::from).find(|path| path.exists())
    }

    /// What the machine lacks for such a server; `None` when it lacks nothing.
    #[must_use]
    pub fn missing(self) -> Option<String> {
        if !nix::unistd::geteuid().is_root() {
            return Some("it needs root".to_owned());
        }
        let has_btrfs = Command::new("mkfs.btrfs").arg("--version").output().is_ok();
        let has_all = self.daemon().is_some() && Path::new(BUSYBOX).exists() && has_btrfs;
        (!has_all).then(|| format!("it needs {}, btrfs and busybox: {}", self.name, self.install))
    }

    /// A command of the client's, for the daemon below a directory.
    pub fn command<S: AsRef<OsStr>>(self, below: &Path, args: &[S]) -> Command {
        self.within(below, Command::new(self.cli), args)
    }

    /// A command that waits for the daemon or ends it.
    #[must_use]
    pub fn admin(self, below: &Path, args: &[&str]) -> Command {
        let (program, first) =
            self.admin.split_first().map_or((self.cli, self.admin), |(program, rest)| (*program, rest));
        let mut command = Command::new(program);
        command.args(first);
        self.within(below, command, args)
    }

    /// The daemon itself, below a directory; its command line names that.
    #[must_use]
    pub fn process(self, below: &Path) -> Command {
        let command = Command::new(self.daemon().unwrap_or_else(|| self.name.into()));
        let log = below.join("log");
        self.within(below, command, &["--group".as_ref(), "root".as_ref(), "--logfile".as_ref(), log.as_os_str()])
    }

    fn within<S: AsRef<OsStr>>(self, below: &Path, mut command: Command, args: &[S]) -> Command {
        command.args(args).env(self.dir, directory(below)).env(self.conf, below.join("conf")).stdin(Stdio::null());
        command
    }
}

/// The daemon's own directory.
#[must_use]
pub fn directory(below: &Path) -> PathBuf {
    below.join("daemon")
}

/// Where it is spoken to.
#[must_use]
pub fn socket(below: &Path) -> PathBuf {
    directory(below).join("unix.socket")
}

/// Unmounts what a daemon that has ended left mounted below a directory, all that can be.
///
/// # Errors
/// When it cannot be seen what is mounted, or something is in use: the first reason.
pub fn unmount(below: &Path) -> io::Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let all = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    let ours: Vec<_> = all.filter(|path| Path::new(path).starts_with(below)).collect();
    ours.iter().rev().map(|path| run(Command::new("/bin/umount").arg(path))).fold(Ok(()), Result::and)
}

/// Builds an image of one program in a directory: a few milliseconds to build, a megabyte to import.
///
/// # Errors
/// When something cannot be written, or busybox is missing.
pub fn build_image(dir: &Path) -> io::Result<PathBuf> {
    let root = dir.join("rootfs");
    for below in ["bin", "sbin", "etc", "proc", "sys", "dev", "tmp", "root", "run", "srv"] {
        fs::create_dir_all(root.join(below))?;
    }
    fs::copy(BUSYBOX, root.join("bin/busybox"))?;
    for applet in ["sh", "ls", "cat", "rm", "sleep", "passwd", "hostname", "poweroff", "true", "id", "dd", "chmod"] {
        symlink("busybox", root.join("bin").join(applet))?;
    }
    symlink("../bin/busybox", root.join("sbin/init"))?;
    for (path, mode, text) in [
        ("etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\n"),
        ("etc/shadow", 0o600, "root:!:19000:0:99999:7:::\n"),
        ("etc/group", 0o644, "root:x:0:\n"),
        ("etc/inittab", 0o644, "::respawn:/bin/sleep 86400\n"),
        // Debian builds busybox without chpasswd; this one takes what chpasswd does, for one line.
        (
            "bin/chpasswd",
            0o755,
            "#!/bin/sh\nIFS=: read -r user new\nprintf '%s\\n%s\\n' \"$new\" \"$new\" | passwd -a sha512 \"$user\"\n",
        ),
    ] {
        fs::write(root.join(path), text)?;
        fs::set_permissions(root.join(path), fs::Permissions::from_mode(mode))?;
    }
    let metadata = format!("architecture: {}\ncreation_date: 1700000000\n", env::consts::ARCH);
    fs::write(dir.join("metadata.yaml"), metadata)?;
    pack(dir, &dir.with_extension("tar.gz"), "-czf")
}

/// Packs an image that was built in a directory, by these options of `tar`.
///
/// # Errors
/// When `tar` fails.
pub fn pack(dir: &Path, image: &Path, how: &str) -> io::Result<PathBuf> {
    run(Command::new("tar").arg("-C").arg(dir).arg(how).arg(image).args(["metadata.yaml", "rootfs"]))?;
    Ok(image.to_owned())
}
