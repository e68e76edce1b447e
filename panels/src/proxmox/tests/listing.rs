//! Which machines are listed.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn only_machines_with_our_notes_and_a_number_of_ours_are_listed() {
    let Some(world) = World::new().await else { return };
    let (alice, made) = created(&world.panel, "alice").await;
    let notes = |vmid: u32| Notes::of_clone(alice.account.account_id, vmid, "small", limits::Options::default());
    let first = *world.panel.config.vmids.start();
    // Somebody else's machine and container among our numbers, a copy of ours with its notes, and one that has another number.
    world.fake.call(json!(["add_vm", first, "theirs", "pve1", "running"]));
    world.fake.call(json!(["add_ct", first + 1, "theirct"]));
    world.fake.call(json!(["add_vm", first + 2, "copy", "pve1", "running"]));
    world.fake.change_config("copy", json!({ "description": notes(made.remote_id.parse().unwrap()).to_string() }));
    world.fake.call(json!(["add_vm", 123, "elsewhere", "pve1", "running"]));
    world.fake.change_config("elsewhere", json!({ "description": notes(123).to_string() }));

    let listed = world.panel.list().await.unwrap();

    let expected = Listed {
        account_id: Some(alice.account.account_id),
        username: "alice".to_owned(),
        remote_id: Some(made.remote_id),
        suspended: false,
    };
    assert_eq!(listed, [expected]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_machine_of_an_account_is_listed_beside_the_first() {
    let Some(world) = World::new().await else { return };
    let (alice, made) = created(&world.panel, "alice").await;
    let late = world.panel.slots.of(alice.account.account_id)[1];
    let notes = Notes::of_clone(alice.account.account_id, late, "small", limits::Options::default());
    world.fake.call(json!(["half_clone", TEMPLATE, late, "alice", notes.to_string()]));

    let listed = world.panel.list().await.unwrap();

    let mut ids: Vec<_> = listed.into_iter().filter_map(|account| account.remote_id).collect();
    let mut expected = vec![made.remote_id, late.to_string()];
    ids.sort();
    expected.sort();
    assert_eq!(ids, expected);
}
