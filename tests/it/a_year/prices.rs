//! What a renewal costs: after a change of plan, with a coupon for some cycles, and where credit pays.

use berth::effects::CouponTerms;
use serde_json::json;

use super::{AROUND_DUE, World};
use crate::support::purchase::{coupon, ten_per_cent};

const START: &str = "2030-05-10T12:00:00Z";

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_within_the_period_is_renewed_at_the_new_price() {
    let world = World::at(START).await;
    let mut life = world.buy("shared-professional-monthly", "pm_card_visa").await;
    let due = world.due(&life).await;

    world.walk(&mut life, due, [-15]).await;
    world.note(&mut life, "upgrades").await;
    let change = world.ask(&life, "POST", "/change", json!({ "service_id": "shared-enterprise-monthly" })).await;
    let page = change["checkout_url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    world.complete(&page, "pm_card_visa").await;
    world.stack.until_count("select count(*) from berth.plan_changes where outcome = 'made'", 1).await;
    world.settle().await;
    world.walk(&mut life, due, AROUND_DUE).await;

    insta::assert_snapshot!("upgraded", world.timeline(&life).await);
    world.end(&mut [life]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coupon_for_three_cycles_is_off_three_invoices() {
    let world = World::at(START).await;
    coupon(world.app(), "TEN", CouponTerms { cycles: Some(3), ..ten_per_cent() }).await;
    let mut life = world.buy_with("shared-monthly", "pm_card_visa", Some("TEN")).await;

    for _ in 0..4 {
        world.through(&mut life, AROUND_DUE).await;
    }

    insta::assert_snapshot!("coupon_for_three_cycles", world.timeline(&life).await);
    world.end(&mut [life]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credit_pays_what_it_can_and_the_card_the_rest() {
    let world = World::at(START).await;
    let mut life = world.buy("shared-monthly", "pm_card_visa").await;
    world.credit(&mut life, "", "6.00").await;

    for _ in 0..3 {
        world.through(&mut life, AROUND_DUE).await;
    }

    insta::assert_snapshot!("credit_pays", world.timeline(&life).await);
    world.end(&mut [life]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn goodwill_pays_a_renewal_and_what_is_left_of_it_is_taken_back() {
    let world = World::at(START).await;
    let mut life = world.buy("shared-monthly", "pm_card_visa").await;

    let granted = world.credit(&mut life, "", "6.00").await;
    world.stack.audit_rows().await;
    world.through(&mut life, AROUND_DUE).await;
    world.stack.audit_rows().await;
    let left = world.credit(&mut life, "/take-back", "1.00").await;
    world.stack.audit_rows().await;
    world.through(&mut life, AROUND_DUE).await;

    assert_eq!(granted, json!({ "currency": "USD", "balance": "6.00", "goodwill": "6.00" }));
    assert_eq!(left, json!({ "currency": "USD", "balance": "0.01", "goodwill": "0.01" }));
    insta::assert_snapshot!("goodwill", world.timeline(&life).await);
    world.end(&mut [life]).await;
}
