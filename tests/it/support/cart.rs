//! Carts, and checkouts of them over HTTP.

use berth::{
    app::App,
    domain::money::Currency,
    effects::{CartChange, CartEdit, CartLine, CustomerContact, Effects},
    queue::committer::{CommitError, Refusal, Why},
};
use berth_jobs::ids::{CartItemId, CustomerId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Stack, stack::STRIPE_KEY};

/// Who a test's customer is, as their token says.
pub(crate) fn contact(user: Uuid) -> CustomerContact {
    CustomerContact { id: CustomerId(user), email: format!("{user}@customer.test"), name: None }
}

/// So many of a service, as a line of a cart.
pub(crate) fn line(service: &str, quantity: u32) -> CartEdit {
    CartEdit::Add(CartLine {
        id: CartItemId::new(),
        line_key: service.to_owned(),
        service_id: service.to_owned(),
        quantity,
        addon_ids: Vec::new(),
        configuration: json!({}),
        domain: None,
        price_override: None,
    })
}

/// Changes a user's cart, whoever else does; answers its version.
pub(crate) async fn change(app: &App, user: Uuid, edits: Vec<CartEdit>) -> i32 {
    loop {
        let version = app.store.cart(CustomerId(user)).await.unwrap().map_or(0, |cart| cart.version);
        let change = CartChange { customer: contact(user), version, currency: Currency::Usd, edits: edits.clone() };
        match app.committer.write(Effects::none().cart(change)).await {
            Ok(()) => return version + 1,
            Err(CommitError::Refused(Refusal { why: Why::CartChanged, .. })) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// The last part of a problem's type.
pub(crate) fn slug(problem: &Value) -> &str {
    problem["type"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default()
}

impl Stack {
    /// Checks something out, or is refused; under a key of the caller's own, if there is one. The flag says whether it
    /// was answered before.
    pub(crate) async fn buy(&self, user: Uuid, key: Option<&str>, body: &Value) -> (u16, bool, Value) {
        self.try_buy(user, key, body).await.expect("Berth answers")
    }

    /// As [`buy`](Self::buy), of a Berth that may die: `None` when no answer came.
    pub(crate) async fn try_buy(&self, user: Uuid, key: Option<&str>, body: &Value) -> Option<(u16, bool, Value)> {
        let url = format!("{}/v1/checkout", self.base());
        let mut request = self.client.post(url).bearer_auth(self.token(user)).json(body);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let response = request.send().await.ok()?;
        let status = response.status().as_u16();
        let replayed = response.headers().get("idempotent-replayed").is_some_and(|value| value == "true");
        Some((status, replayed, response.json().await.ok()?))
    }

    /// The session that an order is to be paid by.
    pub(crate) async fn session_of(&self, user: Uuid, answer: &Value) -> String {
        let (status, order) = self.get(user, &format!("/v1/orders/{}", answer["order_id"].as_str().unwrap())).await;
        assert_eq!(status, 200, "{order}");
        order["stripe_session_id"].as_str().unwrap().to_owned()
    }

    /// The sessions that Stripe knows, as their order and status, the oldest first.
    pub(crate) async fn sessions_at_stripe(&self) -> Vec<(String, String)> {
        let records = self.sim_get("records").await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let sessions = records["checkout_sessions"].as_array().unwrap().iter();
        sessions.map(|session| (text(&session["client_reference_id"]), text(&session["status"]))).collect()
    }

    /// What all customers together were charged and not given back, in minor units.
    pub(crate) async fn charged_net(&self) -> i64 {
        let records = self.sim_get("records").await;
        let charges = records["charges"].as_array().unwrap().iter().filter(|charge| charge["paid"] == true);
        charges.map(|it| it["amount"].as_i64().unwrap() - it["amount_refunded"].as_i64().unwrap()).sum()
    }

    /// Opens another page for an order behind Berth's back, as Stripe does when it has forgotten a key; answers its id.
    pub(crate) async fn rival_session(&self, order: &str, minor: i64) -> String {
        let minor = minor.to_string();
        let form = [
            ("mode", "payment"),
            ("success_url", "http://shop.test"),
            ("client_reference_id", order),
            ("metadata[order_id]", order),
            ("line_items[0][quantity]", "1"),
            ("line_items[0][price_data][currency]", "usd"),
            ("line_items[0][price_data][unit_amount]", &minor),
            ("line_items[0][price_data][product_data][name]", "The same once more"),
        ];
        let url = format!("{}/v1/checkout/sessions", self.stripe);
        let body = form_urlencoded(&form);
        let request = self.client.post(url).bearer_auth(STRIPE_KEY).body(body);
        let response = request.header("Content-Type", "application/x-www-form-urlencoded").send().await.unwrap();
        let session: Value = response.json().await.unwrap();
        session["id"].as_str().unwrap_or_else(|| panic!("{session}")).to_owned()
    }
}

fn form_urlencoded(pairs: &[(&str, &str)]) -> String {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(pairs);
    form.finish()
}
