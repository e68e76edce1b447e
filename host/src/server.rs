//! What must be there before an account is made.

use berth_host::protocol::Class;
use nix::sys::statvfs::statvfs;

use crate::{
    config::Config,
    daemons::Daemon,
    databases::Databases,
    failure::{Failure, OrFail as _},
    users,
};

/// Shows that everything is there that an account needs.
pub(crate) fn check(config: &Config) -> Result<(), Failure> {
    users::check_group(config)?;
    users::web_gid(config)?;
    Daemon::nginx(config).process()?;
    Daemon::php(config).process()?;
    Databases::new(config).check()?;
    let directories = [&config.homes, &config.nginx.vhosts, &config.php.pools, &config.php.sockets];
    match directories.into_iter().chain(&config.wordpress).find(|dir| !dir.is_dir()) {
        Some(dir) => Err(Failure::misconfigured(format!("there is no directory {}", dir.display()))),
        None => Ok(()),
    }
}

/// Refuses accounts beyond what the disk holds, while they can be placed elsewhere.
pub(crate) fn check_room(config: &Config) -> Result<(), Failure> {
    let disk = statvfs(&config.homes).or_fail("the homes' file system could not be looked at")?;
    let free_mb = disk.blocks_available().saturating_mul(disk.fragment_size()) / (1024 * 1024);
    if free_mb < config.min_free_mb {
        return Err(Failure::new(Class::Capacity, format!("only {free_mb} MB are free for homes")));
    }
    Ok(())
}
