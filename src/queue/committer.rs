//! The committer: makes effects true. What gathers from all handlers and routes while one transaction commits goes
//! into the next one; a lone unit commits at once and waits for nobody.
//!
//! It has three lanes: what routes write, what runs store on their way, and how runs end. Each commits one group at a
//! time, so that a customer who waits does not stand behind the jobs, and while one lane waits for the disk the others
//! work. To the database the lanes are like three processes: what meets in two of them is decided by versions and locks.

mod settling;
mod taken_rows;

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use berth_jobs::{Backoff, ids::JobId};
use sqlx::{PgConnection, Postgres, pool::PoolConnection};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::redis::RedisQueues;
use crate::{
    effects::Effects,
    error::chain,
    failpoint,
    metrics::LaneSeries,
    store::{
        Store,
        effects::{self as rows, MoneyMoved, UnitEffects},
        jobs::Dispatch,
    },
    trace::{self, TraceParent},
};
use settling::settle;
use taken_rows::TakenRows;

pub use crate::store::effects::{Refusal, Why};

/// How many units may wait to be taken into a group before their senders wait.
const WAITING_ROOM: usize = 1024;
/// How long a route waits for its commit before it says that the database is away.
const WRITE_PATIENCE: Duration = Duration::from_secs(10);
/// How often a group is tried again as it is after a deadlock, before it is split.
const CONFLICT_TRIES: u32 = 3;
/// How often a lone unit is tried again after a timeout of a lock or statement.
const SLOW_TRIES: u32 = 4;
/// The longest wait between tries while the database is away.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// A job that lost its row this often is given to a person: something else is wrong.
const MOST_REFUSALS: u32 = 100;
/// How many connections in a row may turn out to be of a server that has gone.
const STALE_CONNECTIONS: usize = 2;
macro_rules! bounded_begin {
    () => {
        "begin; set local lock_timeout = '500ms'; set local statement_timeout = '5s'; \
         set local idle_in_transaction_session_timeout = '5s'; \
         set local enable_seqscan = off; set local jit = off"
    };
}
/// A group names its rows by their keys. Plans are kept as long as the connection, so one that was made while the tables
/// were small would go on reading them whole: they are read by their indexes from the first row on. The table of one row
/// that `berth.now()` reads then looks so dear that the plan would be compiled, which takes longer than all it does.
/// A process that freezes in the middle of a group keeps its locks for less than a lease.
const BEGIN: &str = bounded_begin!();
/// As [`BEGIN`], for a group whose commit does not wait for the disk.
const BEGIN_WITHOUT_DISK: &str = concat!(bounded_begin!(), "; set local synchronous_commit = off");

/// The right to settle one run of a job.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The job.
    pub job_id: JobId,
    /// What the ledger knows the run by.
    pub claim_id: Uuid,
    /// The key of which one job runs at a time.
    pub serial: Option<String>,
    /// The number of this attempt.
    pub attempt: u32,
    /// How long its job waits after a failed attempt.
    pub backoff: Backoff,
    /// How many attempts may fail.
    pub tries: u32,
}

/// How a run ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Its effects are true.
    Done,
    /// It failed and is tried again.
    Retry {
        /// How long from now.
        after: Duration,
        /// Why.
        error: String,
    },
    /// It waits for something; no attempt was used.
    Snooze {
        /// How long from now.
        after: Duration,
        /// How long in all, from the first snooze; `None`: as long as it takes, and what it has waited for otherwise is not held
        /// against it now.
        give_up_after: Option<Duration>,
        /// For what.
        reason: String,
    },
    /// There is nothing to be done any more.
    Cancel {
        /// Why.
        reason: String,
    },
    /// It is given to a person.
    Dead {
        /// Why.
        error: String,
    },
}

/// Why effects did not become true.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// The run was given up for dead, and another one may be under way.
    #[error("the claim on the job is lost")]
    ClaimLost,
    /// A row is not as it was read.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The database is away.
    #[error("the database is away: {0}")]
    Unavailable(String),
    /// The database refuses these effects.
    #[error("the effects could not be written: {0}")]
    Failed(String),
}

enum Purpose {
    Settle(Claim, Settlement),
    Checkpoint(Claim),
    /// As a checkpoint, but a crash of the database may undo it: its job is then queued again all the same.
    Fence(Claim),
    Write,
}

struct Unit {
    purpose: Purpose,
    effects: Effects,
    /// What the jobs that it enqueues continue.
    trace: Option<TraceParent>,
    /// Why what the sender wanted cannot become true; what is committed then only queues its job again.
    failure: Option<CommitError>,
    reply: oneshot::Sender<Result<(), CommitError>>,
}

impl Unit {
    fn claim(&self) -> Option<&Claim> {
        match &self.purpose {
            Purpose::Settle(claim, _) | Purpose::Checkpoint(claim) | Purpose::Fence(claim) => Some(claim),
            Purpose::Write => None,
        }
    }

    fn answer(self, result: Result<(), CommitError>) {
        // A sender that stopped waiting has its own way to find out.
        let _ = self.reply.send(result.and(self.failure.map_or(Ok(()), Err)));
    }

    /// The same run, to be queued again instead: only the facts that it learnt become true.
    fn queued_again(self, claim: &Claim, failure: CommitError, keep_facts: bool) -> Self {
        Self {
            purpose: Purpose::Settle(claim.clone(), after_refusal(claim, &failure)),
            effects: if keep_facts { self.effects.facts_only() } else { Effects::none() },
            trace: self.trace,
            failure: Some(failure),
            reply: self.reply,
        }
    }
}

/// The way to the committer, for handlers, routes and the backend.
#[derive(Clone, Debug)]
pub struct Committer {
    writes: mpsc::Sender<Unit>,
    checkpoints: mpsc::Sender<Unit>,
    settlements: mpsc::Sender<Unit>,
}

impl std::fmt::Debug for Unit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Unit").field("claim", &self.claim()).finish_non_exhaustive()
    }
}

/// Where ids go after their commit.
pub type Pushes = mpsc::UnboundedSender<Vec<Dispatch>>;

impl Committer {
    /// A committer and the loops of its lanes; they end when every handle is dropped.
    pub fn new(
        store: &Store,
        redis: &RedisQueues,
        group_size: usize,
        pushes: &Pushes,
    ) -> (Self, [impl Future<Output = ()> + Send + use<>; 3]) {
        let lane = |name| {
            let (units, inbox) = mpsc::channel(WAITING_ROOM);
            let lane = Lane {
                store: store.clone(),
                connection: None,
                redis: redis.clone(),
                group_size: group_size.max(1),
                pushes: pushes.clone(),
                waiting: VecDeque::new(),
                series: LaneSeries::of(name),
            };
            (units, lane.run(inbox))
        };
        let (writes, of_writes) = lane("writes");
        let (checkpoints, of_checkpoints) = lane("checkpoints");
        let (settlements, of_settlements) = lane("settlements");
        (Self { writes, checkpoints, settlements }, [of_writes, of_checkpoints, of_settlements])
    }

    /// Makes effects true that belong to no job.
    ///
    /// # Errors
    /// When a row has changed meanwhile, the database is away, or it refuses.
    pub async fn write(&self, effects: Effects) -> Result<(), CommitError> {
        match tokio::time::timeout(WRITE_PATIENCE, self.send(Purpose::Write, effects)).await {
            Ok(result) => result,
            Err(_) => Err(CommitError::Unavailable("no commit within 10 s".to_owned())),
        }
    }

    /// Makes effects true in the middle of a run, and proves that the claim still holds.
    ///
    /// # Errors
    /// As [`write`](Self::write), and when the claim is lost.
    pub async fn checkpoint(&self, claim: Claim, effects: Effects) -> Result<(), CommitError> {
        self.send(Purpose::Checkpoint(claim), effects).await
    }

    /// As [`checkpoint`](Self::checkpoint), without waiting for the disk: for effects that nobody misses.
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint).
    pub async fn fence(&self, claim: Claim, effects: Effects) -> Result<(), CommitError> {
        self.send(Purpose::Fence(claim), effects).await
    }

    /// Ends a run: its effects and its settlement become true together.
    ///
    /// # Errors
    /// As [`checkpoint`](Self::checkpoint). After `Refused` the job is queued again already.
    pub async fn settle(&self, claim: Claim, settlement: Settlement, effects: Effects) -> Result<(), CommitError> {
        self.send(Purpose::Settle(claim, settlement), effects).await
    }

    async fn send(&self, purpose: Purpose, effects: Effects) -> Result<(), CommitError> {
        let stopped = || CommitError::Unavailable("the process is stopping".to_owned());
        let lane = match purpose {
            Purpose::Write => &self.writes,
            Purpose::Checkpoint(_) | Purpose::Fence(_) => &self.checkpoints,
            Purpose::Settle(..) => &self.settlements,
        };
        let (reply, answer) = oneshot::channel();
        lane.send(Unit { purpose, effects, trace: trace::followed(), failure: None, reply })
            .await
            .map_err(|_| stopped())?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}

/// One transaction at a time.
struct Lane {
    store: Store,
    /// Kept from one group to the next.
    connection: Option<PoolConnection<Postgres>>,
    redis: RedisQueues,
    group_size: usize,
    pushes: Pushes,
    waiting: VecDeque<Unit>,
    series: LaneSeries,
}

/// How an attempt to commit a group ended.
enum Outcome {
    /// It is true, but for the units whose claim was lost, by their place.
    Committed { lost: Vec<usize>, dispatches: Vec<Dispatch>, money: Vec<MoneyMoved> },
    /// Nothing is true: these units must go first, by their place.
    Refused(Vec<(usize, Refusal)>),
}

impl Lane {
    async fn run(mut self, mut inbox: mpsc::Receiver<Unit>) {
        loop {
            if self.waiting.is_empty() {
                let Some(unit) = inbox.recv().await else { return };
                self.waiting.push_back(unit);
            }
            while self.waiting.len() < self.group_size {
                let Ok(unit) = inbox.try_recv() else { break };
                self.waiting.push_back(unit);
            }
            let group = self.next_group();
            self.commit(group).await;
            // Those who were answered just now may have more: it goes into the next group, not into the one after it.
            tokio::task::yield_now().await;
        }
    }

    /// Takes the oldest units whose rows do not meet; the others wait for the next group, in their order.
    fn next_group(&mut self) -> Vec<Unit> {
        let mut group = Vec::with_capacity(self.waiting.len().min(self.group_size));
        let mut later = VecDeque::new();
        let mut taken = TakenRows::default();
        while let Some(unit) = self.waiting.pop_front() {
            if group.len() < self.group_size && taken.take(&unit.effects) {
                group.push(unit);
            } else {
                later.push_back(unit);
            }
        }
        self.waiting = later;
        group
    }

    /// Commits a group, splitting it where that is needed, and answers every unit.
    async fn commit(&mut self, group: Vec<Unit>) {
        let mut groups = VecDeque::from([group]);
        while let Some(group) = groups.pop_front() {
            if let Some((first, second)) = self.commit_or_split(group).await {
                groups.push_front(second);
                groups.push_front(first);
            }
        }
    }

    /// Commits a group; answers two halves when it cannot be committed as a whole.
    async fn commit_or_split(&mut self, mut group: Vec<Unit>) -> Option<(Vec<Unit>, Vec<Unit>)> {
        let (mut conflicts, mut slow) = (0, 0);
        let mut wait = Duration::from_millis(10);
        loop {
            if group.is_empty() {
                return None;
            }
            let began = Instant::now();
            match self.attempt(&group).await {
                Ok(Outcome::Committed { lost, dispatches, money }) => {
                    self.push(dispatches);
                    self.note(&group, began, money);
                    failpoint::hit("committer.after_commit");
                    for (at, unit) in group.into_iter().enumerate() {
                        let result = if lost.contains(&at) { Err(CommitError::ClaimLost) } else { Ok(()) };
                        unit.answer(result);
                    }
                    return None;
                }
                Ok(Outcome::Refused(refused)) => {
                    self.series.failed("refused");
                    group = self.without(group, refused).await;
                }
                Err(error) if is_conflict(&error) && conflicts < CONFLICT_TRIES => {
                    self.series.failed("conflict");
                    conflicts += 1;
                }
                Err(error) if is_away(&error) => {
                    self.series.failed("away");
                    group = self.outlast(group, &error, wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
                Err(error) if group.len() == 1 && is_slow(&error) && slow < SLOW_TRIES => {
                    // A lock or the disk, not the unit: others go first where they can, then it is tried again.
                    slow += 1;
                    self.series.failed("slow");
                    tracing::warn!(error = chain(&error), "a unit waits for a lock or the disk");
                }
                Err(error) if group.len() == 1 => {
                    self.series.failed("failed");
                    group = self.give_up(group, &error).await?;
                }
                Err(error) => {
                    self.series.failed("split");
                    tracing::warn!(
                        units = group.len(),
                        error = chain(&error),
                        "a group could not be committed; splitting it"
                    );
                    let second = group.split_off(group.len() / 2);
                    return Some((group, second));
                }
            }
        }
    }

    async fn attempt(&mut self, group: &[Unit]) -> Result<Outcome, sqlx::Error> {
        let mut connection = self.begin(group).await?;
        let outcome = self.write(&mut connection, group).await;
        let ended = match &outcome {
            Ok(Outcome::Committed { .. }) => Ok(()),
            Ok(Outcome::Refused(_)) | Err(_) => sqlx::raw_sql("rollback").execute(&mut *connection).await.map(drop),
        };
        self.connection = ended.is_ok().then_some(connection);
        outcome
    }

    /// Begins a transaction. A connection that was kept may be of a server that has gone since, and so may those that
    /// the pool has kept.
    async fn begin(&mut self, group: &[Unit]) -> Result<PoolConnection<Postgres>, sqlx::Error> {
        let may_be_lost = group.iter().all(|unit| matches!(unit.purpose, Purpose::Fence(_)));
        let begin = if may_be_lost { BEGIN_WITHOUT_DISK } else { BEGIN };
        for _ in 0..STALE_CONNECTIONS {
            let mut connection = match self.connection.take() {
                Some(kept) => kept,
                None => self.store.pool.acquire().await?,
            };
            match self.store.pool.begin_on(&mut connection, begin).await {
                Ok(()) => return Ok(connection),
                // Dropped, it is looked at by the pool and closed.
                Err(error) if is_away(&error) => drop(connection),
                Err(error) => return Err(error),
            }
        }
        let mut connection = self.store.pool.acquire().await?;
        self.store.pool.begin_on(&mut connection, begin).await?;
        Ok(connection)
    }

    /// Writes a group and commits it; not when a unit is refused.
    async fn write(&self, db: &mut PgConnection, group: &[Unit]) -> Result<Outcome, sqlx::Error> {
        let settled = settle(db, group).await?;
        let mut effects = Vec::with_capacity(group.len());
        let dead = Effects { alerts: settled.alerts, ..Effects::none() };
        // A run that was given up for dead commits nothing but what it learnt outside: that has happened.
        let learnt: Vec<Effects> =
            settled.lost.iter().filter_map(|at| Some(group.get(*at)?.effects.facts_only())).collect();
        let mut learnt = learnt.iter();
        for (at, unit) in group.iter().enumerate() {
            let own = if settled.lost.contains(&at) { learnt.next() } else { Some(&unit.effects) };
            let job_id = unit.claim().map(|claim| claim.job_id);
            effects.extend(own.map(|effects| UnitEffects { effects, job_id, trace: unit.trace }));
        }
        effects.push(UnitEffects { effects: &dead, job_id: None, trace: None });
        let applied = rows::apply(db, &effects, &self.redis.overfull()).await?;
        if !applied.refused.is_empty() {
            return Ok(Outcome::Refused(applied.refused.into_iter().collect()));
        }
        let mut dispatches = applied.dispatches;
        dispatches.extend(settled.dispatches);
        if failpoint::broken("push_after_commit") {
            self.push(std::mem::take(&mut dispatches));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        failpoint::hit("committer.before_commit");
        if let Err(error) = sqlx::raw_sql("COMMIT").execute(db).await {
            // It may have become true all the same. An id whose job is not there claims nothing.
            self.push(dispatches);
            return Err(error);
        }
        Ok(Outcome::Committed { lost: settled.lost, dispatches, money: applied.money })
    }

    /// Takes refused units out of a group. A job keeps what it learnt outside and runs again; a checkpoint or a
    /// route is told.
    async fn without(&self, group: Vec<Unit>, refused: Vec<(usize, Refusal)>) -> Vec<Unit> {
        let mut refused: HashMap<usize, Refusal> = refused.into_iter().collect();
        let mut rest = Vec::with_capacity(group.len());
        for (at, unit) in group.into_iter().enumerate() {
            let Some(refusal) = refused.remove(&at) else {
                rest.push(unit);
                continue;
            };
            match &unit.purpose {
                Purpose::Write | Purpose::Checkpoint(_) | Purpose::Fence(_) => unit.answer(Err(refusal.into())),
                Purpose::Settle(claim, _) => {
                    let claim = claim.clone();
                    rest.push(unit.queued_again(&claim, refusal.into(), true));
                }
            }
        }
        rest
    }

    /// The database went away, perhaps after the commit. Routes are told at once; runs wait and are looked up.
    async fn outlast(&self, group: Vec<Unit>, error: &sqlx::Error, wait: Duration) -> Vec<Unit> {
        tracing::warn!(units = group.len(), error = chain(error), "the database is away");
        let mut rest = Vec::with_capacity(group.len());
        for unit in group {
            if matches!(unit.purpose, Purpose::Write) {
                unit.answer(Err(CommitError::Unavailable(chain(error))));
            } else {
                rest.push(unit);
            }
        }
        tokio::time::sleep(wait).await;
        let claims: Vec<(JobId, Uuid)> =
            rest.iter().filter_map(Unit::claim).map(|claim| (claim.job_id, claim.claim_id)).collect();
        let Ok(settled) = self.store.settled_claims(&claims).await else { return rest };
        let (done, open): (Vec<Unit>, Vec<Unit>) = rest.into_iter().partition(|unit| {
            matches!(unit.purpose, Purpose::Settle(..))
                && unit.claim().is_some_and(|claim| settled.contains(&claim.job_id))
        });
        for unit in done {
            unit.answer(Ok(()));
        }
        open
    }

    /// A unit that the database refuses by itself. A route or checkpoint is told; a run is queued again, with what it
    /// learnt outside, and if that is refused too, without. A run that even then cannot be settled is left to the
    /// lease, which gives back what nobody runs any more.
    async fn give_up(&self, group: Vec<Unit>, error: &sqlx::Error) -> Option<Vec<Unit>> {
        let failed = CommitError::Failed(chain(error));
        tracing::error!(error = %failed, "effects could not be written");
        let mut rest = Vec::new();
        for unit in group {
            match &unit.purpose {
                Purpose::Settle(claim, _) if unit.failure.is_none() || !unit.effects.facts.is_empty() => {
                    let claim = claim.clone();
                    let keep_facts = unit.failure.is_none();
                    rest.push(unit.queued_again(&claim, failed.clone(), keep_facts));
                }
                Purpose::Settle(..) | Purpose::Write | Purpose::Checkpoint(_) | Purpose::Fence(_) => {
                    unit.answer(Err(failed.clone()));
                }
            }
        }
        (!rest.is_empty()).then_some(rest)
    }

    /// Counts a group that is true now.
    fn note(&self, group: &[Unit], began: Instant, money: Vec<MoneyMoved>) {
        self.series.units.record(u32::try_from(group.len()).unwrap_or(u32::MAX));
        self.series.took.record(began.elapsed());
        for moved in money {
            crate::metrics::moved(moved.outcome, &moved.currency, moved.amount);
        }
    }

    fn push(&self, dispatches: Vec<Dispatch>) {
        if !dispatches.is_empty() {
            // Without a receiver the process is stopping; the relay of another one finds the ids.
            let _ = self.pushes.send(dispatches);
        }
    }
}

/// What becomes of a run whose effects were refused.
fn after_refusal(claim: &Claim, failure: &CommitError) -> Settlement {
    let error = failure.to_string();
    match failure {
        // Whoever moved the row has made progress: again almost at once, then ever more slowly.
        CommitError::Refused(_) if claim.attempt < MOST_REFUSALS => {
            let after = Duration::from_millis(20).saturating_mul(claim.attempt.saturating_mul(claim.attempt));
            Settlement::Retry { after, error }
        }
        CommitError::Failed(_) | CommitError::Unavailable(_) | CommitError::ClaimLost
            if claim.attempt < claim.tries =>
        {
            Settlement::Retry { after: claim.backoff.after(claim.attempt), error }
        }
        CommitError::Refused(_) | CommitError::Failed(_) | CommitError::Unavailable(_) | CommitError::ClaimLost => {
            Settlement::Dead { error }
        }
    }
}

/// Deadlocks and serialization failures: the same again may well succeed.
fn is_conflict(error: &sqlx::Error) -> bool {
    let Some(error) = error.as_database_error() else { return false };
    // Somebody enqueued the like of a job that was about to wait again: seen the next time, it gives way.
    matches!(error.code().as_deref(), Some("40P01" | "40001")) || error.constraint() == Some("jobs_coalesce_key")
}

/// A lock that somebody holds, or a disk that is slow.
fn is_slow(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    matches!(code.as_deref(), Some("55P03" | "57014"))
}

/// The server is gone, going or not letting anybody in: nothing is wrong with the group.
pub(crate) fn is_away(error: &sqlx::Error) -> bool {
    if let Some(error) = error.as_database_error() {
        // 57P01..57P03: shutting down or starting up; 53300: too many connections; 08: connection errors;
        // 25006: read-only after a failover.
        let code = error.code().unwrap_or_default();
        return code.starts_with("57P0") || code.starts_with("08") || code.starts_with("53") || code == "25006";
    }
    matches!(
        error,
        sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
    )
}
