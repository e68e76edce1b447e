//! Work that takes long, that fails, or that was killed.

use super::*;

/// A world in which cloning takes long, and no call waits for it.
async fn slow() -> Option<World> {
    let world = World::with(false, |config| config.patience = Duration::ZERO).await?;
    world.fake.call(json!(["add_ceph_storage", "ceph"]));
    world.fake.call(json!(["add_template", SLOW_TEMPLATE, "ceph", 2, false]));
    world.fake.call(json!(["ceph_slow", 1]));
    world.fake.call(json!(["change_self", { "time_scale": 1.0 }]));
    Some(world)
}

const SLOW_TEMPLATE: u32 = 9001;

fn slow_spec(world: &mut World, username: &str) -> CreateSpec {
    let package = Package { template: Some(SLOW_TEMPLATE), ..world.panel.config.packages["small"].clone() };
    world.panel.config.packages.insert("slow".to_owned(), package);
    CreateSpec { package: "slow".to_owned(), ..spec(username) }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_that_takes_long_is_pending_and_then_finished() {
    let Some(mut world) = slow().await else { return };
    let alice = slow_spec(&mut world, "alice");

    let begun = world.panel.ensure_created(&alice).await.unwrap();
    let half = world.panel.observe(&alice.account).await.unwrap();
    let again = world.panel.ensure_created(&alice).await.unwrap();
    settled(&world.panel, || world.panel.ensure_created(&alice)).await;

    assert!(matches!(begun, Step::Pending(..)), "{begun:?}");
    assert!(matches!(half, Observed::Partial { .. }), "{half:?}");
    assert!(matches!(again, Step::Pending(..)), "{again:?}");
    assert_eq!(world.creates_of(&alice.account), 1);
    assert!(matches!(world.panel.observe(&alice.account).await.unwrap(), Observed::Present { .. }));
    assert!(world.fake.takes("alice", alice.password.expose_secret()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_that_does_not_say_whose_it_is_yet_is_waited_for() {
    let Some(mut world) = slow().await else { return };
    world.fake.call(json!(["change_self", { "hides_names": true }]));
    let alice = slow_spec(&mut world, "alice");
    world.proxy.next(1, world.requests(Operation::Create), Fault::DropResponse);

    let lost = world.panel.ensure_created(&alice).await.unwrap_err();
    let unknown = world.panel.observe(&alice.account).await.unwrap_err();
    let unfound = world.panel.ensure_absent(&alice.account).await.unwrap_err();
    settled(&world.panel, || world.panel.ensure_created(&alice)).await;

    assert!(matches!(lost, PanelError::Ambiguous(_)), "{lost:?}");
    assert!(matches!(unknown, PanelError::Transient(_)), "{unknown:?}");
    assert!(matches!(unfound, PanelError::Transient(_)), "{unfound:?}");
    assert_eq!((world.fake.count(), world.creates_of(&alice.account)), (1, 1));
    assert!(matches!(world.panel.observe(&alice.account).await.unwrap(), Observed::Present { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nameless_clone_that_ends_while_it_is_looked_at_is_found() {
    const CLONING: &str = r#"{"data": {"lock": "clone", "description": "qmclone temporary file\n"}}"#;
    let Some(world) = World::new().await else { return };
    let (alice, made) = created(&world.panel, "alice").await;
    let as_it_was = Fault::Answer { status: 200, headers: &[], body: CLONING };
    world.proxy.next(1, Requests::all().method("GET").path("/config"), as_it_was);

    let observed = world.panel.observe(&alice.account).await.unwrap();

    assert!(world.proxy.is_spent());
    assert!(matches!(&observed, Observed::Present { remote_id, .. } if *remote_id == made.remote_id), "{observed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_nameless_rest_of_a_clone_just_takes_its_number() {
    let Some(world) = World::new().await else { return };
    let alice = spec("alice");
    let numbers = world.panel.slots.of(alice.account.account_id);
    world.fake.call(json!(["add_vm", numbers[0], ""]));
    world.fake.call(json!(["snapshot_lock", numbers[0], "clone"]));

    let before = world.panel.observe(&alice.account).await.unwrap();
    let made = done(&world.panel, || world.panel.ensure_created(&alice)).await;

    assert_eq!(before, Observed::Absent);
    assert_eq!(made.remote_id, numbers[1].to_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_whose_task_was_killed_is_for_the_operator() {
    let Some(world) = World::new().await else { return };
    let alice = spec("alice");
    world.half_create(&alice).await.unwrap();
    let vmid = world.fake.vmid_of("alice");
    world.fake.call(json!(["snapshot_lock", vmid, "clone"]));

    let created = world.panel.ensure_created(&alice).await.unwrap_err();
    let removed = world.panel.ensure_absent(&alice.account).await.unwrap_err();
    world.fake.call(json!(["unlock", vmid]));
    settled(&world.panel, || world.panel.ensure_created(&alice)).await;

    for refused in [created, removed] {
        assert!(matches!(refused, PanelError::Permanent(_)), "{refused:?}");
        assert!(refused.to_string().contains("qm unlock"), "{refused}");
    }
    assert_eq!(world.creates_of(&alice.account), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_will_not_start_is_half_created_and_finished_when_it_does() {
    let Some(world) = World::new().await else { return };
    let alice = spec("alice");
    world.fake.fail_as("POST", "/nodes/{node}/qemu/{vmid}/status/start", "qemu_exited_code");

    let failed = result(&world.panel, || world.panel.ensure_created(&alice)).await.unwrap_err();
    let half = world.panel.observe(&alice.account).await.unwrap();
    settled(&world.panel, || world.panel.ensure_created(&alice)).await;

    assert!(matches!(failed, PanelError::Ambiguous(_)), "{failed:?}");
    assert_eq!(half, Observed::Partial { missing: vec!["first start".to_owned()] });
    assert!(matches!(world.panel.observe(&alice.account).await.unwrap(), Observed::Present { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_created_machine_that_somebody_has_started_gets_its_password_all_the_same() {
    let Some(world) = World::new().await else { return };
    let alice = spec("alice");
    world.half_create(&alice).await.unwrap();
    world.fake.call(json!(["restart", world.fake.vmid_of("alice")]));

    done(&world.panel, || world.panel.ensure_created(&alice)).await;

    assert!(world.fake.takes("alice", alice.password.expose_secret()));
    assert_eq!(world.fake.config("alice")["memory"], "512");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_hears_nobody_is_ended_after_its_grace() {
    let Some(world) = World::new().await else { return };
    let (alice, _) = created(&world.panel, "alice").await;
    world.fake.change("alice", json!({ "acpi": false }));
    // A server may also give up on it.
    for gives_up in [false, true] {
        if gives_up {
            world.fake.fail_as(
                "POST",
                "/nodes/{node}/qemu/{vmid}/status/shutdown",
                "quit_powerdown_failed_got_timeout",
            );
        }

        done(&world.panel, || world.panel.ensure_suspended(&alice.account, "abuse")).await;

        assert_eq!(world.fake.machine(world.fake.vmid_of("alice"))["status"], "stopped");
        done(&world.panel, || world.panel.ensure_active(&alice.account)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_that_takes_long_is_pending_and_then_a_suspension() {
    let Some(world) = World::with(false, |config| config.patience = Duration::ZERO).await else { return };
    let (alice, _) = created(&world.panel, "alice").await;
    world.fake.change("alice", json!({ "shutdown_secs": 1 }));
    world.fake.call(json!(["change_self", { "time_scale": 1.0 }]));

    let begun = world.panel.ensure_suspended(&alice.account, "abuse").await.unwrap();
    settled(&world.panel, || world.panel.ensure_suspended(&alice.account, "abuse")).await;

    assert!(matches!(begun, Step::Pending(..)), "{begun:?}");
    let ours = RemoteState::Suspended { reason: Some("abuse".to_owned()), ours: true };
    let observed = world.panel.observe(&alice.account).await.unwrap();
    assert!(matches!(&observed, Observed::Present { state, .. } if *state == ours), "{observed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_manager_of_high_availability_does_later_is_waited_for() {
    let Some(world) = World::new().await else { return };
    let (alice, _) = created(&world.panel, "alice").await;
    world.fake.change("alice", json!({ "ha_state": "started" }));
    world.fake.call(json!(["change_self", { "time_scale": 0.1, "ha_delay": 10 }]));

    done(&world.panel, || world.panel.ensure_suspended(&alice.account, "abuse")).await;
    let stopped = world.fake.machine(world.fake.vmid_of("alice"))["status"] == "stopped";
    done(&world.panel, || world.panel.ensure_active(&alice.account)).await;
    done(&world.panel, || world.panel.ensure_absent(&alice.account)).await;

    assert!(stopped);
    assert_eq!(world.fake.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_needs_a_slow_restart_is_pending_and_then_opens() {
    let Some(world) = World::with(false, |config| config.patience = Duration::ZERO).await else { return };
    let (alice, _) = created(&world.panel, "alice").await;
    let new = SecretString::from("Rw7nTb3kYc5dFg9x-pQm");
    world.fake.change("alice", json!({ "shutdown_secs": 1, "start_secs": 1 }));
    world.fake.call(json!(["change_self", { "time_scale": 1.0 }]));

    let begun = world.panel.set_password(&alice.account, &new).await.unwrap();
    let between = world.panel.observe(&alice.account).await.unwrap();
    settled(&world.panel, || world.panel.set_password(&alice.account, &new)).await;

    assert!(matches!(begun, Step::Pending(..)), "{begun:?}");
    assert!(matches!(between, Observed::Present { .. }), "{between:?}");
    assert!(world.fake.takes("alice", new.expose_secret()));
    let observed = world.panel.observe(&alice.account).await.unwrap();
    assert!(matches!(observed, Observed::Present { state: RemoteState::Active, .. }), "{observed:?}");
    assert!(!world.fake.config("alice")["description"].as_str().unwrap().contains("restarting"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_that_nobody_has_finished_is_ours_to_end() {
    let Some(world) = World::new().await else { return };
    let (alice, _) = created(&world.panel, "alice").await;
    world.proxy.next(1, world.requests(Operation::Activate), Fault::DropRequest);

    result(&world.panel, || world.panel.set_password(&alice.account, &alice.password)).await.unwrap_err();
    let between = world.panel.observe(&alice.account).await.unwrap();
    done(&world.panel, || world.panel.ensure_active(&alice.account)).await;

    let ours = RemoteState::Suspended { reason: Some("restarting".to_owned()), ours: true };
    assert!(matches!(&between, Observed::Present { state, .. } if *state == ours), "{between:?}");
    let observed = world.panel.observe(&alice.account).await.unwrap();
    assert!(matches!(observed, Observed::Present { state: RemoteState::Active, .. }), "{observed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_the_server_has_forgotten_is_judged_by_what_shows() {
    let Some(world) = World::new().await else { return };
    let (_, made) = created(&world.panel, "alice").await;
    let poll = async |goal: &str, vmid: &str| {
        let upid = "UPID:pve1:0000C350:002DFA1F:69272A31:qmclone:9000:berth@pve!hosting:";
        let reference = TaskRef(format!("{goal} {vmid} {upid}"));
        world.panel.poll(&reference).await.unwrap()
    };

    for (goal, vmid, holds) in [
        ("there", made.remote_id.as_str(), true),
        ("running", &made.remote_id, true),
        ("stopped", &made.remote_id, false),
        ("gone", &made.remote_id, false),
        ("gone", "1234567", true),
        ("there", "1234567", false),
    ] {
        let outcome = poll(goal, vmid).await;

        let has_succeeded = matches!(outcome, Step::Done(TaskOutcome::Succeeded));
        assert!(has_succeeded == holds && !matches!(outcome, Step::Pending(..)), "{goal} {vmid}: {outcome:?}");
    }
}
