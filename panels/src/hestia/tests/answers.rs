//! What Hestia's answers mean: its exit codes, statuses and bodies, and its refusals of keys.

use std::collections::BTreeSet;

use super::*;
use crate::{
    conformance::logs,
    hestia::calls::{Arg, Calls},
};

fn is_misconfigured<T: std::fmt::Debug>(answer: Result<T, PanelError>) {
    assert!(matches!(answer, Err(PanelError::Misconfigured(_))), "{answer:?}");
}

#[tokio::test]
async fn a_password_for_a_suspended_account_is_refused_and_is_no_matter_of_the_key() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "locked").await;
    at_once(world.panel.ensure_suspended(&spec.account, "abuse").await);

    // Hestia answers with status 401, and code 5.
    let refused = world.panel.set_password(&spec.account, &"Rw7nTb3kYc5dFg9x-pQm".into()).await.unwrap_err();

    assert!(matches!(refused, PanelError::Permanent(_)), "{refused:?}");
}

#[tokio::test]
async fn keys_addresses_and_a_switched_off_api_are_for_the_operator() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "keyed").await;
    let mut wrong = config(&world.proxy, &world.double);
    wrong.secret_key = "x".repeat(40).into();

    is_misconfigured(HestiaPanel::new(wrong).unwrap().probe().await);
    world.double.world().is_allowed_here = false;
    is_misconfigured(world.panel.observe(&spec.account).await);
    world.double.world().is_allowed_here = true;
    world.double.world().api = false;
    is_misconfigured(world.panel.ensure_package(&spec.account, "large").await);
    world.double.world().api = true;
    world.double.world().permissions.retain(|command| command != "v-suspend-user");
    is_misconfigured(world.panel.ensure_suspended(&spec.account, "abuse").await);
    assert!(world.panel.probe().await.is_ok());
}

#[tokio::test]
async fn a_key_of_the_old_kind_is_refused_before_anything_is_sent() {
    let world = World::new().await;
    let mut old = config(&world.proxy, &world.double);
    old.secret_key = "0123456789abcdef".into();

    is_misconfigured(HestiaPanel::new(old).map(|_| ()));
}

#[tokio::test]
async fn the_key_needs_the_commands_that_are_named_and_no_other() {
    let world = World::new().await;
    let panel = &world.panel;
    panel.probe().await.unwrap();

    let (spec, _) = created(panel, "alllife").await;
    at_once(panel.ensure_suspended(&spec.account, "abuse").await);
    at_once(panel.ensure_active(&spec.account).await);
    at_once(panel.ensure_package(&spec.account, "large").await);
    at_once(panel.set_password(&spec.account, &spec.password).await);
    panel.usage(&spec.account).await.unwrap();
    panel.list().await.unwrap();
    at_once(panel.ensure_absent(&spec.account).await);

    let named: BTreeSet<_> = HestiaConfig::COMMANDS.iter().map(|command| (*command).to_owned()).collect();
    assert_eq!(world.double.world().ran, named);
}

#[tokio::test]
async fn success_without_an_exit_code_is_no_success() {
    let world = World::new().await;
    let body = r#"{"bodyonly": "OK"}"#;
    world.fault("cmd=v-add-user&", Fault::Answer { status: 200, headers: &[], body });

    let refused = world.panel.ensure_created(&spec("noheader")).await.unwrap_err();

    assert!(matches!(refused, PanelError::Ambiguous(_)), "{refused:?}");
}

#[tokio::test]
async fn a_failure_with_status_200_is_a_failure() {
    let world = World::new().await;
    let headers = &[("hestia-exit-code", "4")];
    let fault = Fault::Answer { status: 200, headers, body: "Error: user bodyonly exists" };
    world.fault("cmd=v-add-user&", fault);

    let refused = world.panel.ensure_created(&spec("bodyonly")).await.unwrap_err();

    assert!(matches!(refused, PanelError::NameTaken(_)), "{refused:?}");
}

#[tokio::test]
async fn half_a_list_with_code_0_is_no_list() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "halflist").await;
    at_once(world.panel.ensure_suspended(&spec.account, "abuse").await);
    let headers = &[("hestia-exit-code", "0")];
    let fault = Fault::Answer { status: 200, headers, body: "{\n    \"1\": {\n        \"TOPIC\": \"Acc" };
    world.fault("cmd=v-list-user-notifications&", fault.clone());

    // As an empty list it would make the suspension somebody else's.
    let observed = world.panel.observe(&spec.account).await;

    assert!(matches!(observed, Err(PanelError::Transient(_))), "{observed:?}");
}

#[tokio::test]
async fn another_users_record_is_no_answer() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "mistaken").await;
    let headers = &[("hestia-exit-code", "0")];
    let body = r#"{"other": {"NAME": "", "PACKAGE": "small", "TIME": "10:11:12", "DATE": "2026-11-26"}}"#;
    world.fault("cmd=v-list-user&", Fault::Answer { status: 200, headers, body });

    let observed = world.panel.observe(&spec.account).await;

    assert!(matches!(observed, Err(PanelError::Transient(_))), "{observed:?}");
}

#[tokio::test]
async fn codes_of_a_server_that_is_busy_are_waited_for_and_others_are_not() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "codes").await;
    let codes = [
        (13, "Capacity"),
        (14, "Transient"),
        (15, "Transient"),
        (17, "Transient"),
        (20, "Ambiguous"),
        (8, "Permanent"),
    ];
    for (code, class) in codes {
        world.double.world().busy.insert("codes".to_owned(), (1, code));

        let refused = world.panel.ensure_package(&spec.account, "large").await.unwrap_err();

        assert!(format!("{refused:?}").starts_with(class), "{code}: {refused:?}");
    }
    at_once(world.panel.ensure_package(&spec.account, "large").await);
}

#[tokio::test]
async fn what_the_server_is_and_what_an_account_uses_is_told() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "measured").await;
    (world.double.world().user("measured").disk, world.double.world().user("measured").bandwidth) = (7, 352);

    let server = world.panel.probe().await.unwrap();
    let usage = world.panel.usage(&spec.account).await.unwrap();

    assert_eq!(server.version, "HestiaCP 1.9.4");
    assert_eq!(server.hostname.as_deref(), Some("web1.example.net"));
    assert_eq!(server.nameservers, ["ns1.domain.tld", "ns2.domain.tld"]);
    assert_eq!(usage, Usage { disk_bytes: 7 << 20, inodes: None, traffic_bytes: Some(352 << 20) });
}

#[tokio::test]
async fn the_key_that_resets_a_forgotten_password_is_not_even_read() {
    logs::capture();
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "rkeyed").await;

    let observed = world.panel.observe(&spec.account).await.unwrap();

    assert!(!format!("{observed:?}").contains("dLqJ0vEoL3p9XWcu"));
    assert!(!logs::captured().contains("dLqJ0vEoL3p9XWcu"));
}

#[tokio::test]
async fn an_unknown_command_is_one_that_the_key_may_not_run() {
    let world = World::new().await;
    let config = config(&world.proxy, &world.double);
    let calls = Calls::new(config.http, config.access_key, config.secret_key).unwrap();

    let refused = calls.change("v-list-firewall", &[Arg::Plain("json")]).await.unwrap().unwrap_err();

    is_misconfigured(Err::<(), _>(refused.into()));
}
