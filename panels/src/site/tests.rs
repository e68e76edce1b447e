//! The site panel: the conformance list, and what a killed process or a stranger may have left.

use std::{
    collections::BTreeMap,
    env, fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, SystemTime},
};

use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::conformance::{Server, at_once, conformance, created, spec};

fn panel() -> (TempDir, SitePanel) {
    let dir = TempDir::new().unwrap();
    let panel = open(dir.path());
    (dir, panel)
}

/// Another process' panel over the same directory.
fn open(sites_dir: &Path) -> SitePanel {
    with_url(sites_dir, "http://{username}.localhost:8080/")
}

/// Sites and backups in one directory: no account can have a name with a dot.
fn with_url(sites_dir: &Path, url: &str) -> SitePanel {
    let (sites_dir, backups_dir) = (sites_dir.to_owned(), sites_dir.join(".backups"));
    SitePanel::new(SiteConfig { sites_dir, backups_dir, url: url.to_owned() })
}

fn creates_of(sites_dir: &Path, account: AccountId) -> u64 {
    creates::count_by_account(sites_dir).unwrap().get(&account).copied().unwrap_or(0)
}

fn entries(dir: PathBuf) -> Vec<String> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Makes a file or directory look as if it had last been touched that long ago.
fn age(path: &Path, by: Duration) {
    #[expect(clippy::disallowed_methods, reason = "a file's age is real time")]
    let then = SystemTime::now() - by;
    fs::File::open(path).unwrap().set_modified(then).unwrap();
}

/// The directory of all sites.
struct Sites(PathBuf);

impl Server for Sites {
    fn driver(&self) -> &'static str {
        "site"
    }

    fn creates_of(&self, account: &AccountRef) -> u64 {
        creates_of(&self.0, account.account_id)
    }

    fn write(&self, username: &str, path: &str, text: &str) {
        let path = self.0.join(username).join(PUBLIC_HTML).join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn files(&self, username: &str) -> BTreeMap<String, String> {
        let mut files = texts(&self.0.join(username).join(PUBLIC_HTML));
        files.remove("index.html");
        files
    }
}

/// The texts of a directory's files, by their paths below it.
fn texts(top: &Path) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    for entry in fs::read_dir(top).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            let below = self::texts(&entry.path());
            texts.extend(below.into_iter().map(|(path, text)| (format!("{name}/{path}"), text)));
        } else {
            texts.insert(name, fs::read_to_string(entry.path()).unwrap());
        }
    }
    texts
}

#[tokio::test(flavor = "multi_thread")]
async fn the_site_panel_conforms() {
    let (dir, panel) = panel();

    conformance(&panel, &Sites(dir.path().to_owned())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_processes_that_create_one_account_make_one() {
    let dir = TempDir::new().unwrap();
    let wanted = spec("tenprocs");
    let panels: Vec<_> = (0..10).map(|_| open(dir.path())).collect();

    let answers = futures::future::join_all(panels.iter().map(|panel| panel.ensure_created(&wanted))).await;

    let made = answers.into_iter().map(at_once).filter(|created| !created.adopted).count();
    assert_eq!(made, 1);
    assert_eq!(creates_of(dir.path(), wanted.account.account_id), 1);
}

#[tokio::test]
async fn a_new_site_has_a_page_with_its_name_and_a_url() {
    let (dir, panel) = panel();
    let mut wanted = spec("alice");
    wanted.account.domain = Some("alice.example".to_owned());

    let created = at_once(panel.ensure_created(&wanted).await);

    let page = fs::read_to_string(dir.path().join("alice/public_html/index.html")).unwrap();
    assert!(page.contains("<h1>alice.example</h1>"));
    assert_eq!(created.site_url.as_deref(), Some("http://alice.localhost:8080/"));
    assert!(entries(dir.path().join(".tmp")).is_empty());
}

#[tokio::test]
async fn the_password_is_kept_nowhere() {
    let (dir, panel) = panel();
    let (wanted, _) = created(&panel, "secretive").await;

    let record = fs::read_to_string(dir.path().join("secretive/account.json")).unwrap();
    let log = fs::read_to_string(dir.path().join(".log/creates.jsonl")).unwrap();

    let password = secrecy::ExposeSecret::expose_secret(&wanted.password);
    assert!(!record.contains(password) && !log.contains(password));
    assert!(!panel.caps().passwords);
}

#[tokio::test]
async fn usernames_that_could_leave_the_directory_are_refused() {
    let (dir, panel) = panel();

    for username in
        ["../alice", "..", ".", "", "ab", "Alice", "1alice", "al/ice", "al.ice", "al-ice", "alïce", "a2345678901234567"]
    {
        let refused = panel.ensure_created(&spec(username)).await.unwrap_err();

        assert!(matches!(refused, PanelError::Permanent(_)), "{username}: {refused:?}");
    }
    assert!(entries(dir.path().to_owned()).is_empty());
}

#[tokio::test]
async fn a_link_or_a_bare_directory_under_the_name_is_somebody_elses() {
    let (dir, panel) = panel();
    let elsewhere = TempDir::new().unwrap();
    let (owned, _) = created(&open(elsewhere.path()), "linked").await;
    symlink(elsewhere.path().join("linked"), dir.path().join("linked")).unwrap();
    fs::create_dir(dir.path().join("bare")).unwrap();
    fs::write(dir.path().join("plain"), "").unwrap();
    symlink("/nowhere/at/all", dir.path().join("dangling")).unwrap();

    for username in ["linked", "bare", "plain", "dangling"] {
        let mut wanted = spec(username);
        wanted.account.account_id = owned.account.account_id;

        assert_eq!(panel.observe(&wanted.account).await.unwrap(), Observed::Foreign, "{username}");
        let refused = panel.ensure_created(&wanted).await.unwrap_err();
        assert!(matches!(refused, PanelError::NameTaken(_)), "{username}: {refused:?}");
        panel.ensure_absent(&wanted.account).await.unwrap_err();
    }
    assert!(elsewhere.path().join("linked/public_html/index.html").exists());
}

#[tokio::test]
async fn a_create_killed_while_staging_leaves_nothing_and_is_repeated() {
    let (dir, panel) = panel();
    let wanted = spec("halfway");
    let half = dir.path().join(".tmp/halfway.0");
    fs::create_dir_all(half.join("public_html")).unwrap();
    fs::write(half.join("account.json"), "{\"account_id\":").unwrap();

    assert_eq!(panel.observe(&wanted.account).await.unwrap(), Observed::Absent);
    let created = at_once(panel.ensure_created(&wanted).await);

    assert!(!created.adopted);
    assert!(half.exists(), "it is young: somebody may be at work on it");
    assert_eq!(creates_of(dir.path(), wanted.account.account_id), 1);
}

#[tokio::test]
async fn old_leftovers_are_swept_and_young_ones_are_not() {
    let (dir, panel) = panel();
    for part in [".tmp", ".trash"] {
        for name in ["old", "young"] {
            fs::create_dir_all(dir.path().join(part).join(name).join("public_html")).unwrap();
        }
        age(&dir.path().join(part).join("old"), Duration::from_secs(2 * 60 * 60));
    }

    panel.probe().await.unwrap();

    for part in [".tmp", ".trash"] {
        assert_eq!(entries(dir.path().join(part)), ["young"]);
    }
}

/// The two moments at which a process can die between putting the account in place and being done with it.
#[tokio::test]
async fn a_create_killed_before_or_after_its_log_line_is_logged_once() {
    for line_was_written in [false, true] {
        let (dir, panel) = panel();
        let (wanted, _) = created(&panel, "unlogged").await;
        fs::write(dir.path().join("unlogged/.unlogged"), "").unwrap();
        if !line_was_written {
            fs::write(dir.path().join(".log/creates.jsonl"), "").unwrap();
        }

        let again = at_once(open(dir.path()).ensure_created(&wanted).await);

        assert!(again.adopted);
        assert_eq!(creates_of(dir.path(), wanted.account.account_id), 1, "line written: {line_was_written}");
        assert!(!dir.path().join("unlogged/.unlogged").exists());
    }
}

#[tokio::test]
async fn a_torn_last_line_of_the_log_spoils_no_other() {
    let (dir, panel) = panel();
    let (first, _) = created(&panel, "first").await;
    let log = dir.path().join(".log/creates.jsonl");
    fs::write(&log, fs::read_to_string(&log).unwrap() + "{\"create_id\":\"01").unwrap();

    let (second, _) = created(&panel, "second").await;

    assert_eq!(creates_of(dir.path(), first.account.account_id), 1);
    assert_eq!(creates_of(dir.path(), second.account.account_id), 1);
}

#[tokio::test]
async fn an_account_without_its_files_is_partial_and_is_completed() {
    let (dir, panel) = panel();
    let (wanted, _) = created(&panel, "partial").await;
    fs::remove_dir_all(dir.path().join("partial/public_html")).unwrap();

    let seen = panel.observe(&wanted.account).await.unwrap();
    let again = at_once(panel.ensure_created(&wanted).await);

    assert_eq!(seen, Observed::Partial { missing: vec!["public_html".to_owned()] });
    assert!(again.adopted);
    assert!(dir.path().join("partial/public_html/index.html").exists());
    assert_eq!(creates_of(dir.path(), wanted.account.account_id), 1);
}

#[tokio::test]
async fn a_removal_killed_before_deleting_is_finished_by_the_next() {
    let (dir, panel) = panel();
    let (wanted, _) = created(&panel, "removed").await;
    let trash = dir.path().join(format!(".trash/removed.{}.0", wanted.account.account_id));
    fs::rename(dir.path().join("removed"), &trash).unwrap();

    at_once(panel.ensure_absent(&wanted.account).await);

    assert!(!trash.exists());
}

#[tokio::test]
async fn a_removal_follows_no_link_out_of_the_account() {
    let (dir, panel) = panel();
    let (wanted, _) = created(&panel, "outward").await;
    let elsewhere = TempDir::new().unwrap();
    fs::write(elsewhere.path().join("precious"), "").unwrap();
    symlink(elsewhere.path(), dir.path().join("outward/public_html/out")).unwrap();

    at_once(panel.ensure_absent(&wanted.account).await);

    assert!(elsewhere.path().join("precious").exists());
    assert!(entries(dir.path().join(".trash")).is_empty());
}

#[tokio::test]
async fn a_suspension_made_by_somebody_else_is_not_lifted() {
    let (dir, panel) = panel();
    let (wanted, _) = created(&panel, "theirs").await;
    at_once(panel.ensure_suspended(&wanted.account, "payment_overdue").await);
    let file = dir.path().join("theirs/account.json");
    fs::write(&file, fs::read_to_string(&file).unwrap().replace("\"berth\"", "\"operator\"")).unwrap();

    let refused = panel.ensure_active(&wanted.account).await.unwrap_err();
    at_once(panel.ensure_suspended(&wanted.account, "non_payment").await);

    assert!(matches!(refused, PanelError::Permanent(_)), "{refused:?}");
    let Observed::Present { state: RemoteState::Suspended { ours, .. }, .. } =
        panel.observe(&wanted.account).await.unwrap()
    else {
        panic!("it is not suspended")
    };
    assert!(!ours, "suspending it as well does not make it ours");
}

#[tokio::test]
async fn an_account_file_that_is_damaged_is_for_staff_to_look_at() {
    let (dir, panel) = panel();
    let (wanted, _) = created(&panel, "damaged").await;

    for damage in ["", "{", "{}"] {
        fs::write(dir.path().join("damaged/account.json"), damage).unwrap();
        let refused = panel.ensure_created(&wanted).await.unwrap_err();

        assert!(matches!(refused, PanelError::Permanent(_)), "{damage:?}: {refused:?}");
    }
}

#[tokio::test]
async fn usage_counts_files_and_not_what_links_lead_to() {
    let (dir, panel) = panel();
    let (wanted, _) = created(&panel, "usage").await;
    let files = dir.path().join("usage/public_html");
    fs::write(files.join("index.html"), vec![b'x'; 1000]).unwrap();
    fs::create_dir(files.join("sub")).unwrap();
    fs::write(files.join("sub/a"), vec![b'x'; 24]).unwrap();
    symlink("/", files.join("sub/root")).unwrap();

    let usage = panel.usage(&wanted.account).await.unwrap();

    assert_eq!(usage.inodes, Some(4));
    assert_eq!(usage.disk_bytes, 1024 + 1, "the link itself is one byte: its target's name");
}

#[tokio::test]
async fn a_sites_directory_that_cannot_be_made_is_a_wrong_configuration() {
    let dir = TempDir::new().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let panel = open(&dir.path().join("file/sites"));

    for refused in [panel.probe().await.unwrap_err(), panel.ensure_created(&spec("nowhere")).await.unwrap_err()] {
        assert!(matches!(refused, PanelError::Misconfigured(_)), "{refused:?}");
        assert!(std::error::Error::source(&refused).is_some());
    }
}

#[tokio::test]
async fn a_url_without_a_place_for_the_name_is_a_wrong_configuration() {
    let dir = TempDir::new().unwrap();
    let panel = with_url(dir.path(), "http://localhost/");

    let refused = panel.ensure_created(&spec("alice")).await.unwrap_err();

    assert!(matches!(refused, PanelError::Misconfigured(_)), "{refused:?}");
}

/// Where the process that is to be killed makes its accounts.
const VICTIM_DIR: &str = "BERTH_TEST_SITES_DIR";
const KILLS: u64 = 12;
/// How long a start of the victim may take on a busy machine.
const VICTIM_TRIES: usize = 2_000;

/// The `n`th account of the victim, the same in every process.
fn nth(n: u64) -> CreateSpec {
    let mut spec = spec(&format!("victim{n}"));
    spec.account.account_id = AccountId(Uuid::from_u128(n.into()));
    spec
}

/// Not a test: the process that `accounts_are_whole_whenever_the_process_is_killed` starts and kills.
#[tokio::test]
#[ignore = "runs until it is killed"]
async fn victim() {
    let Some(dir) = env::var_os(VICTIM_DIR) else { return };
    let panel = open(Path::new(&dir));
    for n in 0..100_000 {
        at_once(panel.ensure_created(&nth(n)).await);
        at_once(panel.ensure_suspended(&nth(n).account, "killed").await);
    }
}

#[tokio::test]
async fn accounts_are_whole_whenever_the_process_is_killed() {
    let dir = TempDir::new().unwrap();
    let panel = open(dir.path());
    let mut reached = 0;

    for kill in 0..KILLS {
        let mut victim = Command::new(env::current_exe().unwrap())
            .args(["--exact", "site::tests::victim", "--ignored"])
            .env(VICTIM_DIR, dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let began = dir.path().join(format!("victim{}", reached + 2 + kill % 3));
        let started = (0..VICTIM_TRIES).any(|_| {
            thread::sleep(Duration::from_millis(5));
            began.exists()
        });
        victim.kill().unwrap();
        victim.wait().unwrap();
        assert!(started, "the victim made no accounts");
        while dir.path().join(format!("victim{reached}")).exists() {
            let seen = panel.observe(&nth(reached).account).await.unwrap();
            assert!(matches!(seen, Observed::Present { .. }), "{reached}: {seen:?}");
            reached += 1;
        }
    }
    for n in 0..=reached {
        at_once(panel.ensure_created(&nth(n)).await);
    }

    let counts = creates::count_by_account(dir.path()).unwrap();
    let expected = (0..=reached).map(|n| (AccountId(Uuid::from_u128(n.into())), 1)).collect();
    assert_eq!(counts, expected);
}
