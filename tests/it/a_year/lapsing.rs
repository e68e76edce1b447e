//! Who does not pay: told, suspended, warned, removed, forgotten. And who pays in between.

use jiff::SignedDuration;

use super::{UNPAID, World};

const START: &str = "2030-05-10T12:00:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn who_never_pays_is_suspended_removed_with_a_backup_and_purged_each_on_its_day() {
    let world = World::at(START).await;
    let mut life = world.buy("shared-monthly", "pm_card_visa").await;
    world.without_card(&mut life).await;
    let due = world.due(&life).await;

    world.walk(&mut life, due, -8..=64).await;

    insta::assert_snapshot!("lapse_to_the_purge", world.timeline(&life).await);
    world.end(&mut [life]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_six_hours_nothing_happens_before_its_time() {
    let world = World::at(START).await;
    let mut life = world.buy("shared-monthly", "pm_card_visa").await;
    world.without_card(&mut life).await;
    let due = world.due(&life).await;

    let mut at = due - SignedDuration::from_hours(7 * 24 + 6) + SignedDuration::from_mins(1);
    while at < due + SignedDuration::from_hours(6 * 24) {
        world.visit(std::slice::from_mut(&mut life), at).await;
        // What was told yesterday must be a whole day old.
        at += SignedDuration::from_hours(6) + SignedDuration::from_secs(20);
    }

    insta::assert_snapshot!("lapse_by_six_hours", world.timeline(&life).await);
    world.end(&mut [life]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_pays_while_suspended_works_again_at_once_and_is_due_on_the_day_as_ever() {
    let world = World::at("2030-01-31T12:00:00Z").await;
    let mut life = world.buy("shared-monthly", "pm_card_visa").await;
    world.without_card(&mut life).await;
    let due = world.due(&life).await;

    world.walk(&mut life, due, UNPAID.into_iter().chain([9])).await;
    world.pay_by_link(&mut life, "account_suspended", "pm_card_visa").await;
    world.sweep().await;
    world.look_at(&mut life).await;
    world.through(&mut life, [-7, -3, 0, 1]).await;

    insta::assert_snapshot!("paid_while_suspended", world.timeline(&life).await);
    world.end(&mut [life]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_pays_in_grace_is_not_suspended() {
    let world = World::at(START).await;
    let mut life = world.buy("shared-monthly", "pm_card_visa").await;
    world.without_card(&mut life).await;
    let due = world.due(&life).await;

    world.walk(&mut life, due, [-7, -3, 0, 1, 2, 3, 4]).await;
    world.pay_by_link(&mut life, "suspension_warning", "pm_card_mastercard").await;
    world.walk(&mut life, due, [5, 6, 14]).await;

    insta::assert_snapshot!("paid_in_grace", world.timeline(&life).await);
    world.end(&mut [life]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_pays_by_hand_before_the_third_day_before_d_is_neither_reminded_nor_charged() {
    let world = World::at(START).await;
    let mut life = world.buy("shared-monthly", "pm_card_visa").await;
    let due = world.due(&life).await;

    world.walk(&mut life, due, [-7, -4]).await;
    world.pay_by_link(&mut life, "renewal_invoice", "pm_card_mastercard").await;
    world.walk(&mut life, due, [-3, -1, 0, 1]).await;

    insta::assert_snapshot!("paid_before_the_reminder", world.timeline(&life).await);
    world.end(&mut [life]).await;
}
