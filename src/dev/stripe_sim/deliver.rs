//! Webhook delivery: signed anew at each attempt, tried again until the endpoint answers 2xx.

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::sync::Semaphore;

use super::Sim;
use super::clock::real_milliseconds;
use super::faults::DeliveryFault;
use super::state::{Destination, Outgoing};
use super::table::Record as _;

/// Attempts under way at once: an event waits for no other.
const AT_ONCE: usize = 64;
/// Events being delivered or waiting for their next attempt.
const UNDELIVERED: usize = 50_000;
const IDLE_CONNECTIONS: usize = AT_ONCE;
const MAX_ANSWER: usize = 64 * 1024;
/// How long an event held back waits for a later one.
const REORDER_PATIENCE: Duration = Duration::from_secs(5);
const COPIES: usize = 50;
const UNKNOWN_SECRET: &str = "whsec_of_another_endpoint";

/// One attempt to deliver an event.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Attempt {
    pub(super) event: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// Counts from 1 for each delivery; 0 for an event that a fault dropped.
    pub(super) attempt: u32,
    pub(super) delivered: bool,
    pub(super) status: Option<u16>,
    pub(super) error: Option<String>,
    pub(super) at_milliseconds: i64,
    pub(super) took_milliseconds: i64,
}

/// What one delivery sends, with the faults that strike it.
struct Parcel {
    event_id: String,
    kind: String,
    sequence: u64,
    body: Vec<u8>,
    two_signatures: bool,
    stale_seconds: Option<i64>,
}

/// A client that keeps its connections, follows no redirect and goes through no proxy.
pub(super) fn http_client(timeout: Duration) -> reqwest::Result<reqwest::Client> {
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        tracing::trace!("the process has a TLS provider already");
    }
    reqwest::Client::builder()
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .tcp_nodelay(true)
        .no_proxy()
        .user_agent("Stripe/1.0 (+https://stripe.com/docs/webhooks)")
        .build()
}

/// Hands every event of the outbox to a delivery of its own, until the simulator stops.
pub(super) async fn run(sim: Arc<Sim>) {
    let lines = Arc::new(Semaphore::new(AT_ONCE));
    let undelivered = Arc::new(Semaphore::new(UNDELIVERED));
    loop {
        let next = sim.lock().outbox.pop_front();
        let Some(outgoing) = next else {
            tokio::select! {
                () = sim.wake.notified() => continue,
                () = sim.stop.cancelled() => return,
            }
        };
        let place = tokio::select! {
            place = Arc::clone(&undelivered).acquire_owned() => place,
            () = sim.stop.cancelled() => return,
        };
        let Ok(place) = place else { return };
        let (sim, lines) = (Arc::clone(&sim), Arc::clone(&lines));
        sim.clone().tasks.spawn(async move {
            deliver(&sim, &lines, &outgoing).await;
            drop(place);
        });
    }
}

async fn deliver(sim: &Sim, lines: &Semaphore, outgoing: &Outgoing) {
    let Some((mut parcel, event)) = parcel(sim, &outgoing.event_id) else {
        return;
    };
    let faults = if outgoing.resent { Vec::new() } else { sim.lock().faults.for_event(&parcel.kind) };
    let mut copies = 1;
    let mut wait = Duration::ZERO;
    let mut reorder = false;
    for fault in faults {
        match fault {
            DeliveryFault::Drop => {
                log(sim, &parcel, 0, None, Some("dropped by a queued fault".into()), real_milliseconds());
                return;
            }
            DeliveryFault::Duplicate { copies: wanted } => copies = wanted.clamp(1, COPIES),
            DeliveryFault::Delay { milliseconds } => wait = Duration::from_millis(milliseconds),
            DeliveryFault::Reorder => reorder = true,
            DeliveryFault::TwoSignatures => parcel.two_signatures = true,
            DeliveryFault::StaleTimestamp { seconds } => parcel.stale_seconds = Some(seconds),
            DeliveryFault::ApiVersion { version } => {
                let mut other = event.clone();
                other["api_version"] = json!(version);
                parcel.body = body(&other);
            }
            DeliveryFault::Thin => {
                let thin = sim.lock().events.find(&parcel.event_id).map(super::events::Event::thin);
                parcel.body = body(&thin.unwrap_or_default());
            }
        }
    }
    sim.pause(wait).await;
    if reorder {
        let mut delivered = sim.delivered.subscribe();
        let later = delivered.wait_for(|greatest| *greatest > parcel.sequence);
        if tokio::time::timeout(REORDER_PATIENCE, later).await.is_err() {
            tracing::debug!(event = parcel.event_id, "no later event came to go before this one");
        }
    }
    let destinations = sim.lock().destinations(&parcel.kind);
    let all = (0..copies).flat_map(|_copy| destinations.iter());
    futures::future::join_all(all.map(|to| try_until_taken(sim, lines, &parcel, to))).await;
}

fn parcel(sim: &Sim, event_id: &str) -> Option<(Parcel, Value)> {
    let state = sim.lock();
    let event = state.events.find(event_id)?;
    let mut shown = event.json();
    // An endpoint sees itself among the webhooks still to be answered.
    shown["pending_webhooks"] = json!(1);
    let parcel = Parcel {
        event_id: event_id.to_owned(),
        kind: event.kind.clone(),
        sequence: state.events.sequence(event_id),
        body: body(&shown),
        two_signatures: false,
        stale_seconds: None,
    };
    Some((parcel, shown))
}

/// Indented, as Stripe sends it: a receiver that writes the JSON anew cannot verify it.
fn body(event: &Value) -> Vec<u8> {
    format!("{event:#}").into_bytes()
}

async fn try_until_taken(sim: &Sim, lines: &Semaphore, parcel: &Parcel, to: &Destination) {
    for attempt in 1..=sim.pace.attempts {
        let Ok(line) = lines.acquire().await else {
            return;
        };
        let taken = try_once(sim, parcel, to, attempt).await;
        drop(line);
        if taken || sim.stop.is_cancelled() {
            return;
        }
        sim.pause(sim.pace.delay(attempt)).await;
        if sim.stop.is_cancelled() {
            return;
        }
    }
    tracing::warn!(event = parcel.event_id, "gave up on a webhook that was never answered 2xx");
}

async fn try_once(sim: &Sim, parcel: &Parcel, to: &Destination, attempt: u32) -> bool {
    let address = sim.lock().address_of(to);
    let Some((url, secrets)) = address else { return false };
    let began = real_milliseconds();
    let stale = parcel.stale_seconds.filter(|_seconds| attempt == 1).unwrap_or(0);
    let header = signature_header(&secrets, sim.clock.signature_time() - stale, &parcel.body, parcel.two_signatures);
    let sent = sim
        .http
        .post(url)
        .header("content-type", "application/json; charset=utf-8")
        .header("stripe-signature", header)
        .body(parcel.body.clone())
        .send();
    let result = tokio::select! {
        result = sent => result,
        () = sim.stop.cancelled() => return false,
    };
    match result {
        Ok(response) => {
            let status = response.status();
            drain(response).await;
            if status.is_success() {
                sim.delivered.send_if_modified(|greatest| {
                    let newer = parcel.sequence > *greatest;
                    *greatest = parcel.sequence.max(*greatest);
                    newer
                });
            }
            log(sim, parcel, attempt, Some(status.as_u16()), None, began);
            status.is_success()
        }
        Err(error) => {
            log(sim, parcel, attempt, None, Some(format!("{:#}", anyhow::Error::new(error))), began);
            false
        }
    }
}

/// Reads the answer's body, so that its connection can be used again.
async fn drain(mut response: reqwest::Response) {
    let mut read = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        read += chunk.len();
        if read > MAX_ANSWER {
            return;
        }
    }
}

fn log(sim: &Sim, parcel: &Parcel, attempt: u32, status: Option<u16>, error: Option<String>, began: i64) {
    sim.lock().log_attempt(Attempt {
        event: parcel.event_id.clone(),
        kind: parcel.kind.clone(),
        attempt,
        delivered: status.is_some_and(|status| (200..300).contains(&status)),
        status,
        error,
        at_milliseconds: began,
        took_milliseconds: real_milliseconds() - began,
    });
}

/// `t=…,v1=…` with one `v1` per secret.
fn signature_header(secrets: &[String], at: i64, body: &[u8], another_first: bool) -> String {
    let unknown = another_first.then_some(UNKNOWN_SECRET);
    let signatures = unknown
        .into_iter()
        .chain(secrets.iter().map(String::as_str))
        .map(|secret| format!(",v1={}", signature(secret, at, body)));
    signatures.fold(format!("t={at}"), |header, part| header + &part)
}

/// The whole text of the secret, `whsec_` included, is the key.
fn signature(secret: &str, at: i64, body: &[u8]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else {
        unreachable!("HMAC takes a key of any length");
    };
    mac.update(format!("{at}.").as_bytes());
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_what_stripes_own_library_makes() {
        // Made with stripe-node's `webhooks.generateTestHeaderString`.
        let header =
            signature_header(&["whsec_test_secret".into()], 1_492_774_577, b"{\"id\": \"evt_test_webhook\"}", false);

        assert_eq!(header, "t=1492774577,v1=a6a6df26b4d61b1840dc1936504106cea928ea547871a017446abc00a37ac784");
    }
}
