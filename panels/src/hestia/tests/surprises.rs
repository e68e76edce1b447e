//! What is Hestia's own: its names, marks, domains, packages and passwords, and what it says without doing it.

use super::*;

async fn refused(world: &World, spec: &CreateSpec) -> PanelError {
    world.panel.ensure_created(spec).await.unwrap_err()
}

#[tokio::test]
async fn names_that_the_server_cannot_give_are_taken() {
    let world = World::new().await;

    // Reserved by Hestia, a system's user, and the administrator.
    for username in ["mysql", "backup", "admin"] {
        let refused = refused(&world, &spec(username)).await;

        assert!(matches!(refused, PanelError::NameTaken(_)), "{username}: {refused:?}");
        assert_eq!(world.double.world().customers(), 0);
    }
    let observed = async |username| world.panel.observe(&spec(username).account).await.unwrap();
    assert_eq!(observed("admin").await, Observed::Foreign);
    assert_eq!(observed("mysql").await, Observed::Absent, "no user has the name, though it cannot be had");
}

#[tokio::test]
async fn a_user_that_the_system_could_not_make_is_tried_again_under_its_name() {
    let (world, spec) = (World::new().await, spec("nogroup"));
    world.double.world().groups.push("nogroup".to_owned());

    let failed = refused(&world, &spec).await;
    world.double.world().groups.clear();
    let made = at_once(world.panel.ensure_created(&spec).await);

    assert!(matches!(failed, PanelError::Transient(_)), "{failed:?}");
    assert!(!made.adopted);
}

#[tokio::test]
async fn names_that_hestia_would_take_for_others_are_never_sent() {
    let world = World::new().await;

    for username in ["Upper", "1digit", "a-b", "bob_ftp", "", "x", "thirtyonecharacters000000000031", "a/b"] {
        let refused = refused(&world, &spec(username)).await;

        assert!(matches!(refused, PanelError::Permanent(_)), "{username}: {refused:?}");
    }
    assert!(world.proxy.seen().is_empty());
}

#[tokio::test]
async fn a_user_with_another_accounts_mark_is_somebody_elses() {
    let world = World::new().await;
    let (theirs, made) = created(&world.panel, "twice").await;
    let image = world.image("twice");
    // A new account of Berth's, under a name that an earlier one still has.
    let ours = spec("twice");

    let refused = refused(&world, &ours).await;

    assert!(matches!(refused, PanelError::NameTaken(_)), "{refused:?}");
    assert_eq!(world.panel.observe(&ours.account).await.unwrap(), Observed::Foreign);
    assert!(matches!(world.panel.ensure_absent(&ours.account).await, Err(PanelError::Permanent(_))));
    assert_eq!(world.image("twice"), image);
    let observed = world.panel.observe(&theirs.account).await.unwrap();
    assert!(matches!(observed, Observed::Present { remote_id, .. } if remote_id == made.remote_id));
}

#[tokio::test]
async fn a_customer_who_changed_the_name_is_known_by_the_remote_id() {
    let world = World::new().await;
    let (mut spec, made) = created(&world.panel, "renamed").await;
    "Jane Doe".clone_into(&mut world.double.world().user("renamed").name);

    let unknown = world.panel.observe(&spec.account).await.unwrap();
    spec.account.remote_id = Some(made.remote_id);
    let known = world.panel.observe(&spec.account).await.unwrap();
    at_once(world.panel.ensure_absent(&spec.account).await);

    assert_eq!(unknown, Observed::Foreign);
    assert!(matches!(known, Observed::Present { .. }), "{known:?}");
    assert_eq!(world.double.world().customers(), 0);
}

#[tokio::test]
async fn a_customer_who_deleted_the_domain_still_has_an_account() {
    let world = World::new().await;
    let (mut spec, made) = created(&world.panel, "moved").await;
    world.double.world().user("moved").web.clear();
    spec.account.remote_id = Some(made.remote_id);

    let observed = world.panel.observe(&spec.account).await.unwrap();
    let adopted = at_once(world.panel.ensure_created(&spec).await);

    assert!(matches!(observed, Observed::Present { .. }), "{observed:?}");
    assert!(adopted.adopted);
    assert!(world.double.world().user("moved").web.is_empty());
}

#[tokio::test]
async fn a_create_says_what_was_asked_of_it_and_nothing_in_the_url() {
    let world = World::new().await;
    let mut spec = spec("withall");
    spec.account.domain = Some("WWW.Shop.Example.".to_owned());

    let made = at_once(world.panel.ensure_created(&spec).await);

    let user = world.double.world().user("withall").clone();
    assert_eq!(user.name, format!("Berth {}", spec.account.account_id));
    assert_eq!((user.package.as_str(), user.contact.as_str()), ("small", "owner@example.org"));
    assert_eq!(user.web.into_keys().collect::<Vec<_>>(), ["shop.example"]);
    assert_eq!(user.dns, BTreeMap::from([("shop.example".to_owned(), "192.0.2.7".to_owned())]));
    assert_eq!(user.mail, ["shop.example"]);
    assert_eq!(made.site_url.as_deref(), Some("http://shop.example/"));
    assert_eq!(made.control_panel_url, Some(format!("{}/", world.proxy.url())));
    assert_eq!(made.remote_id, format!("withall@{}T{}", user.date, user.time));
    assert!(world.proxy.seen().iter().all(|seen| seen == "POST /api/"), "{:?}", world.proxy.seen());
}

#[tokio::test]
async fn a_server_without_dns_and_mail_has_accounts_all_the_same() {
    let world = World::new().await;
    (world.double.world().has_dns, world.double.world().has_mail) = (false, false);

    let (spec, made) = created(&world.panel, "webonly").await;

    assert!(!made.adopted);
    assert!(matches!(world.panel.observe(&spec.account).await.unwrap(), Observed::Present { .. }));
}

#[tokio::test]
async fn what_is_not_wanted_beside_the_domain_is_not_asked_for() {
    let double = Double::new().await;
    let proxy = FaultProxy::new(Upstream::Tcp(double.address())).await;
    let config = HestiaConfig { dns: false, mail: false, ..config(&proxy, &double) };
    let panel = HestiaPanel::new(config).unwrap();

    created(&panel, "plain").await;

    let user = double.world().user("plain").clone();
    assert_eq!((user.web.len(), user.dns.len(), user.mail.len()), (1, 0, 0));
}

#[tokio::test]
async fn a_domain_that_only_looks_alike_to_the_servers_search_is_free() {
    let world = World::new().await;
    world.hold_domain("my-shop.example").unwrap();
    let mut spec = spec("alike");
    spec.account.domain = Some("my.shop.example".to_owned());

    at_once(world.panel.ensure_created(&spec).await);

    assert!(world.double.world().user("alike").web.contains_key("my.shop.example"));
}

#[tokio::test]
async fn a_domain_below_somebody_elses_leaves_half_an_account_and_a_word_for_staff() {
    let world = World::new().await;
    world.double.world().guards_subdomains = true;
    world.hold_domain("shop.example").unwrap();
    let mut spec = spec("below");
    spec.account.domain = Some("my.shop.example".to_owned());

    for _ in 0..2 {
        let refused = refused(&world, &spec).await;

        assert!(matches!(refused, PanelError::Permanent(_)), "{refused:?}");
        assert!(refused.to_string().contains("belongs to a different user"), "{refused}");
    }
    let observed = world.panel.observe(&spec.account).await.unwrap();
    at_once(world.panel.ensure_absent(&spec.account).await);

    assert_eq!(observed, Observed::Partial { missing: vec!["web domain".to_owned()] });
    assert_eq!(world.double.world().creates["below"], 1);
    assert!(!world.double.world().users.contains_key("below"));
}

#[tokio::test]
async fn a_package_that_the_server_does_not_have_makes_no_account() {
    let world = World::new().await;
    let (made, _) = created(&world.panel, "packaged").await;
    let mut spec = spec("unpackaged");
    "huge".clone_into(&mut spec.package);

    let creating = refused(&world, &spec).await;
    let changing = world.panel.ensure_package(&made.account, "huge").await.unwrap_err();

    assert!(matches!(creating, PanelError::Permanent(_)), "{creating:?}");
    assert!(matches!(changing, PanelError::Permanent(_)), "{changing:?}");
    assert_eq!(world.double.world().customers(), 1);
    assert_eq!(world.double.world().user("packaged").package, "small");
}

#[tokio::test]
async fn a_package_too_small_for_what_is_there_is_refused_and_kept() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "roomy").await;

    let refused = world.panel.ensure_package(&spec.account, "mailonly").await.unwrap_err();

    assert!(matches!(refused, PanelError::Permanent(_)), "{refused:?}");
    assert_eq!(world.double.world().user("roomy").package, "small");
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
async fn passwords_that_hestia_would_read_otherwise_are_never_sent() {
    let world = World::new().await;
    let (made, _) = created(&world.panel, "careful").await;
    let seen = world.proxy.seen().len();

    for password in ["", " Rw7nTb3kYc5dFg9x", "Rw7nTb3kYc5dFg9x\nroot:Rw7nTb3kYc5dFg9x", "/tmp/Rw7nTb3kYc5dFg9x"] {
        let mut spec = spec("careless");
        spec.password = password.into();

        let creating = refused(&world, &spec).await;
        let changing = world.panel.set_password(&made.account, &spec.password).await.unwrap_err();

        for refused in [creating, changing] {
            assert!(matches!(refused, PanelError::Permanent(_)), "{refused:?}");
            assert!(!format!("{refused:?}").contains("Rw7nTb3kYc5dFg9x"), "{refused:?}");
        }
    }
    assert_eq!(world.proxy.seen().len(), seen);
}

#[tokio::test]
async fn a_password_that_the_server_finds_weak_is_refused_and_not_shown() {
    let world = World::new().await;
    let (made, _) = created(&world.panel, "strong").await;
    let mut spec = spec("weak");
    spec.password = "s3cr3t".into();

    let creating = refused(&world, &spec).await;
    let changing = world.panel.set_password(&made.account, &spec.password).await.unwrap_err();

    for refused in [creating, changing] {
        assert!(matches!(refused, PanelError::Permanent(_)), "{refused:?}");
        assert!(refused.to_string().contains("[redacted]"), "{refused}");
        assert!(!format!("{refused:?}").contains("s3cr3t"), "{refused:?}");
    }
}
