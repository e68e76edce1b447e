//! Cards that are declined, and banks that ask for their customer.

use super::{UNPAID, World};

const START: &str = "2030-05-10T12:00:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn a_card_without_money_is_tried_again_until_it_has_some() {
    let world = World::at(START).await;
    let mut life = world.buy("shared-monthly", "pm_card_chargeCustomerFail_insufficient_funds").await;
    let due = world.due(&life).await;

    world.walk(&mut life, due, [-7, -3, -2, -1]).await;
    world.bank_says(&life, "succeed").await;
    world.walk(&mut life, due, [0, 1, 2, 3, 4, 5]).await;
    world.through(&mut life, [-7, -3, 0]).await;

    insta::assert_snapshot!("soft_decline_then_money", world.timeline(&life).await);
    world.end(&mut [life]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_card_is_tried_once_and_another_one_at_once() {
    let world = World::at(START).await;
    let mut life = world.buy("shared-monthly", "pm_card_chargeCustomerFail_lost_card").await;
    let due = world.due(&life).await;

    world.walk(&mut life, due, [-7, -3, -1, 0, 1, 2]).await;
    world.save_card(&mut life, "pm_card_mastercard").await;
    world.sweep().await;
    world.walk(&mut life, due, [3, 4, 5, 6]).await;

    insta::assert_snapshot!("hard_decline_then_another_card", world.timeline(&life).await);
    world.end(&mut [life]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_that_asks_for_its_customer_is_not_asked_again_before_they_have_paid() {
    let world = World::at(START).await;
    let mut life = world.buy("shared-monthly", "pm_card_authenticationRequired").await;
    let due = world.due(&life).await;

    world.walk(&mut life, due, [-7, -3, -1, 0]).await;
    world.pay_by_link(&mut life, "payment_confirmation_needed", "pm_card_authenticationRequired").await;
    world.walk(&mut life, due, [1, 2, 3, 4, 5, 6]).await;

    insta::assert_snapshot!("authentication_on_the_page", world.timeline(&life).await);
    world.end(&mut [life]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_that_never_pays_is_tried_five_times_and_its_site_is_suspended() {
    let world = World::at(START).await;
    let mut life = world.buy("shared-monthly", "pm_card_chargeCustomerFail_insufficient_funds").await;
    let due = world.due(&life).await;

    world.walk(&mut life, due, UNPAID).await;
    world.walk(&mut life, due, 7..=10).await;

    insta::assert_snapshot!("soft_declines_only", world.timeline(&life).await);
    world.end(&mut [life]).await;
}
