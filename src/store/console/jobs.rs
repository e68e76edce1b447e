//! Jobs, as operators look for them and order them about.

use berth_jobs::ids::JobId;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::{
    super::{
        Store, StoreError,
        effects::{UnitEffects, apply},
        jobs::{JobOrder, obey},
    },
    At,
};
use crate::effects::Effects;

/// A text is looked for in the payloads and keys of so many of the newest jobs; each is read.
const MOST_SEARCHED: i64 = 50_000;
/// So many are shown of what a job has enqueued; a sweep may enqueue thousands.
const MOST_CAUSED: i64 = 100;

/// A job among others.
#[derive(Clone, Debug, Serialize)]
pub struct JobLine {
    /// Which.
    pub id: String,
    /// Its name.
    pub kind: String,
    /// Its queue.
    pub queue: String,
    /// queued, running, done, cancelled or dead.
    pub state: String,
    /// Attempts so far.
    pub attempt: i32,
    /// Starts that ended with their process.
    pub unsettled: i32,
    /// What its payload names: an order, an account, a mail, an event, a server.
    pub about: Option<String>,
    /// When it is or was due.
    pub run_at: At,
    /// When it was enqueued.
    pub created_at: At,
    /// When it ended.
    pub finished_at: Option<At>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
}

/// One job with everything about it.
#[derive(Clone, Debug, Serialize)]
pub struct JobPage {
    /// Which.
    pub id: String,
    /// Its name.
    pub kind: String,
    /// Its queue.
    pub queue: String,
    /// Its class: 0 is the most urgent.
    pub class: i16,
    /// queued, running, done, cancelled or dead.
    pub state: String,
    /// Attempts so far.
    pub attempt: i32,
    /// Starts that ended with their process.
    pub unsettled: i32,
    /// Its payload.
    pub payload: Value,
    /// What it is done once for.
    pub once_key: Option<String>,
    /// What waits once.
    pub coalesce_key: Option<String>,
    /// What runs one at a time.
    pub serial: Option<String>,
    /// When it is or was due.
    pub run_at: At,
    /// When it was enqueued.
    pub created_at: At,
    /// When Redis was given its id; nothing while the relay owes it.
    pub dispatched_at: Option<At>,
    /// Until when it may go on waiting for what it waits for.
    pub snooze_deadline: Option<At>,
    /// When it ended.
    pub finished_at: Option<At>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// The job that has enqueued it.
    pub caused_by: Option<String>,
    /// The process that runs it, or ran it last.
    pub worker: Option<String>,
    /// Until when that process holds it, while it runs.
    pub lease_until: Option<At>,
}

/// Which jobs are looked for.
#[derive(Clone, Debug, Default)]
pub struct JobFilter {
    /// In this state.
    pub state: Option<String>,
    /// Of this name.
    pub kind: Option<String>,
    /// In this queue.
    pub queue: Option<String>,
    /// With this text in the payload, a key or the last error.
    pub text: Option<String>,
    /// Older than this one.
    pub before: Option<JobId>,
}

impl Store {
    /// Jobs by a filter, the newest first. Without a state, or where a text is looked for, among the newest ones only.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn console_jobs(&self, filter: &JobFilter, limit: i64) -> Result<Vec<JobLine>, StoreError> {
        let text = filter.text.as_deref().map(like);
        let is_plain = filter.state.is_none() && filter.kind.is_none() && filter.queue.is_none() && text.is_none();
        let most_read = if is_plain { limit } else { MOST_SEARCHED };
        let ids = sqlx::query_file_scalar!(
            "src/store/queries/console_jobs.sql",
            filter.state,
            filter.kind,
            filter.queue,
            text,
            filter.before.map(|id| id.0),
            limit,
            most_read,
        )
        .fetch_all(&self.pool)
        .await?;
        self.console_job_lines(&ids).await
    }

    /// These jobs, the newest first.
    pub(super) async fn console_job_lines(&self, ids: &[Uuid]) -> Result<Vec<JobLine>, StoreError> {
        Ok(sqlx::query_as!(
            JobLine,
            r#"select berth.show_id('job_', id) as "id!", kind, queue, state, attempt, unsettled,
                   coalesce(payload ->> 'order_id', payload ->> 'account_id', payload ->> 'mail_id',
                            payload ->> 'event_id', payload ->> 'payment_id', payload ->> 'plan_id',
                            payload ->> 'server', payload ->> 'customer_id') as about,
                   run_at as "run_at: At", created_at as "created_at: At", finished_at as "finished_at: At", last_error
               from berth.jobs
               where id = any ($1)
               order by jobs.id desc"#,
            ids,
        )
        .fetch_all(&self.pool)
        .await?)
    }

    /// One job.
    ///
    /// # Errors
    /// When there is none, or the database does not answer.
    pub async fn console_job(&self, id: JobId) -> Result<JobPage, StoreError> {
        sqlx::query_as!(
            JobPage,
            r#"select berth.show_id('job_', j.id) as "id!", j.kind, j.queue, j.class, j.state, j.attempt, j.unsettled,
                   j.payload, j.once_key, j.coalesce_key, j.serial, j.run_at as "run_at: At",
                   j.created_at as "created_at: At", j.dispatched_at as "dispatched_at: At",
                   j.snooze_deadline as "snooze_deadline: At", j.finished_at as "finished_at: At", j.last_error,
                   berth.show_id('job_', j.caused_by) as caused_by, w.name as "worker?",
                   case when j.state = 'running' then w.lease_until end as "lease_until: At"
               from berth.jobs j
               left join berth.workers w on w.id = j.worker
               where j.id = $1"#,
            id.0,
        )
        .fetch_optional(&self.pool)
        .await?
        .ok_or_else(|| StoreError::Missing(format!("job {id}")))
    }

    /// What led to a job: the job that has enqueued it, and so on, the nearest first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn console_causes(&self, id: JobId) -> Result<Vec<JobLine>, StoreError> {
        let ids = sqlx::query_scalar!(
            r#"with recursive cause (id, depth) as (
                   select caused_by, 1 from berth.jobs where id = $1
                   union all
                   select j.caused_by, c.depth + 1
                   from cause c
                   join berth.jobs j on j.id = c.id
                   where c.depth < 20
               )
               select id as "id!" from cause where id is not null"#,
            id.0,
        )
        .fetch_all(&self.pool)
        .await?;
        self.console_job_lines(&ids).await
    }

    /// What a job has enqueued. Ids tell their time: what a run enqueues has an id from between the job's own and a minute
    /// after its end, so that no index of causes need be kept.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn console_caused(&self, id: JobId) -> Result<Vec<JobLine>, StoreError> {
        let ids = sqlx::query_scalar!(
            r#"with cause as materialized (
                   select id, lpad(to_hex((extract(epoch from coalesce(finished_at, now()) + interval '1 minute') * 1000)::int8), 12, '0')
                              || 'ffffffffffffffffffff' as until
                   from berth.jobs
                   where id = $1
               )
               select j.id
               from cause, berth.jobs j
               where j.id > cause.id and j.id < cause.until::uuid and j.caused_by = cause.id
               order by j.id
               limit $2"#,
            id.0,
            MOST_CAUSED,
        )
        .fetch_all(&self.pool)
        .await?;
        self.console_job_lines(&ids).await
    }

    /// Does what an operator asks of a job, and writes down who did and why, in one commit. Answers whether the job was in a
    /// state that allows it; where it was not, nothing is written.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn order_job_audited(&self, id: JobId, order: JobOrder, audit: Effects) -> Result<bool, StoreError> {
        let mut db = self.pool.begin().await?;
        if !obey(&mut db, id, order).await? {
            return Ok(false);
        }
        apply(&mut db, &[UnitEffects { effects: &audit, job_id: None, trace: None }], &[]).await?;
        db.commit().await?;
        Ok(true)
    }
}

/// A text as a pattern that contains it.
pub(super) fn like(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{escaped}%")
}
