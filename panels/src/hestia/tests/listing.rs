//! Which users are listed.

use berth_jobs::ids::AccountId;

use super::*;

#[tokio::test]
async fn only_users_with_our_mark_are_listed_wherever_it_is_in_their_names() {
    let world = World::new().await;
    let (alice, bob) = (AccountId::new(), AccountId::new());
    for (username, name) in [
        ("alice", marked_name(alice)),
        ("bob", format!("Bob {bob} Builder")),
        ("eve", "Somebody Else".to_owned()),
        ("mallory", "Berth acc_nonsense".to_owned()),
    ] {
        world.double.world().put(username, &name);
    }

    let listed = world.panel.list().await.unwrap();

    let marked: Vec<_> = listed.iter().map(|account| (account.username.as_str(), account.account_id)).collect();
    assert_eq!(marked, [("alice", Some(alice)), ("bob", Some(bob))]);
    assert_eq!(world.proxy.seen(), ["POST /api/"]);
}

#[tokio::test]
async fn a_key_that_may_not_list_is_for_the_operator() {
    let world = World::new().await;
    world.double.world().permissions.retain(|command| command != "v-list-users");

    let refused = world.panel.list().await.unwrap_err();

    assert!(matches!(refused, PanelError::Misconfigured(_)), "{refused:?}");
}
