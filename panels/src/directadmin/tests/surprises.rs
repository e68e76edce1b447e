//! What is DirectAdmin's own: its names, its owners, its pages in place of answers, its bans, and what it says without doing
//! it.

use super::*;

async fn refused(panel: &DirectAdminPanel, spec: &CreateSpec) -> PanelError {
    panel.ensure_created(spec).await.unwrap_err()
}

#[tokio::test]
async fn names_that_the_server_cannot_give_are_taken() {
    let world = World::new().await;
    world.double.world().put("theirs", "x.example", "otherres");

    for username in ["theirs", "mysql"] {
        let refused = refused(&world.panel, &spec(username)).await;

        assert!(matches!(refused, PanelError::NameTaken(_)), "{username}: {refused:?}");
        assert_eq!(world.panel.observe(&spec(username).account).await.unwrap(), Observed::Foreign);
    }
    assert_eq!(world.double.world().users.len(), 1);
}

#[tokio::test]
async fn a_server_that_tells_no_reseller_which_names_are_taken_tells_at_the_create() {
    let world = World::new().await;
    world.double.world().put("theirs", "x.example", "otherres");
    world.double.world().forbidden = Some("USER_EXISTS");

    let refused = refused(&world.panel, &spec("theirs")).await;
    let (free, _) = created(&world.panel, "isfree").await;

    assert!(matches!(refused, PanelError::NameTaken(_)), "{refused:?}");
    assert!(matches!(world.panel.observe(&free.account).await.unwrap(), Observed::Present { .. }));
    assert_eq!(world.double.world().users.len(), 2);
}

#[tokio::test]
async fn names_that_not_every_server_takes_are_never_sent() {
    let world = World::new().await;

    for username in ["Upper", "1digit", "a-b", "", "elevenchars", "a/b", "a&b"] {
        let refused = refused(&world.panel, &spec(username)).await;

        assert!(matches!(refused, PanelError::Permanent(_)), "{username}: {refused:?}");
    }
    assert!(world.proxy.seen().is_empty());
}

#[tokio::test]
async fn an_account_with_another_reseller_or_domain_is_somebody_elses() {
    let world = World::working_as("admin|berthres").await;
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
async fn an_account_that_is_a_day_older_than_the_intent_is_somebody_elses() {
    let world = World::new().await;
    let mut spec = spec("olderone");
    world.double.world().put("olderone", "olderone.berth.example", "berthres");
    let made_at = world.double.world().users["olderone"].made_at;
    spec.intended_at = jiff::Timestamp::from_second(made_at + 24 * 3600).unwrap();

    let refused = refused(&world.panel, &spec).await;

    assert!(matches!(refused, PanelError::NameTaken(_)), "{refused:?}");
    assert!(!world.double.world().logs_in("olderone", spec.password.expose_secret()));
}

#[tokio::test]
async fn an_account_of_now_is_adopted_whatever_the_servers_zone() {
    let world = World::new().await;
    let mut spec = spec("newone");
    world.double.world().put("newone", "newone.berth.example", "berthres");
    spec.intended_at = jiff::Timestamp::from_second(world.double.world().users["newone"].made_at).unwrap();

    let adopted = at_once(world.panel.ensure_created(&spec).await);

    assert!(adopted.adopted);
    assert!(world.double.world().logs_in("newone", spec.password.expose_secret()));
}

#[tokio::test]
async fn an_account_that_staff_gave_another_domain_is_known_by_its_remote_id() {
    let world = World::new().await;
    let (mut spec, made) = created(&world.panel, "movedone").await;
    world.double.world().users.get_mut("movedone").unwrap().domain = "moved.example".to_owned();

    spec.account.remote_id = Some(made.remote_id);

    assert!(matches!(world.panel.observe(&spec.account).await.unwrap(), Observed::Present { .. }));
    at_once(world.panel.ensure_absent(&spec.account).await);
    assert!(world.double.world().users.is_empty());
}

#[tokio::test]
async fn a_create_says_what_was_asked_of_it_and_nothing_secret_in_the_url() {
    let world = World::new().await;
    let mut spec = spec("withall");
    spec.account.domain = Some("Shop.Example".to_owned());

    let made = at_once(world.panel.ensure_created(&spec).await);

    let user = world.double.world().users["withall"].clone();
    assert_eq!((user.domain.as_str(), user.creator.as_str()), ("shop.example", "berthres"));
    assert_eq!((user.package.as_str(), user.email.as_str()), ("small", "owner@example.org"));
    assert_eq!(user.ip, "192.0.2.7", "an address that is free would be this account's alone");
    assert_eq!(made.site_url.as_deref(), Some("http://shop.example/"));
    assert!(made.remote_id.starts_with("withall@"), "{made:?}");
    let posted: Vec<_> = world.proxy.seen().into_iter().filter(|seen| seen.starts_with("POST")).collect();
    assert_eq!(posted, ["POST /CMD_API_ACCOUNT_USER?json=yes"]);
}

#[tokio::test]
async fn an_address_that_is_configured_is_used_unasked() {
    let world = World::new().await;
    let config =
        DirectAdminConfig { ip: Some("192.0.2.9".to_owned()), ..config(&world.proxy, &world.double, "berthres") };
    let panel = DirectAdminPanel::new(config).unwrap();

    created(&panel, "ownaddr").await;

    assert_eq!(world.double.world().users["ownaddr"].ip, "192.0.2.9");
    assert!(!world.proxy.seen().iter().any(|seen| seen.contains("SHOW_RESELLER_IPS")));
}

#[tokio::test]
async fn a_reseller_without_room_is_full() {
    let world = World::new().await;
    world.double.world().users_max = 1;
    created(&world.panel, "onlyone").await;

    let too_many = refused(&world.panel, &spec("another")).await;
    world.double.world().ips.retain(|(_, status)| status != "shared");
    let no_address = refused(&world.panel, &spec("another")).await;

    assert!(matches!(too_many, PanelError::Capacity(_)), "{too_many:?}");
    assert!(matches!(no_address, PanelError::Capacity(_)), "{no_address:?}");
}

#[tokio::test]
async fn a_package_that_the_reseller_does_not_have_makes_no_account() {
    let world = World::new().await;
    let (made, _) = created(&world.panel, "packaged").await;
    let mut spec = spec("nopackag");
    spec.package = "huge".to_owned();

    let creating = refused(&world.panel, &spec).await;
    let changing = world.panel.ensure_package(&made.account, "huge").await.unwrap_err();

    assert!(matches!(creating, PanelError::Permanent(_)), "{creating:?}");
    assert!(matches!(changing, PanelError::Permanent(_)), "{changing:?}");
    assert_eq!(world.double.world().users.len(), 1);
    assert_eq!(world.double.world().users["packaged"].package, "small");
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
async fn a_deletion_that_is_refused_after_it_was_done_is_a_success() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "deleted").await;
    world.double.world().refuses_what_it_deletes = true;

    at_once(world.panel.ensure_absent(&spec.account).await);

    assert!(world.double.world().users.is_empty());
}

#[tokio::test]
async fn an_adopted_account_that_is_suspended_keeps_its_password() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "keepspwd").await;
    world.double.world().users.get_mut("keepspwd").unwrap().password = "the customer's own".to_owned();
    at_once(world.panel.ensure_suspended(&spec.account, "non_payment").await);

    let adopted = at_once(world.panel.ensure_created(&spec).await);

    assert!(adopted.adopted);
    assert_eq!(world.double.world().users["keepspwd"].password, "the customer's own");
}

#[tokio::test]
async fn a_password_that_the_server_finds_weak_is_refused_and_not_shown() {
    for wire in [Wire::Json, Wire::JsonWithoutStatus, Wire::Form] {
        let world = World::new().await;
        world.double.world().wire = wire;
        let (made, _) = created(&world.panel, "weakpass").await;
        let mut spec = spec("weakinit");
        spec.password = "P'w&weakinit<9>".to_owned().into();

        let creating = refused(&world.panel, &spec).await;
        let changing = world.panel.set_password(&made.account, &"sh'o&rt".to_owned().into()).await.unwrap_err();

        for (refused, secret) in [(creating, "weakinit<9>"), (changing, "o&rt")] {
            assert!(matches!(refused, PanelError::Permanent(_)), "{refused:?}");
            assert!(refused.to_string().contains("[redacted]"), "{refused}");
            assert!(!format!("{refused:?}").contains(secret), "{refused:?}");
        }
        assert!(world.double.world().logs_in("weakpass", made.password.expose_secret()));
    }
}

#[tokio::test]
async fn a_lapsed_licence_is_for_the_operator_and_nothing_is_done() {
    let world = World::new().await;
    let (made, _) = created(&world.panel, "licensed").await;
    world.double.world().licence_lapsed = true;

    let creating = refused(&world.panel, &spec("unlicensed")).await;
    let observing = world.panel.observe(&made.account).await.unwrap_err();

    for refused in [creating, observing] {
        assert!(matches!(refused, PanelError::Misconfigured(_)), "{refused:?}");
    }
    for (status, body) in [(402, r#"{"type":"LICENSE_OVERUSED"}"#), (200, "<html>This license is not valid</html>")] {
        world.proxy.next(1, Requests::all(), Fault::Answer { status, headers: &[], body });
        let refused = world.panel.observe(&made.account).await.unwrap_err();
        assert!(matches!(refused, PanelError::Misconfigured(_)), "{refused:?}");
    }
}

#[tokio::test]
async fn wrong_credentials_and_a_banned_address_are_for_the_operator() {
    let world = World::new().await;
    let mut wrong = config(&world.proxy, &world.double, "berthres");
    wrong.login_key = "WRONG-KEY".to_owned().into();
    let wrong = DirectAdminPanel::new(wrong).unwrap();
    let account = spec("anybody").account;

    for _ in 0..5 {
        assert!(matches!(wrong.observe(&account).await, Err(PanelError::Misconfigured(_))));
    }
    let banned = world.panel.observe(&account).await;
    world.double.lift_ban();
    let free = world.panel.observe(&account).await;

    assert!(matches!(banned, Err(PanelError::Misconfigured(_))), "{banned:?}");
    assert!(matches!(free, Ok(Observed::Absent)), "{free:?}");
    assert!(matches!(wrong.probe().await, Err(PanelError::Misconfigured(_))));
}

#[tokio::test]
async fn a_command_that_the_key_may_not_run_is_for_the_operator() {
    for command in ["SHOW_USER_CONFIG", "PACKAGES_USER", "SHOW_RESELLER_IPS", "ACCOUNT_USER"] {
        let world = World::new().await;
        world.double.world().forbidden = Some(command);

        let refused = refused(&world.panel, &spec("forbidden")).await;

        assert!(matches!(refused, PanelError::Misconfigured(_)), "{command}: {refused:?}");
        assert!(world.double.world().users.is_empty());
    }
}

#[tokio::test]
async fn a_refusal_that_nobody_knows_of_an_account_that_is_ours_is_no_absence() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "unshowed").await;
    let body = r#"{"error":"Etwas anderes","result":"ging schief"}"#;
    world.proxy.next(2, world.requests(Operation::Observe), Fault::Answer { status: 500, headers: &[], body });

    let observing = world.panel.observe(&spec.account).await;
    let creating = refused(&world.panel, &spec).await;

    assert!(matches!(observing, Err(PanelError::Permanent(_))), "{observing:?}");
    assert!(matches!(creating, PanelError::Permanent(_)), "{creating:?}");
    assert_eq!(world.double.world().creates["unshowed"], 1);
}

#[tokio::test]
async fn a_gateway_that_answers_in_json_leaves_a_create_open() {
    let world = World::new().await;
    let body = r#"{"error":"upstream timed out"}"#;
    for status in [502, 504] {
        world.proxy.next(1, world.requests(Operation::Create), Fault::Answer { status, headers: &[], body });

        let refused = refused(&world.panel, &spec("gateway")).await;

        assert!(matches!(refused, PanelError::Ambiguous(_)), "{refused:?}");
    }
}

#[tokio::test]
async fn a_create_that_outlasts_its_time_is_adopted_when_it_has_ended() {
    let double = Double::new().await;
    let proxy = FaultProxy::new(Upstream::Tcp(double.address())).await;
    let config =
        DirectAdminConfig { create_timeout: Duration::from_millis(200), ..config(&proxy, &double, "berthres") };
    let (panel, spec) = (DirectAdminPanel::new(config).unwrap(), spec("slowboat"));
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
    world.double.world().users.get_mut("measured").unwrap().sent_bytes = 352;

    let server = world.panel.probe().await.unwrap();
    let usage = world.panel.usage(&spec.account).await.unwrap();

    assert_eq!(server.hostname.as_deref(), Some("web1.example.net"));
    assert_eq!(server.nameservers, ["ns1.example.net", "ns2.example.net"]);
    assert_eq!(usage, Usage { disk_bytes: 14 << 20, inodes: Some(321), traffic_bytes: Some(352) });
}

#[tokio::test]
async fn a_sign_in_link_is_the_accounts_own() {
    for user in ["berthres", "admin|berthres"] {
        let world = World::working_as(user).await;
        let (spec, _) = created(&world.panel, "signedin").await;

        let link = world.panel.login_url(&spec.account).await.unwrap();

        let links = world.double.world().links.clone();
        assert_eq!(links.get(link.0.expose_secret()).map(String::as_str), Some("signedin"));
    }
}

#[test]
fn users_and_words_that_cannot_be_meant_are_refused() {
    let make = |user: &str, word: &str| {
        let endpoint = "https://web1.example.net:2222".parse().unwrap();
        let config = DirectAdminConfig::new(endpoint, user, "key".to_owned().into(), "berth.example");
        DirectAdminPanel::new(DirectAdminConfig { suspension_word: word.to_owned(), ..config }).map(drop)
    };

    assert!(make("berth", "billing").is_ok());
    assert!(make("admin|berth", "billing").is_ok());
    for (user, word) in [("", "billing"), ("a|", "billing"), ("a|b|c", "billing"), ("a:b", "billing"), ("berth", "a b")]
    {
        assert!(matches!(make(user, word), Err(PanelError::Misconfigured(_))), "{user} {word}");
    }
}
