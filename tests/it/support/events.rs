//! Events of Stripe, made and signed by the test.

use berth::gateways::stripe::webhook;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::{Stack, stack::WEBHOOK_SECRET};

/// `checkout.session.completed` (or another type) for a session of an order.
pub(crate) fn session_event(
    id: &str,
    kind: &str,
    order: &str,
    session: &str,
    amount: i64,
    payment_status: &str,
) -> Value {
    let status = if kind == "checkout.session.expired" { "expired" } else { "complete" };
    json!({
        "id": id,
        "object": "event",
        "api_version": "2026-09-30.endive",
        "created": 1_795_370_001,
        "type": kind,
        "livemode": false,
        "pending_webhooks": 1,
        "request": { "id": null, "idempotency_key": null },
        "data": { "object": {
            "id": session,
            "object": "checkout.session",
            "mode": "payment",
            "livemode": false,
            "status": status,
            "payment_status": payment_status,
            "amount_total": amount,
            "currency": "usd",
            "client_reference_id": order,
            "metadata": { "order_id": order },
            "payment_intent": format!("pi_{session}"),
        } },
    })
}

impl Stack {
    /// Sends a body as Stripe would: signed, now.
    pub(crate) async fn send_event(&self, body: &[u8]) -> u16 {
        let now = berth::clock::Clock::machine().as_second();
        let header = webhook::sign(body, &SecretString::from(WEBHOOK_SECRET), now);
        self.send_signed(body, Some(&header)).await
    }

    /// As [`send_event`](Self::send_event), to a Berth that may die: `None` when no answer came.
    pub(crate) async fn try_event(&self, body: &[u8]) -> Option<u16> {
        let now = berth::clock::Clock::machine().as_second();
        let header = webhook::sign(body, &SecretString::from(WEBHOOK_SECRET), now);
        let url = format!("{}/webhooks/stripe", self.base());
        let request = self.client.post(url).body(body.to_vec()).header("Stripe-Signature", header);
        Some(request.send().await.ok()?.status().as_u16())
    }

    /// Sends a body with a signature of the test's choice.
    pub(crate) async fn send_signed(&self, body: &[u8], header: Option<&str>) -> u16 {
        let mut request = self.client.post(format!("{}/webhooks/stripe", self.base())).body(body.to_vec());
        if let Some(header) = header {
            request = request.header("Stripe-Signature", header);
        }
        request.send().await.unwrap().status().as_u16()
    }
}
