//! Backups, on pools that share nothing and on those that count nothing.

use super::*;
use crate::conformance::Server as _;

/// Writes a file, keeps it, loses it, and gets it back.
async fn keep_and_restore(daemon: &Daemon, panel: &IncusPanel) -> Backup {
    let (alice, _) = created(panel, "alice").await;
    daemon.write("alice", "page.html", "first");
    let reference = BackupRef::new(alice.account.account_id, 1);
    let backup = done(panel, || panel.ensure_backup(&alice.account, &reference)).await;
    daemon.write("alice", "page.html", "second");
    daemon.write("alice", "new.html", "new");

    done(panel, || panel.ensure_restored(&alice.account, &reference)).await;

    assert_eq!(daemon.files("alice"), BTreeMap::from([("page.html".to_owned(), "first".to_owned())]));
    assert_eq!(daemon.query("/1.0/instances/alice")["status"], "Running");
    backup
}

#[tokio::test(flavor = "multi_thread")]
async fn backups_are_kept_on_a_pool_of_their_own_where_one_is_named() {
    let Some(daemon) = Daemon::start(Pool::Btrfs) else { return };
    daemon.cli(&["storage", "create", "cellar", "dir"]);
    let mut config = config(by_socket(daemon.socket()));
    config.backup_pool = Some("cellar".to_owned());

    let backup = keep_and_restore(&daemon, &IncusPanel::new(config).unwrap()).await;

    let copy = InstanceName::of_backup(&backup.reference).unwrap();
    assert_eq!(daemon.query(&format!("/1.0/instances/{copy}"))["devices"]["root"]["pool"], "cellar");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_counts_nothing_keeps_backups_and_tells_no_usage() {
    let Some(daemon) = Daemon::start(Pool::Dir) else { return };
    let mut config = config(by_socket(daemon.socket()));
    config.quotas = false;
    let panel = IncusPanel::new(config).unwrap();

    let backup = keep_and_restore(&daemon, &panel).await;
    let (bob, _) = created(&panel, "bob").await;
    let usage = panel.usage(&bob.account).await.unwrap_err();

    assert_eq!(backup.bytes, 0, "nobody knows");
    assert!(!panel.caps().usage && !panel.caps().enforces_packages);
    assert!(matches!(usage, PanelError::Permanent(_)), "{usage:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_is_said_to_count_and_does_not_is_for_the_operator() {
    let Some(daemon) = Daemon::start(Pool::Dir) else { return };
    let panel = panel(&daemon);
    let (alice, _) = created(&panel, "alice").await;

    let refused = panel.usage(&alice.account).await.unwrap_err();

    assert!(matches!(refused, PanelError::Misconfigured(_)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_no_account_and_never_runs() {
    let Some(daemon) = Daemon::start(Pool::Dir) else { return };
    let panel = panel(&daemon);
    let (alice, _) = created(&panel, "alice").await;
    let reference = BackupRef::new(alice.account.account_id, 1);
    done(&panel, || panel.ensure_backup(&alice.account, &reference)).await;
    let copy = InstanceName::of_backup(&reference).unwrap();

    daemon.shut_down();
    daemon.run();

    let kept = daemon.query(&format!("/1.0/instances/{copy}"));
    assert_eq!(kept["status"], "Stopped");
    assert_eq!(kept["config"]["user.berth.backup"], reference.to_string());
    assert_eq!(kept["profiles"], serde_json::json!([]));
}
