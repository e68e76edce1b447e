//! What must hold before a process starts: Postgres answers and is migrated, Redis is one that keeps what it is given.

use anyhow::{Context, bail};

use crate::{
    app::App,
    config::{Config, SecretUrl},
    queue::redis::{RedisQueues, check_version},
    store::{Store, inspection},
};

/// The only policy under which a full Redis refuses ids in place of dropping them.
pub(super) const KEEPS_ALL: &str = "noeviction";

/// How Redis answers.
pub(super) enum RedisState {
    /// It can be used; its policy when its memory is full.
    Usable { policy: String },
    /// It is away, which delays work and loses none.
    Away(redis::RedisError),
    /// It can never be used like this.
    Unusable(redis::RedisError),
}

/// Asks Redis what it is.
pub(super) async fn redis_state(redis: &RedisQueues) -> RedisState {
    let answer = match check_version(redis).await {
        Ok(()) => redis.eviction_policy().await,
        Err(error) => Err(error),
    };
    match answer {
        Ok(policy) => RedisState::Usable { policy },
        Err(error) if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() => {
            RedisState::Away(error)
        }
        Err(error) => RedisState::Unusable(error),
    }
}

/// Refuses to start on a database that is away, not migrated or ours to change, and on a Redis that is too old or lets nobody in.
///
/// # Errors
/// With what is to be done.
pub(super) async fn may_start(app: &App) -> anyhow::Result<()> {
    migrated(&app.store, &app.config).await?;
    without_rights(&app.store, &app.config).await?;
    app.clock.set(app.store.now().await?);
    match redis_state(&app.redis).await {
        RedisState::Usable { policy } if policy == KEEPS_ALL => {}
        RedisState::Usable { policy } => tracing::warn!(
            policy,
            "REDIS MAY DROP IDS WHEN ITS MEMORY IS FULL, and jobs then wait for the relay: \
             set `maxmemory-policy {KEEPS_ALL}` in its configuration"
        ),
        RedisState::Away(error) => {
            tracing::warn!(%error, "Redis does not answer; jobs wait in the ledger until it does");
        }
        RedisState::Unusable(error) => {
            return Err(error).context(format!("Redis at {} cannot be used", shown(app.config.redis.url.as_ref())));
        }
    }
    Ok(())
}

/// Refuses a role that could change tables or that no row-level security binds: a hole anywhere in the program would be one in
/// everything. For development it is allowed by `dev.table_owner`.
///
/// # Errors
/// With what is to be done.
async fn without_rights(store: &Store, config: &Config) -> anyhow::Result<()> {
    let role = store.role_facts().await.context("the rights of the database role cannot be read")?;
    let objections = role.objections().join(", ");
    if objections.is_empty() {
        return Ok(());
    }
    if !config.dev.table_owner {
        bail!(
            "connection as the table owner is refused: the role {} {objections}. Let database.url name the role berth_app and \
             database.migrate_url the owner, then run `berth migrate`, which makes that role; for development, set \
             dev.table_owner = true",
            role.name
        );
    }
    tracing::warn!(role = role.name, objections, "the program runs with more rights than it needs");
    Ok(())
}

/// Refuses a database that is away or not migrated.
///
/// # Errors
/// With what is to be done.
pub(super) async fn migrated(store: &Store, config: &Config) -> anyhow::Result<()> {
    let url = shown(config.database.url.as_ref());
    let unusable = || format!("Postgres at {url} cannot be used");
    inspection::reach(&config.database).await.with_context(unusable)?;
    let pending = store.pending_migrations().await.with_context(unusable)?;
    if !pending.is_empty() {
        bail!("{}", pending_text(&pending));
    }
    Ok(())
}

/// What to do about migrations that wait.
pub(super) fn pending_text(pending: &[i64]) -> String {
    let numbers: Vec<String> = pending.iter().map(|number| format!("{number:04}")).collect();
    format!("the database lacks migrations ({}): run `berth migrate`, then start again", numbers.join(", "))
}

pub(super) fn shown(url: Option<&SecretUrl>) -> String {
    url.map_or_else(|| "(not set)".to_owned(), SecretUrl::redacted)
}
