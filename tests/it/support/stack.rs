//! One test's own world.

use std::{
    path::{Path, PathBuf},
    sync::LazyLock,
    time::{Duration, Instant},
};

use berth::{
    app::App,
    config::{Config, Role},
    dev::{
        mailbox::Mailbox,
        servers::{PrivateRedis, RedisOptions},
        stripe_sim::{self, Pace, SimConfig},
    },
    http, store,
    supervise::Supervisor,
    worker,
};
use berth_jobs::Queue;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use url::Url;
use uuid::Uuid;

use super::postgres::{Postgres, Server};

pub(crate) const WEBHOOK_SECRET: &str = "whsec_testsecret0123456789";
pub(crate) const STRIPE_KEY: &str = "sk_test_berth";
const JWT_SECRET: &str = "a secret of at least thirty-two characters";
/// The longest that any test waits for anything.
pub(crate) static PATIENCE: LazyLock<Duration> = LazyLock::new(|| Duration::from_secs(60) * size("PATIENCE", 1));

/// Between two looks at what a test waits for: most of it is there in a moment, and what is not is not asked for all the time.
const SHORTEST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// A number that `BERTH_TEST_<name>` says, or else the one of every run.
pub(crate) fn size(name: &str, usual: u32) -> u32 {
    std::env::var(format!("BERTH_TEST_{name}")).map_or(usual, |number| number.parse().expect("a size is a number"))
}

/// What differs between tests.
#[derive(Default)]
pub(crate) struct StackOptions {
    /// Settings besides the usual ones.
    pub(crate) settings: Vec<(String, String)>,
    /// Whose PostgreSQL; the Redis is always the test's own.
    pub(crate) postgres: Server,
}

impl StackOptions {
    pub(crate) fn setting(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.to_owned(), value.to_owned()));
        self
    }

    /// A PostgreSQL of the test's own, for a test that stops it or looks at more of it than its own database.
    pub(crate) fn own_postgres(mut self) -> Self {
        self.postgres = Server::Own;
        self
    }

    /// A PostgreSQL of the test's own that keeps what it was told, whatever happens.
    pub(crate) fn durable(mut self) -> Self {
        self.postgres = Server::OwnDurable;
        self
    }
}

/// Servers around Berth; Berth itself is started by `start` or as processes of its own.
pub(crate) struct Stack {
    pub(crate) postgres: Postgres,
    pub(crate) redis: PrivateRedis,
    pub(crate) stripe: String,
    pub(crate) mailbox: Mailbox,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) address: std::net::SocketAddr,
    pub(crate) client: reqwest::Client,
    pub(crate) pool: sqlx::PgPool,
    pub(crate) folder: tempfile::TempDir,
    stop: CancellationToken,
}

/// Berth in this process.
pub(crate) struct Running {
    pub(crate) app: App,
    pub(crate) tasks: Supervisor,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
    works: bool,
}

impl Stack {
    pub(crate) async fn new() -> Self {
        Self::with(StackOptions::default()).await
    }

    pub(crate) async fn with(options: StackOptions) -> Self {
        if let Ok(level) = std::env::var("BERTH_TEST_LOG") {
            // Only the first test of a process sets it up.
            let _ = berth::telemetry::init(berth::config::LogFormat::Text, &level);
        }
        let stop = CancellationToken::new();
        let folder = tempfile::tempdir().unwrap();
        let (postgres, redis) =
            tokio::join!(Postgres::start(options.postgres), PrivateRedis::start(RedisOptions::throwaway()));
        let redis = redis.unwrap();
        let pool = sqlx::PgPool::connect(postgres.url()).await.unwrap();

        let mail = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let smtp = format!("smtp://{}", mail.local_addr().unwrap());
        let mailbox = Mailbox::start(mail, None, stop.clone()).unwrap();
        // The address is known before Berth starts, so that processes can come and go at it.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let stripe = start_stripe(&format!("http://{address}/webhooks/stripe"), &stop).await;

        let mut settings: Vec<(String, String)> = [
            ("database.url", postgres.app_url().as_str()),
            ("redis.url", &redis.url()),
            ("http.listen", &address.to_string()),
            ("http.public_url", &format!("http://localhost:{}", address.port())),
            ("stripe.secret_key", STRIPE_KEY),
            ("stripe.webhook_secrets", WEBHOOK_SECRET),
            ("stripe.api_base", &stripe),
            ("shop.url", "http://shop.test"),
            ("shop.support_email", "help@shop.test"),
            ("mail.smtp_url", &smtp),
            ("mail.from", "Shop <shop@shop.test>"),
            ("auth.jwt_secret", JWT_SECRET),
            ("secrets.key", "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
            ("hosting.sites_dir", folder.path().join("sites").to_str().unwrap()),
            ("log.level", "warn"),
            // Jobs that nobody asked for are in the way of counting; tests/it/schedule.rs turns it on.
            ("work.schedule", "false"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        settings.extend(options.settings);
        let client = berth::gateways::http_client::build(berth::gateways::http_client::Timeouts {
            connect: Duration::from_secs(5),
            total: Duration::from_secs(30),
        })
        .unwrap();
        Self { postgres, redis, stripe, mailbox, settings, address, client, pool, folder, stop }
    }

    pub(crate) fn config(&self) -> Config {
        let settings: Vec<(&str, &str)> = self.settings.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        Config::from_settings(&settings).unwrap()
    }

    /// The settings as environment variables, for processes.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let variable = |key: &str| format!("BERTH_{}", key.to_uppercase().replace('.', "__"));
        self.settings.iter().map(|(key, value)| (variable(key), value.clone())).collect()
    }

    pub(crate) fn sites_dir(&self) -> PathBuf {
        self.folder.path().join("sites")
    }

    pub(crate) fn base(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Berth with all its workers.
    pub(crate) async fn start(&self) -> Running {
        self.start_with(&Queue::ALL).await
    }

    /// Berth with the workers of some queues.
    pub(crate) async fn start_with(&self, queues: &[Queue]) -> Running {
        let tasks = Supervisor::default();
        let app = App::new(self.config(), Role::Up, &tasks).unwrap();
        self.run(app, tasks, queues).await
    }

    /// Runs an app that was built by the test.
    pub(crate) async fn run(&self, app: App, tasks: Supervisor, queues: &[Queue]) -> Running {
        app.clock.set(app.store.now().await.unwrap());
        let listener = TcpListener::bind(self.address).await.unwrap();
        if !queues.is_empty() {
            worker::start(&app, queues, &tasks).await.unwrap();
        }
        let serving = tokio::spawn({
            let (app, tasks) = (app.clone(), tasks.clone());
            async move { http::serve(app, listener, None, &tasks).await }
        });
        Running { app, tasks, serving, works: !queues.is_empty() }
    }

    /// Takes a backup of the database, while Berth does not run.
    pub(crate) async fn back_up(&mut self) -> Url {
        self.pool.close().await;
        let backup = self.postgres.back_up().await;
        self.pool = sqlx::PgPool::connect(self.postgres.url()).await.unwrap();
        backup
    }

    /// Goes on with the database of a backup, while Berth does not run. Everything else is as it is.
    pub(crate) async fn restore(&mut self, backup: Url) {
        self.pool.close().await;
        self.postgres.restore(backup);
        self.pool = sqlx::PgPool::connect(self.postgres.url()).await.unwrap();
        let setting = self.settings.iter_mut().find(|(name, _)| name == "database.url").unwrap();
        self.postgres.app_url().as_str().clone_into(&mut setting.1);
    }

    /// A customer's token.
    pub(crate) fn token(&self, user: Uuid) -> String {
        let auth = self.config().auth;
        let now = berth::clock::Clock::machine();
        let email = format!("{user}@customer.test");
        http::auth::development_token(&auth, user, Some(&email), false, now, Duration::from_secs(3600)).unwrap()
    }

    /// Asks Berth as a customer.
    pub(crate) async fn get(&self, user: Uuid, path: &str) -> (u16, Value) {
        let request = self.client.get(format!("{}{path}", self.base())).bearer_auth(self.token(user));
        answer(request).await
    }

    /// Tells Berth something as a customer.
    pub(crate) async fn post(&self, user: Uuid, path: &str, body: &Value) -> (u16, Value) {
        let request = self.client.post(format!("{}{path}", self.base())).bearer_auth(self.token(user)).json(body);
        answer(request).await
    }

    /// Agrees an order; answers its id and its session's.
    pub(crate) async fn checkout(&self, user: Uuid, service: &str, quantity: u32) -> (String, String) {
        let body = json!({ "items": [{ "service_id": service, "quantity": quantity }] });
        let (status, order) = self.post(user, "/v1/checkout", &body).await;
        assert_eq!(status, 201, "{order}");
        let id = order["order_id"].as_str().unwrap().to_owned();
        let (status, shown) = self.get(user, &format!("/v1/orders/{id}")).await;
        assert_eq!(status, 200, "{shown}");
        (id, shown["stripe_session_id"].as_str().unwrap().to_owned())
    }

    /// Pays a session as its customer would.
    pub(crate) async fn pay(&self, session: &str) -> Value {
        self.sim(&format!("checkout/sessions/{session}/complete"), &json!({ "as": "paid" })).await
    }

    /// Does something to the simulated Stripe.
    pub(crate) async fn sim(&self, path: &str, body: &Value) -> Value {
        let (status, answered) = answer(self.client.post(format!("{}/_sim/{path}", self.stripe)).json(body)).await;
        assert!(status < 300, "{path}: {answered}");
        answered
    }

    /// Reads something of the simulated Stripe.
    pub(crate) async fn sim_get(&self, path: &str) -> Value {
        let (status, answered) = answer(self.client.get(format!("{}/_sim/{path}", self.stripe))).await;
        assert!(status < 300, "{path}: {answered}");
        answered
    }

    /// One number from the database.
    pub(crate) async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(&self.pool).await.unwrap()
    }

    /// Waits until a query that counts says `wanted`.
    pub(crate) async fn until_count(&self, sql: &'static str, wanted: i64) {
        self.until(&format!("{sql} = {wanted}"), async || {
            let found: Result<i64, _> = sqlx::query_scalar(sql).fetch_one(&self.pool).await;
            found.is_ok_and(|found| found == wanted)
        })
        .await;
    }

    /// Waits until nothing that is due is unfinished.
    pub(crate) async fn until_idle(&self) {
        self.until_count(
            "select count(*) from berth.jobs where state = 'running' or (state = 'queued' and run_at <= berth.now())",
            0,
        )
        .await;
    }

    /// Waits for a condition, at most for the patience of a test.
    pub(crate) async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let begun = Instant::now();
        let mut pause = SHORTEST_PAUSE;
        while !holds().await {
            if begun.elapsed() > *PATIENCE {
                let jobs: Vec<String> = sqlx::query_scalar(
                    "select concat_ws(' ', kind, state, attempt, unsettled, dispatched_at, run_at, last_error)
                     from berth.jobs where state <> 'done' order by id limit 20",
                )
                .fetch_all(&self.pool)
                .await
                .unwrap_or_default();
                panic!("waited {} s for: {what}; unfinished jobs: {jobs:#?}", PATIENCE.as_secs());
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The audit, which must find nothing; and Stripe's and the panel's own records must agree.
    pub(crate) async fn audit(&self) {
        let findings = store::Store::on(self.pool.clone()).audit().await.unwrap();
        let broken: Vec<_> = findings.into_iter().filter(|finding| !finding.rows.is_empty()).collect();
        assert!(broken.is_empty(), "{broken:#?}");
        let creates = creates(&self.sites_dir());
        let active = self.count("select count(*) from berth.hosting_accounts where activated_at is not null").await;
        let double: Vec<_> = creates.iter().filter(|(_, count)| **count != 1).collect();
        assert!(double.is_empty(), "created twice on the panel: {double:?}");
        assert_eq!(creates.len(), usize::try_from(active).unwrap(), "accounts on the panel and active ones");
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Running {
    /// Stops Berth as SIGTERM would.
    pub(crate) async fn stop(self) {
        self.tasks.draining.cancel();
        self.serving.await.unwrap().unwrap();
        if self.works {
            worker::stop(&self.app).await;
        }
        self.tasks.stopped.cancel();
        tokio::time::timeout(Duration::from_secs(10), self.tasks.wait()).await.expect("every task ends");
    }
}

/// How often each account was created, as the panel itself wrote down.
pub(crate) fn creates(sites_dir: &Path) -> std::collections::BTreeMap<berth_jobs::ids::AccountId, u64> {
    berth::gateways::panels::site::creates::count_by_account(sites_dir).unwrap_or_default()
}

async fn start_stripe(webhook_url: &str, stop: &CancellationToken) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let config = SimConfig {
        webhook_url: Some(webhook_url.parse().unwrap()),
        webhook_secrets: vec![WEBHOOK_SECRET.to_owned()],
        api_key: STRIPE_KEY.to_owned(),
        public_url: base.parse().unwrap(),
        pace: Pace::hurried(),
    };
    let stop = stop.clone();
    tokio::spawn(async move { stripe_sim::serve(listener, config, stop).await.unwrap() });
    base
}

async fn answer(request: reqwest::RequestBuilder) -> (u16, Value) {
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}
