//! Days without a sweep: what was missed is caught up with, told once, and nobody is suspended for it.

use super::World;

const START: &str = "2030-05-10T12:00:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn after_three_days_without_a_sweep_one_reminder_is_sent() {
    let world = World::at(START).await;
    let mut life = world.buy("shared-monthly", "pm_card_visa").await;
    world.without_card(&mut life).await;
    let due = world.due(&life).await;

    world.walk(&mut life, due, [-7, -6, -5, -4]).await;
    world.walk(&mut life, due, [0, 1, 2]).await;

    insta::assert_snapshot!("outage_around_the_due_day", world.timeline(&life).await);
    world.end(&mut [life]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_three_days_without_a_sweep_a_card_is_charged_once() {
    let world = World::at(START).await;
    let mut life = world.buy("shared-monthly", "pm_card_chargeCustomerFail_insufficient_funds").await;
    let due = world.due(&life).await;

    world.walk(&mut life, due, [-7, -4]).await;
    world.walk(&mut life, due, [0, 1, 2]).await;

    insta::assert_snapshot!("outage_of_the_charges", world.timeline(&life).await);
    world.end(&mut [life]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_first_told_after_a_long_outage_is_not_suspended_before_they_had_time() {
    let world = World::at(START).await;
    let mut life = world.buy("shared-monthly", "pm_card_visa").await;
    world.without_card(&mut life).await;
    let due = world.due(&life).await;

    // Everything is late: the invoice, the reminders, and the day on which others are suspended.
    world.walk(&mut life, due, 7..=13).await;

    insta::assert_snapshot!("outage_of_two_weeks", world.timeline(&life).await);
    world.end(&mut [life]).await;
}
