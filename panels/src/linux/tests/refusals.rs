//! What the command does not take, and what it does not touch.

use std::fs;

use super::{
    machine::{Machine, await_that, host},
    *,
};

#[tokio::test(flavor = "multi_thread")]
async fn names_that_are_no_names_are_refused_by_every_verb() {
    let Some(machine) = Machine::start() else { return };
    let panel = machine.panel();

    for name in ["../x", "a;b", "a b", "", "ab", "Alice", "a\n", "-rf", "a/b", "averyveryverylongname"] {
        let wanted = spec(name);
        for refused in [
            panel.observe(&wanted.account).await.map(drop).unwrap_err(),
            panel.ensure_created(&wanted).await.map(drop).unwrap_err(),
            panel.ensure_suspended(&wanted.account, "abuse").await.map(drop).unwrap_err(),
            panel.ensure_absent(&wanted.account).await.map(drop).unwrap_err(),
        ] {
            assert!(matches!(refused, PanelError::Permanent(_)), "{name:?}: {refused:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_bears_the_name_already_is_somebody_elses() {
    let Some(machine) = Machine::start() else { return };
    let panel = machine.panel();
    machine.sql("create database operatr_shop; create user monitor1@localhost");
    fs::create_dir(machine.home("byhand")).unwrap();
    fs::write(machine.path("vhosts/ownsite.conf"), "# by hand\n").unwrap();

    for name in ["root", "daemon", "mysql", "operatr", "monitor1", "byhand", "ownsite"] {
        let wanted = spec(name);
        assert_eq!(panel.observe(&wanted.account).await.unwrap(), Observed::Foreign, "{name}");
        let refused = panel.ensure_created(&wanted).await.unwrap_err();
        assert!(matches!(refused, PanelError::NameTaken(_)), "{name}: {refused:?}");
        let refused = panel.ensure_absent(&wanted.account).await.unwrap_err();
        assert!(matches!(refused, PanelError::Permanent(_)), "{name}: {refused:?}");
    }
    assert_eq!(machine.sql("show databases like 'operatr_shop'"), "operatr_shop");
    assert_eq!(fs::read_to_string(machine.path("vhosts/ownsite.conf")).unwrap(), "# by hand\n");
    assert!(machine.home("byhand").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_made_is_refused_before_anything_is() {
    let Some(machine) = Machine::start() else { return };
    let panel = machine.panel();
    let mut first = spec("hasname");
    first.account.domain = Some("taken.example".to_owned());
    at_once(panel.ensure_created(&first).await);
    let with = |change: fn(&mut CreateSpec)| {
        let mut wanted = spec("refused");
        change(&mut wanted);
        wanted
    };

    for wanted in [
        with(|spec| spec.package = "gigantic".to_owned()),
        with(|spec| spec.account.domain = Some("taken.example".to_owned())),
        with(|spec| spec.account.domain = Some("www.taken.example".to_owned())),
        with(|spec| spec.account.domain = Some("hasname.linux.test".to_owned())),
        with(|spec| spec.account.domain = Some("a.example; root /".to_owned())),
        with(|spec| spec.owner_email = "a'@example.org".to_owned()),
        with(|spec| spec.password = "line\nroot:x".to_owned().into()),
    ] {
        let refused = panel.ensure_created(&wanted).await.unwrap_err();
        assert!(matches!(refused, PanelError::Permanent(_)), "{refused:?}");
        assert_eq!(panel.observe(&wanted.account).await.unwrap(), Observed::Absent);
    }
    assert_eq!(machine.traces("refused"), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_somebody_else_wrote_into_a_record_stays() {
    let Some(machine) = Machine::start() else { return };
    let panel = machine.panel();
    let (spec, _) = created(&panel, "recorded").await;
    at_once(panel.ensure_suspended(&spec.account, "non_payment").await);
    let file = machine.path("state/accounts/recorded.json");
    let ours = fs::read_to_string(&file).unwrap();
    fs::write(&file, ours.replace("\"berth\"", "\"operator\"")).unwrap();

    let lifted = panel.ensure_active(&spec.account).await.unwrap_err();
    at_once(panel.ensure_suspended(&spec.account, "abuse").await);
    let seen = panel.observe(&spec.account).await.unwrap();
    let unknown = panel.ensure_package(&spec.account, "gigantic").await.unwrap_err();
    fs::write(&file, "{").unwrap();
    let damaged = panel.ensure_created(&spec).await.unwrap_err();

    assert!(matches!(lifted, PanelError::Permanent(_)), "{lifted:?}");
    assert!(matches!(unknown, PanelError::Permanent(_)), "{unknown:?}");
    assert!(matches!(damaged, PanelError::Permanent(_)), "{damaged:?}");
    let Observed::Present { state, .. } = seen else { panic!("{seen:?}") };
    assert_eq!(state, RemoteState::Suspended { reason: Some("non_payment".to_owned()), ours: false });
    fs::write(&file, ours).unwrap();
    at_once(panel.ensure_active(&spec.account).await);
    assert_eq!(machine.get(&host("recorded"), "/").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_does_not_pass_is_taken_out_again_and_breaks_nobody() {
    let Some(machine) = Machine::start() else { return };
    let panel = machine.panel();
    let (there, _) = created(&panel, "unbroken").await;
    // The operator breaks what every test of nginx reads.
    let file = machine.path("nginx/nginx.conf");
    let good = fs::read_to_string(&file).unwrap();
    fs::write(&file, good.replace("access_log off;", "access_log nonsense nonsense;")).unwrap();

    let refused = panel.ensure_created(&spec("unlucky")).await.unwrap_err();
    let suspended = panel.ensure_suspended(&there.account, "abuse").await.unwrap_err();

    assert!(matches!(refused, PanelError::Misconfigured(_)), "{refused:?}");
    assert!(matches!(suspended, PanelError::Misconfigured(_)), "{suspended:?}");
    assert!(!machine.path("vhosts/unlucky.conf").exists());
    assert!(!machine.path("pools/unlucky.conf").exists());
    assert_eq!(machine.get(&host("unbroken"), "/").status, 200, "its file is the one that passed");
    fs::write(&file, good).unwrap();
    at_once(panel.ensure_suspended(&there.account, "abuse").await);
    assert_eq!(machine.get(&host("unbroken"), "/").status, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_not_as_configured_is_said_to_be_so() {
    let Some(machine) = Machine::start() else { return };
    let settings = machine.path("host.toml");
    let good = fs::read_to_string(&settings).unwrap();
    let info = machine.panel().probe().await.unwrap();

    for (from, to) in [
        ("/homes\"", "/nowhere\""),
        ("db/mysqld.sock", "db/nothing.sock"),
        ("run/nginx.pid", "run/sshd.pid"),
        ("berthtestsftp", "nosuchgroup"),
        ("state =", "unknown ="),
    ] {
        fs::write(&settings, good.replace(from, to)).unwrap();
        let refused = machine.panel().probe().await.unwrap_err();
        assert!(matches!(refused, PanelError::Misconfigured(_)), "{to}: {refused:?}");
        let refused = machine.panel().ensure_created(&spec("misplaced")).await.unwrap_err();
        assert!(matches!(refused, PanelError::Misconfigured(_) | PanelError::Transient(_)), "{to}: {refused:?}");
    }
    fs::write(&settings, &good).unwrap();

    assert!(info.version.starts_with("berth-host ") && info.hostname.is_some(), "{info:?}");
    assert_eq!(machine.traces("misplaced"), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_room_is_left_for_another_before_anything_is_made() {
    let Some(machine) = Machine::start() else { return };
    let panel = machine.panel();
    let (there, _) = created(&panel, "roomy").await;
    let settings = machine.path("host.toml");
    let good = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, good.replace("min_free_mb = 50", "min_free_mb = 9000000000")).unwrap();

    let refused = panel.ensure_created(&spec("homeless")).await.unwrap_err();

    assert!(matches!(refused, PanelError::Capacity(_)), "{refused:?}");
    assert_eq!(machine.traces("homeless"), Vec::<String>::new());
    assert!(at_once(panel.ensure_created(&there).await).adopted, "those that are there stay");
}

#[tokio::test(flavor = "multi_thread")]
async fn php_outlives_a_user_that_was_deleted_by_hand_and_the_next_create_brings_it_back() {
    let Some(machine) = Machine::start() else { return };
    let panel = machine.panel();
    let (victim, _) = created(&panel, "deleted").await;
    created(&panel, "neighbour").await;
    let deleted = std::process::Command::new("/usr/sbin/userdel").arg("deleted").status().unwrap();

    let seen = panel.observe(&victim.account).await.unwrap();
    let refused = panel.ensure_created(&spec("newcomer")).await.unwrap_err();
    let neighbour = machine.php("neighbour", "echo 'runs';");

    assert!(deleted.success());
    assert_eq!(seen, Observed::Partial { missing: ["user"].map(str::to_owned).to_vec() });
    assert!(matches!(refused, PanelError::Misconfigured(_)), "{refused:?}");
    assert_eq!(neighbour, "runs");
    at_once(panel.ensure_created(&victim).await);
    assert!(matches!(panel.observe(&victim.account).await.unwrap(), Observed::Present { .. }));
    assert_eq!(machine.php("deleted", "echo 'runs';"), "runs");
    at_once(panel.ensure_created(&spec("another")).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_gives_up_stops_no_work() {
    let Some(machine) = Machine::start() else { return };
    let panel = machine.panel();
    let wanted = spec("unawaited");
    let hasty = LinuxPanel::new(LinuxConfig { timeout: Duration::from_millis(100), ..machine.config(&[]) });

    let given_up = hasty.ensure_created(&wanted).await.unwrap_err();

    assert!(matches!(given_up, PanelError::Ambiguous(_)), "{given_up:?}");
    await_that("the create comes to its end", || {
        let record = fs::read_to_string(machine.path("state/accounts/unawaited.json")).unwrap_or_default();
        record.contains("\"whole\"")
    });
    assert!(matches!(panel.observe(&wanted.account).await.unwrap(), Observed::Present { .. }));
    assert_eq!(machine.creates_of(wanted.account.account_id), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn disk_limits_hold_where_the_file_system_enforces_them_and_are_said_not_to_elsewhere() {
    let Some(machine) = Machine::start_on_btrfs() else { return };
    let panel = LinuxPanel::new(LinuxConfig { enforces_quota: true, ..machine.config(&[]) });
    let mut wanted = spec("limited");
    wanted.package = "tiny".to_owned();
    at_once(panel.ensure_created(&wanted).await);
    let fill = "$file = fopen('big', 'w'); $written = 0; \
                for ($n = 0; $n < 40; $n++) { $written += (int) @fwrite($file, random_bytes(1048576)); fsync($file); } \
                echo intdiv($written, 1048576);";

    let tiny: u32 = machine.php("limited", fill).parse().unwrap();
    at_once(panel.ensure_package(&wanted.account, "small").await);
    let small: u32 = machine.php("limited", fill).parse().unwrap();
    let info = panel.probe().await.unwrap();
    at_once(panel.ensure_absent(&wanted.account).await);

    assert!((10..=24).contains(&tiny), "{tiny} MB");
    assert_eq!(small, 40);
    assert!(panel.caps().enforces_packages && info.version.ends_with("quota: enforced"), "{info:?}");
    assert_eq!(machine.traces("limited"), Vec::<String>::new());
    drop(machine);
    let Some(machine) = Machine::start() else { return };
    let hopeful = LinuxPanel::new(LinuxConfig { enforces_quota: true, ..machine.config(&[]) });
    assert!(matches!(hopeful.probe().await.unwrap_err(), PanelError::Misconfigured(_)));
    assert!(machine.panel().probe().await.unwrap().version.ends_with("quota: unenforced"));
}

#[tokio::test]
async fn a_command_that_cannot_be_started_is_a_wrong_configuration() {
    for command in [&["/nowhere/berth-host"][..], &["berth-host"], &[], &["/etc"]] {
        let refused = panel_by(command).probe().await.unwrap_err();

        assert!(matches!(refused, PanelError::Misconfigured(_)), "{command:?}: {refused:?}");
    }
}

#[tokio::test]
async fn a_sudo_that_does_not_let_us_is_a_wrong_configuration_and_began_nothing() {
    let dir = tempfile::TempDir::new().unwrap();
    let sudo = dir.path().join("sudo");
    fs::write(&sudo, "echo 'sudo: a password is required' >&2; exit 1\n").unwrap();

    let refused = panel_by(&["/bin/sh", sudo.to_str().unwrap()]).ensure_created(&spec("unlet")).await.unwrap_err();

    assert!(matches!(refused, PanelError::Misconfigured(_)), "{refused:?}");
}

#[tokio::test]
async fn an_end_without_an_answer_is_ambiguous_only_where_something_was_to_change() {
    let wanted = spec("lost");
    // None of them answers: the last does not come to its end in time.
    for command in [&["/bin/true"][..], &["/bin/false"], &["/bin/cat", "/dev/zero"]] {
        let panel = panel_by(command);

        let read = panel.observe(&wanted.account).await.unwrap_err();
        let changed = panel.ensure_created(&wanted).await.unwrap_err();

        assert!(matches!(read, PanelError::Transient(_)), "{command:?}: {read:?}");
        assert!(matches!(changed, PanelError::Ambiguous(_)), "{command:?}: {changed:?}");
    }
}

fn panel_by(command: &[&str]) -> LinuxPanel {
    let second = Duration::from_secs(1);
    let command = command.iter().map(|&word| word.to_owned()).collect();
    LinuxPanel::new(LinuxConfig { command, timeout: second, backup_timeout: second, enforces_quota: false })
}
