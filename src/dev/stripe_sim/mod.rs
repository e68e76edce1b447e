//! A Stripe to buy from: the part of its API that Berth uses, its hosted checkout and its signed
//! webhooks, over loopback HTTP and in memory.
//!
//! Below `/_sim/` tests steer it (`control`): complete sessions, move the clock, queue faults, count
//! what was charged. It moves no money and keeps nothing.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::routing::{any, get};
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

mod api;
mod charges;
mod checkout;
mod checkout_lines;
mod clock;
mod collect;
pub mod command;
mod completion;
mod control;
mod customers;
mod deliver;
mod disputes;
mod error;
mod events;
mod expand;
mod faults;
mod form;
mod idempotency;
mod ids;
mod money;
mod page;
mod payment_intents;
mod payment_methods;
mod refunds;
mod routes;
mod sessions;
mod setup_intents;
mod state;
mod strike;
mod table;
mod test_cards;
#[cfg(test)]
mod tests;
mod webhook_endpoints;

use clock::SimClock;
use state::State;

/// How often open sessions are looked over for expiry.
const SWEEP_EVERY: Duration = Duration::from_millis(500);

/// What a simulator needs to know before it starts.
#[derive(Debug, Clone)]
pub struct SimConfig {
    /// Where events are delivered; may also be set later (`POST /_sim/webhooks`).
    pub webhook_url: Option<url::Url>,
    /// Endpoint secrets (`whsec_…`, whole text); each delivery carries one `v1` per secret.
    pub webhook_secrets: Vec<String>,
    /// The only key the API accepts, such as `sk_test_…`.
    pub api_key: String,
    /// Where buyers reach the hosted pages; the sessions' `url` begins with it.
    pub public_url: url::Url,
    /// How undelivered webhooks are tried again.
    pub pace: Pace,
}

/// How undelivered webhooks are tried again: `first_delay`, doubled each time up to `longest_delay`.
#[derive(Debug, Clone)]
pub struct Pace {
    /// Before the second attempt.
    pub first_delay: Duration,
    /// Between late attempts.
    pub longest_delay: Duration,
    /// In all; then the event is only in the list of events.
    pub attempts: u32,
    /// Of one attempt.
    pub timeout: Duration,
}

impl Default for Pace {
    /// Near Stripe's own: three days in all, and ten seconds to answer.
    fn default() -> Self {
        Self {
            first_delay: Duration::from_secs(5),
            longest_delay: Duration::from_secs(3_600),
            attempts: 80,
            timeout: Duration::from_secs(10),
        }
    }
}

impl Pace {
    /// For tests: an endpoint that was away is tried again within half a second.
    #[must_use]
    pub fn hurried() -> Self {
        Self {
            first_delay: Duration::from_millis(50),
            longest_delay: Duration::from_millis(500),
            attempts: 2_000,
            timeout: Duration::from_secs(10),
        }
    }

    fn delay(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(20);
        self.first_delay.saturating_mul(1_u32 << doublings).min(self.longest_delay)
    }
}

/// The running simulator, shared by its handlers and its tasks.
struct Sim {
    state: Mutex<State>,
    clock: Arc<SimClock>,
    wake: Arc<Notify>,
    api_key: String,
    pace: Pace,
    http: reqwest::Client,
    stop: CancellationToken,
    /// Work that outlives the request which began it.
    tasks: TaskTracker,
    /// The greatest sequence of an event that was delivered, for those held back until a later one.
    delivered: watch::Sender<u64>,
    config: SimConfig,
}

impl Sim {
    fn new(config: SimConfig, stop: CancellationToken) -> std::io::Result<Self> {
        let clock = Arc::new(SimClock::default());
        let wake = Arc::new(Notify::new());
        Ok(Self {
            state: Mutex::new(State::new(&config, Arc::clone(&clock), Arc::clone(&wake))),
            clock,
            wake,
            api_key: config.api_key.clone(),
            pace: config.pace.clone(),
            http: deliver::http_client(config.pace.timeout).map_err(std::io::Error::other)?,
            stop,
            tasks: TaskTracker::new(),
            delivered: watch::channel(0).0,
            config,
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in one request must not take the account away from all others.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits so long, or until the simulator stops.
    async fn pause(&self, duration: Duration) {
        tokio::select! {
            () = tokio::time::sleep(duration) => {}
            () = self.stop.cancelled() => {}
        }
    }
}

/// Serves the simulator until `stop` is cancelled.
///
/// # Errors
/// When the listener fails, or no HTTP client can be built.
pub async fn serve(listener: TcpListener, config: SimConfig, stop: CancellationToken) -> std::io::Result<()> {
    let sim = Arc::new(Sim::new(config, stop.clone())?);
    sim.tasks.spawn(deliver::run(Arc::clone(&sim)));
    sim.tasks.spawn(sweep(Arc::clone(&sim)));
    let router = Router::new()
        .route("/v1/{*path}", any(api::handle))
        .route("/c/pay/{session}", get(page::show).post(page::submit))
        .nest("/_sim", control::router())
        .fallback(api::unrecognized)
        .with_state(Arc::clone(&sim));
    let listener = listener.tap_io(|socket| {
        if let Err(refusal) = socket.set_nodelay(true) {
            tracing::debug!(%refusal, "a socket keeps Nagle's delay");
        }
    });
    let served = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned()).await;
    stop.cancel();
    sim.tasks.close();
    sim.tasks.wait().await;
    served
}

async fn sweep(sim: Arc<Sim>) {
    while !sim.stop.is_cancelled() {
        sim.pause(SWEEP_EVERY).await;
        let mut state = sim.lock();
        state.origin = state::Origin::default();
        checkout::expire_due(&mut state);
    }
}
