//! What an instance is and gets: unprivileged, limited, with its password, and nobody else's.

use std::fs;

use secrecy::ExposeSecret as _;
use serde_json::json;

use super::*;

/// The process that is an instance's first.
fn pid(daemon: &Daemon, name: &str) -> u64 {
    daemon.query(&format!("/1.0/instances/{name}/state"))["pid"].as_u64().unwrap()
}

/// The limit of a process' memory, as the kernel has it.
fn memory_limit(pid: u64) -> u64 {
    let groups = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    let path = |line: &str| {
        let (_, rest) = line.split_once(':')?;
        match rest.split_once(':')? {
            ("memory", path) => Some(format!("/sys/fs/cgroup/memory{path}/memory.limit_in_bytes")),
            ("", path) => Some(format!("/sys/fs/cgroup{path}/memory.max")),
            _ => None,
        }
    };
    let limits = groups.lines().filter_map(path).find_map(|path| fs::read_to_string(path).ok());
    limits.unwrap().trim().parse().unwrap()
}

fn mib(count: u64) -> u64 {
    count * 1024 * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_runs_and_its_root_is_nobody_outside_whatever_a_profile_says() {
    let Some(daemon) = Daemon::start(Pool::Dir) else { return };
    daemon.cli(&["profile", "set", "default", "security.privileged=true"]);

    created(&panel(&daemon), "alice").await;

    let pid = pid(&daemon, "alice");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:")).unwrap().split_whitespace().next().unwrap();
    let user_namespace = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/user")).unwrap();
    assert_ne!(uid, "0");
    assert_ne!(user_namespace(&pid.to_string()), user_namespace("self"));
    assert_eq!(daemon.cli(&["exec", "alice", "--", "id", "-u"]).trim(), "0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_packages_limits_hold_and_change_while_it_runs() {
    let Some(daemon) = Daemon::start(Pool::Btrfs) else { return };
    let panel = panel(&daemon);
    let disk = || daemon.query("/1.0/instances/alice")["devices"]["root"]["size"].clone();
    let fill = ["exec", "alice", "--", "dd", "if=/dev/urandom", "of=/root/big", "bs=1M", "count=150"];

    let (alice, _) = created(&panel, "alice").await;
    let (small, first_pid) = ((memory_limit(pid(&daemon, "alice")), disk()), pid(&daemon, "alice"));
    let fits_in_small = daemon.cli_succeeds(&fill);
    done(&panel, || panel.ensure_package(&alice.account, "large")).await;
    let fits_in_large = daemon.cli_succeeds(&fill);

    assert_eq!(small, (mib(64), "100MiB".into()));
    assert!(!fits_in_small, "150 MiB do not fit in 100");
    assert_eq!((memory_limit(first_pid), disk()), (mib(128), "200MiB".into()));
    assert!(fits_in_large);
    assert_eq!(daemon.key("alice", "limits.cpu"), "2");
    assert_eq!(pid(&daemon, "alice"), first_pid, "it was not started anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_bought_beyond_a_package_outlives_its_change() {
    let Some(daemon) = Daemon::start(Pool::Dir) else { return };
    let panel = panel(&daemon);
    let mut wanted = spec("alice");
    wanted.configuration = json!({ "ram_gb": 1, "cpu_cores": 1, "region": "eu-central" });

    done(&panel, || panel.ensure_created(&wanted)).await;
    let at_first = ["limits.memory", "limits.cpu"].map(|key| daemon.key("alice", key));
    done(&panel, || panel.ensure_package(&wanted.account, "large")).await;

    assert_eq!(at_first, ["1024MiB", "1"]);
    assert_eq!(["limits.memory", "limits.cpu"].map(|key| daemon.key("alice", key)), ["1024MiB", "2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_is_refused_by_its_cause_and_leaves_nothing() {
    let Some(daemon) = Daemon::start(Pool::Btrfs) else { return };
    let mut config = config(by_socket(daemon.socket()));
    let package = |image: &str| Package { image: Some(image.to_owned()), ..packages()["small"].clone() };
    config.packages.insert("imageless".to_owned(), package("none"));
    config.packages.insert("tight".to_owned(), package("heavy"));
    daemon.import_heavy("heavy", 200);
    let panel = IncusPanel::new(config).unwrap();
    let refusal = async |package: &str, configuration| {
        let mut wanted = spec("alice");
        package.clone_into(&mut wanted.package);
        wanted.configuration = configuration;
        panel.ensure_created(&wanted).await.unwrap_err()
    };

    let unknown = refusal("unknown", json!(null)).await;
    let senseless = refusal("small", json!({ "ram_gb": -1 })).await;
    let imageless = refusal("imageless", json!(null)).await;
    let full = refusal("tight", json!(null)).await;

    assert!(matches!(unknown, PanelError::Permanent(_)), "{unknown:?}");
    assert!(matches!(senseless, PanelError::Permanent(_)), "{senseless:?}");
    assert!(matches!(imageless, PanelError::Misconfigured(_)), "{imageless:?}");
    assert!(matches!(full, PanelError::Capacity(_)), "{full:?}");
    assert!(daemon.names().is_empty(), "{:?}", daemon.names());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_is_in_nothing_that_the_daemon_tells_or_keeps() {
    let Some(daemon) = Daemon::start(Pool::Dir) else { return };
    let panel = panel(&daemon);
    let (alice, _) = created(&panel, "alice").await;
    let password = SecretString::from(r#"it's "$HOME" `id` \n;: 5%"#);

    done(&panel, || panel.set_password(&alice.account, &password)).await;

    let told = [
        daemon.query("/1.0/operations?recursion=1").to_string(),
        daemon.query("/1.0/instances/alice").to_string(),
        daemon.log(),
        fs::read_dir("/proc").unwrap().flatten().fold(String::new(), |all, process| {
            all + &String::from_utf8_lossy(&fs::read(process.path().join("cmdline")).unwrap_or_default())
        }),
    ];
    for secret in [password.expose_secret(), alice.password.expose_secret()] {
        assert!(!told.iter().any(|text| text.contains(secret)), "{secret}");
    }
    assert!(!daemon.cli(&["exec", "alice", "--", "ls", "-a", "/dev"]).contains(".berth"));
    assert!(crate::conformance::Server::opens(&daemon, "alice", password.expose_secret()).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_that_cannot_be_set_is_refused_for_good_and_left_nowhere() {
    let Some(daemon) = Daemon::start(Pool::Dir) else { return };
    let panel = panel(&daemon);
    let (alice, _) = created(&panel, "alice").await;
    let (bob, _) = created(&panel, "bob").await;
    fs::remove_file(daemon.rootfs("alice").join("bin/chpasswd")).unwrap();
    done(&panel, || panel.ensure_suspended(&bob.account, "non_payment")).await;
    let two_lines = SecretString::from("first\nroot2:second");

    for (account, password) in
        [(&alice.account, &alice.password), (&alice.account, &two_lines), (&bob.account, &bob.password)]
    {
        let refused = panel.set_password(account, password).await.unwrap_err();

        assert!(matches!(refused, PanelError::Permanent(_)), "{refused:?}");
    }
    assert!(!daemon.cli(&["exec", "alice", "--", "ls", "-a", "/dev"]).contains(".berth"));
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_grows_with_what_is_written() {
    let Some(daemon) = Daemon::start(Pool::Btrfs) else { return };
    let panel = panel(&daemon);
    let (alice, _) = created(&panel, "alice").await;
    let before = panel.usage(&alice.account).await.unwrap();

    daemon.cli(&["exec", "alice", "--", "dd", "if=/dev/urandom", "of=/root/big", "bs=1M", "count=10", "conv=fsync"]);
    Command::new("sync").arg("-f").arg(daemon.rootfs("alice")).status().unwrap();
    let after = panel.usage(&alice.account).await.unwrap();

    assert!(after.disk_bytes >= before.disk_bytes + mib(10), "{before:?} {after:?}");
    assert_eq!((after.inodes, after.traffic_bytes), (None, None), "the daemon counts neither");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_container_stays_so_when_the_server_begins_anew_and_an_active_one_comes_back() {
    let Some(daemon) = Daemon::start(Pool::Dir) else { return };
    let panel = panel(&daemon);
    let (alice, _) = created(&panel, "alice").await;
    let (bob, _) = created(&panel, "bob").await;
    done(&panel, || panel.ensure_suspended(&bob.account, "non_payment")).await;

    daemon.shut_down();
    daemon.run();

    let state = async |spec: &CreateSpec| {
        let observed = panel.observe(&spec.account).await.unwrap();
        let Observed::Present { state, .. } = observed else { panic!("{observed:?}") };
        state
    };
    assert_eq!(state(&alice).await, RemoteState::Active);
    let ours = RemoteState::Suspended { reason: Some("non_payment".to_owned()), ours: true };
    assert_eq!(state(&bob).await, ours);
    done(&panel, || panel.ensure_active(&bob.account)).await;
    assert_eq!(state(&bob).await, RemoteState::Active);
    assert_eq!(daemon.key("bob", "boot.autostart"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_somebody_started_is_suspended_again() {
    let Some(daemon) = Daemon::start(Pool::Dir) else { return };
    let panel = panel(&daemon);
    let (alice, _) = created(&panel, "alice").await;
    done(&panel, || panel.ensure_suspended(&alice.account, "non_payment")).await;
    daemon.cli(&["start", "alice"]);

    let seen = panel.observe(&alice.account).await.unwrap();
    done(&panel, || panel.ensure_suspended(&alice.account, "non_payment")).await;

    assert!(matches!(seen, Observed::Present { state: RemoteState::Active, .. }), "{seen:?}");
    assert_eq!(daemon.query("/1.0/instances/alice")["status"], "Stopped");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_does_not_end_by_itself_is_ended_after_its_grace() {
    let Some(daemon) = Daemon::start(Pool::Dir) else { return };
    let mut config = config(by_socket(daemon.socket()));
    config.grace = Duration::from_secs(1);
    let panel = IncusPanel::new(config).unwrap();
    let (alice, _) = created(&panel, "alice").await;
    // Its init no longer hears of the wish to end: it is a sleep.
    daemon.cli(&["stop", "--force", "alice"]);
    fs::remove_file(daemon.rootfs("alice").join("sbin/init")).unwrap();
    fs::write(daemon.rootfs("alice").join("sbin/init"), "#!/bin/sh\nexec /bin/sleep 86400\n").unwrap();
    Command::new("chmod").arg("755").arg(daemon.rootfs("alice").join("sbin/init")).status().unwrap();
    daemon.cli(&["start", "alice"]);

    done(&panel, || panel.ensure_suspended(&alice.account, "non_payment")).await;

    assert_eq!(daemon.query("/1.0/instances/alice")["status"], "Stopped");
}
