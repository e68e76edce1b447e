//! Whose accounts are listed, and by what.

use super::*;

async fn names(panel: &WhmPanel) -> Vec<String> {
    panel.list().await.unwrap().into_iter().map(|account| account.username).collect()
}

#[tokio::test]
async fn only_accounts_of_our_reseller_are_listed_whoever_asks() {
    for user in ["berthres", "root"] {
        let world = World::working_as(user).await;
        for (username, owner) in [
            ("ours", "berthres"),
            ("theirs", "otherres"),
            ("roots", "root"),
            ("longer", "berthreseller"),
            // The reseller's own account, which it owns itself.
            ("berthres", "berthres"),
        ] {
            world.double.world().put(username, &format!("{username}.example"), owner);
        }

        assert_eq!(names(&world.panel).await, ["ours"], "as {user}");
        assert_eq!(world.proxy.seen(), ["POST /json-api/listaccts"]);
    }
}

#[tokio::test]
async fn whoever_has_suspended_an_account_it_is_listed_as_suspended() {
    let world = World::new().await;
    created(&world.panel, "alice").await;
    suspend(&world.double, "alice", "spam, says staff", true);

    let listed = world.panel.list().await.unwrap();

    assert!(matches!(listed.as_slice(), [one] if one.suspended && one.account_id.is_none()), "{listed:?}");
}

#[tokio::test]
async fn a_server_with_more_accounts_than_an_ordinary_answer_holds_is_listed_whole() {
    let world = World::new().await;
    for nth in 0..3_000 {
        world.double.world().put(&format!("a{nth:05}"), &format!("a{nth}.example"), "berthres");
    }

    assert_eq!(names(&world.panel).await.len(), 3_000);
}
