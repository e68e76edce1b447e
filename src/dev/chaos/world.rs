//! What a run stands on: private servers in a folder of its own, and Berth as processes.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context;
use rand::Rng;
use serde_json::{Value, json};
use sqlx::postgres::{PgPool, PgPoolOptions};
use tokio::{net::TcpListener, sync::Mutex, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use super::super::{
    keeper::{Keeper, Launch},
    mailbox::Mailbox,
    run::{Addresses, DevSettings, Keys, database, make_home, write_private},
    servers::{PostgresOptions, PrivatePostgres, PrivateRedis, RedisOptions, StopMode, free_port},
    stripe_sim::{self, Pace, SimConfig},
};
use crate::{
    config::Config,
    gateways::http_client::{self, Timeouts},
    supervise::spawn,
};

/// Processes of `berth work`.
pub(super) const WORKERS: usize = 3;
/// The servers that are sold on.
pub(super) const SITES: [&str; 3] = ["web1", "web2", "web3"];
/// How long a worker may be silent. Shorter than in production, so that a minute holds more of it.
pub(super) const LEASE: Duration = Duration::from_secs(3);
/// What differs from the usual settings, and why a minute is enough.
const SETTINGS: [(&str, &str, i64); 5] = [
    ("work", "lease_seconds", 3),
    ("work", "lease_renew_seconds", 1),
    ("work", "redispatch_after_seconds", 3),
    ("hosting", "probe_seconds", 2),
    ("database", "max_connections", 8),
];
const TIMEOUTS: Timeouts = Timeouts { connect: Duration::from_secs(2), total: Duration::from_secs(10) };
/// For a process of Berth's to end in order.
const GRACE: Duration = Duration::from_secs(10);
const LISTENING_WITHIN: Duration = Duration::from_secs(60);
const POLL_EVERY: Duration = Duration::from_millis(50);

pub(super) struct World {
    pub(super) home: PathBuf,
    pub(super) postgres: Mutex<PrivatePostgres>,
    pub(super) redis: Mutex<PrivateRedis>,
    pub(super) mailbox: Mailbox,
    pub(super) stripe: String,
    pub(super) stripe_key: String,
    pub(super) config: Config,
    pub(super) pool: PgPool,
    pub(super) http: reqwest::Client,
    pub(super) server: Keeper,
    pub(super) workers: Keeper,
    simulator: JoinHandle<std::io::Result<()>>,
    stop: CancellationToken,
}

impl World {
    /// Starts everything in a new folder, with `program` as Berth.
    pub(super) async fn start(home: &Path, program: &Path) -> anyhow::Result<Self> {
        let home = make_home(home)?;
        // On, whatever a server's own default may be: that is what is tried.
        let durable = PostgresOptions::in_directory(home.join("postgres")).setting("fsync", "on");
        let (postgres, redis) = tokio::try_join!(
            PrivatePostgres::start(durable),
            // It keeps nothing: Berth does not need it to.
            PrivateRedis::start(RedisOptions { appendonly: false, ..RedisOptions::in_directory(home.join("redis")) }),
        )?;
        let keys = Keys::kept_in(&home)?;
        let (owner_url, app_url) = database(&postgres, &keys).await?;
        let stop = CancellationToken::new();
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let smtp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free for the mailbox")?;
        let smtp_address = smtp.local_addr()?;
        let mailbox = Mailbox::start(smtp, Some(home.join("mail")), stop.clone())?;
        let webhook_url = format!("http://{listen}/webhooks/stripe");
        let (stripe, simulator) = start_stripe(&webhook_url, &keys, &stop).await?;
        let addresses = Addresses {
            pid: std::process::id(),
            api: format!("http://localhost:{}", listen.port()),
            listen,
            mailbox: String::new(),
            smtp: smtp_address,
            stripe: Some(stripe.clone()),
            webhook_url,
            sites: home.join("sites"),
        };
        let mut settings = DevSettings::of(&addresses, &keys, &owner_url, &app_url, &redis.url());
        for (section, name, value) in SETTINGS {
            settings.set(section, name, value);
        }
        // Who looks for what went wrong needs to know when what began.
        settings.set("log", "level", "info,sqlx=warn");
        settings.sell_on(&make_sites(&home)?);
        settings.keep(&home, &addresses)?;
        let config = settings.alone()?;
        let pool = PgPoolOptions::new().max_connections(4).connect_lazy(&owner_url)?;
        let (server, workers) = berths(&home, program);
        let http = http_client::build(TIMEOUTS)?;
        let world = Self {
            home,
            postgres: Mutex::new(postgres),
            redis: Mutex::new(redis),
            mailbox,
            stripe,
            stripe_key: keys.stripe_key,
            config,
            pool,
            http,
            server,
            workers,
            simulator,
            stop,
        };
        world.until_ready(LISTENING_WITHIN).await.context("Berth does not answer; logs/serve.log may say why")?;
        Ok(world)
    }

    /// The shop's address.
    pub(super) fn api(&self) -> String {
        format!("http://{}", self.config.http.listen)
    }

    /// Where a site's server keeps its accounts.
    pub(super) fn sites_dir(&self, site: &str) -> PathBuf {
        self.home.join("sites").join(site)
    }

    /// Takes the disk of a panel away, or puts it back: in one step, as when it is unplugged.
    pub(super) fn plug(&self, site: &str, is_there: bool) -> anyhow::Result<()> {
        let target = if is_there { disk(&self.home, site) } else { self.home.join("disks/away") };
        let staged = self.home.join("sites").join(format!("{site}.new"));
        symlink(target, &staged)?;
        Ok(fs::rename(staged, self.sites_dir(site))?)
    }

    /// Waits until Berth says that it can work.
    pub(super) async fn until_ready(&self, patience: Duration) -> anyhow::Result<()> {
        let url = format!("{}/readyz", self.api());
        let ready = async {
            loop {
                if let Ok(answer) = self.http.get(&url).send().await
                    && let Ok(said) = answer.json::<Value>().await
                    && said["status"] == "ready"
                {
                    return;
                }
                tokio::time::sleep(POLL_EVERY).await;
            }
        };
        tokio::time::timeout(patience, ready).await.context("it does not say that it is ready")
    }

    /// Does something to the simulated Stripe.
    pub(super) async fn sim(&self, path: &str, body: &Value) -> anyhow::Result<Value> {
        let url = format!("{}/_sim/{path}", self.stripe);
        Ok(self.http.post(url).json(body).send().await?.error_for_status()?.json().await?)
    }

    /// Reads something of the simulated Stripe.
    pub(super) async fn sim_get(&self, path: &str) -> anyhow::Result<Value> {
        let url = format!("{}/_sim/{path}", self.stripe);
        Ok(self.http.get(url).send().await?.error_for_status()?.json().await?)
    }

    /// Ends everything that was started: Berth in order, or at once.
    pub(super) async fn end(self, at_once: bool) -> anyhow::Result<()> {
        let grace = if at_once { Duration::ZERO } else { GRACE };
        tokio::join!(self.server.stop(grace), self.workers.stop(grace));
        self.pool.close().await;
        self.stop.cancel();
        self.simulator.await?.context("the Stripe simulator has failed")?;
        let mode = if at_once { StopMode::Immediate } else { StopMode::Fast };
        let redis = self.redis.into_inner().stop().await;
        self.postgres.into_inner().stop(mode).await?;
        Ok(redis?)
    }
}

/// A folder for one run.
pub(super) fn new_home() -> PathBuf {
    std::env::temp_dir().join(format!("berth-chaos-{}", hex::encode(rand::rng().random::<[u8; 6]>())))
}

async fn start_stripe(
    webhook_url: &str,
    keys: &Keys,
    stop: &CancellationToken,
) -> anyhow::Result<(String, JoinHandle<std::io::Result<()>>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free for Stripe")?;
    let base = format!("http://{}", listener.local_addr()?);
    let config = SimConfig {
        webhook_url: Some(webhook_url.parse()?),
        webhook_secrets: vec![keys.webhook_secret.clone()],
        api_key: keys.stripe_key.clone(),
        public_url: base.parse()?,
        pace: Pace::hurried(),
    };
    Ok((base, spawn(stripe_sim::serve(listener, config, stop.clone()))))
}

/// Makes the panels' disks, and the file that names the servers.
fn make_sites(home: &Path) -> anyhow::Result<PathBuf> {
    fs::create_dir_all(home.join("sites"))?;
    fs::create_dir_all(home.join("disks"))?;
    fs::write(home.join("disks/away"), "")?;
    let mut servers = Vec::new();
    for site in SITES {
        fs::create_dir_all(disk(home, site))?;
        let sites_dir = home.join("sites").join(site);
        symlink(disk(home, site), &sites_dir)?;
        servers.push(json!({ "name": site, "site": { "sites_dir": sites_dir } }));
    }
    let file = home.join("servers.toml");
    write_private(&file, &toml::to_string(&json!({ "server": servers }))?)?;
    Ok(file)
}

fn disk(home: &Path, site: &str) -> PathBuf {
    home.join("disks").join(site)
}

fn berths(home: &Path, program: &Path) -> (Keeper, Keeper) {
    let settings = home.join("dev.toml");
    let settings = settings.to_string_lossy();
    let logs = home.join("logs");
    // A log that cannot be written is told by the start that needs it.
    let _ = fs::create_dir_all(&logs);
    let launch = |command: &str| {
        Launch::of(program, &[command, "--config", &settings], home).as_a_service(logs.join(format!("{command}.log")))
    };
    (Keeper::start(&launch("serve"), 1, &[]), Keeper::start(&launch("work"), WORKERS, &[]))
}
