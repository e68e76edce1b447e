//! Real servers of one's own on this machine, for `berth dev` and for the drivers' tests: what they need, which files they
//! read, and how each daemon is called. Whoever uses this starts them, and ends what they started.

use std::{io, path::Path, process::Command};

pub mod incus;
pub mod linux;

/// Runs a command to its end.
fn run(command: &mut Command) -> io::Result<()> {
    let program = Path::new(command.get_program()).display().to_string();
    let output = command.stdin(std::process::Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(io::Error::other(format!("{program} ended with {}: {said}", output.status)))
}
