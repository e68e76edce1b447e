//! The parts of the program, built once: in `main` and in tests alike.

mod configured;
mod observing;
mod servers;

use std::{ops::Deref, sync::Arc, time::Duration};

use jiff::{Timestamp, tz::TimeZone};
use secrecy::SecretString;
use tokio::sync::mpsc;

use crate::{
    clock::Clock,
    config::{Config, ConfigError, Role},
    domain::{
        catalogue::{Catalogue, CatalogueError},
        fraud::HoldRules,
        fuse::Fuse,
        invoice::Seller,
        money::Currency,
        tax::TaxRules,
        timetable::Timetables,
        username::InstallationPrefix,
    },
    effects::Effects,
    error::JobError,
    gateways::{
        panels::{Panels, site::SiteConfig},
        smtp::{Mailer, MailerError},
        stripe::{Stripe, StripeConfig},
        watched_panel::watched,
    },
    mail::{Renderer, Shop, TemplateError},
    observed::Observed,
    queue::{
        committer::{Claim, Committer},
        lease::Lease,
        push::push_ids,
        redis::RedisQueues,
    },
    secrets::{SecretError, SecretKeys},
    servers::Servers,
    store::{Store, StoreError, accounts::Account},
    supervise::{Supervisor, spawn},
};

pub use configured::{catalogue_of, fuse_of, seller_of, shop_of, tax_of, time_zone_of, timetables_of};
pub use servers::panels_of;

/// How long one call to Stripe may take.
const STRIPE_TIMEOUT: Duration = Duration::from_secs(30);

/// The name of the one panel that every installation has: sites that Berth serves itself.
pub const SITE_SERVER: &str = "local";

/// Everything that routes and handlers use. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Parts>);

/// See [`App`].
pub struct Parts {
    /// The database.
    pub store: Store,
    /// The only way to make effects true.
    pub committer: Committer,
    /// The queues.
    pub redis: RedisQueues,
    /// Berth's time.
    pub clock: Clock,
    /// Stripe; `None` where this process' role needs none.
    pub stripe: Option<Stripe>,
    /// The mail server; `None` where this process' role needs none.
    pub mailer: Option<Mailer>,
    /// The mails' templates.
    pub renderer: Renderer,
    /// Who the mails are from.
    pub shop: Shop,
    /// Who the invoices are from.
    pub seller: Seller,
    /// The panels.
    pub panels: Panels,
    /// The directories of the sites that Berth serves itself.
    pub sites_dirs: Vec<std::path::PathBuf>,
    /// How the servers fare.
    pub servers: Servers,
    /// How everything stands, for who looks on.
    pub observed: Observed,
    /// What is sold.
    pub catalogue: Catalogue,
    /// In which currency.
    pub currency: Currency,
    /// Which taxes are charged.
    pub tax: TaxRules,
    /// Which paid orders are held.
    pub hold_rules: HoldRules,
    /// When what happens to accounts.
    pub timetables: Timetables,
    /// How much is usual in a day.
    pub fuse: Fuse,
    /// In which zone the shop's days begin and end.
    pub time_zone: TimeZone,
    /// The keys that secrets are sealed with; `None` where this process' role needs none.
    pub secrets: Option<SecretKeys>,
    /// How this installation's usernames begin.
    pub username_prefix: InstallationPrefix,
    /// The settings.
    pub config: Config,
    /// Who this process is to the ledger.
    pub lease: Lease,
}

impl Deref for App {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}

/// Why the program cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting is missing or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The catalogue is wrong.
    #[error("the catalogue cannot be used")]
    Catalogue(#[from] CatalogueError),
    /// A file that a setting names cannot be read.
    #[error("{path} cannot be read")]
    File {
        /// The setting's file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A mail's template is wrong.
    #[error("a mail's template cannot be used")]
    Template(#[from] TemplateError),
    /// The mail settings are wrong.
    #[error("mail is not set up")]
    Mailer(#[from] MailerError),
    /// A key is wrong.
    #[error("secrets.key cannot be used")]
    Secrets(#[from] SecretError),
    /// A setting holds a value that this part refuses.
    #[error("{key} cannot be used: {why}")]
    Setting {
        /// Which.
        key: &'static str,
        /// Why.
        why: String,
    },
    /// Redis' URL is wrong.
    #[error("redis.url cannot be used")]
    Redis(#[from] redis::RedisError),
    /// The database does not answer.
    #[error("the database cannot be used")]
    Store(#[from] StoreError),
}

impl StartError {
    fn setting(key: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Setting { key, why: why.to_string() }
    }
}

impl App {
    /// Builds the parts for `role`, and starts the committer and what gives ids to Redis.
    ///
    /// # Errors
    /// When a setting is missing or wrong. Nothing is asked of any server yet.
    pub fn new(config: Config, role: Role, tasks: &Supervisor) -> Result<Self, StartError> {
        let panels = panels_of(&config)?;
        Self::with_panels(config, role, tasks, panels)
    }

    /// As [`new`](Self::new), with other panels.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_panels(config: Config, role: Role, tasks: &Supervisor, panels: Panels) -> Result<Self, StartError> {
        config.require_for(role)?;
        observing::start(&config, role, tasks)?;
        let store = Store::new(&config.database)?;
        let redis = redis_of(&config)?;
        let clock = Clock::default();
        let catalogue = catalogue_of(&config)?;
        let committer = start_committer(&store, &redis, config.work.group_size, tasks);
        let lease_pool = Store::new(&config::for_lease(&config.database))?;
        let lease = Lease::new(lease_pool, clock.clone(), &config.work);
        Ok(Self(Arc::new(Parts {
            committer,
            stripe: stripe_of(&config)?,
            mailer: mailer_of(&config)?,
            renderer: Renderer::new(config.mail.templates_dir.as_deref())?,
            shop: shop_of(&config),
            seller: seller_of(&config),
            panels: watched(panels),
            sites_dirs: servers::sites_dirs(&config)?,
            servers: Servers::default(),
            observed: Observed::new(&config, &redis)?,
            timetables: timetables_of(&config, &catalogue)?,
            fuse: fuse_of(&config)?,
            catalogue,
            currency: config.shop.currency.parse().map_err(|error| StartError::setting("shop.currency", error))?,
            tax: tax_of(&config)?,
            hold_rules: HoldRules::new(&config.fraud.hold_countries, &config.fraud.hold_above)
                .map_err(|error| StartError::setting("fraud", error))?,
            time_zone: time_zone_of(&config)?,
            secrets: config.secrets.key.as_ref().map(SecretKeys::parse).transpose()?,
            username_prefix: config
                .hosting
                .username_prefix
                .parse()
                .map_err(|error| StartError::setting("hosting.username_prefix", error))?,
            store,
            redis,
            clock,
            config,
            lease,
        })))
    }
}

mod config {
    use crate::config::Database;

    /// The lease has a connection of its own, so that it is renewed however busy the others are.
    pub(super) fn for_lease(database: &Database) -> Database {
        Database { max_connections: 1, ..database.clone() }
    }
}

/// The driver of the sites that Berth serves itself.
#[must_use]
pub fn site_config(config: &Config) -> SiteConfig {
    let scheme = config.http.public_url.scheme();
    let port = config.http.public_url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let url = format!("{scheme}://{{username}}.{}{port}/", config.hosting.sites_domain);
    SiteConfig { sites_dir: config.hosting.sites_dir.clone(), backups_dir: config.hosting.backups_dir(), url }
}

/// The queues in Redis, as configured.
///
/// # Errors
/// When `redis.url` is missing or wrong.
pub fn redis_of(config: &Config) -> Result<RedisQueues, StartError> {
    let url = config.redis.url.as_ref().ok_or_else(|| StartError::setting("redis.url", "it is not set"))?;
    Ok(RedisQueues::new(&SecretString::from(url.expose().as_str()), &config.redis.namespace)?)
}

fn start_committer(store: &Store, redis: &RedisQueues, group_size: usize, tasks: &Supervisor) -> Committer {
    let (pushes, batches) = mpsc::unbounded_channel();
    let (committer, lanes) = Committer::new(store, redis, group_size, &pushes);
    tasks.spawn(push_ids(batches, redis.clone(), tasks.stopped.clone()));
    for lane in lanes {
        let stopped = tasks.stopped.clone();
        tasks.spawn(async move {
            let lane = spawn(lane);
            let abort = lane.abort_handle();
            tokio::select! {
                ended = lane => if let Err(error) = ended {
                    // Nothing can become true any more: better no process than one that only seems to work.
                    tracing::error!(%error, "the committer died; the process ends so that others take over");
                    std::process::abort();
                },
                () = stopped.cancelled() => abort.abort(),
            }
        });
    }
    committer
}

/// Stripe, as configured; `None` where it is not.
///
/// # Errors
/// When its address cannot be used.
pub fn stripe_of(config: &Config) -> Result<Option<Stripe>, StartError> {
    let Some(secret_key) = config.stripe.secret_key.clone() else { return Ok(None) };
    let api_base = config.stripe.api_base.clone();
    Stripe::new(&StripeConfig { secret_key, api_base, timeout: STRIPE_TIMEOUT })
        .map(Some)
        .map_err(|error| StartError::setting("stripe.api_base", error))
}

/// The mail server, as configured; `None` where it is not.
///
/// # Errors
/// When its URL or the sender cannot be used.
pub fn mailer_of(config: &Config) -> Result<Option<Mailer>, StartError> {
    let (Some(url), Some(from)) = (&config.mail.smtp_url, &config.mail.from) else { return Ok(None) };
    Ok(Some(Mailer::new(&SecretString::from(url.expose().as_str()), from)?))
}

/// What a handler works with: the program's parts, and the run that it belongs to.
pub struct Ctx {
    app: App,
    claim: Claim,
    /// Berth's time when the run began.
    now: Timestamp,
    /// Whether a failure of this attempt is the job's last.
    pub last_attempt: bool,
}

impl Ctx {
    pub(crate) fn new(app: App, claim: Claim, now: Timestamp, last_attempt: bool) -> Self {
        Self { app, claim, now, last_attempt }
    }

    /// Berth's time when the run began.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Commits in the middle of a run and proves that the run is still ours. Required before every change outside.
    ///
    /// # Errors
    /// When a row has changed meanwhile, the claim is lost, or the database is away: the run must end.
    pub async fn checkpoint(&self, effects: impl Into<Effects> + Send) -> Result<(), JobError> {
        self.app.committer.checkpoint(self.claim.clone(), effects.into()).await?;
        Ok(())
    }

    /// Proves that the run is still ours, and commits effects that a crash of the database may undo. Enough before a
    /// change outside that is told apart without them.
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint).
    pub async fn fence(&self, effects: impl Into<Effects> + Send) -> Result<(), JobError> {
        self.app.committer.fence(self.claim.clone(), effects.into()).await?;
        Ok(())
    }

    /// Stripe.
    ///
    /// # Errors
    /// When it is not set up for this process: the job waits for one where it is.
    pub fn stripe(&self) -> Result<&Stripe, JobError> {
        self.app.stripe.as_ref().ok_or_else(|| JobError::not_set_up("stripe.secret_key"))
    }

    /// The mail server.
    ///
    /// # Errors
    /// As [`stripe`](Self::stripe).
    pub fn mailer(&self) -> Result<&Mailer, JobError> {
        self.app.mailer.as_ref().ok_or_else(|| JobError::not_set_up("mail.smtp_url"))
    }

    /// Whether an account is removed at its end although its server makes no backups: its pool says so.
    #[must_use]
    pub fn ends_without_backup(&self, account: &Account) -> bool {
        self.app.panels.ends_without_backup(&account.pool)
    }

    /// Takes a place among the jobs that may talk to a server at once, until the run has ended. Answers whether there was one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn take_server_slot(&self, server: &str, at_once: u32) -> Result<bool, JobError> {
        Ok(self.app.store.take_server_slot(server, at_once, self.claim.job_id, self.claim.claim_id).await?)
    }

    /// The keys that secrets are sealed with.
    ///
    /// # Errors
    /// As [`stripe`](Self::stripe).
    pub fn secrets(&self) -> Result<&SecretKeys, JobError> {
        self.app.secrets.as_ref().ok_or_else(|| JobError::not_set_up("secrets.key"))
    }
}

impl Deref for Ctx {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.app
    }
}
