//! Where passwords are not.

use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use secrecy::ExposeSecret as _;

use super::{machine::Machine, *};

/// The files below a directory that hold a text, in whatever encoding keeps its bytes.
fn holders(dir: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().filter_map(Result::ok) {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(holders(&path, text));
        } else if kind.is_file() && contains(&fs::read(&path).unwrap_or_default(), text) {
            found.push(path.display().to_string());
        }
    }
    found
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// The processes whose arguments or environment hold a text.
fn tellers(text: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").unwrap().filter_map(Result::ok).map(|entry| entry.path());
    let tells = |path: &std::path::PathBuf| {
        ["cmdline", "environ"].iter().any(|file| contains(&fs::read(path.join(file)).unwrap_or_default(), text))
    };
    processes.filter(tells).map(|path| fs::read_to_string(path.join("comm")).unwrap_or_default()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_kept_in_no_file_and_told_to_no_process_list() {
    let Some(machine) = Machine::start() else { return };
    let panel = machine.panel();
    let mut wanted = spec("secretive");
    wanted.package = "wordpress".to_owned();
    let password = wanted.password.expose_secret();
    let is_over = AtomicBool::new(false);

    let told = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut told = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                told.extend(tellers(password));
            }
            told
        });
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                at_once(panel.ensure_created(&wanted).await);
                at_once(panel.set_password(&wanted.account, &wanted.password).await);
                panel.ensure_backup(&wanted.account, &BackupRef::new(wanted.account.account_id, 1)).await.unwrap();
            });
        });
        is_over.store(true, Ordering::Relaxed);
        watch.join().unwrap()
    });

    let mut teller = std::process::Command::new("/bin/sleep").arg("60").env("TOLD", "a planted text").spawn().unwrap();
    // It is there a moment before it has been given its environment.
    let deadline = Instant::now() + Duration::from_secs(10);
    let planted = loop {
        let found = tellers("a planted text");
        if !found.is_empty() || Instant::now() > deadline {
            break found;
        }
    };
    teller.kill().unwrap();
    teller.wait().unwrap();

    assert_eq!(planted.len(), 1, "what is told is found");
    assert_eq!(told, Vec::<String>::new());
    assert_eq!(holders(&machine.path(""), password), Vec::<String>::new());
    let ini = fs::read_to_string(machine.home("secretive").join("database.ini")).unwrap();
    let database = ini.lines().find_map(|line| line.strip_prefix("password=")).unwrap();
    let holders = holders(&machine.path("state"), database);
    assert_eq!(holders, Vec::<String>::new(), "the database's password is the customer's, and in their home only");
}
