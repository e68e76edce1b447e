//! Gives committed ids to Redis.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::redis::RedisQueues;
use crate::{error::chain, store::jobs::Dispatch};

/// How often ids are offered to Redis before that is left to the relay, and how long to wait in between.
const PUSH_TRIES: u32 = 3;
const PUSH_PAUSE: Duration = Duration::from_millis(100);

/// How often the queues are measured.
const MEASURE_EVERY: Duration = Duration::from_millis(250);

/// Gives committed ids to Redis, in the order of their commits, until `stop`.
pub(crate) async fn push_ids(
    mut batches: mpsc::UnboundedReceiver<Vec<Dispatch>>,
    redis: RedisQueues,
    stop: CancellationToken,
) {
    let mut measured = Instant::now();
    loop {
        let first = tokio::select! {
            batch = batches.recv() => batch,
            () = stop.cancelled() => return,
        };
        let Some(mut ids) = first else { return };
        while let Ok(more) = batches.try_recv() {
            ids.extend(more);
        }
        push_with_patience(&redis, &ids).await;
        // A process without a relay has nobody else to look how full the queues are.
        if measured.elapsed() >= MEASURE_EVERY {
            if let Err(error) = redis.measure().await {
                tracing::debug!(error = chain(&error), "the queues could not be measured");
            }
            measured = Instant::now();
        }
    }
}

/// A connection that died since it was last used shows so only now: the next try has a new one.
async fn push_with_patience(redis: &RedisQueues, ids: &[Dispatch]) {
    for tries_left in (0..PUSH_TRIES).rev() {
        match redis.push(ids).await {
            Ok(()) => return,
            Err(_) if tries_left > 0 => tokio::time::sleep(PUSH_PAUSE).await,
            // The ledger knows that they were to be given; the relay looks for them and gives them again.
            Err(error) => tracing::warn!(ids = ids.len(), error = chain(&error), "ids could not be given to Redis"),
        }
    }
}
