//! Which machine has which number, and whose it is, whatever else asks for the same one.

use futures::future::join;

use super::*;
use crate::AccountRef;

/// An account whose first number is another's too.
fn with_the_number_of(world: &World, other: &CreateSpec, username: &str) -> CreateSpec {
    let first = |spec: &CreateSpec| world.panel.slots.of(spec.account.account_id)[0];
    let candidates = std::iter::repeat_with(|| spec(username));
    candidates.take(1_000_000).find(|spec| first(spec) == first(other)).expect("the range has ten thousand numbers")
}

async fn narrow() -> Option<World> {
    World::with(false, |config| config.vmids = 1_000_000..=1_009_999).await
}

fn slots(world: &World, account: &AccountRef) -> Vec<u32> {
    world.panel.slots.of(account.account_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn two_accounts_that_race_for_one_number_get_a_machine_each() {
    let Some(world) = narrow().await else { return };
    let alice = spec("alice");
    let bob = with_the_number_of(&world, &alice, "bob");
    // Both have looked, and seen that the number is free, before either asks for it.
    world.proxy.next(2, world.requests(Operation::Create), Fault::Latency(Duration::from_millis(500)));

    let (of_alice, of_bob) = join(
        settled(&world.panel, || world.panel.ensure_created(&alice)),
        settled(&world.panel, || world.panel.ensure_created(&bob)),
    )
    .await;

    assert!(world.proxy.is_spent());
    assert_ne!(of_alice.remote_id, of_bob.remote_id);
    for (spec, made) in [(&alice, &of_alice), (&bob, &of_bob)] {
        assert_eq!(world.fake.vmid_of(&spec.account.username).to_string(), made.remote_id);
        assert_eq!(world.creates_of(&spec.account), 1);
        assert!(matches!(world.panel.observe(&spec.account).await.unwrap(), Observed::Present { .. }));
    }
    let shared = slots(&world, &alice.account)[0].to_string();
    assert!(shared == of_alice.remote_id || shared == of_bob.remote_id, "one of them has the number");
}

#[tokio::test(flavor = "multi_thread")]
async fn creates_of_several_processes_at_once_make_one_machine() {
    let Some(world) = World::new().await else { return };
    let alice = spec("alice");
    // Each has locks of its own, as processes have.
    let panels: Vec<_> = (0..5).map(|_| ProxmoxPanel::new(config(&world.proxy.url())).unwrap()).collect();
    world.proxy.next(5, world.requests(Operation::Create), Fault::Latency(Duration::from_millis(300)));

    let until_done = async |panel: &ProxmoxPanel| {
        for _ in 0..20 {
            match panel.ensure_created(&alice).await {
                Ok(Step::Done(created)) => return created,
                Ok(Step::Pending(..)) | Err(PanelError::Transient(_) | PanelError::Ambiguous(_)) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        panic!("it is never done");
    };
    let made = futures::future::join_all(panels.iter().map(until_done)).await;

    assert!(made.iter().all(|each| each.remote_id == made[0].remote_id), "{made:?}");
    assert_eq!((world.fake.count(), world.creates_of(&alice.account)), (1, 1));
    assert!(world.fake.takes("alice", alice.password.expose_secret()));
    assert!(matches!(world.panel.observe(&alice.account).await.unwrap(), Observed::Present { .. }));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_machines_of_one_account_the_finished_one_is_used_and_both_are_removed() {
    let Some(world) = World::new().await else { return };
    let (alice, made) = created(&world.panel, "alice").await;
    let late = slots(&world, &alice.account)[1];
    let notes = Notes::of_clone(alice.account.account_id, late, "small", limits::Options::default());
    world.fake.call(json!(["half_clone", TEMPLATE, late, "alice", notes.to_string()]));

    let observed = world.panel.observe(&alice.account).await.unwrap();
    done(&world.panel, || world.panel.ensure_absent(&alice.account)).await;

    assert!(matches!(observed, Observed::Present { remote_id, .. } if remote_id == made.remote_id));
    assert_eq!(world.fake.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_was_lost_asks_for_the_same_number_again() {
    let Some(world) = World::new().await else { return };
    let alice = spec("alice");
    world.proxy.next(1, world.requests(Operation::Create), Fault::AnswerThenForward { status: 504 });

    result(&world.panel, || world.panel.ensure_created(&alice)).await.unwrap_err();
    settled(&world.panel, || world.panel.ensure_created(&alice)).await;
    world.proxy.forward_held().await;

    assert_eq!(world.fake.count(), 1, "the late one was refused by the server");
    assert_eq!(world.fake.vmid_of("alice"), slots(&world, &alice.account)[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_somebody_else_has_is_passed_over() {
    let Some(world) = World::new().await else { return };
    let alice = spec("alice");
    let numbers = slots(&world, &alice.account);
    world.fake.call(json!(["add_vm", numbers[0], "theirs", "pve1", "running"]));
    world.fake.call(json!(["add_ct", numbers[1], "theirct"]));
    let theirs = world.fake.machine(numbers[0]);

    let made = done(&world.panel, || world.panel.ensure_created(&alice)).await;
    done(&world.panel, || world.panel.ensure_suspended(&alice.account, "abuse")).await;
    done(&world.panel, || world.panel.ensure_absent(&alice.account)).await;

    assert_eq!(made.remote_id, numbers[2].to_string());
    assert_eq!(world.fake.machine(numbers[0]), theirs);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_that_was_lost_to_another_task_is_passed_over_or_asked_for_again() {
    const TAKEN: &str =
        r#"{"data": {"status": "stopped", "exitstatus": "unable to create VM 7: config file already exists"}}"#;
    let Some(world) = World::new().await else { return };
    let answer = |body| Fault::Answer { status: 200, headers: &[], body };
    let loses = || {
        world.proxy.next(1, world.requests(Operation::Create), answer(BEGUN));
        world.proxy.next(1, Requests::all().method("GET").path("/tasks/UPID"), answer(TAKEN));
    };
    let (alice, bob) = (spec("alice"), spec("bob"));
    let numbers = slots(&world, &alice.account);
    // Whoever was faster is not in the first list yet.
    world.fake.call(json!(["add_vm", numbers[0], "theirs"]));
    world.proxy.next(1, world.requests(Operation::Observe), answer(r#"{"data": []}"#));

    loses();
    let passed_over = done(&world.panel, || world.panel.ensure_created(&alice)).await;
    loses();
    let free_again = result(&world.panel, || world.panel.ensure_created(&bob)).await.unwrap_err();
    settled(&world.panel, || world.panel.ensure_created(&bob)).await;

    assert_eq!(passed_over.remote_id, numbers[1].to_string());
    assert!(matches!(free_again, PanelError::Transient(_)), "{free_again:?}");
    assert_eq!(world.fake.vmid_of("bob"), slots(&world, &bob.account)[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_without_a_free_number_is_full() {
    let Some(world) = World::new().await else { return };
    let alice = spec("alice");
    for number in slots(&world, &alice.account) {
        world.fake.call(json!(["add_vm", number, "theirs"]));
    }

    let refused = world.panel.ensure_created(&alice).await.unwrap_err();

    assert!(matches!(refused, PanelError::Capacity(_)), "{refused:?}");
    assert!(world.fake.made().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_number_of_a_guest_that_the_token_may_not_see_is_for_the_operator() {
    let Some(world) = World::new().await else { return };
    let alice = spec("alice");
    world.fake.call(json!(["add_vm", slots(&world, &alice.account)[0], "hidden"]));
    world.fake.call(json!(["grant", TOKEN_ID, "/vms", "VM.Allocate", "VM.Clone"]));
    world.fake.call(json!(["grant", TOKEN_ID, "/storage", "Datastore.AllocateSpace"]));

    let refused = world.panel.ensure_created(&alice).await.unwrap_err();

    assert!(matches!(refused, PanelError::Misconfigured(_)), "{refused:?}");
    assert!(world.fake.made().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_of_an_accounts_machine_that_staff_have_made_is_nobodys_account() {
    let Some(world) = World::new().await else { return };
    let (alice, _) = created(&world.panel, "alice").await;
    let numbers = slots(&world, &alice.account);
    world.fake.call(json!(["staff_clone", numbers[0], numbers[1], "alice"]));
    let copy = world.fake.machine(numbers[1]);
    assert!(copy["config"]["description"].as_str().unwrap().contains(&alice.account.account_id.to_string()));

    done(&world.panel, || world.panel.ensure_suspended(&alice.account, "abuse")).await;
    done(&world.panel, || world.panel.ensure_absent(&alice.account)).await;

    assert_eq!(world.panel.observe(&alice.account).await.unwrap(), Observed::Foreign, "the copy has its name");
    assert_eq!(world.fake.machine(numbers[1]), copy);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_whose_notes_were_wiped_is_ours_no_more() {
    let Some(world) = World::new().await else { return };
    let (mut alice, made) = created(&world.panel, "alice").await;
    world.fake.change_config("alice", json!({ "description": "alice's" }));
    alice.account.remote_id = Some(made.remote_id);

    let refused = world.panel.ensure_absent(&alice.account).await.unwrap_err();

    assert!(matches!(refused, PanelError::Permanent(_)), "{refused:?}");
    assert_eq!(world.panel.observe(&alice.account).await.unwrap(), Observed::Foreign);
    assert_eq!(world.fake.count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_was_moved_and_renamed_is_found_by_its_number() {
    let Some(world) = World::new().await else { return };
    let (alice, _) = created(&world.panel, "alice").await;
    world.fake.call(json!(["add_node", "pve2"]));
    world.fake.change("alice", json!({ "node": "pve2", "name": "renamed" }));

    done(&world.panel, || world.panel.ensure_suspended(&alice.account, "abuse")).await;
    done(&world.panel, || world.panel.ensure_active(&alice.account)).await;
    done(&world.panel, || world.panel.ensure_package(&alice.account, "large")).await;
    done(&world.panel, || world.panel.ensure_absent(&alice.account)).await;

    assert_eq!(world.fake.count(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_of_another_range_is_found_by_its_remote_id() {
    let Some(mut world) = World::new().await else { return };
    let (mut alice, made) = created(&world.panel, "alice").await;
    let mut config = config(&world.proxy.url());
    config.vmids = 20_000_000..=29_999_999;
    world.panel = ProxmoxPanel::new(config).unwrap();
    world.fake.change("alice", json!({ "name": "renamed" }));
    alice.account.remote_id = Some(made.remote_id);

    let observed = world.panel.observe(&alice.account).await.unwrap();

    assert!(matches!(observed, Observed::Present { .. }), "{observed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_no_host_can_have_are_never_sent() {
    let Some(world) = World::new().await else { return };

    for username in ["Upper", "1digit", "a-b", "", "a.b", "a/b", &"a".repeat(64)] {
        let refused = world.panel.ensure_created(&spec(username)).await.unwrap_err();

        assert!(matches!(refused, PanelError::Permanent(_)), "{username}: {refused:?}");
    }
    assert!(world.proxy.seen().is_empty());
}
