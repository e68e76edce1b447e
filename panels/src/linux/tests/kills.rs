//! What a killed command leaves is recognised, and finished by the next.

use std::{process::Stdio, time::Duration};

use berth_host::protocol;
use secrecy::ExposeSecret as _;

use super::{
    machine::{Machine, host},
    *,
};

const PLACES: [&str; 11] = [
    "record",
    "logged",
    "user",
    "home",
    "database",
    "password",
    "written",
    "tested",
    "before_reload",
    "after_reload",
    "settled",
];
const PLACES_OF_REMOVAL: [&str; 8] =
    ["removing", "written", "before_reload", "after_reload", "web_gone", "database_gone", "home_gone", "user_gone"];
const KILLS: u64 = 15;

/// Shows that an account is whole, and the only one.
async fn is_whole(machine: &Machine, panel: &LinuxPanel, spec: &CreateSpec) {
    let name = &spec.account.username;
    let seen = panel.observe(&spec.account).await.unwrap();
    assert!(matches!(seen, Observed::Present { .. }), "{name}: {seen:?}");
    assert_eq!(machine.creates_of(spec.account.account_id), 1, "{name}");
    assert_eq!(machine.get(&host(name), "/").status, 200, "{name}");
    let database = "$ini = parse_ini_file('../database.ini'); \
                    echo (new mysqli('localhost', $ini['user'], $ini['password'], $ini['database']))->ping() ? 'in' : 'out';";
    assert_eq!(machine.php(name, database), "in", "{name}");
    assert!(machine.sftp(name, spec.password.expose_secret(), "ls\n").status.success(), "{name}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_killed_at_any_step_is_finished_by_the_next() {
    let Some(machine) = Machine::start() else { return };
    let panel = machine.panel();

    for (n, place) in PLACES.into_iter().enumerate() {
        let wanted = spec(&format!("killed{n}"));
        let killed = machine.panel_that_dies_at(place).ensure_created(&wanted).await.unwrap_err();
        assert!(matches!(killed, PanelError::Ambiguous(_)), "{place}: {killed:?}");
        let seen = panel.observe(&wanted.account).await.unwrap();
        assert!(matches!(seen, Observed::Partial { .. }), "{place}: {seen:?}");

        assert!(at_once(panel.ensure_created(&wanted).await).adopted, "{place}");

        is_whole(&machine, &panel, &wanted).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_killed_at_any_step_is_finished_by_the_next() {
    let Some(machine) = Machine::start() else { return };
    let panel = machine.panel();

    for (n, place) in PLACES_OF_REMOVAL.into_iter().enumerate() {
        let name = format!("removed{n}");
        let (spec, _) = created(&panel, &name).await;
        let killed = machine.panel_that_dies_at(place).ensure_absent(&spec.account).await.unwrap_err();
        assert!(matches!(killed, PanelError::Ambiguous(_)), "{place}: {killed:?}");
        let seen = panel.observe(&spec.account).await.unwrap();
        assert!(matches!(seen, Observed::Partial { .. }), "{place}: {seen:?}");
        let late = panel.ensure_created(&spec).await.unwrap_err();
        assert!(matches!(late, PanelError::Permanent(_)), "{place}: {late:?}");

        at_once(panel.ensure_absent(&spec.account).await);

        assert_eq!(machine.traces(&name), Vec::<String>::new(), "{place}");
        assert_eq!(panel.observe(&spec.account).await.unwrap(), Observed::Absent, "{place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspension_killed_before_it_holds_is_seen_and_repeated() {
    let Some(machine) = Machine::start() else { return };
    let panel = machine.panel();
    let (spec, _) = created(&panel, "unheld").await;

    let killed = machine.panel_that_dies_at("written").ensure_suspended(&spec.account, "abuse").await.unwrap_err();
    let seen = panel.observe(&spec.account).await.unwrap();
    at_once(panel.ensure_suspended(&spec.account, "abuse").await);

    assert!(matches!(killed, PanelError::Ambiguous(_)), "{killed:?}");
    let Observed::Partial { missing } = seen else { panic!("{seen:?}") };
    assert!(missing.contains(&"pool".to_owned()) || missing.contains(&"vhost".to_owned()), "{missing:?}");
    assert_eq!(machine.get(&host("unheld"), "/").status, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn creates_killed_at_random_moments_make_whole_accounts() {
    let Some(machine) = Machine::start() else { return };
    let panel = machine.panel();
    let mut specs = Vec::new();

    for kill in 0..KILLS {
        let wanted = spec(&format!("random{kill}"));
        let request = protocol::Create {
            account: name_of(&wanted.account),
            password: secret(&wanted.password),
            package: wanted.package.clone(),
            email: wanted.owner_email.clone(),
            domain: None,
            intended_at_ms: 0,
        };
        let request = serde_json::to_vec(&request).unwrap();
        let mut child =
            machine.command("create").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the command starts");
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), &request).unwrap();
        // Not a wait for something: the moment of the kill, spread over what a create takes.
        std::thread::sleep(Duration::from_millis(20 * kill));
        child.kill().unwrap();
        child.wait().unwrap();
        // At once, while the programs that it started may still run.
        at_once(panel.ensure_created(&wanted).await);
        specs.push(wanted);
    }

    for spec in specs {
        is_whole(&machine, &panel, &spec).await;
    }
}
