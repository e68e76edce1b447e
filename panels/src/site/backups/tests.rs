//! The site panel's backups: what a killed process, a full disk or a stranger may have left, and who may look at them.

use std::{
    env,
    os::unix::fs::{PermissionsExt as _, symlink},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use berth_jobs::ids::AccountId;
use tempfile::TempDir;
use uuid::Uuid;

use super::*;
use crate::{
    AccountRef, CreateSpec, Observed, Panel as _,
    conformance::{at_once, created, spec},
    site::{SiteConfig, SitePanel},
};

/// Sites and backups side by side.
struct World {
    dir: TempDir,
    panel: SitePanel,
}

fn world() -> World {
    let dir = TempDir::new().unwrap();
    let panel = open(dir.path());
    World { dir, panel }
}

fn open(dir: &Path) -> SitePanel {
    let (sites_dir, backups_dir) = (dir.join("sites"), dir.join("backups"));
    SitePanel::new(SiteConfig { sites_dir, backups_dir, url: "http://{username}.localhost/".to_owned() })
}

impl World {
    fn site(&self, name: &str) -> PathBuf {
        self.dir.path().join("sites").join(name).join("public_html")
    }

    fn kept(&self, backup: &BackupRef) -> PathBuf {
        self.dir.path().join("backups").join(backup.to_string())
    }

    fn unfinished(&self) -> PathBuf {
        self.dir.path().join("backups/.unfinished")
    }

    /// An account with one page, and the name of a backup of it.
    async fn account(&self, name: &str, page: &str) -> (AccountRef, BackupRef) {
        let (spec, _) = created(&self.panel, name).await;
        fs::write(self.site(name).join("page"), page).unwrap();
        let backup = BackupRef::new(spec.account.account_id, 7);
        (spec.account, backup)
    }

    async fn restored_page(&self, account: &AccountRef, backup: &BackupRef) -> String {
        at_once(self.panel.ensure_restored(account, backup).await);
        fs::read_to_string(self.site(&account.username).join("page")).unwrap()
    }
}

fn mode_of(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn entries(dir: &Path) -> usize {
    fs::read_dir(dir).unwrap().count()
}

#[tokio::test]
async fn backups_are_for_nobody_but_berth() {
    let world = world();
    let (account, backup) = world.account("private", "text").await;

    at_once(world.panel.ensure_backup(&account, &backup).await);

    let (root, kept) = (world.dir.path().join("backups"), world.kept(&backup));
    for dir in [&root, &kept, &world.unfinished()] {
        assert_eq!(mode_of(dir), 0o700, "{}", dir.display());
    }
    for file in [ARCHIVE, MANIFEST] {
        assert_eq!(mode_of(&kept.join(file)), 0o600, "{file}");
    }
    assert_eq!(entries(&world.unfinished()), 0);
}

#[tokio::test]
async fn an_operators_own_tar_reads_a_backup() {
    let world = world();
    let (account, backup) = world.account("tarred", "text").await;
    at_once(world.panel.ensure_backup(&account, &backup).await);

    let listed = Command::new("tar").arg("tzf").arg(world.kept(&backup).join(ARCHIVE)).output().unwrap();

    assert!(listed.status.success());
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert_eq!(listed, "public_html/\npublic_html/index.html\npublic_html/page\n");
}

#[tokio::test]
async fn what_a_dead_process_left_half_written_is_replaced() {
    let world = world();
    let (account, backup) = world.account("halfway", "text").await;
    let half = world.unfinished().join(backup.to_string());
    fs::create_dir_all(&half).unwrap();
    fs::write(half.join(ARCHIVE), "half of").unwrap();

    at_once(world.panel.ensure_backup(&account, &backup).await);

    assert_eq!(entries(&world.unfinished()), 0);
    assert_eq!(world.restored_page(&account, &backup).await, "text");
}

/// How a backup can be damaged after it was made.
fn damage(kept: &Path, how: &str) {
    let archive = kept.join(ARCHIVE);
    let mut bytes = fs::read(&archive).unwrap();
    match how {
        "no manifest" => fs::remove_file(kept.join(MANIFEST)).unwrap(),
        "no archive" => fs::remove_file(archive).unwrap(),
        "manifest cut off" => fs::write(kept.join(MANIFEST), "{\"backup\":").unwrap(),
        "archive cut off" => fs::write(archive, &bytes[..bytes.len() - 1]).unwrap(),
        "one bit" => {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(archive, bytes).unwrap();
        }
        "a file" => {
            fs::remove_dir_all(kept).unwrap();
            fs::write(kept, "").unwrap();
        }
        "archive is a link" => {
            fs::rename(&archive, kept.join("moved")).unwrap();
            symlink("moved", archive).unwrap();
        }
        other => panic!("{other}"),
    }
}

const DAMAGES: [&str; 7] =
    ["no manifest", "no archive", "manifest cut off", "archive cut off", "one bit", "a file", "archive is a link"];

#[tokio::test]
async fn a_damaged_backup_is_not_restored_and_is_made_anew_while_that_is_possible() {
    for how in DAMAGES {
        let world = world();
        let (account, backup) = world.account("damaged", "text").await;
        at_once(world.panel.ensure_backup(&account, &backup).await);
        damage(&world.kept(&backup), how);

        let refused = world.panel.ensure_restored(&account, &backup).await.unwrap_err();
        at_once(world.panel.ensure_backup(&account, &backup).await);

        assert!(matches!(refused, PanelError::Permanent(_)), "{how}: {refused:?}");
        assert_eq!(world.restored_page(&account, &backup).await, "text", "{how}");
        assert_eq!(entries(&world.unfinished()), 0);
    }
}

#[tokio::test]
async fn a_damaged_backup_of_an_account_that_is_gone_is_left_for_staff_to_look_at() {
    let world = world();
    let (account, backup) = world.account("gone", "text").await;
    at_once(world.panel.ensure_backup(&account, &backup).await);
    at_once(world.panel.ensure_absent(&account).await);
    damage(&world.kept(&backup), "one bit");

    let refused = world.panel.ensure_backup(&account, &backup).await.unwrap_err();

    assert!(matches!(refused, PanelError::Permanent(_)), "{refused:?}");
    assert!(world.kept(&backup).join(ARCHIVE).exists());
}

#[tokio::test]
async fn deleting_a_backup_deletes_what_is_left_of_it_everywhere() {
    let world = world();
    let (account, backup) = world.account("deleted", "text").await;
    at_once(world.panel.ensure_backup(&account, &backup).await);
    let restoring = world.dir.path().join("sites/.restoring").join(backup.to_string());
    for left in [world.unfinished().join(backup.to_string()), world.unfinished().join(format!("{backup}.gone"))] {
        fs::create_dir_all(left.join("sub")).unwrap();
    }
    fs::create_dir_all(&restoring).unwrap();
    fs::write(restoring.join("page"), "text").unwrap();

    at_once(world.panel.ensure_backup_absent(&backup).await);

    assert!(!world.kept(&backup).exists() && !restoring.exists());
    assert_eq!(entries(&world.unfinished()), 0);
}

#[tokio::test]
async fn a_backup_holds_nothing_from_outside_the_account() {
    let world = world();
    let (account, backup) = world.account("outward", "text").await;
    let secrets = world.dir.path().join("secrets");
    fs::create_dir(&secrets).unwrap();
    fs::write(secrets.join("key"), "SECRET").unwrap();
    symlink(&secrets, world.site("outward").join("dir")).unwrap();
    symlink(secrets.join("key"), world.site("outward").join("file")).unwrap();

    at_once(world.panel.ensure_backup(&account, &backup).await);

    let out = TempDir::new().unwrap();
    archive::unpack(&File::open(world.kept(&backup).join(ARCHIVE)).unwrap(), out.path()).unwrap();
    assert_eq!(fs::read_link(out.path().join("dir")).unwrap(), secrets);
    assert_eq!(fs::read_link(out.path().join("file")).unwrap(), secrets.join("key"));
}

#[tokio::test]
async fn an_account_whose_files_are_a_link_has_an_empty_backup() {
    let world = world();
    let (account, backup) = world.account("linked", "text").await;
    fs::remove_dir_all(world.site("linked")).unwrap();
    symlink("/etc", world.site("linked")).unwrap();

    at_once(world.panel.ensure_backup(&account, &backup).await);
    let out = TempDir::new().unwrap();
    let held = archive::unpack(&File::open(world.kept(&backup).join(ARCHIVE)).unwrap(), out.path()).unwrap();

    assert_eq!(held, Contents::default());
}

/// The two moments at which a process can die while the files are put back.
#[tokio::test]
async fn a_restore_that_was_cut_short_is_finished_by_the_next() {
    for files_were_moved_away in [false, true] {
        let world = world();
        let (account, backup) = world.account("cutshort", "text").await;
        at_once(world.panel.ensure_backup(&account, &backup).await);
        let half = world.dir.path().join("sites/.restoring").join(backup.to_string());
        fs::create_dir_all(&half).unwrap();
        fs::write(half.join("half"), "").unwrap();
        if files_were_moved_away {
            fs::remove_dir_all(world.site("cutshort")).unwrap();
        }

        let page = world.restored_page(&account, &backup).await;

        assert_eq!(page, "text");
        assert!(!world.site("cutshort").join("half").exists() && !half.exists());
        assert_eq!(entries(&world.dir.path().join("sites/.trash")), 0);
    }
}

#[tokio::test]
async fn a_backups_directory_that_cannot_be_made_is_a_wrong_configuration() {
    let world = world();
    let (account, backup) = world.account("nowhere", "text").await;
    fs::write(world.dir.path().join("backups"), "").unwrap();

    for refused in [
        world.panel.ensure_backup(&account, &backup).await.unwrap_err(),
        world.panel.ensure_backup_absent(&backup).await.unwrap_err(),
        world.panel.probe().await.unwrap_err(),
    ] {
        assert!(matches!(refused, PanelError::Misconfigured(_)), "{refused:?}");
    }
}

#[tokio::test]
async fn a_directory_for_sites_and_backups_alike_will_do() {
    let dir = TempDir::new().unwrap();
    let (sites_dir, backups_dir) = (dir.path().to_owned(), dir.path().to_owned());
    let panel = SitePanel::new(SiteConfig { sites_dir, backups_dir, url: "http://{username}.localhost/".to_owned() });
    let (spec, _) = created(&panel, "both").await;
    let backup = BackupRef::new(spec.account.account_id, 7);

    at_once(panel.ensure_backup(&spec.account, &backup).await);
    at_once(panel.ensure_restored(&spec.account, &backup).await);
    at_once(panel.ensure_absent(&spec.account).await);
    at_once(panel.ensure_backup_absent(&backup).await);

    assert_eq!(panel.observe(&spec.account).await.unwrap(), Observed::Absent);
}

/// Where the process that is to be killed ends its accounts.
const VICTIM_DIR: &str = "BERTH_TEST_BACKUPS_DIR";
const KILLS: u64 = 8;
/// How long a start of the victim may take on a busy machine.
const VICTIM_TRIES: usize = 2_000;

/// The `n`th account of the victim, the same in every process.
fn nth(n: u64) -> CreateSpec {
    let mut spec = spec(&format!("victim{n}"));
    spec.account.account_id = AccountId(Uuid::from_u128(n.into()));
    spec
}

/// Not a test: the process that `an_account_or_its_whole_backup_is_there_whenever_the_process_is_killed` starts and kills.
#[tokio::test]
#[ignore = "runs until it is killed"]
async fn victim() {
    let Some(dir) = env::var_os(VICTIM_DIR) else { return };
    let panel = open(Path::new(&dir));
    for n in 0..100_000 {
        let account = nth(n).account;
        at_once(panel.ensure_created(&nth(n)).await);
        fs::write(Path::new(&dir).join(format!("sites/victim{n}/public_html/page")), n.to_string()).unwrap();
        at_once(panel.ensure_backup(&account, &BackupRef::new(account.account_id, 7)).await);
        at_once(panel.ensure_absent(&account).await);
    }
}

#[tokio::test]
async fn an_account_or_its_whole_backup_is_there_whenever_the_process_is_killed() {
    let world = world();
    let mut checked = 0;

    for kill in 0..KILLS {
        // The victim goes through all of them again, the backups that are there included.
        let begun = world.kept(&BackupRef::new(nth(checked + 1 + kill % 3).account.account_id, 7));
        let mut victim = Command::new(env::current_exe().unwrap())
            .args(["--exact", "site::backups::tests::victim", "--ignored"])
            .env(VICTIM_DIR, world.dir.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let started = (0..VICTIM_TRIES).any(|_| {
            thread::sleep(Duration::from_millis(5));
            begun.exists()
        });
        victim.kill().unwrap();
        victim.wait().unwrap();
        assert!(started, "the victim made no backups");
        while world.kept(&BackupRef::new(nth(checked).account.account_id, 7)).exists() {
            checked += 1;
        }
    }

    for n in 0..checked {
        let account = nth(n).account;
        let backup = BackupRef::new(account.account_id, 7);
        // Where its account is gone, nothing but the whole backup can be the answer.
        at_once(world.panel.ensure_absent(&account).await);
        at_once(world.panel.ensure_backup(&account, &backup).await);
        at_once(world.panel.ensure_created(&nth(n)).await);
        assert_eq!(world.restored_page(&account, &backup).await, n.to_string());
    }
}

#[tokio::test]
async fn the_newest_backup_is_read_to_its_end_and_damage_is_seen() {
    let empty = world();
    assert!(matches!(empty.panel.check_newest_backup().await, Ok(None)));

    for how in DAMAGES {
        let world = world();
        let (old, backup_of_old) = world.account("older", "text").await;
        at_once(world.panel.ensure_backup(&old, &backup_of_old).await);
        let (account, backup) = world.account("newest", "text").await;
        at_once(world.panel.ensure_backup(&account, &backup).await);
        // The clock of the disk may be slower than two backups.
        let later =
            fs::metadata(world.kept(&backup_of_old)).unwrap().modified().unwrap() + std::time::Duration::from_secs(2);
        let touch = |path: PathBuf| File::open(path).unwrap().set_modified(later).unwrap();
        touch(world.kept(&backup));

        let whole = world.panel.check_newest_backup().await.unwrap().unwrap();
        damage(&world.kept(&backup), how);
        touch(world.kept(&backup));
        let damaged = world.panel.check_newest_backup().await.unwrap().unwrap();

        assert!(whole.whole && whole.bytes > 0 && whole.name == backup.to_string(), "{how}: {whole:?}");
        assert!(!damaged.whole && damaged.name == backup.to_string(), "{how}: {damaged:?}");
        assert_eq!(world.restored_page(&old, &backup_of_old).await, "text", "looking changes nothing");
    }
}
