//! `berth config`: whether the settings can be used, and which are in force.

use std::{path::PathBuf, process::ExitCode};

use clap::{Subcommand, ValueEnum};

use super::{
    output::{print, say},
    settings,
};
use crate::{
    app::catalogue_of,
    config::{Config, Role},
    secrets::SecretKeys,
};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Check that the settings can be used, and say which commands they are enough for.
    #[command(before_help = "Examples:\n  berth config check\n  berth config check --for up\n")]
    #[command(after_help = "Exits 2 when a setting is wrong, or when one is missing that --for needs.")]
    Check {
        /// Fail unless this command has all its settings.
        #[arg(long = "for", value_name = "COMMAND")]
        command: Option<Needs>,
    },
    /// Print what is in force, with each value's origin; secrets are redacted.
    #[command(before_help = "Examples:\n  berth config print\n")]
    Print,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Needs {
    Up,
    Serve,
    Work,
    Migrate,
}

impl Needs {
    const fn role(self) -> Role {
        match self {
            Self::Up => Role::Up,
            Self::Serve => Role::Serve,
            Self::Work => Role::Work,
            Self::Migrate => Role::Migrate,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Serve => "serve",
            Self::Work => "work",
            Self::Migrate => "migrate",
        }
    }
}

pub(super) fn run(file: Option<PathBuf>, command: ConfigCommand) -> anyhow::Result<ExitCode> {
    let config = settings::load(file)?;
    match command {
        ConfigCommand::Print => print(&config.redacted())?,
        ConfigCommand::Check { command } => {
            check_values(&config)?;
            if let Some(needs) = command {
                config.require_for(needs.role())?;
            }
            print("the settings can be used")?;
            for needs in Needs::value_variants() {
                match config.require_for(needs.role()) {
                    Ok(()) => print(&format!("berth {:8} has all it needs", needs.name()))?,
                    Err(error) => say(&error.to_string()),
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// What only the part that uses a value can judge.
fn check_values(config: &Config) -> anyhow::Result<()> {
    catalogue_of(config)?;
    if let Some(key) = &config.secrets.key {
        SecretKeys::parse(key).map_err(|error| anyhow::Error::new(error).context("secrets.key cannot be used"))?;
    }
    Ok(())
}
