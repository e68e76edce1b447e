//! Berth, put together as its command line does, with a panel in memory or servers of a bench's own.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use berth::{
    app::{App, SITE_SERVER},
    config::{Config, LogFormat, Role},
    effects::Effects,
    gateways::panels::memory::MemoryPanel,
    http,
    supervise::Supervisor,
    telemetry, worker,
};
use berth_jobs::{AnyJob, Job, Queue, diagnosis::NoOp};
use redis::aio::MultiplexedConnection;
use serde::{Deserialize, Serialize};
use tokio::{net::TcpListener, time::Instant};

use super::switched::{self, Fares, Server};
use crate::child::{Told, say};

pub(crate) const ROLE: &str = "berth";

/// How often the clients of `Enqueue` look how much waits.
const LOOK_EVERY: Duration = Duration::from_millis(10);

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) settings: Vec<(String, String)>,
    /// Whether it runs jobs; it always serves HTTP.
    pub(crate) works: bool,
    /// How long its panel takes to answer.
    pub(crate) panel_latency: Duration,
    /// In the place of that panel, if there are any.
    pub(crate) servers: Vec<Server>,
}

impl Spec {
    /// One that runs jobs, with a panel that answers at once.
    pub(crate) fn working(settings: Vec<(String, String)>) -> Self {
        Self { settings, works: true, panel_latency: Duration::ZERO, servers: Vec::new() }
    }
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ready {
    pub(crate) address: std::net::SocketAddr,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Command {
    /// Clients that enqueue no-op jobs through the committer, as the routes do.
    Enqueue(Enqueue),
    /// A server's panel fares so from now on; says `null`.
    Fare { server: String, fares: Fares },
    /// Says when a server's panel was asked for something since it was last told how it fares, in microseconds since 1970.
    Asked { server: String },
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Enqueue {
    pub(crate) clients: usize,
    /// Jobs that a client enqueues at once.
    pub(crate) batch: usize,
    pub(crate) millis: u64,
    /// Clients wait while more ids than this lie in Redis.
    pub(crate) most_waiting: u64,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Enqueued {
    pub(crate) jobs: u64,
}

pub(crate) async fn run(spec: Spec) -> Result<()> {
    let settings: Vec<(&str, &str)> = spec.settings.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let config = Config::from_settings(&settings)?;
    telemetry::init(LogFormat::Text, &config.log.level)?;
    let redis_url = config.redis.url.as_ref().context("the settings name a Redis")?.expose().clone();
    let namespace = config.redis.namespace.clone();
    let tasks = Supervisor::default();
    let (mut panels, switched) = switched::panels(&spec.servers);
    if switched.is_empty() {
        let memory = MemoryPanel::new().with_latency(spec.panel_latency);
        panels = panels.with(SITE_SERVER, "memory", Arc::new(memory));
    }
    let role = if spec.works { Role::Up } else { Role::Serve };
    let app = App::with_panels(config, role, &tasks, panels)?;
    app.clock.set(app.store.now().await?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    if spec.works {
        worker::start(&app, &Queue::ALL, &tasks).await?;
    }
    let serving = tokio::spawn({
        let (app, tasks) = (app.clone(), tasks.clone());
        async move { http::serve(app, listener, None, &tasks).await }
    });
    say(&Ready { address })?;
    let mut told = Told::new();
    let of = |name: &str| switched.iter().find(|(found, _)| found == name).map(|(_, panel)| panel).context("a server");
    while let Some(command) = told.next().await? {
        match command {
            Command::Enqueue(clients) => {
                let waiting = Waiting::watch(redis_url.as_str(), &namespace).await?;
                say(&Enqueued { jobs: enqueue(&app, clients, &waiting).await? })?;
            }
            Command::Fare { server, fares } => {
                of(&server)?.fare(fares);
                say(&())?;
            }
            Command::Asked { server } => say(&of(&server)?.asked())?,
        }
    }
    tasks.draining.cancel();
    serving.await??;
    if spec.works {
        worker::stop(&app).await;
    }
    tasks.stopped.cancel();
    tasks.wait().await;
    Ok(())
}

async fn enqueue(app: &App, clients: Enqueue, waiting: &Waiting) -> Result<u64> {
    let until = Instant::now() + Duration::from_millis(clients.millis);
    let running: Vec<_> =
        (0..clients.clients).map(|_| tokio::spawn(client(app.clone(), clients, waiting.clone(), until))).collect();
    let mut jobs = 0;
    for client in running {
        jobs += client.await??;
    }
    Ok(jobs)
}

async fn client(app: App, clients: Enqueue, waiting: Waiting, until: Instant) -> Result<u64> {
    let mut jobs = 0;
    while Instant::now() < until {
        if waiting.ids() > clients.most_waiting {
            tokio::time::sleep(LOOK_EVERY).await;
            continue;
        }
        let effects =
            (0..clients.batch).fold(Effects::none(), |effects, _| effects.enqueue(AnyJob::from(NoOp::default())));
        app.committer.write(effects).await?;
        jobs += clients.batch as u64;
    }
    Ok(jobs)
}

/// How many ids of the no-op's queue lie in Redis: all that waits, since far less than the most that may lie there is let in.
#[derive(Clone)]
struct Waiting(Arc<AtomicU64>);

impl Waiting {
    /// Looks until nobody asks any more.
    async fn watch(redis_url: &str, namespace: &str) -> Result<Self> {
        let mut connection = redis::Client::open(redis_url)?.get_multiplexed_async_connection().await?;
        let keys: Vec<String> = (0..3).map(|class| format!("{namespace}:{{{}}}:{class}", NoOp::QUEUE)).collect();
        let waiting = Self(Arc::default());
        let count = Arc::downgrade(&waiting.0);
        tokio::spawn(async move {
            while let Some(count) = count.upgrade() {
                if let Ok(ids) = ids_in(&mut connection, &keys).await {
                    count.store(ids, Ordering::Relaxed);
                }
                drop(count);
                tokio::time::sleep(LOOK_EVERY).await;
            }
        });
        Ok(waiting)
    }

    fn ids(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

async fn ids_in(connection: &mut MultiplexedConnection, keys: &[String]) -> redis::RedisResult<u64> {
    let mut pipeline = redis::pipe();
    for key in keys {
        pipeline.cmd("ZCARD").arg(key);
    }
    let counts: Vec<u64> = pipeline.query_async(connection).await?;
    Ok(counts.iter().sum())
}
