//! What a daemon leaves that is killed, and what becomes of work that takes long.

use std::{fs, sync::Arc};

use secrecy::ExposeSecret as _;
use tokio::task::JoinSet;

use super::*;
use crate::conformance::{
    Server as _,
    faults::{Fault, Requests},
    settled,
};

/// What is left of a file in the heavy image, in bytes.
const HEAVY_MIB: u64 = 400;

fn patient_for(patience: Duration, daemon: &Daemon) -> IncusPanel {
    let mut config = config(by_socket(daemon.socket()));
    config.patience = patience;
    let heavy = Package { image: Some("heavy".to_owned()), disk_mib: 1000, ..packages()["small"].clone() };
    config.packages.insert("heavy".to_owned(), heavy);
    IncusPanel::new(config).unwrap()
}

/// Pauses until something shows.
async fn until(shows: impl Fn() -> bool) {
    for _ in 0..10_000 {
        if shows() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    panic!("it does not show");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_killed_while_it_creates_leaves_one_whole_container_in_the_end() {
    // Plain directories: elsewhere the pool unpacks an image once, and a daemon that is killed meanwhile cannot use it again.
    let Some(daemon) = Daemon::start(Pool::Dir) else { return };
    daemon.import_heavy("heavy", HEAVY_MIB);
    let panel = Arc::new(patient_for(Duration::from_secs(20), &daemon));
    let mut wanted = spec("alice");
    "heavy".clone_into(&mut wanted.package);
    let mut creating = JoinSet::new();
    let (its_panel, its_wish) = (Arc::clone(&panel), wanted.clone());
    creating.spawn(async move { its_panel.ensure_created(&its_wish).await });
    until(|| daemon.cli_succeeds(&["config", "get", "alice", "user.berth.account"])).await;

    daemon.crash();
    let lost = creating.join_next().await.unwrap().unwrap().unwrap_err();
    daemon.run();
    let half = panel.observe(&wanted.account).await.unwrap();
    settled(&*panel, || panel.ensure_created(&wanted)).await;

    assert!(matches!(lost, PanelError::Ambiguous(_)), "{lost:?}");
    assert!(matches!(half, Observed::Partial { .. } | Observed::Absent), "{half:?}");
    assert_eq!(daemon.names(), ["alice"]);
    assert!(matches!(panel.observe(&wanted.account).await.unwrap(), Observed::Present { .. }));
    let file = fs::metadata(daemon.rootfs("alice").join("heavy")).unwrap();
    assert_eq!(file.len(), HEAVY_MIB * 1024 * 1024);
    assert!(daemon.opens("alice", wanted.password.expose_secret()).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_killed_between_a_create_and_its_answer_leaves_one_container() {
    let Some(daemon) = Daemon::start(Pool::Btrfs) else { return };
    let behind = Behind::new(&daemon);
    let http = HttpConfig { mutation_timeout: Duration::from_secs(2), ..by_socket(daemon.scratch("proxy.socket")) };
    let panel = IncusPanel::new(config(http)).unwrap();
    let wanted = spec("alice");
    behind.proxy.next(1, Requests::all().method("POST").path("/1.0/instances?"), Fault::FreezeResponse);

    let lost = panel.ensure_created(&wanted).await.unwrap_err();
    until(|| daemon.cli_succeeds(&["config", "get", "alice", "user.berth.account"])).await;
    daemon.crash();
    daemon.run();
    settled(&panel, || panel.ensure_created(&wanted)).await;

    assert!(matches!(lost, PanelError::Ambiguous(_)), "{lost:?}");
    assert_eq!(daemon.names(), ["alice"]);
    assert!(matches!(panel.observe(&wanted.account).await.unwrap(), Observed::Present { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_runs_on_while_the_daemon_is_gone_and_nothing_is_said_to_be_done() {
    let Some(daemon) = Daemon::start(Pool::Dir) else { return };
    let panel = panel(&daemon);
    let (alice, _) = created(&panel, "alice").await;
    let before = daemon.query("/1.0/instances/alice/state")["pid"].clone();
    daemon.crash();

    for refused in [
        panel.observe(&alice.account).await.map(drop).unwrap_err(),
        panel.ensure_suspended(&alice.account, "abuse").await.map(drop).unwrap_err(),
        panel.ensure_absent(&alice.account).await.map(drop).unwrap_err(),
    ] {
        assert!(matches!(refused, PanelError::Transient(_)), "{refused:?}");
    }
    daemon.run();

    assert_eq!(daemon.query("/1.0/instances/alice/state")["pid"], before);
    done(&panel, || panel.ensure_absent(&alice.account)).await;
    assert!(daemon.names().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn work_that_outlasts_a_call_is_pending_and_ends_well() {
    let Some(daemon) = Daemon::start(Pool::Btrfs) else { return };
    let panel = patient_for(Duration::ZERO, &daemon);
    let wanted = spec("alice");
    let account = &wanted.account;
    let backup = BackupRef::new(account.account_id, 1);

    let first = panel.ensure_created(&wanted).await.unwrap();
    let again = panel.ensure_created(&wanted).await.unwrap();
    done(&panel, || panel.ensure_created(&wanted)).await;
    daemon.write("alice", "page.html", "first");
    done(&panel, || panel.ensure_backup(account, &backup)).await;
    daemon.write("alice", "page.html", "second");
    done(&panel, || panel.ensure_restored(account, &backup)).await;
    let restored = daemon.files("alice");
    done(&panel, || panel.ensure_suspended(account, "non_payment")).await;
    done(&panel, || panel.ensure_active(account)).await;
    let active = panel.observe(account).await.unwrap();
    done(&panel, || panel.ensure_absent(account)).await;
    done(&panel, || panel.ensure_backup_absent(&backup)).await;

    assert!(matches!(first, Step::Pending(..)), "{first:?}");
    assert!(matches!(again, Step::Pending(..)), "{again:?}");
    assert_eq!(restored["page.html"], "first");
    assert!(matches!(active, Observed::Present { state: RemoteState::Active, .. }), "{active:?}");
    assert!(daemon.names().is_empty());
    assert_eq!(daemon.creates_of(account), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_the_daemon_has_forgotten_is_judged_by_what_is_there() {
    let Some(daemon) = Daemon::start(Pool::Dir) else { return };
    let panel = patient_for(Duration::ZERO, &daemon);
    let wanted = spec("alice");
    let Step::Pending(task, _) = panel.ensure_created(&wanted).await.unwrap() else { panic!("it is not pending") };
    until(|| daemon.cli_succeeds(&["config", "get", "alice", "user.berth.account"])).await;

    daemon.crash();
    daemon.run();
    let there = panel.poll(&task).await.unwrap();
    let gone = panel.poll(&TaskRef(task.0.replace("there", "gone"))).await.unwrap();
    done(&panel, || panel.ensure_created(&wanted)).await;

    assert_eq!(there, Step::Done(TaskOutcome::Succeeded));
    assert!(matches!(gone, Step::Done(TaskOutcome::Failed(_))), "{gone:?}");
    assert_eq!(daemon.names(), ["alice"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_processes_that_create_one_account_make_one() {
    let Some(daemon) = Daemon::start(Pool::Btrfs) else { return };
    let panels: Vec<_> = (0..10).map(|_| panel(&daemon)).collect();
    let wanted = spec("alice");

    let creates = panels.iter().map(|panel| settled(panel, || panel.ensure_created(&wanted)));
    futures::future::join_all(creates).await;

    assert_eq!(daemon.creates_of(&wanted.account), 1);
    assert_eq!(daemon.names(), ["alice"]);
}
