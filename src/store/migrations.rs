//! Brings the schema up to date, and says whether it is.

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, migrate::Migrator};

use super::{Store, StoreError, connect_options, job_kinds};
use crate::config::SecretUrl;

static MIGRATOR: Migrator = sqlx::migrate!("./migrations");

/// The role that the program runs as.
const APP_ROLE: &str = "berth_app";

/// Why the schema could not be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// The database is away or refuses.
    #[error("the database did not answer")]
    Database(#[from] sqlx::Error),
    /// A migration failed, or one that was applied has changed since.
    #[error("a migration could not be applied")]
    Migration(#[from] sqlx::migrate::MigrateError),
}

/// Applies all pending migrations as the schema's owner, says which jobs may be asked for by SQL, and lets the role of `app_url`
/// log in.
///
/// # Errors
/// When the database refuses; what was applied stays applied.
pub async fn migrate(owner_url: &SecretUrl, app_url: &SecretUrl) -> Result<(), MigrateError> {
    let mut db = connect_options(owner_url, true)?.connect().await?;
    MIGRATOR.run(&mut db).await?;
    job_kinds::publish(&mut db).await?;
    let app = app_url.expose();
    if let Some(password) = app.password().filter(|_| app.username() == APP_ROLE) {
        let decoded = percent_decode(password);
        // A role's password cannot be a parameter; the server quotes it for us.
        let statement: String = sqlx::query_scalar("select format('alter role berth_app login password %L', $1::text)")
            .bind(decoded)
            .fetch_one(&mut db)
            .await?;
        sqlx::query(AssertSqlSafe(statement)).execute(&mut db).await?;
    }
    db.close().await?;
    Ok(())
}

fn percent_decode(text: &str) -> String {
    url::form_urlencoded::parse(format!("p={}", text.replace('+', "%2B")).as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}

impl Store {
    /// The migrations that this version knows and the database does not have, by number.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn pending_migrations(&self) -> Result<Vec<i64>, StoreError> {
        let known: Vec<i64> = MIGRATOR.iter().map(|migration| migration.version).collect();
        let has_table: bool = sqlx::query_scalar("select to_regclass('berth.schema_migrations') is not null")
            .fetch_one(&self.pool)
            .await?;
        if !has_table {
            return Ok(known);
        }
        let applied: Vec<i64> = sqlx::query_scalar("select version from berth.schema_migrations where success")
            .fetch_all(&self.pool)
            .await?;
        Ok(known.into_iter().filter(|version| !applied.contains(version)).collect())
    }
}
