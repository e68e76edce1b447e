//! A whole installation of one's own under `.berth/`: servers, keys and settings, started together and stopped together.

mod keys;
mod panels;
mod settings;
mod stripe;

use std::{
    fs::{self, DirBuilder},
    io::{self, ErrorKind},
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use axum::Router;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;

use super::{
    mailbox::{self, Mailbox},
    servers::{PostgresOptions, PrivatePostgres, PrivateRedis, RedisOptions, StopMode},
};
use crate::{
    config::{Config, SecretUrl},
    store::migrations::migrate,
};
pub(super) use keys::Keys;
use panels::Wanted;
pub use panels::{DevPanel, RealServers};
pub(super) use settings::DevSettings;
pub use settings::{Addresses, RunningDev, preliminary};
use stripe::StripeProcess;

/// Where everything lies, below the directory that the command is run in.
pub const HOME: &str = ".berth";
const DATABASE: &str = "berth";
/// Where the numbers of an instance are shown, unless somebody else is there.
const METRICS_PORT: u16 = 9464;
/// What `--reset` forgets; the servers' own files stay, their contents go.
const FORGOTTEN: [&str; 4] = ["mail", "sites", "backups", "keys.toml"];

/// How to start.
#[derive(Clone, Debug)]
pub struct DevOptions {
    /// Where everything lies.
    pub home: PathBuf,
    /// The operator's file, if one was named.
    pub file: Option<PathBuf>,
    /// The shop's port; without it the configured one, or a free one when that is taken.
    pub port: Option<u16>,
    /// Begin with nothing.
    pub reset: bool,
    /// What to sell on; empty: on what the last start did, or on sites of Berth's own.
    pub panels: Vec<DevPanel>,
}

/// Servers that run, and the settings to run Berth on them.
pub struct DevInstance {
    /// Where to find what.
    pub addresses: Addresses,
    /// The real servers to sell on.
    pub servers: RealServers,
    settings: DevSettings,
    file: Option<PathBuf>,
    listener: Option<TcpListener>,
    mailbox: Mailbox,
    stop_mailbox: CancellationToken,
    stripe: Option<StripeProcess>,
    redis: PrivateRedis,
    postgres: PrivatePostgres,
}

impl DevInstance {
    /// Starts what there is to start, and brings the database up to date. `say` is told what takes its time.
    ///
    /// # Errors
    /// When an instance runs in this directory, a server cannot be started, or a setting is wrong.
    pub async fn start(options: DevOptions, say: impl Fn(&str)) -> anyhow::Result<Self> {
        let operators = preliminary(options.file.clone())?;
        let home = make_home(&options.home)?;
        if let Some(running) = RunningDev::find(&home)? {
            bail!("`berth dev` runs here already (process {}): stop it, or start in another directory", running.pid);
        }
        let wanted = Wanted::of(&home, &options.panels, options.reset)?;
        if !home.join("postgres").exists() {
            say("making a private Postgres and Redis; the first start takes some seconds …");
        }
        let (postgres, redis) = tokio::try_join!(
            PrivatePostgres::start(PostgresOptions::in_directory(home.join("postgres"))),
            PrivateRedis::start(RedisOptions::in_directory(home.join("redis"))),
        )?;
        if options.reset {
            RealServers::remove_unwanted(&home, &wanted, &say).await?;
        }
        let servers = RealServers::start(&home, &wanted, &say).await?;
        if options.reset {
            servers.empty().await?;
            forget(&home, &postgres, &redis).await?;
        }
        let keys = Keys::kept_in(&home)?;
        let (owner_url, app_url) = database(&postgres, &keys).await?;
        let listener = listen(options.port, operators.http.listen.port(), &say).await?;
        let address = listener.local_addr()?;
        let stop_mailbox = CancellationToken::new();
        let smtp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.context("no port is free for the mailbox")?;
        let smtp_address = smtp.local_addr()?;
        let mailbox = Mailbox::start(smtp, Some(home.join("mail")), stop_mailbox.clone())
            .context("the mailbox cannot be started")?;
        let webhook_url = format!("http://{address}/webhooks/stripe");
        // With a key of one's own, one buys from Stripe's own test mode.
        let stripe = match operators.stripe.secret_key {
            Some(_) => None,
            None => {
                let stripe = StripeProcess::start(&home, &webhook_url, &keys).await?;
                stripe.live_ahead(seconds_ahead(&owner_url).await?).await?;
                Some(stripe)
            }
        };
        let addresses = Addresses {
            pid: std::process::id(),
            api: format!("http://localhost:{}", address.port()),
            listen: address,
            mailbox: format!("http://localhost:{}/dev/mail", address.port()),
            smtp: smtp_address,
            stripe: stripe.as_ref().map(|stripe| stripe.url.clone()),
            webhook_url,
            sites: home.join("sites"),
        };
        let mut settings = DevSettings::of(&addresses, &keys, &owner_url, &app_url, &redis.url());
        if let Some(file) = servers.file() {
            settings.sell_on(file);
        }
        // Its address is taken again when the instance begins to work.
        settings.measure_at(listen(None, METRICS_PORT, &say).await?.local_addr()?);
        settings.load(options.file.clone())?;
        settings.keep(&home, &addresses)?;
        let file = options.file;
        let listener = Some(listener);
        Ok(Self { addresses, servers, settings, file, listener, mailbox, stop_mailbox, stripe, redis, postgres })
    }

    /// The settings to run on these servers.
    ///
    /// # Errors
    /// When a setting of the operator's is wrong.
    pub fn config(&self) -> anyhow::Result<Config> {
        self.settings.load(self.file.clone())
    }

    /// The database's URL for the program and for people, password and all.
    #[must_use]
    pub fn database_url(&self) -> &str {
        &self.settings.app_url
    }

    /// The same for the database's owner.
    #[must_use]
    pub fn owner_url(&self) -> &str {
        &self.settings.owner_url
    }

    /// Redis' URL, password and all.
    #[must_use]
    pub fn redis_url(&self) -> String {
        self.redis.url()
    }

    /// The shop's address, once.
    pub fn take_listener(&mut self) -> Option<TcpListener> {
        self.listener.take()
    }

    /// The mailbox's pages.
    pub fn pages(&self) -> Router {
        mailbox::router(self.mailbox.clone())
    }

    /// Ends when the Stripe simulator has ended by itself; never without one.
    pub async fn stripe_ends(&mut self) {
        match &mut self.stripe {
            Some(stripe) => stripe.ends().await,
            None => std::future::pending().await,
        }
    }

    /// Stops everything that was started; what it holds stays for the next start.
    ///
    /// # Errors
    /// When a server does not stop. The others are stopped all the same.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.stop_mailbox.cancel();
        if let Some(stripe) = self.stripe.take() {
            stripe.stop().await;
        }
        let servers = self.servers.stop().await;
        let redis = self.redis.stop().await;
        let postgres = self.postgres.stop(StopMode::Fast).await;
        self.settings.withdraw()?;
        servers?;
        redis?;
        Ok(postgres?)
    }
}

/// The directory, for its owner alone, as an absolute path.
pub(super) fn make_home(home: &Path) -> anyhow::Result<PathBuf> {
    let failed = || format!("{} cannot be made", home.display());
    match DirBuilder::new().mode(0o711).create(home) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error).with_context(failed),
        Ok(()) | Err(_) => {}
    }
    fs::canonicalize(home).with_context(failed)
}

/// Makes the database, brings it up to date, and lets the program's role in; answers the owner's URL and the role's.
pub(super) async fn database(postgres: &PrivatePostgres, keys: &Keys) -> anyhow::Result<(String, String)> {
    let owner_url = postgres.create_database(DATABASE).await?;
    let mut app_url = Url::parse(&owner_url)?;
    let refused = |()| anyhow::anyhow!("the database's URL takes no user");
    app_url.set_username("berth_app").map_err(refused)?;
    app_url.set_password(Some(&keys.database_password)).map_err(refused)?;
    let (owner, app) = (SecretUrl::from(Url::parse(&owner_url)?), SecretUrl::from(app_url.clone()));
    migrate(&owner, &app).await.context("the private database was not migrated; `berth dev --reset` begins anew")?;
    Ok((owner_url, app_url.into()))
}

/// How far the time machine has moved Berth's clock on.
async fn seconds_ahead(owner_url: &str) -> anyhow::Result<i64> {
    let mut owner = PgConnection::connect(owner_url).await?;
    let query = "select extract(epoch from clock_offset)::bigint from berth.clock";
    let ahead: Option<i64> = sqlx::query_scalar(query).fetch_optional(&mut owner).await?;
    owner.close().await?;
    Ok(ahead.unwrap_or(0))
}

/// The port that was asked for, or else the usual one, or else a free one.
async fn listen(asked: Option<u16>, usual: u16, say: impl Fn(&str)) -> anyhow::Result<TcpListener> {
    let port = asked.unwrap_or(usual);
    match TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await {
        Ok(listener) => Ok(listener),
        Err(error) if asked.is_none() && error.kind() == ErrorKind::AddrInUse => {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
            say(&format!("port {port} is taken: using {}", listener.local_addr()?.port()));
            Ok(listener)
        }
        Err(error) => Err(error).with_context(|| format!("port {port} cannot be used; choose one with --port")),
    }
}

/// Empties the servers and removes what lies beside them.
async fn forget(home: &Path, postgres: &PrivatePostgres, redis: &PrivateRedis) -> anyhow::Result<()> {
    let mut owner = PgConnection::connect(&postgres.url("postgres")).await?;
    // A database's name cannot be a parameter; this one is a constant of ours.
    sqlx::query(AssertSqlSafe(format!("drop database if exists {DATABASE} with (force)"))).execute(&mut owner).await?;
    owner.close().await?;
    redis.flushall().await?;
    for name in FORGOTTEN {
        let path = home.join(name);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("{} cannot be removed", path.display()));
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// Writes a file that only its owner can read, all of it or nothing.
pub(super) fn write_private(path: &Path, text: &str) -> io::Result<()> {
    use std::{io::Write, os::unix::fs::OpenOptionsExt};

    let unfinished = path.with_extension("part");
    let mut file = fs::OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&unfinished)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&unfinished, path)
}
