//! The traffic: customers who order, pay and sometimes get money back, through the HTTP API and whatever goes wrong.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, bail};
use berth_jobs::ids::OrderId;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use rand::{Rng, SeedableRng, rngs::StdRng, seq::SliceRandom};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};
use uuid::Uuid;

use super::{
    super::trigger::{Customer, Shop},
    world::World,
};
use crate::{clock::Clock, http::auth::development_token};

const SERVICE: &str = "shared-monthly";
/// Between two purchases.
const EVERY: Duration = Duration::from_millis(250);
/// Before a request that has failed is made again; doubled each time.
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(4);
/// One purchase in so many is given some money back.
const REFUNDED: u32 = 6;
const REFUND: &str = "1.00";
/// One purchase in so many is of more than one account.
const SEVERAL: u32 = 5;
const TOKEN_LIFETIME: Duration = Duration::from_secs(600);
/// Events sent again at once.
const RESENT_AT_ONCE: usize = 16;
const EVENTS_A_PAGE: usize = 100;

/// What customers did and were told.
#[derive(Clone, Debug, Default)]
pub(super) struct Sold {
    /// The orders that were paid at Stripe.
    pub(super) paid: BTreeMap<OrderId, Paid>,
    /// Purchases that came to no page to pay on, however often they were tried.
    pub(super) given_up: u64,
    /// Requests that were made again because they failed.
    pub(super) repeated: u64,
    /// Orders of which staff was told that money goes back.
    pub(super) refunded: u64,
}

/// What was paid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paid {
    /// How many accounts.
    pub(super) units: u32,
    /// When, by our clock.
    pub(super) at: Timestamp,
}

/// One purchase of the plan.
struct Errand {
    at: Duration,
    units: u32,
    is_refunded: bool,
    /// How its events go wrong, as the simulator calls it.
    faults: Vec<Value>,
}

/// Buys at a steady rate for so long; whoever is in the middle goes on until `patience` later.
pub(super) async fn buy(world: &World, seed: u64, length: Duration, patience: Duration) -> anyhow::Result<Sold> {
    let begun = Instant::now();
    let shop = Shop { base: format!("{}/", world.api()).parse()?, http: world.http.clone() };
    let sold = Mutex::new(Sold::default());
    let errands = errands(seed, length);
    let customers = errands.len().max(1);
    stream::iter(errands)
        .map(|errand| {
            let visit = Visit { world, shop: &shop, sold: &sold, until: begun + length + patience };
            async move {
                sleep_until(begun + errand.at).await;
                visit.run(&errand).await
            }
        })
        .buffer_unordered(customers)
        .collect::<Vec<anyhow::Result<()>>>()
        .await
        .into_iter()
        .collect::<anyhow::Result<()>>()?;
    Ok(sold.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn errands(seed: u64, length: Duration) -> Vec<Errand> {
    let mut random = StdRng::seed_from_u64(seed.wrapping_add(1));
    let mut errands = Vec::new();
    let mut at = Duration::ZERO;
    while at < length {
        errands.push(errand(at, &mut random));
        at += EVERY;
    }
    errands
}

fn errand(at: Duration, random: &mut StdRng) -> Errand {
    let fault = |kind: Value| json!({ "on": "delivery", "event_type": "*", "fault": kind });
    let mut faults = Vec::new();
    if random.random_ratio(1, 2) {
        faults.push(fault(json!({ "kind": "duplicate", "copies": random.random_range(2..=6) })));
    }
    if random.random_ratio(1, 4) {
        faults.push(fault(json!({ "kind": "delay", "milliseconds": random.random_range(100..=5_000) })));
    }
    if random.random_ratio(1, 4) {
        faults.push(fault(json!({ "kind": "reorder" })));
    }
    let units = if random.random_ratio(1, SEVERAL) { random.random_range(2..=3) } else { 1 };
    Errand { at, units, is_refunded: random.random_ratio(1, REFUNDED), faults }
}

struct Visit<'a> {
    world: &'a World,
    shop: &'a Shop,
    sold: &'a Mutex<Sold>,
    until: Instant,
}

impl Visit<'_> {
    async fn run(&self, errand: &Errand) -> anyhow::Result<()> {
        let customer = Customer::new(&self.world.config, Clock::machine())?;
        let key = Uuid::new_v4();
        let ordered =
            self.insist(async || self.shop.order_under(key, &customer.token, &[(SERVICE, errand.units)]).await).await;
        let Ok(opened) = ordered else {
            self.note(|sold| sold.given_up += 1);
            return Ok(());
        };
        if !errand.faults.is_empty() {
            self.world.sim("faults", &json!({ "faults": errand.faults })).await?;
        }
        self.shop.pay(&opened.checkout_url).await?;
        let paid = Paid { units: errand.units, at: Clock::machine() };
        self.note(|sold| {
            sold.paid.insert(opened.order_id, paid);
        });
        if errand.is_refunded {
            self.give_back(opened.order_id).await?;
        }
        Ok(())
    }

    /// Staff gives some of the money back, as soon as the order is paid.
    async fn give_back(&self, order: OrderId) -> anyhow::Result<()> {
        let (key, staff) = (Uuid::new_v4().to_string(), Uuid::new_v4());
        let token = development_token(&self.world.config.auth, staff, None, true, Clock::machine(), TOKEN_LIFETIME)?;
        let url = self.shop.base.join(&format!("v1/orders/{order}/refund"))?;
        let body = json!({ "amount": REFUND, "reason": "berth chaos" });
        let asked = self
            .insist(async || {
                let request = self.shop.http.request(Method::POST, url.clone()).bearer_auth(&token);
                let answer = request.header("idempotency-key", &key).json(&body).send().await?;
                let status = answer.status();
                if status == StatusCode::CREATED {
                    return Ok(());
                }
                bail!("the refund was answered {status}: {}", answer.text().await.unwrap_or_default())
            })
            .await;
        if asked.is_ok() {
            self.note(|sold| sold.refunded += 1);
        }
        Ok(())
    }

    /// Does it until it succeeds, or time is over.
    async fn insist<T>(&self, act: impl AsyncFn() -> anyhow::Result<T>) -> anyhow::Result<T> {
        let mut wait = FIRST_WAIT;
        loop {
            match act().await {
                Ok(done) => return Ok(done),
                Err(error) if Instant::now() >= self.until => return Err(error),
                Err(error) => tracing::debug!(%error, "a customer tries again"),
            }
            self.note(|sold| sold.repeated += 1);
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    fn note(&self, note: impl FnOnce(&mut Sold)) {
        note(&mut self.sold.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Has Stripe tell everything once more, in no order.
pub(super) async fn tell_again(world: &World, seed: u64) -> anyhow::Result<()> {
    let mut events = all_events(world).await?;
    events.shuffle(&mut StdRng::seed_from_u64(seed));
    let empty = json!({});
    stream::iter(events)
        .map(|id| {
            let empty = &empty;
            async move { world.sim(&format!("events/{id}/resend"), empty).await.map(drop) }
        })
        .buffer_unordered(RESENT_AT_ONCE)
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .collect()
}

async fn all_events(world: &World) -> anyhow::Result<Vec<String>> {
    let mut ids: Vec<String> = Vec::new();
    loop {
        let after = ids.last().map(|last| format!("&starting_after={last}")).unwrap_or_default();
        let url = format!("{}/v1/events?limit={EVENTS_A_PAGE}{after}", world.stripe);
        let request = world.http.get(url).bearer_auth(&world.stripe_key);
        let page: Value = request.send().await?.error_for_status()?.json().await?;
        let listed = page["data"].as_array().context("Stripe's list of events cannot be read")?;
        ids.extend(listed.iter().filter_map(|event| event["id"].as_str()).map(str::to_owned));
        if page["has_more"] != true {
            return Ok(ids);
        }
    }
}
