//! `berth chaos`, as a newcomer runs it: what it counts, and that nothing of it is left when it ends or is stopped.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Stdio, time::Duration};

use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::{sleep, timeout},
};

use super::support::process::signal_to;

const STRIKES: usize = 10;
/// A stopped run needs a moment to end its servers.
const STOPPED_WITHIN: Duration = Duration::from_secs(30);

/// Its own temporary folder, which the user that PostgreSQL runs as may pass through.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
    folder
}

fn chaos(folder: &Path, arguments: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_berth"))
        .arg("chaos")
        .args(arguments)
        .env("TMPDIR", folder)
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// The processes whose command line names a folder.
fn processes_in(folder: &Path) -> Vec<String> {
    let folder = folder.to_string_lossy();
    let lines = fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| line.contains(&*folder)).collect()
}

async fn until_nothing_runs_in(folder: &Path) {
    let nothing = async {
        while !processes_in(folder).is_empty() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let ended = timeout(STOPPED_WITHIN, nothing).await;
    assert!(ended.is_ok(), "left running: {:#?}", processes_in(folder));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_run_does_everything_once_and_finds_nothing_lost_and_nothing_double() {
    let folder = folder();

    let ran = chaos(folder.path(), &["--seconds", "8", "--seed", "1", "--json"]).wait_with_output().await.unwrap();

    let (said, told) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{said}\n{told}");
    let report: Value = serde_json::from_str(&said).unwrap();
    let done = report["done"].as_array().unwrap();
    let times = |what: &str| done.iter().find(|done| done[1] == what).unwrap()[0].as_u64().unwrap();
    let strikes = done
        .iter()
        .filter(|done| done[1].as_str().unwrap().contains("imes ") || done[1] == "workers stopped past their lease");
    assert!(times("purchases paid") >= 20, "{said}");
    assert!(times("times an event was posted") > times("events of Stripe's") * 2, "{said}");
    assert!(strikes.clone().count() >= STRIKES, "{said}");
    assert!(strikes.clone().all(|strike| strike[0].as_u64().unwrap() >= 1), "{said}");
    assert!(!report["settled_after"].is_null(), "{said}");
    assert!(report["questions"].as_array().unwrap().len() >= 8, "{said}");
    assert!(report["kept"].is_null(), "{said}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "its folder is removed");
    until_nothing_runs_in(folder.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_stopped_or_killed_leaves_nothing_running() {
    for (signal, code) in [(Signal::SIGINT, Some(130)), (Signal::SIGKILL, None)] {
        let folder = folder();
        let mut run = chaos(folder.path(), &["--seconds", "60"]);
        let mut told = BufReader::new(run.stderr.take().unwrap()).lines();
        while !told.next_line().await.unwrap().expect("it tells when it begins").contains("strikes, seed") {}
        assert!(processes_in(folder.path()).len() >= 6, "the servers, and Berth's processes");

        signal_to(run.id().unwrap(), signal);

        let ended = timeout(STOPPED_WITHIN, run.wait()).await.expect("it ends").unwrap();
        assert_eq!(ended.code(), code, "{signal}");
        until_nothing_runs_in(folder.path()).await;
    }
}
