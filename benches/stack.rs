//! Private servers, set up as a small machine's would be, and a database with Berth's tables.

use std::sync::OnceLock;

use anyhow::{Context, Result};
use berth::{
    dev::servers::{PostgresOptions, PrivatePostgres, PrivateRedis, RedisOptions},
    store,
};
use sqlx::{AssertSqlSafe, Executor, PgPool};

use crate::{child::Child, cpu::Cpu};

pub(crate) const STRIPE_KEY: &str = "sk_test_berth";
pub(crate) const WEBHOOK_SECRET: &str = "whsec_bench0123456789";

/// What every contender is measured on; `fsync`, `synchronous_commit` and autovacuum are on.
const POSTGRES_SETTINGS: [(&str, &str); 6] = [
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
    ("autovacuum", "on"),
    ("shared_buffers", "256MB"),
    ("max_wal_size", "4GB"),
];

/// What the command line says of PostgreSQL besides.
static MORE_SETTINGS: OnceLock<Vec<(String, String)>> = OnceLock::new();

/// Has every stack's PostgreSQL set up so as well. Before the first one starts.
pub(crate) fn set_up_postgres(settings: &[String]) -> Result<()> {
    let pair = |text: &String| text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    let pairs = settings.iter().map(pair).collect::<Option<Vec<_>>>().context("--postgres takes NAME=VALUE")?;
    MORE_SETTINGS.set(pairs).ok().context("it is set up once")
}

pub(crate) struct Stack {
    pub(crate) postgres: PrivatePostgres,
    pub(crate) redis: PrivateRedis,
}

impl Stack {
    /// Starts the servers. Redis keeps nothing on disk: Berth does not need it to, and what it is compared with is
    /// the faster for it.
    pub(crate) async fn start() -> Result<Self> {
        let more = MORE_SETTINGS.get().map(Vec::as_slice).unwrap_or_default();
        let all = POSTGRES_SETTINGS.into_iter().chain(more.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        let options = all.fold(PostgresOptions::throwaway(), |options, (name, value)| options.setting(name, value));
        let postgres = PrivatePostgres::start(options).await?;
        let redis = PrivateRedis::start(RedisOptions::throwaway()).await?;
        Ok(Self { postgres, redis })
    }

    /// A database with Berth's tables; its owner's pool.
    pub(crate) async fn database(&self, name: &str) -> Result<PgPool> {
        let owner = self.postgres.create_database(name).await?;
        let app = self.app_url(name)?;
        store::migrations::migrate(&url::Url::parse(&owner)?.into(), &app.into()).await?;
        Ok(PgPool::connect(&owner).await?)
    }

    /// A copy of a database that nobody is connected to.
    pub(crate) async fn copy(&self, from: &str, name: &str) -> Result<PgPool> {
        let pool = PgPool::connect(&self.postgres.url("postgres")).await?;
        pool.execute(AssertSqlSafe(format!("create database {name} template {from}"))).await?;
        // What the copy has left to be written is not the round's.
        pool.execute("checkpoint").await?;
        pool.close().await;
        Ok(PgPool::connect(&self.postgres.url(name)).await?)
    }

    pub(crate) async fn drop_database(&self, name: &str) -> Result<()> {
        let pool = PgPool::connect(&self.postgres.url("postgres")).await?;
        pool.execute(AssertSqlSafe(format!("drop database {name} with (force)"))).await?;
        pool.close().await;
        Ok(())
    }

    fn app_url(&self, database: &str) -> Result<url::Url> {
        let mut url = url::Url::parse(&self.postgres.url(database))?;
        // Neither can fail for a URL with a host.
        let _ = url.set_username("berth_app");
        let _ = url.set_password(Some("app"));
        Ok(url)
    }

    /// Berth's settings: its defaults but for these.
    pub(crate) fn settings(&self, database: &str, more: &[(&str, &str)]) -> Result<Vec<(String, String)>> {
        let mut settings: Vec<(String, String)> = [
            ("database.url", self.app_url(database)?.as_str()),
            ("redis.url", &self.redis.url()),
            ("stripe.secret_key", STRIPE_KEY),
            ("stripe.webhook_secrets", WEBHOOK_SECRET),
            ("shop.url", "http://shop.test"),
            ("shop.support_email", "help@shop.test"),
            ("mail.smtp_url", "smtp://127.0.0.1:9"),
            ("mail.from", "Shop <shop@shop.test>"),
            ("auth.jwt_secret", "a secret of at least thirty-two characters"),
            ("secrets.key", "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
            ("log.level", "warn"),
            // What the schedule adds is nobody's load.
            ("work.schedule", "false"),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        settings.extend(more.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
        Ok(settings)
    }

    /// The CPU time so far of a process and of the servers.
    pub(crate) fn cpu(&self, berth: &Child) -> Cpu {
        Cpu::read(berth.pid(), self.postgres.pid(), self.redis.pid())
    }
}
