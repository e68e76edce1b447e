//! Orders that are paid, and what becomes of their money: at the shop, and at Stripe behind Berth's back.

use berth_jobs::ids::OrderId;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Stack,
    ask::Answer,
    stack::{PATIENCE, STRIPE_KEY},
};

impl Stack {
    /// Buys one account of a service, and waits until it is there; answers the order and the payment's intent.
    pub(crate) async fn bought(&self, user: Uuid, service: &str) -> (String, String) {
        let (order, session) = self.checkout(user, service, 1).await;
        self.pay(&session).await;
        let id: OrderId = order.parse().unwrap();
        self.until("it is completed", async || {
            let phase: String = sqlx::query_scalar("select phase from berth.orders where id = $1")
                .bind(id.0)
                .fetch_one(&self.pool)
                .await
                .unwrap();
            phase == "completed"
        })
        .await;
        let intent = sqlx::query_scalar("select stripe_payment_intent_id from berth.payments where order_id = $1")
            .bind(id.0)
            .fetch_one(&self.pool)
            .await
            .unwrap();
        (order, intent)
    }

    /// Has a member of staff give money of an order back.
    pub(crate) async fn refund(&self, order: &str, mut body: Value) -> Answer {
        if let Some(fields) = body.as_object_mut() {
            fields.entry("reason").or_insert_with(|| json!("a secret-reason of staff"));
        }
        self.ask(&self.staff(), "POST", &format!("/v1/orders/{order}/refund"), &body).await
    }

    /// Gives money back at Stripe, as a person at its dashboard does; `None` where Stripe refuses.
    pub(crate) async fn refund_at_stripe(&self, intent: &str, minor: i64) -> Option<Value> {
        let body = format!("payment_intent={intent}&amount={minor}");
        let request = self.client.post(format!("{}/v1/refunds", self.stripe)).bearer_auth(STRIPE_KEY).body(body);
        let response = request.header("Content-Type", "application/x-www-form-urlencoded").send().await.unwrap();
        let is_made = response.status().is_success();
        let refund: Value = response.json().await.unwrap();
        is_made.then_some(refund)
    }

    /// The refunds that Stripe has, as id, amount in minor units and status, the oldest first.
    pub(crate) async fn refunds_at_stripe(&self) -> Vec<(String, i64, String)> {
        let records = self.sim_get("records").await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let refunds = records["refunds"].as_array().unwrap().iter();
        refunds.map(|it| (text(&it["id"]), it["amount"].as_i64().unwrap(), text(&it["status"]))).collect()
    }

    /// The refunds that Berth has, in the same words.
    pub(crate) async fn refunds_known(&self) -> Vec<(String, i64, String)> {
        sqlx::query_as(
            "select stripe_refund_id, (amount * 100)::int8, state from berth.refunds
             where stripe_refund_id is not null order by requested_at, id",
        )
        .fetch_all(&self.pool)
        .await
        .unwrap()
    }

    /// The events that Stripe has raised, the oldest first.
    pub(crate) async fn all_events(&self) -> Vec<Value> {
        let mut events: Vec<Value> = Vec::new();
        loop {
            let after = events.last().map(|last| format!("&starting_after={}", last["id"].as_str().unwrap()));
            let url = format!("{}/v1/events?limit=100{}", self.stripe, after.unwrap_or_default());
            let mut page: Value =
                self.client.get(url).bearer_auth(STRIPE_KEY).send().await.unwrap().json().await.unwrap();
            events.append(page["data"].as_array_mut().unwrap());
            if page["has_more"] != true {
                events.reverse();
                return events;
            }
        }
    }

    /// The ids of the events that Stripe has raised whose type begins so, the oldest first.
    pub(crate) async fn events_at_stripe(&self, kinds: &[&str]) -> Vec<String> {
        let url = format!("{}/v1/events?limit=100", self.stripe);
        let page: Value = self.client.get(url).bearer_auth(STRIPE_KEY).send().await.unwrap().json().await.unwrap();
        let is_wanted = |event: &&Value| kinds.iter().any(|kind| event["type"].as_str().unwrap().starts_with(kind));
        let events = page["data"].as_array().unwrap().iter().filter(is_wanted);
        let mut ids: Vec<String> = events.map(|event| event["id"].as_str().unwrap().to_owned()).collect();
        ids.reverse();
        ids
    }

    /// Has Stripe send an event again.
    pub(crate) async fn resend(&self, event: &str) {
        self.sim(&format!("events/{event}/resend"), &json!({})).await;
    }

    /// Has a customer's bank want a payment back; answers the dispute's id.
    pub(crate) async fn dispute(&self, intent: &str) -> String {
        let dispute = self.sim("disputes", &json!({ "payment_intent": intent })).await;
        dispute["id"].as_str().unwrap().to_owned()
    }

    /// Has a dispute come to something.
    pub(crate) async fn settle_dispute(&self, dispute: &str, status: &str) {
        self.sim(&format!("disputes/{dispute}"), &json!({ "status": status })).await;
    }

    /// Waits until Stripe has delivered every event, and Berth has done all that is due.
    pub(crate) async fn until_all_is_heard(&self) {
        let begun = std::time::Instant::now();
        while self.sim_get("healthz").await["undelivered"] != 0 {
            assert!(begun.elapsed() < *PATIENCE, "Stripe could not deliver its events");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        self.until_idle().await;
    }
}
