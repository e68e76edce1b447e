//! Whose suspension it is: after crashes at any step, beside staff's, and on servers that tell less.

use super::*;

const REQUESTS_MAX: u32 = 20;

fn comments(world: &World, username: &str) -> String {
    world.double.world().users[username].comments.clone()
}

fn set_comments(world: &World, username: &str, text: &str) {
    text.clone_into(&mut world.double.world().users.get_mut(username).unwrap().comments);
}

fn lift(world: &World, username: &str) {
    world.double.world().users.get_mut(username).unwrap().suspension = None;
}

async fn state(world: &World, account: &AccountRef) -> RemoteState {
    match world.panel.observe(account).await.unwrap() {
        Observed::Present { state, .. } => state,
        other @ (Observed::Absent | Observed::Partial { .. } | Observed::Foreign) => panic!("{other:?}"),
    }
}

fn ours(reason: &str) -> RemoteState {
    RemoteState::Suspended { reason: Some(reason.to_owned()), ours: true }
}

#[track_caller]
fn is_permanent<T: std::fmt::Debug>(answer: Result<T, PanelError>) {
    assert!(matches!(answer, Err(PanelError::Permanent(_))), "{answer:?}");
}

/// Lets the nth request of a call meet a fault, and says whether it had so many.
async fn meets(world: &World, nth: u32, fault: &Fault, call: impl AsyncFn() -> Result<Step<()>, PanelError>) -> bool {
    world.proxy.next(nth, Requests::all(), Fault::Latency(Duration::ZERO));
    world.proxy.next(1, Requests::all(), fault.clone());
    drop(call().await);
    let is_met = world.proxy.is_spent();
    while !world.proxy.is_spent() {
        drop(world.panel.probe().await);
    }
    is_met
}

#[tokio::test]
async fn a_crash_at_any_request_of_a_suspension_or_its_end_is_made_good_by_the_next() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "crashes").await;
    set_comments(&world, "crashes", "pays in cash & on Fridays\r\nask <Ann>");
    let account = &spec.account;

    for fault in [Fault::DropRequest, Fault::DropResponse] {
        for nth in 0..REQUESTS_MAX {
            let suspend = async || world.panel.ensure_suspended(account, "non_payment").await;
            let was_met = meets(&world, nth, &fault, suspend).await;
            at_once(suspend().await);
            assert_eq!(state(&world, account).await, ours("non_payment"), "{fault:?} {nth}");

            let activate = async || world.panel.ensure_active(account).await;
            let is_met = meets(&world, nth, &fault, activate).await;
            at_once(activate().await);
            assert_eq!(state(&world, account).await, RemoteState::Active, "{fault:?} {nth}");
            assert_eq!(comments(&world, "crashes"), "pays in cash & on Fridays\r\nask <Ann>", "{fault:?} {nth}");
            if !was_met && !is_met {
                assert!(nth > 5, "{nth}");
                break;
            }
            assert!(nth + 1 < REQUESTS_MAX);
        }
    }
}

#[tokio::test]
async fn the_mark_names_the_suspension_that_it_is_of() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "marked").await;

    at_once(world.panel.ensure_suspended(&spec.account, "non payment").await);

    let suspension = world.double.world().users["marked"].suspension.clone().unwrap();
    assert_eq!(suspension.reason, "billing");
    let expected = format!("[suspended-by-berth reason=non_payment under=billing at={}]", suspension.at);
    assert_eq!(comments(&world, "marked"), expected);
}

#[tokio::test]
async fn another_reason_changes_the_mark_and_not_the_suspension() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "twowords").await;
    at_once(world.panel.ensure_suspended(&spec.account, "non_payment").await);
    let suspension = world.double.world().users["twowords"].suspension.clone();

    at_once(world.panel.ensure_suspended(&spec.account, "abuse").await);

    assert_eq!(state(&world, &spec.account).await, ours("abuse"));
    assert_eq!(world.double.world().users["twowords"].suspension, suspension);
}

#[tokio::test]
async fn staff_who_suspend_under_our_own_word_are_left_alone() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "staffbill").await;
    world.double.world().suspend("staffbill", "billing");
    let image = world.image("staffbill");

    at_once(world.panel.ensure_suspended(&spec.account, "non_payment").await);
    is_permanent(world.panel.ensure_active(&spec.account).await);

    let theirs = RemoteState::Suspended { reason: Some("billing".to_owned()), ours: false };
    assert_eq!(state(&world, &spec.account).await, theirs);
    assert_eq!(world.image("staffbill"), image);
}

#[tokio::test]
async fn staff_who_lift_our_suspension_and_suspend_anew_are_left_alone() {
    for word in ["billing", "abuse"] {
        let world = World::new().await;
        let (spec, _) = created(&world.panel, "anew").await;
        at_once(world.panel.ensure_suspended(&spec.account, "non_payment").await);
        lift(&world, "anew");
        world.double.world().ahead = 60;
        world.double.world().suspend("anew", word);
        let image = world.image("anew");

        at_once(world.panel.ensure_suspended(&spec.account, "non_payment").await);
        is_permanent(world.panel.ensure_active(&spec.account).await);

        assert!(matches!(state(&world, &spec.account).await, RemoteState::Suspended { ours: false, .. }), "{word}");
        assert_eq!(world.image("anew"), image, "{word}");
    }
}

#[tokio::test]
async fn staff_who_suspend_between_our_mark_and_our_suspension_are_left_alone() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "between").await;
    world.proxy.next(1, world.requests(Operation::Suspend), Fault::DropRequest);
    world.panel.ensure_suspended(&spec.account, "non_payment").await.unwrap_err();
    assert!(comments(&world, "between").contains("under=billing]"));

    world.double.world().suspend("between", "spam");
    at_once(world.panel.ensure_suspended(&spec.account, "non_payment").await);

    is_permanent(world.panel.ensure_active(&spec.account).await);
    assert!(matches!(state(&world, &spec.account).await, RemoteState::Suspended { ours: false, .. }));
}

#[tokio::test]
async fn staff_who_take_out_the_mark_make_the_suspension_theirs() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "unmarked").await;
    at_once(world.panel.ensure_suspended(&spec.account, "non_payment").await);
    set_comments(&world, "unmarked", "stays off, says Ann");

    is_permanent(world.panel.ensure_active(&spec.account).await);
    lift(&world, "unmarked");

    at_once(world.panel.ensure_active(&spec.account).await);
    assert_eq!(state(&world, &spec.account).await, RemoteState::Active);
    assert_eq!(comments(&world, "unmarked"), "stays off, says Ann");
}

#[tokio::test]
async fn a_mark_of_a_suspension_that_staff_lifted_goes_with_the_next_look() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "lifted").await;
    at_once(world.panel.ensure_suspended(&spec.account, "non_payment").await);
    lift(&world, "lifted");

    at_once(world.panel.ensure_active(&spec.account).await);

    assert_eq!(comments(&world, "lifted"), "");
}

#[tokio::test]
async fn a_suspension_that_is_refused_leaves_no_mark() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "refused").await;
    world.double.world().locks.insert("refused".to_owned(), 1);

    let refused = world.panel.ensure_suspended(&spec.account, "non_payment").await;

    assert!(matches!(refused, Err(PanelError::Transient(_))), "{refused:?}");
    assert_eq!(comments(&world, "refused"), "");
}

#[tokio::test]
async fn a_server_without_our_word_or_any_says_so_at_the_first_suspension() {
    for tells_reasons in [true, false] {
        let world = World::new().await;
        let (spec, _) = created(&world.panel, "nowords").await;
        world.double.world().tells_reasons = tells_reasons;
        world.double.world().reasons.retain(|word| word != "billing");

        is_permanent(world.panel.ensure_suspended(&spec.account, "non_payment").await);

        is_permanent(world.panel.ensure_active(&spec.account).await);
        assert!(world.double.world().users["nowords"].suspension.is_some());
    }
}

#[tokio::test]
async fn a_server_that_does_not_keep_the_mark_says_so_at_the_first_suspension() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "nomark").await;
    world.double.world().keeps_comments = false;

    is_permanent(world.panel.ensure_suspended(&spec.account, "non_payment").await);

    is_permanent(world.panel.ensure_active(&spec.account).await);
}

#[tokio::test]
async fn a_key_that_may_not_write_comments_suspends_nothing() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "nocommnt").await;

    for command in ["COMMENTS", "SHOW_USER"] {
        world.double.world().forbidden = Some(command);
        let refused = world.panel.ensure_suspended(&spec.account, "non_payment").await;

        assert!(matches!(refused, Err(PanelError::Misconfigured(_))), "{refused:?}");
        assert_eq!(world.double.world().users["nocommnt"].suspension, None);
    }
}

#[tokio::test]
async fn a_server_that_tells_no_dates_is_believed_by_its_word() {
    let world = World::new().await;
    world.double.world().tells_dates = false;
    let (spec, _) = created(&world.panel, "nodates").await;

    at_once(world.panel.ensure_suspended(&spec.account, "non_payment").await);
    assert_eq!(state(&world, &spec.account).await, ours("non_payment"));
    at_once(world.panel.ensure_active(&spec.account).await);

    assert_eq!(state(&world, &spec.account).await, RemoteState::Active);
    assert_eq!(comments(&world, "nodates"), "");
}

#[tokio::test]
async fn a_word_of_berths_own_is_used_and_older_suspensions_keep_theirs() {
    let world = World::new().await;
    world.double.world().reasons.push("berth".to_owned());
    let (old, _) = created(&world.panel, "oldword").await;
    let (new, _) = created(&world.panel, "newword").await;
    at_once(world.panel.ensure_suspended(&old.account, "non_payment").await);
    let own =
        DirectAdminConfig { suspension_word: "berth".to_owned(), ..config(&world.proxy, &world.double, "berthres") };
    let own = DirectAdminPanel::new(own).unwrap();

    at_once(own.ensure_suspended(&new.account, "non_payment").await);
    assert_eq!(world.double.world().users["newword"].suspension.clone().unwrap().reason, "berth");
    for account in [&old.account, &new.account] {
        assert_eq!(state(&world, account).await, ours("non_payment"));
        at_once(own.ensure_active(account).await);
        assert_eq!(state(&world, account).await, RemoteState::Active);
    }
}

#[tokio::test]
async fn an_answer_without_the_comments_is_no_proof_and_changes_none() {
    let world = World::new().await;
    let (spec, _) = created(&world.panel, "unshown").await;
    set_comments(&world, "unshown", "ask Ann");
    let body = "<!DOCTYPE html><html><body>Welcome</body></html>";

    for body in [body, "{}", "[]", r#"{"user":"unshown","user_email":"owner@example.org"}"#] {
        let shows = Requests::all().method("GET").path("/CMD_SHOW_USER?");
        world.proxy.next(1, shows, Fault::Answer { status: 200, headers: &[], body });

        let refused = world.panel.ensure_suspended(&spec.account, "non_payment").await;

        assert!(matches!(refused, Err(PanelError::Transient(_))), "{body}: {refused:?}");
        assert_eq!(comments(&world, "unshown"), "ask Ann");
    }
    assert_eq!(state(&world, &spec.account).await, RemoteState::Active);
}
