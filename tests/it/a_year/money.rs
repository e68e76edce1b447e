//! Money that goes back within a period, and banks that want it back.

use berth_jobs::ids::OrderId;
use serde_json::json;
use uuid::Uuid;

use super::{AROUND_DUE, Life, World};

const START: &str = "2030-05-10T12:00:00Z";

impl World {
    /// The order that the account was bought with, and its payment's intent.
    async fn purchase(&self, life: &Life) -> (OrderId, String) {
        let (order, intent): (Uuid, String) = sqlx::query_as(
            "select a.order_id, p.stripe_payment_intent_id
             from berth.hosting_accounts a join berth.payments p on p.order_id = a.order_id where a.id = $1",
        )
        .bind(life.account.0)
        .fetch_one(&self.stack.pool)
        .await
        .unwrap();
        (OrderId(order), intent)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refund_within_the_period_goes_back_and_changes_no_date() {
    let world = World::at(START).await;
    let mut life = world.buy("shared-monthly", "pm_card_visa").await;
    let due = world.due(&life).await;

    world.walk(&mut life, due, [-15]).await;
    let (order, _) = world.purchase(&life).await;
    world.note(&mut life, "is given 2.00 back").await;
    world.stack.refund(&order.to_string(), json!({ "amount": "2.00" })).await.ok();
    world.settle().await;
    world.walk(&mut life, due, AROUND_DUE).await;

    insta::assert_snapshot!("refunded", world.timeline(&life).await);
    world.end_of_refunds(&mut [life]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_that_is_won_lets_the_renewal_go_on() {
    let world = World::at(START).await;
    let mut life = world.buy("shared-monthly", "pm_card_visa").await;
    let due = world.due(&life).await;

    world.walk(&mut life, due, [-8]).await;
    let (_, intent) = world.purchase(&life).await;
    world.note(&mut life, "disputes the payment").await;
    let dispute = world.stack.dispute(&intent).await;
    world.settle().await;
    world.walk(&mut life, due, [-7, -5, -3]).await;
    world.note(&mut life, "has lost the dispute").await;
    world.stack.settle_dispute(&dispute, "won").await;
    world.settle().await;
    world.walk(&mut life, due, [-2, -1, 0, 1]).await;

    insta::assert_snapshot!("dispute_won", world.timeline(&life).await);
    world.end_of_refunds(&mut [life]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dispute_that_is_lost_leaves_the_account_suspended_and_asks_for_nothing() {
    let world = World::at(START).await;
    let mut life = world.buy("shared-monthly", "pm_card_visa").await;
    let due = world.due(&life).await;

    world.walk(&mut life, due, [-8]).await;
    let (_, intent) = world.purchase(&life).await;
    world.note(&mut life, "disputes the payment").await;
    let dispute = world.stack.dispute(&intent).await;
    world.settle().await;
    world.walk(&mut life, due, [-7, -3]).await;
    world.note(&mut life, "has won the dispute").await;
    world.stack.settle_dispute(&dispute, "lost").await;
    world.settle().await;
    world.walk(&mut life, due, [0, 1, 5, 30, 60]).await;

    insta::assert_snapshot!("dispute_lost", world.timeline(&life).await);
    world.end_of_refunds(&mut [life]).await;
}
