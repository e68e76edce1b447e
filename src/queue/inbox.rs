//! The stream in Redis by which applications ask for jobs that have nothing but Redis. Until an entry is stored it has no other
//! copy: it is taken out only after it was.

use std::{collections::BTreeMap, time::Duration};

use redis::{
    RedisError, RedisResult,
    aio::MultiplexedConnection,
    streams::{StreamAutoClaimReply, StreamId, StreamReadReply},
};
use uuid::Uuid;

use super::redis::RedisQueues;

/// The consumer group of all processes that read the stream.
const GROUP: &str = "berth";
/// How long a read waits for an entry. Short enough for a process to stop in time.
const BLOCK: Duration = Duration::from_secs(1);
/// So many entries at once.
const MOST: usize = 64;
/// An entry that was taken so long ago and is still there belonged to a process that died.
const STALE: Duration = Duration::from_secs(60);
/// So many refused entries are kept for whoever looks why.
const MOST_REFUSED: usize = 10_000;
/// What is kept of a field of a refused entry.
const LONGEST_KEPT: usize = 1_024;

/// What somebody has put into the stream. Anybody who reaches Redis can.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// Its place in the stream.
    id: String,
    /// By name; what is no text is left out.
    pub(crate) fields: BTreeMap<String, String>,
}

impl Entry {
    #[cfg(test)]
    pub(crate) fn new(id: &str, fields: BTreeMap<String, String>) -> Self {
        Self { id: id.to_owned(), fields }
    }
}

/// One reader of the stream.
pub(crate) struct Inbox {
    queues: RedisQueues,
    stream: String,
    consumer: String,
    connection: Option<MultiplexedConnection>,
}

impl Inbox {
    /// `consumer` is this reader's, and nobody else's.
    pub(crate) fn new(queues: &RedisQueues, consumer: Uuid) -> Self {
        let stream = format!("{}:inbox", queues.namespace());
        Self { queues: queues.clone(), stream, consumer: consumer.to_string(), connection: None }
    }

    /// Entries that nobody has stored yet: those of readers that died, then new ones; none when none came within a second.
    pub(crate) async fn take(&mut self) -> RedisResult<Vec<Entry>> {
        let result = self.try_take().await;
        match &result {
            // A Redis that was emptied has forgotten the group, and holds nothing.
            Err(error) if error.code() == Some("NOGROUP") => self.begin().await.map(|()| Vec::new()),
            Err(_) => {
                self.connection = None;
                result
            }
            Ok(_) => result,
        }
    }

    async fn try_take(&mut self) -> RedisResult<Vec<Entry>> {
        let (stream, consumer) = (self.stream.clone(), self.consumer.clone());
        let mut connection = self.connection().await?;
        let stale: StreamAutoClaimReply = redis::cmd("XAUTOCLAIM")
            .arg(&stream)
            .arg(GROUP)
            .arg(&consumer)
            .arg(STALE.as_millis().to_string())
            .arg("0")
            .arg("COUNT")
            .arg(MOST)
            .query_async(&mut connection)
            .await?;
        if !stale.claimed.is_empty() {
            return Ok(stale.claimed.into_iter().map(entry).collect());
        }
        let read: Option<StreamReadReply> = redis::cmd("XREADGROUP")
            .arg("GROUP")
            .arg(GROUP)
            .arg(&consumer)
            .arg("COUNT")
            .arg(MOST)
            .arg("BLOCK")
            .arg(BLOCK.as_millis().to_string())
            .arg("STREAMS")
            .arg(&stream)
            .arg(">")
            .query_async(&mut connection)
            .await?;
        Ok(read.into_iter().flat_map(|read| read.keys).flat_map(|key| key.ids).map(entry).collect())
    }

    /// Makes the group; it reads what lies there already.
    async fn begin(&mut self) -> RedisResult<()> {
        let stream = self.stream.clone();
        let made = redis::cmd("XGROUP")
            .arg("CREATE")
            .arg(&stream)
            .arg(GROUP)
            .arg("0")
            .arg("MKSTREAM")
            .exec_async(&mut self.connection().await?)
            .await;
        match made {
            // Another process was faster.
            Err(error) if error.code() == Some("BUSYGROUP") => Ok(()),
            made => made,
        }
    }

    /// Nobody reads under this name any more. What it has taken and not settled is left for others; then the name stays, too.
    pub(crate) async fn leave(&mut self) {
        let (stream, consumer) = (self.stream.clone(), self.consumer.clone());
        let gone = async {
            let mut connection = self.connection().await?;
            let pending: Vec<redis::Value> = redis::cmd("XPENDING")
                .arg(&stream)
                .arg(GROUP)
                .arg("-")
                .arg("+")
                .arg(1)
                .arg(&consumer)
                .query_async(&mut connection)
                .await?;
            if pending.is_empty() {
                redis::cmd("XGROUP")
                    .arg("DELCONSUMER")
                    .arg(&stream)
                    .arg(GROUP)
                    .arg(&consumer)
                    .exec_async(&mut connection)
                    .await?;
            }
            RedisResult::Ok(())
        };
        if let Err(error) = gone.await {
            tracing::debug!(%error, "a reader of the inbox keeps its name there");
        }
    }

    /// Takes entries out that are stored, and those that never will be, which are kept aside with the reason.
    pub(crate) async fn settle(&mut self, stored: &[Entry], refused: &[(Entry, String)]) -> RedisResult<()> {
        let all = || stored.iter().chain(refused.iter().map(|(entry, _)| entry)).map(|entry| entry.id.as_str());
        if all().next().is_none() {
            return Ok(());
        }
        let mut pipeline = redis::pipe();
        pipeline.atomic();
        for (entry, reason) in refused {
            let command = pipeline.cmd("XADD").arg(format!("{}:refused", self.stream));
            command.arg("MAXLEN").arg("~").arg(MOST_REFUSED).arg("*").arg("reason").arg(reason);
            for (name, value) in entry.fields.iter().filter(|(name, _)| *name != "reason") {
                command.arg(kept(name)).arg(kept(value));
            }
            pipeline.ignore();
        }
        let acknowledge = pipeline.cmd("XACK").arg(&self.stream).arg(GROUP);
        all().for_each(|id| {
            acknowledge.arg(id);
        });
        pipeline.ignore();
        let delete = pipeline.cmd("XDEL").arg(&self.stream);
        all().for_each(|id| {
            delete.arg(id);
        });
        pipeline.ignore();
        let result = pipeline.exec_async(&mut self.connection().await?).await;
        if result.is_err() {
            self.connection = None;
        }
        result
    }

    async fn connection(&mut self) -> Result<MultiplexedConnection, RedisError> {
        if let Some(connection) = &self.connection {
            return Ok(connection.clone());
        }
        let connection = self.queues.connection_that_waits(BLOCK).await?;
        Ok(self.connection.insert(connection).clone())
    }
}

fn entry(read: StreamId) -> Entry {
    let text = |value| redis::from_redis_value(value).ok();
    let fields = read.map.into_iter().filter_map(|(name, value)| Some((name, text(value)?))).collect();
    Entry { id: read.id, fields }
}

fn kept(text: &str) -> &str {
    let end = text.char_indices().map(|(at, _)| at).find(|at| *at >= LONGEST_KEPT);
    end.map_or(text, |end| text.get(..end).unwrap_or_default())
}
