//! Work of several commands that stops between them: each converges when it is asked for again.

use futures::future::join_all;
use secrecy::ExposeSecret as _;

use super::*;

const REASON: &str = "non_payment";

fn ours(reason: &str) -> RemoteState {
    RemoteState::Suspended { reason: Some(reason.to_owned()), ours: true }
}

async fn state(world: &World, account: &AccountRef) -> RemoteState {
    match world.panel.observe(account).await.unwrap() {
        Observed::Present { state, .. } => state,
        other @ (Observed::Absent | Observed::Partial { .. } | Observed::Foreign) => panic!("{other:?}"),
    }
}

/// A create of which one command's answer, or the command itself, is lost.
async fn a_create_is_finished_after(command: &'static str, fault: Fault) {
    let (world, spec) = (World::new().await, spec("stopped"));
    world.fault(command, fault.clone());

    let lost = world.panel.ensure_created(&spec).await;
    let adopted = at_once(world.panel.ensure_created(&spec).await);

    assert!(lost.is_err(), "{command} {fault:?}: {lost:?}");
    assert!(world.proxy.is_spent(), "{command}");
    let user = world.double.world().user("stopped").clone();
    assert_eq!((user.web.len(), user.dns.len(), user.mail.len()), (1, 1, 1), "{command} {fault:?}");
    assert_eq!(adopted.remote_id, format!("stopped@{}T{}", user.date, user.time));
    assert!(world.double.world().logs_in("stopped", spec.password.expose_secret()));
    assert_eq!(world.double.world().creates["stopped"], 1);
}

#[tokio::test]
async fn a_create_that_stops_at_any_command_is_finished_by_the_next() {
    for command in [
        "cmd=v-list-user&",
        "cmd=v-search-domain-owner&",
        "cmd=v-add-user&",
        "cmd=v-add-web-domain&",
        "cmd=v-list-web-domains&",
        "cmd=v-add-dns-domain&",
        "cmd=v-add-mail-domain&",
    ] {
        for fault in [Fault::DropRequest, Fault::DropResponse, Fault::Html] {
            a_create_is_finished_after(command, fault).await;
        }
    }
}

#[tokio::test]
async fn a_create_whose_user_could_not_be_read_back_is_ambiguous() {
    let (world, spec) = (World::new().await, spec("unread"));
    // The first look passes; the one after the create does not.
    world.proxy.next(1, Requests::all().body("cmd=v-list-user&"), Fault::Latency(Duration::ZERO));
    world.fault("cmd=v-list-user&", Fault::Answer { status: 429, headers: &[("retry-after", "7")], body: "" });

    let lost = world.panel.ensure_created(&spec).await;

    assert!(matches!(lost, Err(PanelError::Ambiguous(_))), "{lost:?}");
    assert!(at_once(world.panel.ensure_created(&spec).await).adopted);
}

#[tokio::test]
async fn a_server_that_fills_up_amid_a_create_keeps_the_account() {
    let (world, spec) = (World::new().await, spec("fillsup"));
    let fault = Fault::Answer { status: 400, headers: &[("hestia-exit-code", "13")], body: "Error: no space" };
    world.fault("cmd=v-add-web-domain&", fault);

    let lost = world.panel.ensure_created(&spec).await;

    // `Capacity` would have it made on another server too.
    assert!(matches!(lost, Err(PanelError::Ambiguous(_))), "{lost:?}");
    assert!(at_once(world.panel.ensure_created(&spec).await).adopted);
}

#[tokio::test]
async fn a_user_that_is_being_made_is_waited_for() {
    let (world, spec) = (World::new().await, spec("unborn"));
    world.double.world().half_written.push("unborn".to_owned());

    let observed = world.panel.observe(&spec.account).await;
    let created = world.panel.ensure_created(&spec).await;

    assert!(matches!(observed, Err(PanelError::Transient(_))), "{observed:?}");
    assert!(matches!(created, Err(PanelError::Transient(_))), "{created:?}");
}

#[tokio::test]
async fn a_create_that_outlasts_its_time_is_adopted_when_it_has_ended() {
    let double = Double::new().await;
    let proxy = FaultProxy::new(Upstream::Tcp(double.address())).await;
    let mut config = config(&proxy, &double);
    config.http.mutation_timeout = Duration::from_millis(200);
    let (panel, spec) = (HestiaPanel::new(config).unwrap(), spec("slowboat"));
    let held = double.hold_creates().await;

    let given_up = panel.ensure_created(&spec).await.unwrap_err();
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
async fn a_create_that_meets_its_own_late_user_adopts_it() {
    let (world, spec) = (World::new().await, spec("latecomer"));
    let headers = &[("hestia-exit-code", "3")];
    world
        .fault("cmd=v-list-user&", Fault::Answer { status: 400, headers, body: "Error: user latecomer doesn't exist" });
    world.half_create(&spec).await.unwrap();

    let adopted = at_once(world.panel.ensure_created(&spec).await);

    assert!(adopted.adopted);
    assert_eq!(world.double.world().user("latecomer").web.len(), 1);
}

#[tokio::test]
async fn a_domain_that_another_call_has_just_added_is_taken_for_ours() {
    let world = World::new().await;
    // In `small` Hestia says that there is no room for another domain, in `large` that the domain is there.
    for (username, package) in [("quicka", "small"), ("quickb", "large")] {
        let mut spec = spec(username);
        package.clone_into(&mut spec.package);
        at_once(world.panel.ensure_created(&spec).await);
        let nothing = Fault::Answer { status: 200, headers: &[("hestia-exit-code", "0")], body: "{\n}" };
        world.fault("cmd=v-list-web-domains&", nothing);

        let adopted = at_once(world.panel.ensure_created(&spec).await);

        assert!(adopted.adopted && world.proxy.is_spent());
        assert_eq!(world.double.world().user(username).web.len(), 1);
    }
}

#[tokio::test]
async fn ten_calls_at_once_never_change_a_user_together() {
    let (world, spec) = (World::new().await, spec("crowded"));

    let made = join_all((0..10).map(|_| world.panel.ensure_created(&spec))).await;
    let suspended = join_all((0..10).map(|_| world.panel.ensure_suspended(&spec.account, REASON))).await;

    assert!(made.iter().all(Result::is_ok), "{made:?}");
    assert!(suspended.iter().all(Result::is_ok), "{suspended:?}");
    assert!(!world.double.world().overlapped);
    assert_eq!(world.double.world().user("crowded").notifications.len(), 1);
}

#[tokio::test]
async fn an_adopted_account_that_is_suspended_is_left_as_it_is() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "keeps").await;
    "the customer's own".clone_into(&mut world.double.world().user("keeps").password);
    at_once(world.panel.ensure_suspended(&spec.account, REASON).await);
    let image = world.image("keeps");

    let adopted = at_once(world.panel.ensure_created(&spec).await);

    assert!(adopted.adopted);
    assert_eq!(world.image("keeps"), image);
}

#[tokio::test]
async fn an_account_that_was_suspended_before_it_was_whole_is_for_staff() {
    let (world, spec) = (World::new().await, spec("halfway"));
    world.half_create(&spec).await.unwrap();
    world.suspend_foreign("halfway").unwrap();

    let refused = world.panel.ensure_created(&spec).await;

    assert!(matches!(refused, Err(PanelError::Permanent(_))), "{refused:?}");
}

#[tokio::test]
async fn a_suspension_that_stops_at_any_command_is_finished_and_ours() {
    for command in ["cmd=v-list-user-notifications&", "cmd=v-add-user-notification&", "cmd=v-suspend-user&"] {
        for fault in [Fault::DropRequest, Fault::DropResponse] {
            let world = World::new().await;
            let (spec, _) = created(&world.panel, "stopped").await;
            world.fault(command, fault.clone());

            let lost = world.panel.ensure_suspended(&spec.account, REASON).await;
            at_once(world.panel.ensure_suspended(&spec.account, REASON).await);

            assert!(lost.is_err(), "{command} {fault:?}");
            assert_eq!(state(&world, &spec.account).await, ours(REASON), "{command} {fault:?}");
            assert_eq!(world.double.world().user("stopped").notifications.len(), 1);
            at_once(world.panel.ensure_active(&spec.account).await);
            assert_eq!(world.double.world().user("stopped").notifications.len(), 0);
        }
    }
}

#[tokio::test]
async fn an_unsuspension_that_stops_at_any_command_is_finished() {
    for command in ["cmd=v-list-user-notifications&", "cmd=v-unsuspend-user&", "cmd=v-delete-user-notification&"] {
        for fault in [Fault::DropRequest, Fault::DropResponse] {
            let world = World::new().await;
            let (spec, _) = created(&world.panel, "stopped").await;
            at_once(world.panel.ensure_suspended(&spec.account, REASON).await);
            world.fault(command, fault.clone());

            let lost = world.panel.ensure_active(&spec.account).await;
            at_once(world.panel.ensure_active(&spec.account).await);

            assert!(lost.is_err(), "{command} {fault:?}");
            let user = world.double.world().user("stopped").clone();
            assert!(!user.suspended && user.notifications.is_empty() && user.web.values().all(|serves| *serves));
            // No mark is left that would make a suspension by staff ours.
            world.suspend_foreign("stopped").unwrap();
            assert!(matches!(state(&world, &spec.account).await, RemoteState::Suspended { ours: false, .. }));
        }
    }
}

#[tokio::test]
async fn an_unsuspension_that_the_server_stopped_amid_opens_the_sites_at_last() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "dark").await;
    at_once(world.panel.ensure_suspended(&spec.account, REASON).await);
    world.double.world().stops_unsuspending = Some(20);

    let stopped = world.panel.ensure_active(&spec.account).await;
    let is_flagged = world.double.world().user("dark").suspended;
    at_once(world.panel.ensure_active(&spec.account).await);

    assert!(matches!(stopped, Err(PanelError::Ambiguous(_))), "{stopped:?}");
    assert!(!is_flagged, "by its flag the user was active");
    assert!(world.double.world().user("dark").web.values().all(|serves| *serves));
}

#[tokio::test]
async fn another_reason_replaces_ours_at_any_stop_and_the_account_stays_suspended() {
    for command in ["cmd=v-add-user-notification&", "cmd=v-delete-user-notification&"] {
        for fault in [Fault::DropRequest, Fault::DropResponse] {
            let world = World::new().await;
            let (spec, _) = created(&world.panel, "reasoned").await;
            at_once(world.panel.ensure_suspended(&spec.account, REASON).await);
            world.fault(command, fault.clone());

            let lost = world.panel.ensure_suspended(&spec.account, "abuse").await;
            let between = state(&world, &spec.account).await;
            at_once(world.panel.ensure_suspended(&spec.account, "abuse").await);

            assert!(lost.is_err(), "{command} {fault:?}");
            assert!(matches!(between, RemoteState::Suspended { ours: true, .. }), "{command} {fault:?}");
            assert_eq!(state(&world, &spec.account).await, ours("abuse"));
            assert_eq!(world.double.world().user("reasoned").notifications.len(), 1, "{command} {fault:?}");
        }
    }
}

#[tokio::test]
async fn notifications_that_are_not_ours_are_no_marks_and_stay() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "noticed").await;
    let theirs =
        [("Account suspended", "for spam"), ("Welcome", "berth: non_payment"), ("<b>\"Backup\"</b>", "it's done")];
    for (id, (topic, notice)) in (1..).zip(theirs) {
        world.double.world().user("noticed").notifications.insert(id, (topic.to_owned(), notice.to_owned()));
    }

    world.suspend_foreign("noticed").unwrap();
    let by_staff = state(&world, &spec.account).await;
    world.double.world().user("noticed").set_suspended(false);
    at_once(world.panel.ensure_suspended(&spec.account, REASON).await);
    at_once(world.panel.ensure_active(&spec.account).await);

    assert_eq!(by_staff, RemoteState::Suspended { reason: None, ours: false });
    assert_eq!(world.double.world().user("noticed").notifications.len(), 3);
}
