//! Makes the files of a new PostgreSQL: one superuser, password only, UTF-8.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::timeout;

use super::super::find::Installation;
use super::super::home::{Home, remove_if_there};
use super::super::{ServerError, failed_to};
use super::{OWNER, did_not_start};

/// `initdb` writes some 40 MB.
const INITDB_WITHIN: Duration = Duration::from_secs(120);

/// Runs `initdb` into a folder beside the final one, so that a killed `initdb` leaves nothing that looks like data.
pub(super) async fn make_data(installation: &Installation, home: &Home, sync: bool) -> Result<(), ServerError> {
    let partial = home.directory().join("data.partial");
    // macOS and old distributions have no C.UTF-8; C sorts the same.
    for locale in ["C.UTF-8", "C"] {
        remove_if_there(&partial)?;
        let mut command = Command::new(installation.sibling("initdb"));
        command
            .arg("-D")
            .arg(&partial)
            .arg("--pwfile")
            .arg(home.password_file())
            .args(["-U", OWNER, "-A", "scram-sha-256", "-E", "UTF8", "--no-instructions", "--locale", locale])
            .args((!sync).then_some("--no-sync"));
        if succeeds(command, home).await? {
            return fs::rename(&partial, home.data()).map_err(failed_to("rename", &partial));
        }
    }
    Err(did_not_start(home))
}

async fn succeeds(mut command: Command, home: &Home) -> Result<bool, ServerError> {
    let program = Path::new(command.get_program()).to_owned();
    let log = home.open_log()?;
    let same_log = log.try_clone().map_err(failed_to("open", &home.log()))?;
    command.current_dir(home.directory()).stdin(Stdio::null()).stdout(log).stderr(same_log);
    if let Some(user) = home.run_as() {
        user.apply(&mut command);
    }
    let mut command = tokio::process::Command::from(command);
    let mut child = command.kill_on_drop(true).spawn().map_err(failed_to("run", &program))?;
    match timeout(INITDB_WITHIN, child.wait()).await {
        Ok(status) => Ok(status.map_err(failed_to("wait for", &program))?.success()),
        Err(_) => Err(did_not_start(home)),
    }
}
