//! The ledger's own statements: claim, settle, dispatch, and what operators ask of it.

#![expect(clippy::as_conversions, reason = "in sqlx's macros `as` names a parameter's type; nothing is converted")]

use berth_jobs::{Class, Queue, ids::JobId};
use jiff::Timestamp;
use jiff_sqlx::ToSqlx;
use serde_json::value::RawValue;
use sqlx::{PgConnection, types::Json};
use uuid::Uuid;

use super::{Store, StoreError};

/// A job that this process may run, and nobody else while its claim holds.
#[derive(Debug)]
pub struct ClaimedJob {
    /// Which job.
    pub id: JobId,
    /// The claim that its settlement must show.
    pub claim_id: Uuid,
    /// The name of the job.
    pub kind: String,
    /// Its payload, not yet decoded.
    pub payload: Box<RawValue>,
    /// The number of this attempt; 1 is the first.
    pub attempt: u32,
    /// Earlier starts during which the process died.
    pub unsettled: u32,
    /// The key of which one runs at a time.
    pub serial: Option<String>,
    /// The trace that caused it.
    pub traceparent: Option<String>,
    /// When it was due.
    pub due_at: Timestamp,
    /// Berth's time at the claim.
    pub claimed_at: Timestamp,
}

/// An id that Redis is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dispatch {
    /// The job.
    pub id: JobId,
    /// Its queue.
    pub queue: Queue,
    /// Its class.
    pub class: Class,
    /// When it is due, in milliseconds since 1970.
    pub run_at_ms: i64,
}

/// A job as operators see it.
#[derive(Clone, Debug, serde::Serialize)]
pub struct JobRow {
    /// Which job.
    pub id: JobId,
    /// Its name.
    pub kind: String,
    /// Its queue.
    pub queue: String,
    /// queued, running, done, cancelled or dead.
    pub state: String,
    /// Attempts so far.
    pub attempt: i32,
    /// Its payload.
    pub payload: serde_json::Value,
    /// When it is or was due.
    pub run_at: Timestamp,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// When it was enqueued.
    pub created_at: Timestamp,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// What an operator asks of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobOrder {
    /// Run it again: dead, cancelled or waiting.
    Retry,
    /// Never run it: not while it runs.
    Cancel,
}

pub(crate) fn dispatch(id: Uuid, queue: &str, class: i16, run_at: Timestamp) -> Option<Dispatch> {
    Some(Dispatch {
        id: JobId(id),
        queue: queue.parse().ok()?,
        class: Class::from_number(class)?,
        run_at_ms: run_at.as_millisecond(),
    })
}

impl Store {
    /// Claims those of `ids` that are due in `queue`: one of each serial. Ids that claim nothing are dropped,
    /// since Redis is not trusted. The commit does not wait for the disk: a claim lost with the server is a job
    /// that is simply queued still, and its worker is fenced out.
    pub(crate) async fn claim(&self, queue: Queue, ids: &[Uuid], worker: Uuid) -> Result<Vec<ClaimedJob>, StoreError> {
        let claim_id = Uuid::new_v4();
        let rows = sqlx::query_file!("src/store/queries/claim.sql", ids, queue.as_str(), claim_id, worker)
            .fetch_all(&self.pool)
            .await?;
        Ok(rows
            .into_iter()
            .map(|row| ClaimedJob {
                id: JobId(row.id),
                claim_id,
                kind: row.kind,
                payload: row.payload.0,
                attempt: row.attempt.try_into().unwrap_or(u32::MAX),
                unsettled: row.unsettled.try_into().unwrap_or(u32::MAX),
                serial: row.serial,
                traceparent: row.traceparent,
                due_at: row.run_at.to_jiff(),
                claimed_at: row.now.to_jiff(),
            })
            .collect())
    }

    /// Claims one job for a process of its own, under a claim that its parent holds already.
    ///
    /// # Errors
    /// When the claim no longer holds.
    pub async fn claimed(&self, id: JobId, claim_id: Uuid) -> Result<ClaimedJob, StoreError> {
        let row = sqlx::query!(
            r#"select kind, payload as "payload: Json<Box<RawValue>>", attempt, unsettled, serial, traceparent,
                      run_at, berth.now() as "now!"
               from berth.jobs
               where id = $1 and claim_id = $2 and state = 'running'"#,
            id.0,
            claim_id,
        )
        .fetch_optional(&self.pool)
        .await?
        .ok_or_else(|| StoreError::Missing(format!("running job {id} under this claim")))?;
        Ok(ClaimedJob {
            id,
            claim_id,
            kind: row.kind,
            payload: row.payload.0,
            attempt: row.attempt.try_into().unwrap_or(u32::MAX),
            unsettled: row.unsettled.try_into().unwrap_or(u32::MAX),
            serial: row.serial,
            traceparent: row.traceparent,
            due_at: row.run_at.to_jiff(),
            claimed_at: row.now.to_jiff(),
        })
    }

    /// Whether a claim was settled, by a commit whose answer was lost.
    pub(crate) async fn settled_claims(&self, claims: &[(JobId, Uuid)]) -> Result<Vec<JobId>, StoreError> {
        let (ids, claim_ids): (Vec<Uuid>, Vec<Uuid>) = claims.iter().map(|(id, claim)| (id.0, *claim)).unzip();
        let rows = sqlx::query_scalar!(
            "select j.id
             from unnest($1::uuid[], $2::uuid[]) c (id, claim_id)
             join berth.jobs j on j.id = c.id and j.claim_id = c.claim_id
             where j.state <> 'running'",
            &ids,
            &claim_ids,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(JobId).collect())
    }

    /// Due jobs of `queues` that Redis was not given yet, at most `limit` a queue, marked as given.
    pub(crate) async fn undispatched(&self, queues: &[String], limit: i64) -> Result<Vec<Dispatch>, StoreError> {
        let rows = sqlx::query!(
            "update berth.jobs j
             set dispatched_at = now()
             from (
                 select due.id
                 from unnest($2::text[]) q (queue)
                 cross join lateral (
                     select w.id
                     from berth.jobs w
                     where w.queue = q.queue and w.state = 'queued' and w.dispatched_at is null
                       and w.run_at <= (select berth.now())
                     order by w.run_at, w.id
                     limit $1
                     for update skip locked
                 ) due
             ) due
             where j.id = due.id
             returning j.id, j.queue, j.class, j.run_at",
            limit,
            queues,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().filter_map(|r| dispatch(r.id, &r.queue, r.class, r.run_at.to_jiff())).collect())
    }

    /// Jobs that Redis was given more than `older_than_seconds` ago and nobody has claimed, in pages by id.
    pub(crate) async fn dispatched_long_ago(
        &self,
        older_than_seconds: f64,
        after: Uuid,
        limit: i64,
    ) -> Result<Vec<Dispatch>, StoreError> {
        let rows = sqlx::query!(
            "select id, queue, class, run_at
             from berth.jobs
             where state = 'queued' and dispatched_at is not null and id > $2
               and dispatched_at < now() - make_interval(secs => $1)
               and run_at <= berth.now()
             order by id
             limit $3",
            older_than_seconds,
            after,
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().filter_map(|r| dispatch(r.id, &r.queue, r.class, r.run_at.to_jiff())).collect())
    }

    /// Forgets, for at most `limit` jobs, that Redis was given them; answers how many there were.
    pub(crate) async fn forget_dispatches(&self, before: Timestamp, limit: i64) -> Result<u64, StoreError> {
        let done = sqlx::query!(
            "update berth.jobs j
             set dispatched_at = null
             from (
                 select id
                 from berth.jobs
                 where state = 'queued' and dispatched_at is not null and dispatched_at <= $1
                 limit $2
                 for update skip locked
             ) given
             where j.id = given.id",
            before.to_sqlx(),
            limit,
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    /// Forgets that Redis was given these ids.
    pub(crate) async fn forget_dispatches_of(&self, ids: &[Uuid]) -> Result<(), StoreError> {
        sqlx::query!("update berth.jobs set dispatched_at = null where id = any ($1) and state = 'queued'", ids)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// The newest jobs, by state and kind where given.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn jobs(&self, state: Option<&str>, kind: Option<&str>, limit: i64) -> Result<Vec<JobRow>, StoreError> {
        let rows = sqlx::query!(
            r#"select id, kind, queue, state, attempt, payload, run_at, last_error, created_at, finished_at
               from berth.jobs
               where ($1::text is null or state = $1) and ($2::text is null or kind = $2)
               order by id desc
               limit $3"#,
            state,
            kind,
            limit,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows
            .into_iter()
            .map(|r| JobRow {
                id: JobId(r.id),
                kind: r.kind,
                queue: r.queue,
                state: r.state,
                attempt: r.attempt,
                payload: r.payload,
                run_at: r.run_at.to_jiff(),
                last_error: r.last_error,
                created_at: r.created_at.to_jiff(),
                finished_at: r.finished_at.map(|at| at.to_jiff()),
            })
            .collect())
    }

    /// One job.
    ///
    /// # Errors
    /// When there is none, or the database does not answer.
    pub async fn job(&self, id: JobId) -> Result<JobRow, StoreError> {
        let r = sqlx::query!(
            "select id, kind, queue, state, attempt, payload, run_at, last_error, created_at, finished_at
             from berth.jobs
             where id = $1",
            id.0,
        )
        .fetch_optional(&self.pool)
        .await?
        .ok_or_else(|| StoreError::Missing(format!("job {id}")))?;
        Ok(JobRow {
            id,
            kind: r.kind,
            queue: r.queue,
            state: r.state,
            attempt: r.attempt,
            payload: r.payload,
            run_at: r.run_at.to_jiff(),
            last_error: r.last_error,
            created_at: r.created_at.to_jiff(),
            finished_at: r.finished_at.map(|at| at.to_jiff()),
        })
    }

    /// The job that an enqueued one became: itself, or the one that had its key already. `None` when that one has ended
    /// since, and its key waits for nothing any more.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn enqueued_job(
        &self,
        id: JobId,
        once_key: Option<&str>,
        coalesce_key: Option<&str>,
    ) -> Result<Option<JobId>, StoreError> {
        let found = sqlx::query_scalar!(
            "select id
             from berth.jobs
             where id = $1 or once_key = $2 or (coalesce_key = $3 and state = 'queued')
             order by id = $1 desc, once_key = $2 desc nulls last
             limit 1",
            id.0,
            once_key,
            coalesce_key,
        )
        .fetch_optional(&self.pool)
        .await?;
        Ok(found.map(JobId))
    }

    /// Does what an operator asks of a job; answers whether it was in a state that allows it.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn order_job(&self, id: JobId, order: JobOrder) -> Result<bool, StoreError> {
        let mut db = self.pool.begin().await?;
        let obeyed = obey(&mut db, id, order).await?;
        db.commit().await?;
        Ok(obeyed)
    }
}

/// Does what an operator asks of a job, within the transaction that `db` is in; answers whether it was in a state that allows
/// it.
pub(crate) async fn obey(db: &mut PgConnection, id: JobId, order: JobOrder) -> Result<bool, sqlx::Error> {
    let done = match order {
        JobOrder::Retry => {
            sqlx::query!(
                "update berth.jobs
                     set state = 'queued', run_at = berth.now(), dispatched_at = null, attempt = 0, unsettled = 0,
                         snooze_deadline = null, finished_at = null, claim_id = null, worker = null
                     where id = $1 and state in ('queued', 'dead', 'cancelled')
                       and not exists (
                           select from berth.jobs w
                           where w.coalesce_key = jobs.coalesce_key and w.state = 'queued' and w.id <> jobs.id
                       )",
                id.0,
            )
            .execute(&mut *db)
            .await?
        }
        JobOrder::Cancel => {
            sqlx::query!(
                "update berth.jobs
                     set state = 'cancelled', finished_at = now(), last_error = 'cancelled by an operator'
                     where id = $1 and state in ('queued', 'dead')",
                id.0,
            )
            .execute(&mut *db)
            .await?
        }
    };
    let obeyed = done.rows_affected() == 1;
    if obeyed {
        // Whoever orders has seen it.
        sqlx::query!(
            "update berth.alerts
                 set resolved_at = now()
                 where kind = 'job_dead' and subject = $1 and resolved_at is null",
            id.to_string(),
        )
        .execute(&mut *db)
        .await?;
    }
    Ok(obeyed)
}

/// How a claim ends. Arrays of one row a job.
#[derive(Debug, Default)]
pub(crate) struct Settlements {
    pub(crate) ids: Vec<Uuid>,
    pub(crate) claim_ids: Vec<Uuid>,
    pub(crate) states: Vec<&'static str>,
    /// Seconds from now until the job is due again; null when it has ended.
    pub(crate) due_in: Vec<Option<f64>>,
    pub(crate) errors: Vec<Option<String>>,
    /// Seconds from the first snooze until the job is given up, infinite for never; null when this is no snooze.
    pub(crate) give_up_after: Vec<Option<f64>>,
}

/// A claim that held, and what became of its job.
pub(crate) struct Settled {
    pub(crate) id: Uuid,
    pub(crate) claim_id: Uuid,
    pub(crate) kind: String,
    pub(crate) state: String,
    pub(crate) last_error: Option<String>,
}

/// Settles claims; answers those that held.
pub(crate) async fn settle(db: &mut PgConnection, settlements: &Settlements) -> Result<Vec<Settled>, sqlx::Error> {
    let states: Vec<String> = settlements.states.iter().map(|state| (*state).to_owned()).collect();
    sqlx::query_file_as!(
        Settled,
        "src/store/queries/settle.sql",
        &settlements.ids,
        &settlements.claim_ids,
        &states,
        &settlements.due_in as &[Option<f64>],
        &settlements.errors as &[Option<String>],
        &settlements.give_up_after as &[Option<f64>],
        crate::failpoint::broken("claim_fence"),
    )
    .fetch_all(db)
    .await
}

/// A claim that held.
pub(crate) struct HeldClaim {
    pub(crate) id: Uuid,
    pub(crate) claim_id: Uuid,
}

/// Settles claims of which every one is done; answers those that held.
pub(crate) async fn settle_done(
    db: &mut PgConnection,
    ids: &[Uuid],
    claim_ids: &[Uuid],
) -> Result<Vec<HeldClaim>, sqlx::Error> {
    sqlx::query_as!(
        HeldClaim,
        r#"update berth.jobs j
           set state = 'done', finished_at = now(), unsettled = 0
           from unnest($1::uuid[], $2::uuid[]) s (id, claim_id)
           where j.id = s.id and (j.claim_id = s.claim_id and j.state = 'running' or $3)
           returning j.id, s.claim_id as "claim_id!""#,
        ids,
        claim_ids,
        crate::failpoint::broken("claim_fence"),
    )
    .fetch_all(db)
    .await
}

/// Locks the claims that hold, for a checkpoint.
pub(crate) async fn hold_claims(
    db: &mut PgConnection,
    ids: &[Uuid],
    claim_ids: &[Uuid],
) -> Result<Vec<HeldClaim>, sqlx::Error> {
    sqlx::query_as!(
        HeldClaim,
        r#"select j.id, c.claim_id as "claim_id!"
         from unnest($1::uuid[], $2::uuid[]) c (id, claim_id)
         join berth.jobs j on j.id = c.id
         where j.claim_id = c.claim_id and j.state = 'running' or $3
         order by j.id
         for no key update of j"#,
        ids,
        claim_ids,
        crate::failpoint::broken("claim_fence"),
    )
    .fetch_all(db)
    .await
}

/// The next waiting job of each serial, to be run now that its predecessor has ended.
pub(crate) async fn successors(db: &mut PgConnection, serials: &[String]) -> Result<Vec<Dispatch>, sqlx::Error> {
    let rows = sqlx::query!(
        "select distinct on (serial) id, queue, class, run_at
         from berth.jobs
         where serial = any ($1) and state = 'queued' and run_at <= berth.now()
         order by serial, run_at, id",
        serials,
    )
    .fetch_all(db)
    .await?;
    Ok(rows.into_iter().filter_map(|r| dispatch(r.id, &r.queue, r.class, r.run_at.to_jiff())).collect())
}
