//! What operators, staff and owners do, and what a cluster in trouble says.

use super::*;
use crate::http::{Fingerprint, Trust};

async fn state(world: &World, spec: &CreateSpec) -> RemoteState {
    let observed = world.panel.observe(&spec.account).await.unwrap();
    let Observed::Present { state, .. } = observed else { panic!("{observed:?}") };
    state
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_gets_what_its_package_and_its_owner_have_chosen() {
    let key = "ssh-ed25519 AAAA+/= op@example.net";
    let Some(world) = World::with(false, |config| {
        config.ssh_keys = vec![key.to_owned()];
        config.login = "debian".to_owned();
        config.storage = Some("second".to_owned());
        config.resource_pool = Some("hosting".to_owned());
    })
    .await
    else {
        return;
    };
    world.fake.call(json!(["add_ceph_storage", "second"]));
    world.fake.call(json!(["add_pool", "hosting"]));
    let mut alice = spec("alice");
    alice.configuration = json!({ "ram_gb": 2, "cpu_cores": 1, "disk_gb": 20, "region": "eu-central" });

    settled(&world.panel, || world.panel.ensure_created(&alice)).await;

    let config = world.fake.config("alice");
    assert_eq!((&config["cores"], &config["sockets"], &config["memory"]), (&json!("1"), &json!("1"), &json!("2048")));
    assert_eq!((&config["onboot"], &config["ciuser"]), (&json!("1"), &json!("debian")));
    assert_eq!(config["ipconfig0"], "ip=dhcp");
    assert_eq!(config["sshkeys"], "ssh-ed25519%20AAAA%2B%2F%3D%20op%40example.net");
    let disk = config["scsi0"].as_str().unwrap();
    assert!(disk.starts_with("second:vm-") && disk.contains("size=20480M"), "{disk}");
    assert!(world.proxy.seen().iter().all(|seen| !seen.contains(alice.password.expose_secret())));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_bought_beyond_a_package_outlives_its_change_and_disks_never_shrink() {
    let Some(world) = World::new().await else { return };
    let mut alice = spec("alice");
    alice.configuration = json!({ "ram_gb": 4 });
    done(&world.panel, || world.panel.ensure_created(&alice)).await;
    let next = || {
        let machine = world.fake.machine(world.fake.vmid_of("alice"));
        let of = |key: &str| machine["pending"].get(key).unwrap_or(&machine["config"][key]).clone();
        (of("cores"), of("memory"), machine["config"]["scsi0"].as_str().unwrap().contains("size=8192M"))
    };

    done(&world.panel, || world.panel.ensure_package(&alice.account, "large")).await;
    let large = next();
    done(&world.panel, || world.panel.ensure_package(&alice.account, "small")).await;
    let small = next();

    assert_eq!(large, (json!("2"), json!("4096"), true));
    assert_eq!(small, (json!("1"), json!("4096"), true));
    assert_eq!(state(&world, &alice).await, RemoteState::Active, "nobody restarts a machine for its package");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_is_refused_by_its_cause_and_leaves_nothing() {
    let Some(world) = World::with(false, |config| {
        let package = |template| Package { template: Some(template), ..config.packages["small"].clone() };
        let templateless = package(9999);
        config.packages.insert("templateless".to_owned(), templateless);
    })
    .await
    else {
        return;
    };
    let refusal = async |package: &str, configuration| {
        let wanted = CreateSpec { package: package.to_owned(), configuration, ..spec("alice") };
        world.panel.ensure_created(&wanted).await.unwrap_err()
    };

    let unknown = refusal("unknown", json!(null)).await;
    let senseless = refusal("small", json!({ "ram_gb": -1 })).await;
    let templateless = refusal("templateless", json!(null)).await;
    world.fake.call(json!(["change_storage", fake::STORAGE, { "avail": 1 }]));
    let full = refusal("small", json!(null)).await;

    assert!(matches!(unknown, PanelError::Permanent(_)), "{unknown:?}");
    assert!(matches!(senseless, PanelError::Permanent(_)), "{senseless:?}");
    assert!(matches!(templateless, PanelError::Misconfigured(_)), "{templateless:?}");
    assert!(matches!(full, PanelError::Capacity(_)), "{full:?}");
    assert_eq!(world.fake.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_a_quorum_or_a_node_without_a_route_is_waited_for() {
    let Some(world) = World::new().await else { return };
    let (alice, _) = created(&world.panel, "alice").await;
    let bob = spec("bob");
    let calls = async || {
        [
            result(&world.panel, || world.panel.ensure_suspended(&alice.account, "abuse")).await,
            result(&world.panel, || world.panel.ensure_package(&alice.account, "large")).await,
            result(&world.panel, || world.panel.ensure_created(&bob)).await.map(drop),
        ]
    };

    world.fake.call(json!(["lose_quorum"]));
    let without_quorum = calls().await;
    world.fake.call(json!(["regain_quorum"]));
    world.fake.call(json!(["set_node_offline", "pve1"]));
    let offline = calls().await;
    world.fake.call(json!(["set_node_offline", "pve1", false]));

    for refused in without_quorum.into_iter().chain(offline) {
        assert!(matches!(refused, Err(PanelError::Transient(_))), "{refused:?}");
    }
    assert_eq!(state(&world, &alice).await, RemoteState::Active);
    assert_eq!(world.fake.count(), 1);
    done(&world.panel, || world.panel.ensure_created(&bob)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_is_backed_up_is_left_until_that_ends() {
    let Some(world) = World::new().await else { return };
    let (alice, _) = created(&world.panel, "alice").await;
    let vmid = world.fake.vmid_of("alice");
    world.fake.call(json!(["snapshot_lock", vmid, "backup"]));

    for refused in [
        result(&world.panel, || world.panel.ensure_suspended(&alice.account, "abuse")).await,
        result(&world.panel, || world.panel.ensure_package(&alice.account, "large")).await,
        result(&world.panel, || world.panel.set_password(&alice.account, &alice.password)).await,
        result(&world.panel, || world.panel.ensure_absent(&alice.account)).await,
    ] {
        assert!(matches!(refused, Err(PanelError::Transient(_))), "{refused:?}");
    }
    world.fake.call(json!(["unlock", vmid]));
    done(&world.panel, || world.panel.ensure_absent(&alice.account)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_its_owner_has_turned_off_is_active_until_it_is_suspended() {
    let Some(world) = World::new().await else { return };
    let (alice, _) = created(&world.panel, "alice").await;
    let off = || world.fake.machine(world.fake.vmid_of("alice"))["status"] == "stopped";
    world.fake.change("alice", json!({ "status": "stopped", "qmpstatus": "stopped" }));

    let turned_off = state(&world, &alice).await;
    done(&world.panel, || world.panel.ensure_active(&alice.account)).await;
    let still_off = off();
    done(&world.panel, || world.panel.ensure_suspended(&alice.account, "abuse")).await;
    let (suspended, starts) = (state(&world, &alice).await, world.fake.config("alice")["onboot"].clone());
    done(&world.panel, || world.panel.ensure_active(&alice.account)).await;

    assert_eq!(turned_off, RemoteState::Active);
    assert!(still_off, "nobody had suspended it");
    assert_eq!(suspended, RemoteState::Suspended { reason: Some("abuse".to_owned()), ours: true });
    assert_eq!(starts, "0", "it does not come back with the server");
    assert!(!off());
    assert_eq!(world.fake.config("alice")["onboot"], "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_staff_have_paused_or_hibernated_is_left_alone() {
    let Some(world) = World::new().await else { return };
    for (name, how) in [
        ("paused", json!({ "status": "running", "qmpstatus": "paused" })),
        ("hibernated", json!({ "status": "stopped", "qmpstatus": "stopped", "lock": "suspended" })),
    ] {
        let (spec, _) = created(&world.panel, name).await;
        world.fake.change(name, how);
        let image = world.image(name);

        done(&world.panel, || world.panel.ensure_suspended(&spec.account, "abuse")).await;
        let refused = result(&world.panel, || world.panel.ensure_active(&spec.account)).await.unwrap_err();

        let theirs = RemoteState::Suspended { reason: Some(name.to_owned()), ours: false };
        assert_eq!(state(&world, &spec).await, theirs);
        assert!(matches!(refused, PanelError::Permanent(_)), "{refused:?}");
        assert_eq!(world.image(name), image);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_machine_that_somebody_started_is_suspended_again_and_a_password_does_not_lift_it() {
    let Some(world) = World::new().await else { return };
    let (alice, _) = created(&world.panel, "alice").await;
    done(&world.panel, || world.panel.ensure_suspended(&alice.account, "abuse")).await;
    world.fake.call(json!(["restart", world.fake.vmid_of("alice")]));

    let started = state(&world, &alice).await;
    done(&world.panel, || world.panel.set_password(&alice.account, &alice.password)).await;
    done(&world.panel, || world.panel.ensure_suspended(&alice.account, "abuse")).await;
    done(&world.panel, || world.panel.set_password(&alice.account, &alice.password)).await;

    assert_eq!(started, RemoteState::Active);
    let ours = RemoteState::Suspended { reason: Some("abuse".to_owned()), ours: true };
    assert_eq!(state(&world, &alice).await, ours);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storage_for_linked_clones_is_refused() {
    let mut config = config("http://127.0.0.1:8006");
    (config.storage, config.full_clones) = (Some("second".to_owned()), false);

    let refused = ProxmoxPanel::new(config).err().unwrap();

    assert!(matches!(refused, PanelError::Misconfigured(_)), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn linked_clones_live_and_end_as_others_do() {
    let Some(world) = World::with(false, |config| config.full_clones = false).await else { return };
    let volumes = world.fake.call(json!(["volumes", fake::STORAGE]));

    let (alice, _) = created(&world.panel, "alice").await;
    let disk = world.fake.config("alice")["scsi0"].clone();
    done(&world.panel, || world.panel.ensure_absent(&alice.account)).await;

    assert!(disk.as_str().unwrap().contains("size=4096M"), "{disk}");
    assert_eq!(world.fake.call(json!(["volumes", fake::STORAGE])), volumes);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_protected_machine_is_not_removed_and_a_protected_template_protects_none() {
    let Some(world) = World::new().await else { return };
    world.fake.call(json!(["change_config", TEMPLATE, { "protection": 1 }]));
    let (alice, _) = created(&world.panel, "alice").await;
    let (bob, _) = created(&world.panel, "bob").await;
    world.fake.change_config("alice", json!({ "protection": 1 }));

    let refused = result(&world.panel, || world.panel.ensure_absent(&alice.account)).await.unwrap_err();
    done(&world.panel, || world.panel.ensure_absent(&bob.account)).await;

    assert!(matches!(refused, PanelError::Permanent(_)), "{refused:?}");
    assert_eq!(world.fake.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_staff_write_into_a_machines_notes_stays_there() {
    let Some(world) = World::new().await else { return };
    let (alice, _) = created(&world.panel, "alice").await;
    let notes = world.fake.config("alice")["description"].as_str().unwrap().to_owned();
    world.fake.change_config("alice", json!({ "description": format!("call alice first\n{notes}") }));

    done(&world.panel, || world.panel.ensure_suspended(&alice.account, "abuse")).await;
    done(&world.panel, || world.panel.ensure_active(&alice.account)).await;

    assert_eq!(world.fake.config("alice")["description"], format!("call alice first\n{notes}"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_somebody_changes_meanwhile_is_not_overwritten() {
    let Some(world) = World::new().await else { return };
    let (alice, _) = created(&world.panel, "alice").await;
    world.fake.fail_as("PUT", "/nodes/{node}/qemu/{vmid}/config", "checksum_mismatch_file_change_other");

    let refused = result(&world.panel, || world.panel.ensure_suspended(&alice.account, "abuse")).await.unwrap_err();

    assert!(matches!(refused, PanelError::Transient(_)), "{refused:?}");
    assert_eq!(state(&world, &alice).await, RemoteState::Active);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guest_agent_sets_the_password_without_a_restart_and_counts_what_is_used() {
    let Some(world) = World::with(true, |_| {}).await else { return };
    let (alice, _) = created(&world.panel, "alice").await;
    let new = SecretString::from("Rw7nTb3kYc5dFg9x-pQm");

    done(&world.panel, || world.panel.set_password(&alice.account, &new)).await;
    let usage = world.panel.usage(&alice.account).await.unwrap();

    assert!(world.fake.takes("alice", new.expose_secret()));
    assert!(!world.proxy.seen().iter().any(|seen| seen.contains("/status/shutdown")));
    assert_eq!(usage, Usage { disk_bytes: 2_147_483_648, inodes: None, traffic_bytes: None });
}

#[tokio::test(flavor = "multi_thread")]
async fn where_no_guest_agent_answers_a_password_takes_a_restart_and_usage_is_asked_again() {
    let Some(world) = World::with(true, |_| {}).await else { return };
    for (name, how) in [("silent", json!({ "agent": null })), ("hangs", json!({ "agent_hangs": true }))] {
        let (spec, _) = created(&world.panel, name).await;
        let new = SecretString::from("Rw7nTb3kYc5dFg9x-pQm");
        world.fake.change(name, how);

        done(&world.panel, || world.panel.set_password(&spec.account, &new)).await;
        let unknown = world.panel.usage(&spec.account).await.unwrap_err();

        assert!(world.fake.takes(name, new.expose_secret()));
        assert!(!world.fake.takes(name, spec.password.expose_secret()));
        assert!(matches!(unknown, PanelError::Transient(_)), "{unknown:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_with_a_lines_end_is_refused_for_good() {
    let Some(world) = World::new().await else { return };
    let (alice, _) = created(&world.panel, "alice").await;

    let refused = world.panel.set_password(&alice.account, &"one\ntwo".to_owned().into()).await.unwrap_err();

    assert!(matches!(refused, PanelError::Permanent(_)), "{refused:?}");
    assert!(world.fake.takes("alice", alice.password.expose_secret()));
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_proxy_before_the_server_are_no_answers() {
    let Some(world) = World::new().await else { return };
    let alice = spec("alice");
    for (status, path) in [(502, "/clone"), (200, "/clone"), (503, "/config")] {
        let method = if path == "/clone" { "POST" } else { "PUT" };
        world.fake.call(json!(["fail", method, path, status, "<html>try later</html>", true, null, 1]));

        let refused = result(&world.panel, || world.panel.ensure_created(&alice)).await.unwrap_err();

        assert!(matches!(refused, PanelError::Ambiguous(_)), "{status} {path}: {refused:?}");
    }
    settled(&world.panel, || world.panel.ensure_created(&alice)).await;
    assert_eq!(world.creates_of(&alice.account), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_not_the_pinned_one_and_a_token_that_is_revoked_are_for_the_operator() {
    let Some(fake) = Fake::start(false) else { return };
    let by_tls = |trust| {
        let mut config = config(&format!("https://127.0.0.1:{}", fake.ports.1));
        config.http.trust = trust;
        ProxmoxPanel::new(config).unwrap()
    };
    let (alice, pinned) = (spec("alice"), by_tls(Trust::Certificate(fake.fingerprint)));

    for wrong in [Trust::System, Trust::Certificate(Fingerprint::of(b"another certificate"))] {
        let panel = by_tls(wrong);

        let (probed, refused) = (panel.probe().await, panel.ensure_created(&alice).await);

        assert!(matches!(probed, Err(PanelError::Misconfigured(_))), "{probed:?}");
        assert!(matches!(refused, Err(PanelError::Misconfigured(_))), "{refused:?}");
    }
    assert_eq!(fake.count(), 0);
    done(&pinned, || pinned.ensure_created(&alice)).await;
    fake.call(json!(["revoke_token", TOKEN_ID]));
    let revoked = pinned.ensure_suspended(&alice.account, "abuse").await;
    assert!(matches!(revoked, Err(PanelError::Misconfigured(_))), "{revoked:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_says_what_the_server_is_and_what_it_lacks() {
    let Some(world) = World::new().await else { return };
    world.fake.call(json!(["add_vm", 9002, "plain", "pve1", "stopped", null, { "scsi0": "x:y,size=1G" }]));
    let probe = async |change: &dyn Fn(&mut ProxmoxConfig)| {
        let mut config = config(&world.proxy.url());
        change(&mut config);
        ProxmoxPanel::new(config).unwrap().probe().await
    };

    let info = probe(&|_| {}).await.unwrap();
    for wrong in [
        probe(&|config| config.node = "pve9".to_owned()).await,
        probe(&|config| config.template = 9999).await,
        probe(&|config| config.template = 9002).await,
        probe(&|config| config.disk = "virtio0".to_owned()).await,
        probe(&|config| config.backup_storage = Some("none".to_owned())).await,
        probe(&|config| config.token_secret = "wrong".to_owned().into()).await,
    ] {
        assert!(matches!(wrong, Err(PanelError::Misconfigured(_))), "{wrong:?}");
    }
    for (path, privilege) in
        [("/vms", "VM.Audit"), ("/vms", "VM.PowerMgmt"), ("/vms", "VM.Backup"), ("/vms/9000", "VM.Clone")]
    {
        world.fake.call(json!(["grant_all_but", TOKEN_ID, path, privilege]));
        let refused = probe(&|_| {}).await.unwrap_err();
        assert!(matches!(refused, PanelError::Misconfigured(_)), "{refused:?}");
        assert!(refused.to_string().contains(privilege), "{refused}");
    }
    world.fake.call(json!(["change_self", { "acl": null }]));
    world.fake.call(json!(["set_node_offline", "pve1"]));
    let offline = probe(&|_| {}).await;

    assert_eq!((info.version.as_str(), info.hostname.as_deref()), ("Proxmox VE 9.0.10", Some("pve1")));
    assert!(matches!(offline, Err(PanelError::Transient(_))), "{offline:?}");
}
