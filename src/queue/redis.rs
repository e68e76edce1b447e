//! Ids out, ids in. Redis carries the ids of due jobs in order and wakes workers; nothing here is the only copy of
//! anything, so nothing needs to be acknowledged.
//!
//! A queue is three sorted sets, one a class (`berth:{mail}:0` …), scored by the time at which the job is due. The
//! braces keep a queue's keys on one node of a cluster.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use berth_jobs::{Class, Queue};
use redis::{
    AsyncConnectionConfig, Client, RedisError, RedisResult,
    aio::{ConnectionManager, ConnectionManagerConfig, MultiplexedConnection},
};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::store::jobs::Dispatch;

/// How long a command may take before Redis counts as away.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a pop waits for an id. Short enough for a process to stop in time.
const BLOCK_SECONDS: f64 = 1.0;
/// Every so often a pop takes the oldest id, whatever its class.
const OLDEST_EVERY: u64 = 8;
/// A queue that holds so many ids is given no more; the rest wait in the ledger. What several processes push before
/// each has counted again fits below the 10,000 that a queue may hold at most.
const ENOUGH_IDS: u64 = 8_000;

/// The queues in Redis.
#[derive(Clone)]
pub struct RedisQueues {
    client: Client,
    commands: ConnectionManager,
    namespace: Arc<str>,
    depths: Arc<[AtomicU64; Queue::ALL.len()]>,
}

impl std::fmt::Debug for RedisQueues {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisQueues").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

impl RedisQueues {
    /// Queues under `namespace`; connections are made when they are needed.
    ///
    /// # Errors
    /// When the URL cannot be read.
    pub fn new(url: &SecretString, namespace: &str) -> RedisResult<Self> {
        let client = Client::open(url.expose_secret())?;
        let config = ConnectionManagerConfig::new()
            .set_response_timeout(Some(RESPONSE_TIMEOUT))
            .set_connection_timeout(Some(RESPONSE_TIMEOUT))
            .set_number_of_retries(1);
        let commands = ConnectionManager::new_lazy_with_config(client.clone(), config)?;
        Ok(Self { client, commands, namespace: namespace.into(), depths: Arc::default() })
    }

    /// The queues that hold so many ids that new ones should wait in the ledger, as last seen.
    pub(crate) fn overfull(&self) -> Vec<String> {
        self.by_depth(|depth| depth >= ENOUGH_IDS)
    }

    /// The others.
    pub(crate) fn roomy(&self) -> Vec<String> {
        self.by_depth(|depth| depth < ENOUGH_IDS)
    }

    fn by_depth(&self, wanted: impl Fn(u64) -> bool) -> Vec<String> {
        let depths = Queue::ALL.iter().zip(self.depths.iter());
        depths.filter(|(_, depth)| wanted(depth.load(Ordering::Relaxed))).map(|(queue, _)| queue.to_string()).collect()
    }

    /// A connection for commands that wait: dead servers are noticed, quiet ones are not mistaken for them.
    pub(super) async fn connection_that_waits(&self, wait: Duration) -> RedisResult<MultiplexedConnection> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(RESPONSE_TIMEOUT))
            .set_response_timeout(Some(wait + RESPONSE_TIMEOUT));
        self.client.get_multiplexed_async_connection_with_config(&config).await
    }

    pub(super) fn namespace(&self) -> &str {
        &self.namespace
    }

    fn key(&self, queue: Queue, class: Class) -> String {
        format!("{}:{{{queue}}}:{}", self.namespace, class.number())
    }

    fn epoch_key(&self) -> String {
        format!("{}:epoch", self.namespace)
    }

    /// Adds ids; adding one twice is adding it once.
    pub(crate) async fn push(&self, ids: &[Dispatch]) -> RedisResult<()> {
        let mut pipeline = redis::pipe();
        for queue in Queue::ALL {
            for class in Class::ALL {
                let mut of_class = ids.iter().filter(|id| id.queue == queue && id.class == class).peekable();
                if of_class.peek().is_some() {
                    let command = pipeline.cmd("ZADD").arg(self.key(queue, class));
                    for id in of_class {
                        command.arg(id.run_at_ms).arg(id.id.0.to_string());
                    }
                    pipeline.ignore();
                }
            }
        }
        pipeline.exec_async(&mut self.commands.clone()).await
    }

    /// Which of these ids do not lie in Redis.
    pub(crate) async fn missing(&self, ids: &[Dispatch]) -> RedisResult<Vec<Dispatch>> {
        let mut pipeline = redis::pipe();
        for id in ids {
            pipeline.cmd("ZSCORE").arg(self.key(id.queue, id.class)).arg(id.id.0.to_string());
        }
        let scores: Vec<Option<f64>> = pipeline.query_async(&mut self.commands.clone()).await?;
        Ok(ids.iter().zip(scores).filter(|(_, score)| score.is_none()).map(|(id, _)| *id).collect())
    }

    /// Counts the ids of every queue, for [`overfull`](Self::overfull).
    pub(crate) async fn measure(&self) -> RedisResult<()> {
        let mut pipeline = redis::pipe();
        for queue in Queue::ALL {
            for class in Class::ALL {
                pipeline.cmd("ZCARD").arg(self.key(queue, class));
            }
        }
        let counts: Vec<u64> = pipeline.query_async(&mut self.commands.clone()).await?;
        for (depth, of_queue) in self.depths.iter().zip(counts.chunks(Class::ALL.len())) {
            depth.store(of_queue.iter().sum(), Ordering::Relaxed);
        }
        Ok(())
    }

    /// The epoch that Redis holds and the id of the server's run.
    pub(crate) async fn epoch(&self) -> RedisResult<(Option<Uuid>, String)> {
        let (epoch, info): (Option<String>, String) = redis::pipe()
            .cmd("GET")
            .arg(self.epoch_key())
            .cmd("INFO")
            .arg("server")
            .query_async(&mut self.commands.clone())
            .await?;
        let run_id = info.lines().find_map(|line| line.strip_prefix("run_id:")).unwrap_or_default();
        Ok((epoch.and_then(|text| text.parse().ok()), run_id.trim().to_owned()))
    }

    /// Marks this Redis as filled in `epoch`.
    pub(crate) async fn set_epoch(&self, epoch: Uuid) -> RedisResult<()> {
        redis::cmd("SET").arg(self.epoch_key()).arg(epoch.to_string()).exec_async(&mut self.commands.clone()).await
    }

    /// Whether Redis answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> RedisResult<()> {
        redis::cmd("PING").exec_async(&mut self.commands.clone()).await
    }

    /// What Redis does when its memory is full; anything but `noeviction` may drop ids.
    ///
    /// # Errors
    /// When Redis does not answer, or does not tell.
    pub async fn eviction_policy(&self) -> RedisResult<String> {
        let info: String = redis::cmd("INFO").arg("memory").query_async(&mut self.commands.clone()).await?;
        let policy = info.lines().find_map(|line| line.strip_prefix("maxmemory_policy:"));
        Ok(policy.unwrap_or_default().trim().to_owned())
    }

    /// What Redis says of itself, its memory, its files and its place among others: `name: value`, as `INFO` has it.
    ///
    /// # Errors
    /// When Redis does not answer, or does not tell.
    pub async fn info(&self) -> RedisResult<BTreeMap<String, String>> {
        let text: String = redis::cmd("INFO").query_async(&mut self.commands.clone()).await?;
        let fields = text.lines().filter_map(|line| line.split_once(':'));
        Ok(fields.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect())
    }

    /// A way to wait for the ids of one queue, with a connection of its own.
    pub(crate) fn popper(&self, queue: Queue) -> Popper {
        Popper { queues: self.clone(), queue, connection: None, pops: 0 }
    }
}

/// Waits for the ids of one queue.
pub(crate) struct Popper {
    queues: RedisQueues,
    queue: Queue,
    connection: Option<MultiplexedConnection>,
    pops: u64,
}

impl Popper {
    /// At most `count` ids, of class bulk only where `bulk` says so; none when none came within a second.
    pub(crate) async fn pop(&mut self, count: usize, bulk: bool) -> RedisResult<Vec<Uuid>> {
        let result = self.try_pop(count, bulk).await;
        if result.is_err() {
            self.connection = None;
        }
        result
    }

    async fn try_pop(&mut self, count: usize, bulk: bool) -> RedisResult<Vec<Uuid>> {
        self.pops = self.pops.wrapping_add(1);
        let mut keys: Vec<String> = Class::ALL
            .into_iter()
            .filter(|class| bulk || *class != Class::Bulk)
            .map(|class| self.queues.key(self.queue, class))
            .collect();
        let mut connection = self.connection().await?;
        if self.pops.is_multiple_of(OLDEST_EVERY) {
            keys = oldest_first(&mut connection, keys).await?;
        }
        let popped: Option<(String, Vec<(String, f64)>)> = redis::cmd("BZMPOP")
            .arg(BLOCK_SECONDS)
            .arg(keys.len())
            .arg(keys)
            .arg("MIN")
            .arg("COUNT")
            .arg(count)
            .query_async(&mut connection)
            .await?;
        // A member that is no id was put there by somebody else: Redis is not trusted.
        Ok(popped.into_iter().flat_map(|(_, ids)| ids).filter_map(|(id, _)| id.parse().ok()).collect())
    }

    async fn connection(&mut self) -> RedisResult<MultiplexedConnection> {
        if let Some(connection) = &self.connection {
            return Ok(connection.clone());
        }
        let connection = self.queues.connection_that_waits(Duration::from_secs_f64(BLOCK_SECONDS)).await?;
        Ok(self.connection.insert(connection).clone())
    }
}

/// Sorts a queue's keys by the age of their first id, so that no class starves.
async fn oldest_first(connection: &mut MultiplexedConnection, keys: Vec<String>) -> RedisResult<Vec<String>> {
    let mut pipeline = redis::pipe();
    for key in &keys {
        pipeline.cmd("ZRANGE").arg(key).arg(0).arg(0).arg("WITHSCORES");
    }
    let heads: Vec<Vec<(String, f64)>> = pipeline.query_async(connection).await?;
    let age = |head: &Vec<(String, f64)>| head.first().map_or(f64::INFINITY, |(_, score)| *score);
    let mut by_age: Vec<(f64, String)> = heads.iter().map(age).zip(keys).collect();
    by_age.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    Ok(by_age.into_iter().map(|(_, key)| key).collect())
}

/// Whether the version of the server is one that Berth can use: 7.0, for `BZMPOP`.
///
/// # Errors
/// When Redis does not answer.
pub async fn check_version(queues: &RedisQueues) -> Result<(), RedisError> {
    let info: String = redis::cmd("INFO").arg("server").query_async(&mut queues.commands.clone()).await?;
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or_default().trim();
    let major: u32 = version.split('.').next().and_then(|text| text.parse().ok()).unwrap_or_default();
    if major >= 7 {
        return Ok(());
    }
    Err(RedisError::from((
        redis::ErrorKind::Client,
        "Redis is too old",
        format!("it is {version}; Berth needs 7.0 or later, or any Valkey"),
    )))
}
