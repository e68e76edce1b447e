//! Whose accounts are listed, and what an account means that is refused meanwhile.

use super::*;

const LIST: &str = "/CMD_API_SHOW_USERS";

#[tokio::test]
async fn only_accounts_of_our_reseller_are_listed_whoever_asks() {
    for user in ["berthres", "admin|berthres"] {
        let world = World::working_as(user).await;
        for (username, creator) in [("ours", "berthres"), ("theirs", "otherres"), ("admins", "admin")] {
            world.double.world().put(username, &format!("{username}.example"), creator);
        }

        let listed = world.panel.list().await.unwrap();

        assert!(matches!(listed.as_slice(), [one] if one.username == "ours" && one.account_id.is_none()), "{listed:?}");
    }
}

#[tokio::test]
async fn an_account_that_goes_while_all_are_listed_is_not_listed() {
    let world = World::new().await;
    world.double.world().put("stays", "stays.example", "berthres");
    let both = Fault::Answer { status: 200, headers: &[], body: r#"["stays", "gone"]"# };
    world.proxy.next(1, Requests::all().path(LIST), both);

    let listed = world.panel.list().await.unwrap();

    assert!(matches!(listed.as_slice(), [one] if one.username == "stays"), "{listed:?}");
}

#[tokio::test]
async fn an_account_that_is_refused_and_still_there_makes_no_half_list() {
    let world = World::new().await;
    world.double.world().put("ours", "ours.example", "berthres");
    world.double.world().forbidden = Some("SHOW_USER_CONFIG");

    let refused = world.panel.list().await.unwrap_err();

    assert!(matches!(refused, PanelError::Misconfigured(_)), "{refused:?}");
}
