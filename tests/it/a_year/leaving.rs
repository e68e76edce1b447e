//! Who leaves, or nearly does.

use serde_json::{Value, json};

use super::{AROUND_DUE, World};

const START: &str = "2030-05-10T12:00:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_that_is_taken_back_leaves_everything_as_it_was() {
    let world = World::at(START).await;
    let mut life = world.buy("shared-monthly", "pm_card_visa").await;
    let due = world.due(&life).await;

    world.walk(&mut life, due, [-7]).await;
    world.note(&mut life, "cancels at the period's end").await;
    world.ask(&life, "POST", "/cancel", json!({ "at": "period_end" })).await;
    world.walk(&mut life, due, [-5, -3]).await;
    world.note(&mut life, "takes that back").await;
    world.ask(&life, "POST", "/uncancel", Value::Null).await;
    world.walk(&mut life, due, [-2, -1, 0, 1]).await;
    world.through(&mut life, AROUND_DUE).await;

    insta::assert_snapshot!("cancelled_then_undone", world.timeline(&life).await);
    world.end(&mut [life]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancellation_ends_the_account_with_its_period_and_asks_for_nothing() {
    let world = World::at(START).await;
    let mut life = world.buy("shared-monthly", "pm_card_visa").await;
    let due = world.due(&life).await;

    world.walk(&mut life, due, [-10, -7]).await;
    world.note(&mut life, "cancels at the period's end").await;
    world.ask(&life, "POST", "/cancel", json!({ "at": "period_end" })).await;
    world.walk(&mut life, due, -6..=1).await;
    world.walk(&mut life, due, [29, 30, 31, 61]).await;

    insta::assert_snapshot!("cancelled", world.timeline(&life).await);
    world.end(&mut [life]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_switches_renewals_off_is_told_twice_and_expires() {
    let world = World::at(START).await;
    let mut life = world.buy("shared-monthly", "pm_card_visa").await;
    let due = world.due(&life).await;

    world.walk(&mut life, due, [-20]).await;
    world.note(&mut life, "switches renewals off").await;
    world.ask(&life, "PATCH", "", json!({ "auto_renew": false })).await;
    world.walk(&mut life, due, -8..=6).await;
    world.walk(&mut life, due, [13, 14, 27, 30, 31, 59, 60, 61, 62]).await;

    insta::assert_snapshot!("auto_renew_off", world.timeline(&life).await);
    world.end(&mut [life]).await;
}
