//! What is WHM's own: its names, its owners, its suspensions, its bans, and what it says without doing it.

use super::*;

async fn refused(panel: &WhmPanel, spec: &CreateSpec) -> PanelError {
    panel.ensure_created(spec).await.unwrap_err()
}

#[tokio::test]
async fn names_that_the_server_cannot_give_are_taken() {
    let world = World::new().await;
    world.double.world().put("samefirstx", "x.example", "otherres");
    world.double.world().groups.push("onlygroup".to_owned());

    for username in ["samefirsty", "samefirstx", "mysql", "onlygroup"] {
        let refused = refused(&world.panel, &spec(username)).await;

        assert!(matches!(refused, PanelError::NameTaken(_)), "{username}: {refused:?}");
        assert_eq!(world.double.world().accounts.len(), 1);
    }
    let observed = async |username| world.panel.observe(&spec(username).account).await.unwrap();
    assert_eq!(observed("samefirstx").await, Observed::Foreign);
    assert_eq!(observed("samefirsty").await, Observed::Absent, "no account has the name, though it cannot be had");
}

#[tokio::test]
async fn names_that_whm_would_change_are_never_sent() {
    let world = World::new().await;

    for username in ["Upper", "1digit", "tester", "a-b", "", "seventeenletters0", "a/b"] {
        let refused = refused(&world.panel, &spec(username)).await;

        assert!(matches!(refused, PanelError::Permanent(_)), "{username}: {refused:?}");
    }
    assert!(world.proxy.seen().is_empty());
}

#[tokio::test]
async fn an_account_whose_group_is_there_already_is_adopted() {
    let world = World::new().await;
    let spec = spec("slowone");
    world.proxy.next(1, world.requests(Operation::Observe), Fault::Answer {
        status: 200,
        headers: &[],
        body: r#"{"metadata":{"result":0,"reason":"(XID q1) Account does not exist","version":1,"command":"accountsummary"}}"#,
    });
    world.double.world().put("slowone", "slowone.berth.example", "berthres");

    let adopted = at_once(world.panel.ensure_created(&spec).await);

    assert!(adopted.adopted);
    assert!(world.double.world().logs_in("slowone", spec.password.expose_secret()));
}

#[tokio::test]
async fn an_account_that_is_older_than_the_intent_is_somebody_elses() {
    let world = World::new().await;
    let mut spec = spec("olderone");
    world.double.world().put("olderone", "olderone.berth.example", "berthres");
    world.double.world().accounts.get_mut("olderone").unwrap().made_at -= 3600;
    spec.intended_at = "2026-01-01T00:00:00Z".parse().unwrap();
    let made_at = world.double.world().accounts["olderone"].made_at;
    spec.intended_at = spec.intended_at.max(jiff::Timestamp::from_second(made_at + 600).unwrap());

    let refused = refused(&world.panel, &spec).await;

    assert!(matches!(refused, PanelError::NameTaken(_)), "{refused:?}");
    assert!(!world.double.world().logs_in("olderone", spec.password.expose_secret()));
}

#[tokio::test]
async fn an_account_with_another_owner_or_domain_is_somebody_elses() {
    let world = World::working_as("root").await;
    world.double.world().put("notours", "notours.berth.example", "otherres");
    world.double.world().put("nothere", "moved.example", "berthres");

    for username in ["notours", "nothere"] {
        let spec = spec(username);
        let image = world.image(username);

        assert_eq!(world.panel.observe(&spec.account).await.unwrap(), Observed::Foreign);
        assert!(matches!(refused(&world.panel, &spec).await, PanelError::NameTaken(_)));
        assert!(matches!(world.panel.ensure_absent(&spec.account).await, Err(PanelError::Permanent(_))));
        assert_eq!(world.image(username), image);
    }
}

#[tokio::test]
async fn an_account_that_staff_gave_another_domain_is_known_by_its_remote_id() {
    let world = World::new().await;
    let (mut spec, made) = created(&world.panel, "movedone").await;
    world.double.world().accounts.get_mut("movedone").unwrap().domain = "moved.example".to_owned();

    spec.account.remote_id = Some(made.remote_id);

    assert!(matches!(world.panel.observe(&spec.account).await.unwrap(), Observed::Present { .. }));
    at_once(world.panel.ensure_absent(&spec.account).await);
    assert!(world.double.world().accounts.is_empty());
}

#[tokio::test]
async fn a_create_says_what_was_asked_of_it_and_nothing_in_the_url() {
    let world = World::working_as("root").await;
    let mut spec = spec("withall");
    spec.account.domain = Some("Shop.Example".to_owned());

    let made = at_once(world.panel.ensure_created(&spec).await);

    let account = world.double.world().accounts["withall"].clone();
    assert_eq!((account.domain.as_str(), account.owner.as_str()), ("shop.example", "berthres"));
    assert_eq!((account.plan.as_str(), account.email.as_str()), ("small", "owner@example.org"));
    assert_eq!(made.site_url.as_deref(), Some("http://shop.example/"));
    assert_eq!(made.remote_id, format!("withall@{}", account.made_at));
    assert!(world.proxy.seen().iter().all(|seen| seen.starts_with("POST /json-api/") && !seen.contains('?')));
}

#[tokio::test]
async fn a_package_that_the_server_does_not_have_makes_no_account() {
    let world = World::new().await;
    let (made, _) = created(&world.panel, "packaged").await;
    let mut spec = spec("nopackag");
    spec.package = "huge".to_owned();

    let creating = refused(&world.panel, &spec).await;
    let changing = world.panel.ensure_package(&made.account, "huge").await.unwrap_err();

    assert!(matches!(creating, PanelError::Permanent(_)), "{creating:?}");
    assert!(matches!(changing, PanelError::Permanent(_)), "{changing:?}");
    assert_eq!(world.double.world().accounts.len(), 1);
    assert_eq!(world.double.world().accounts["packaged"].plan, "small");
}

#[tokio::test]
async fn a_package_that_was_said_to_change_and_did_not_is_no_success() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "stubborn").await;
    world.double.world().keeps_packages = true;

    let refused = world.panel.ensure_package(&spec.account, "large").await.unwrap_err();

    assert!(matches!(refused, PanelError::Permanent(_)), "{refused:?}");
}

#[tokio::test]
async fn a_suspension_that_root_has_locked_is_left_alone_whatever_its_reason() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "lockedup").await;
    suspend(&world.double, "lockedup", "berth: non_payment", true);
    let image = world.image("lockedup");

    at_once(world.panel.ensure_suspended(&spec.account, "abuse").await);
    let refused = world.panel.ensure_active(&spec.account).await.unwrap_err();

    assert!(matches!(refused, PanelError::Permanent(_)), "{refused:?}");
    assert_eq!(world.image("lockedup"), image);
}

#[tokio::test]
async fn another_reason_replaces_ours_whether_or_not_the_server_updates_reasons() {
    for updates in [false, true] {
        let world = World::new().await;
        world.double.world().updates_reasons = updates;
        let (spec, _) = created(&world.panel, "reasoned").await;

        at_once(world.panel.ensure_suspended(&spec.account, "non_payment").await);
        at_once(world.panel.ensure_suspended(&spec.account, "abuse").await);

        let suspension = world.double.world().accounts["reasoned"].suspension.clone().unwrap();
        assert_eq!(suspension.reason, "berth: abuse");
    }
}

#[tokio::test]
async fn an_adopted_account_that_is_suspended_keeps_its_password() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "keepspwd").await;
    world.double.world().accounts.get_mut("keepspwd").unwrap().password = "the customer's own".to_owned();
    at_once(world.panel.ensure_suspended(&spec.account, "non_payment").await);

    let adopted = at_once(world.panel.ensure_created(&spec).await);

    assert!(adopted.adopted);
    assert_eq!(world.double.world().accounts["keepspwd"].password, "the customer's own");
}

#[tokio::test]
async fn a_password_that_the_server_finds_weak_is_refused_and_not_shown() {
    let world = World::new().await;
    let (made, _) = created(&world.panel, "weakpass").await;
    let mut spec = spec("weakinit");
    spec.password = "Pw-weakinit-9".to_owned().into();

    let creating = refused(&world.panel, &spec).await;
    let changing = world.panel.set_password(&made.account, &"short".to_owned().into()).await.unwrap_err();

    for (refused, secret) in [(creating, "Pw-weakinit-9"), (changing, "short")] {
        assert!(matches!(refused, PanelError::Permanent(_)), "{refused:?}");
        assert!(refused.to_string().contains("[redacted]"), "{refused}");
        assert!(!format!("{refused:?}").contains(secret), "{refused:?}");
    }
}

#[tokio::test]
async fn a_banned_address_is_for_the_operator_until_the_ban_is_lifted() {
    let world = World::new().await;
    let mut wrong = config(&world.proxy, &world.double, "berthres");
    wrong.token = "WRONG-TOKEN".to_owned().into();
    let wrong = WhmPanel::new(wrong).unwrap();

    for _ in 0..5 {
        assert!(matches!(wrong.probe().await, Err(PanelError::Misconfigured(_))));
    }
    let banned = world.panel.probe().await;
    world.double.lift_ban();
    let free = world.panel.probe().await;

    assert!(matches!(banned, Err(PanelError::Misconfigured(_))), "{banned:?}");
    assert!(free.is_ok(), "{free:?}");
}

#[tokio::test]
async fn a_create_that_outlasts_its_time_is_adopted_when_it_has_ended() {
    let double = Double::new().await;
    let proxy = FaultProxy::new(Upstream::Tcp(double.address())).await;
    let config = WhmConfig { create_timeout: Duration::from_millis(200), ..config(&proxy, &double, "berthres") };
    let (panel, spec) = (WhmPanel::new(config).unwrap(), spec("slowboat"));
    let held = double.hold_creates().await;

    let given_up = refused(&panel, &spec).await;
    let before = panel.observe(&spec.account).await.unwrap();
    drop(held);
    drop(double.hold_creates().await);
    let adopted = at_once(panel.ensure_created(&spec).await);

    assert!(matches!(given_up, PanelError::Ambiguous(_)), "{given_up:?}");
    assert_eq!(before, Observed::Absent);
    assert!(adopted.adopted);
    assert_eq!(double.world().creates["slowboat"], 1);
}

#[tokio::test]
async fn what_the_server_is_and_what_an_account_uses_is_told() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "measured").await;
    world.double.world().accounts.get_mut("measured").unwrap().sent_bytes = 352;

    let server = world.panel.probe().await.unwrap();
    let usage = world.panel.usage(&spec.account).await.unwrap();

    assert_eq!(server.version, "cPanel & WHM 11.138.0.5");
    assert_eq!(server.hostname.as_deref(), Some("web1.example.net"));
    assert_eq!(server.nameservers, ["ns1.example.net", "ns2.example.net"]);
    assert_eq!(usage, Usage { disk_bytes: 14 << 20, inodes: Some(321), traffic_bytes: Some(352) });
}

#[tokio::test]
async fn a_reseller_that_may_not_read_name_servers_is_told_of_none() {
    let world = World::working_as("otherres").await;

    assert!(world.panel.probe().await.unwrap().nameservers.is_empty());
}

#[tokio::test]
async fn a_sign_in_link_is_the_accounts_own() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "signedin").await;

    let link = world.panel.login_url(&spec.account).await.unwrap();

    let sessions = world.double.world().sessions.clone();
    assert_eq!(sessions.get(link.0.expose_secret()).map(String::as_str), Some("signedin"));
}

#[tokio::test]
async fn an_answer_in_the_shapes_of_api_0_is_no_success() {
    let world = World::new().await;
    let body = r#"{"result":[{"status":1,"statusmsg":"Account Creation Ok"}]}"#;
    world.proxy.next(1, world.requests(Operation::Create), Fault::Answer { status: 200, headers: &[], body });

    let refused = refused(&world.panel, &spec("oldshape")).await;

    assert!(matches!(refused, PanelError::Ambiguous(_)), "{refused:?}");
}
