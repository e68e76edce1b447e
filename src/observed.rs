//! What `/metrics` shows besides what is counted: how the ledger, the shop and the servers stand, as this process last
//! read it. However often it is asked for, and whatever the database does: few reads, and an answer in two seconds.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};

use crate::{
    config::{Config, Database},
    error::chain,
    metrics::{Disk, Sample},
    queue::redis::RedisQueues,
    store::{Store, StoreError, observation},
};

/// How old what is shown may be.
const AGE: Duration = Duration::from_secs(5);
/// How old may be what counts many rows.
const AGE_OF_COUNTS: Duration = Duration::from_secs(60);
/// How long the database may take. Whoever asks waits for a read that is under way, and then at most for one of its own.
const PATIENCE: Duration = Duration::from_millis(1_900);
/// How long counting many rows may take of that.
const PATIENCE_WITH_COUNTS: Duration = Duration::from_millis(300);
/// How long Redis may take.
const PATIENCE_WITH_REDIS: Duration = Duration::from_secs(1);

/// What this process last read.
#[derive(Debug)]
pub struct Observed {
    /// With a connection of its own: what is shown of a busy database must not wait until it is no longer busy.
    store: Store,
    redis: RedisQueues,
    disks: Vec<Disk>,
    last: Mutex<Option<Reading>>,
}

#[derive(Clone, Debug)]
struct Reading {
    at: Instant,
    database: Option<Vec<Sample>>,
    counts: Option<(Instant, Arc<Vec<Sample>>)>,
}

impl Observed {
    /// Nothing is read before somebody asks.
    ///
    /// # Errors
    /// When the database's URL cannot be read.
    pub fn new(config: &Config, redis: &RedisQueues) -> Result<Self, StoreError> {
        let store = Store::new(&Database { max_connections: 1, ..config.database.clone() })?;
        let disk = |what, path: PathBuf| Disk { what, path };
        let disks =
            vec![disk("sites", config.hosting.sites_dir.clone()), disk("backups", config.hosting.backups_dir())];
        Ok(Self { store, redis: redis.clone(), disks, last: Mutex::default() })
    }

    /// How things stand now, or stood a moment ago.
    pub async fn samples(&self) -> Vec<Sample> {
        let mut samples: Vec<Sample> = self.disks.iter().flat_map(Disk::samples).collect();
        let (read, redis) = tokio::join!(timeout(PATIENCE, self.reading()), self.redis_answers());
        let read = read.ok().filter(|read| read.database.is_some());
        samples.push(Sample::new("berth_database_up", &[], u8::from(read.is_some())));
        samples.push(Sample::new("berth_redis_up", &[], u8::from(redis)));
        let Some(read) = read else { return samples };
        let age = read.at.elapsed().as_millis();
        samples.push(Sample::new("berth_reading_age_seconds", &[], format!("{}.{:03}", age / 1_000, age % 1_000)));
        samples.extend(read.database.into_iter().flatten());
        samples.extend(read.counts.iter().flat_map(|(_, counts)| counts.iter().cloned()));
        samples
    }

    async fn reading(&self) -> Reading {
        let mut last = self.last.lock().await;
        if let Some(reading) = last.as_ref().filter(|reading| reading.at.elapsed() < AGE) {
            return reading.clone();
        }
        // Should this be given up in its middle, the next who asks must not wait for as long.
        let counts = last.take().and_then(|reading| reading.counts);
        *last = Some(Reading { at: Instant::now(), database: None, counts: counts.clone() });
        let read = self.database(counts).await;
        let (database, counts) = read.map_or((None, None), |(samples, counts)| (Some(samples), counts));
        last.insert(Reading { at: Instant::now(), database, counts }).clone()
    }

    async fn database(
        &self,
        counts: Option<(Instant, Arc<Vec<Sample>>)>,
    ) -> Option<(Vec<Sample>, Option<(Instant, Arc<Vec<Sample>>)>)> {
        let told = |error: StoreError| tracing::warn!(error = chain(&error), "the metrics could not be read");
        let samples = self.store.observe().await.map_err(told).ok()?;
        let fresh = counts.filter(|(at, _)| at.elapsed() < AGE_OF_COUNTS);
        let counts = match fresh {
            Some(fresh) => Some(fresh),
            None => {
                // Where there are too many to be counted in time, they are not shown, and the rest is.
                let counted = timeout(PATIENCE_WITH_COUNTS, self.store.observe_servers()).await.ok();
                let counted = counted.and_then(|counted| counted.map_err(told).ok()).unwrap_or_default();
                Some((Instant::now(), Arc::new(counted.into_iter().map(shown).collect())))
            }
        };
        Some((samples.into_iter().map(shown).collect(), counts))
    }

    async fn redis_answers(&self) -> bool {
        timeout(PATIENCE_WITH_REDIS, self.redis.ping()).await.is_ok_and(|answer| answer.is_ok())
    }
}

fn shown(sample: observation::Sample) -> Sample {
    let labels: Vec<&str> = sample.one.as_deref().into_iter().chain(sample.other.as_deref()).collect();
    Sample::new(sample.family, &labels, sample.value.normalize())
}
