//! `berth completions` and `berth man`: what shells and `man` know of the command line, from its own definition.

use std::{
    fs,
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Context as _;
use clap_complete::Shell;

use super::{command, output::print};

#[derive(Debug, clap::Args)]
pub(super) struct CompletionsArgs {
    /// For which shell.
    shell: Shell,
}

#[derive(Debug, clap::Args)]
pub(super) struct ManArgs {
    /// Write the page of every command into this directory, as packages do. Without it, the page of `berth` alone is printed.
    #[arg(long, value_name = "DIRECTORY")]
    into: Option<PathBuf>,
}

/// Prints what the shell reads.
pub(super) fn completions(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "berth", &mut script);
    out(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// Prints or writes the pages of the manual.
pub(super) fn man(args: &ManArgs) -> anyhow::Result<ExitCode> {
    match &args.into {
        None => out(&page(command())?)?,
        Some(folder) => {
            let pages = pages(folder)?;
            print(&format!("{pages} pages in {}", folder.display()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `berth.1`, and `berth-…-….1` for each command beneath it that is shown. Answers how many.
fn pages(folder: &Path) -> anyhow::Result<usize> {
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let mut whole = command();
    whole.build();
    let mut waiting = vec![("berth".to_owned(), whole)];
    let mut written = 0;
    while let Some((name, of)) = waiting.pop() {
        let below = of.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help");
        waiting.extend(below.map(|below| (format!("{name}-{}", below.get_name()), below.clone())));
        let path = folder.join(format!("{name}.1"));
        fs::write(&path, page(of.display_name(name))?)
            .with_context(|| format!("{} cannot be written", path.display()))?;
        written += 1;
    }
    Ok(written)
}

fn page(of: clap::Command) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    clap_mangen::Man::new(of).render(&mut text)?;
    Ok(text)
}

/// Writes to standard output; a reader that has gone away is no failure.
fn out(text: &[u8]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shown_command_has_its_page_and_no_hidden_one() {
        let folder = tempfile::tempdir().unwrap();

        let written = pages(folder.path()).unwrap();

        let there = |name: &str| folder.path().join(name).is_file();
        assert!(written > 20, "{written}");
        assert!(there("berth.1") && there("berth-doctor.1") && there("berth-stripe-sync-webhook.1"));
        assert!(!there("berth-stripe-sim.1"));
        let doctor = fs::read_to_string(folder.path().join("berth-doctor.1")).unwrap();
        assert!(doctor.contains("offline"), "{doctor}");
    }

    #[test]
    fn each_shell_is_told_of_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut script = Vec::new();

            clap_complete::generate(shell, &mut command(), "berth", &mut script);

            let script = String::from_utf8(script).unwrap();
            assert!(script.contains("doctor") && script.contains("offline"), "{shell}");
        }
    }
}
