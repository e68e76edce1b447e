//! The settings of a command: the operator's, or those of the `berth dev` that runs in this directory.

use std::path::{Path, PathBuf};

use crate::{
    config::{Config, LoadOptions},
    dev::run::{HOME, RunningDev},
    telemetry,
};

use super::output::say;

/// What commands that run once log: their result and their error are what matters.
const QUIET: &str = "warn";

/// The operator's settings.
///
/// # Errors
/// When they cannot be used.
pub(super) fn load(file: Option<PathBuf>) -> anyhow::Result<Config> {
    Ok(Config::load(LoadOptions::of_process(file))?)
}

/// The operator's settings; where they name no database, those of the `berth dev` that runs in this directory.
///
/// # Errors
/// When they cannot be used.
pub(super) fn load_or_dev(file: Option<PathBuf>) -> anyhow::Result<Config> {
    let config = load(file.clone())?;
    if config.database.url.is_some() {
        return Ok(config);
    }
    let Some(running) = RunningDev::find(Path::new(HOME))? else { return Ok(config) };
    say(&format!("berth: using the `berth dev` that runs here (process {})", running.pid));
    running.config(file)
}

/// For the child of a worker that runs one job: it is the parent's settings that count.
///
/// # Errors
/// When they cannot be used.
pub(super) fn load_of_parent(file: Option<PathBuf>) -> anyhow::Result<Config> {
    let parent = u32::try_from(nix::unistd::getppid().as_raw()).ok();
    match RunningDev::find(Path::new(HOME))?.filter(|running| Some(running.pid) == parent) {
        Some(running) => running.config(file),
        None => load(file),
    }
}

/// Begins logging for a process that stays.
///
/// # Errors
/// When `log.level` cannot be read.
pub(super) fn log(config: &Config) -> anyhow::Result<()> {
    Ok(telemetry::init(config.log.format, &config.log.level)?)
}

/// Begins logging for a command that runs once: warnings only.
///
/// # Errors
/// Never for this level.
pub(super) fn log_quietly(config: &Config) -> anyhow::Result<()> {
    Ok(telemetry::init(config.log.format, QUIET)?)
}
