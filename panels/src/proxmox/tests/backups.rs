//! Backups and restores that are lost, that take long, and what a server makes of them.

use super::*;
use crate::BackupRef;

/// The requests that make a backup, and that restore one.
fn dumps() -> Requests {
    Requests::all().method("POST").path("/vzdump")
}

fn restores() -> Requests {
    Requests::all().method("POST").path("/nodes/pve1/qemu")
}

fn kept(world: &World) -> Vec<(String, bool)> {
    serde_json::from_value(world.fake.call(json!(["backups", "local"]))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_has_our_name_and_is_protected_until_we_delete_it() {
    let Some(world) = World::new().await else { return };
    let (alice, _) = created(&world.panel, "alice").await;
    let backup = BackupRef::new(alice.account.account_id, 7);

    done(&world.panel, || world.panel.ensure_backup(&alice.account, &backup)).await;
    let made = kept(&world);
    done(&world.panel, || world.panel.ensure_backup_absent(&backup)).await;

    assert_eq!(made, [(format!("berth.backup={backup}"), true)]);
    assert_eq!(kept(&world), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_whose_answer_is_lost_is_made_once() {
    let Some(world) = World::with(false, |config| config.patience = Duration::ZERO).await else { return };
    let (alice, _) = created(&world.panel, "alice").await;
    let backup = BackupRef::new(alice.account.account_id, 7);
    world.fake.call(json!(["change_self", { "time_scale": 1.0, "dump_secs": 1 }]));
    world.proxy.next(1, dumps(), Fault::DropResponse);

    let lost = world.panel.ensure_backup(&alice.account, &backup).await.unwrap_err();
    let at_work = world.panel.ensure_backup(&alice.account, &backup).await.unwrap();
    settled(&world.panel, || world.panel.ensure_backup(&alice.account, &backup)).await;

    assert!(matches!(lost, PanelError::Ambiguous(_)), "{lost:?}");
    assert!(matches!(at_work, Step::Pending(..)), "{at_work:?}");
    assert_eq!(kept(&world).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_whose_answer_is_lost_is_done_once_and_the_machine_runs_again() {
    let Some(world) = World::with(false, |config| config.patience = Duration::ZERO).await else { return };
    let (alice, _) = created(&world.panel, "alice").await;
    let backup = BackupRef::new(alice.account.account_id, 7);
    world.write("alice", "page", "old");
    done(&world.panel, || world.panel.ensure_backup(&alice.account, &backup)).await;
    world.write("alice", "page", "new");
    done(&world.panel, || world.panel.ensure_package(&alice.account, "large")).await;
    world.fake.call(json!(["change_self", { "time_scale": 1.0, "dump_secs": 1 }]));
    world.proxy.next(1, restores(), Fault::DropResponse);

    let lost = result(&world.panel, || world.panel.ensure_restored(&alice.account, &backup)).await.unwrap_err();
    let at_work = world.panel.ensure_restored(&alice.account, &backup).await.unwrap();
    settled(&world.panel, || world.panel.ensure_restored(&alice.account, &backup)).await;

    assert!(matches!(lost, PanelError::Ambiguous(_)), "{lost:?}");
    assert!(matches!(at_work, Step::Pending(..)), "{at_work:?}");
    assert_eq!(world.files("alice")["page"], "old");
    let observed = world.panel.observe(&alice.account).await.unwrap();
    let is_large = |package: &str| package == "large";
    assert!(
        matches!(&observed, Observed::Present { state: RemoteState::Active, package, .. } if is_large(package)),
        "{observed:?}"
    );
    let config = world.fake.config("alice");
    assert_eq!((&config["memory"], &config["onboot"]), (&json!("1024"), &json!("1")));
    assert!(config["scsi0"].as_str().unwrap().contains("size=8192M"), "{config}");
    assert_eq!(world.fake.machine(world.fake.vmid_of("alice"))["status"], "running");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_restores_the_notes_of_then_is_told_those_of_now() {
    let Some(world) = World::new().await else { return };
    world.fake.call(json!(["change_self", { "overrides": false }]));
    let (alice, _) = created(&world.panel, "alice").await;
    let backup = BackupRef::new(alice.account.account_id, 7);
    done(&world.panel, || world.panel.ensure_backup(&alice.account, &backup)).await;
    done(&world.panel, || world.panel.ensure_suspended(&alice.account, "abuse")).await;

    done(&world.panel, || world.panel.ensure_restored(&alice.account, &backup)).await;

    let ours = RemoteState::Suspended { reason: Some("abuse".to_owned()), ours: true };
    let observed = world.panel.observe(&alice.account).await.unwrap();
    assert!(matches!(&observed, Observed::Present { state, .. } if *state == ours), "{observed:?}");
    assert_eq!(world.fake.config("alice")["onboot"], "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_that_fails_or_has_no_room_is_no_backup() {
    let Some(world) = World::new().await else { return };
    let (alice, _) = created(&world.panel, "alice").await;
    let backup = BackupRef::new(alice.account.account_id, 7);
    world.fake.fail_as("POST", "/nodes/{node}/vzdump", "interrupted_signal");

    let failed = result(&world.panel, || world.panel.ensure_backup(&alice.account, &backup)).await.unwrap_err();
    let none = kept(&world);
    settled(&world.panel, || world.panel.ensure_backup(&alice.account, &backup)).await;

    assert!(matches!(failed, PanelError::Ambiguous(_)), "{failed:?}");
    assert_eq!((none.len(), kept(&world).len()), (0, 1));
}
