//! `checkout.session.completed`, of the size and shape that Stripe sends.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Result, ensure};
use berth::{
    clock::Clock,
    gateways::{
        http_client::{self, Timeouts},
        stripe::webhook,
    },
};
use berth_jobs::ids::OrderId;
use secrecy::SecretString;
use uuid::Uuid;

use crate::stack::WEBHOOK_SECRET;

pub(crate) const TEMPLATE: &str = include_str!("checkout_event.json");

/// The id of the order with a number; `orders.sql` makes the same.
pub(crate) fn order_id(number: u64) -> OrderId {
    const FIRST: u128 = 0x0000_0000_0000_7000_8000_0000_0000_0000;
    OrderId(Uuid::from_u128(FIRST + u128::from(number)))
}

/// The event that an order was paid, under ids that follow from the order's number.
pub(crate) fn checkout_event(number: u64) -> String {
    TEMPLATE.replace("{NUMBER}", &format!("{number:012}")).replace("{ORDER}", &order_id(number).to_string())
}

/// Who tells the shop of payments, as Stripe does.
pub(crate) struct Teller {
    client: reqwest::Client,
    url: String,
    secret: SecretString,
}

impl Teller {
    pub(crate) fn new(shop: SocketAddr) -> Result<Self> {
        const PATIENCE: Duration = Duration::from_secs(300);
        let client = http_client::build(Timeouts { connect: PATIENCE, total: PATIENCE })?;
        Ok(Self { client, url: format!("http://{shop}/webhooks/stripe"), secret: SecretString::from(WEBHOOK_SECRET) })
    }

    pub(crate) async fn tell_paid(&self, number: u64) -> Result<()> {
        let body = checkout_event(number);
        let signature = webhook::sign(body.as_bytes(), &self.secret, Clock::machine().as_second());
        let request = self.client.post(&self.url).header("Stripe-Signature", signature).body(body);
        ensure!(request.send().await?.status().is_success(), "an event was not taken");
        Ok(())
    }
}
