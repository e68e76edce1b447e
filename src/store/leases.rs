//! The processes that run jobs, and what becomes of the jobs of those that died.

use berth_jobs::ids::JobId;
use sqlx::PgExecutor;
use uuid::Uuid;

use super::{Store, StoreError};

/// Of this program, for who wants to know whether two versions run side by side.
const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Store {
    /// Renews this process' lease, or takes it out anew.
    pub(crate) async fn renew_lease(
        &self,
        worker: Uuid,
        name: &str,
        queues: &[String],
        lease_seconds: f64,
    ) -> Result<(), StoreError> {
        sqlx::query!(
            "insert into berth.workers (id, name, queues, version, lease_until)
             values ($1, $2, $3, $4, clock_timestamp() + make_interval(secs => $5))
             on conflict (id) do update set lease_until = excluded.lease_until",
            worker,
            name,
            queues,
            VERSION,
            lease_seconds,
        )
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Ends this process' lease; it holds no claim any more.
    pub(crate) async fn end_lease(&self, worker: Uuid) -> Result<(), StoreError> {
        sqlx::query!("delete from berth.workers where id = $1", worker).execute(&self.pool).await?;
        Ok(())
    }

    /// Queues again whatever a process that stops still holds. No attempt was used. Answers how much it was.
    pub(crate) async fn give_back(&self, worker: Uuid) -> Result<u64, StoreError> {
        Ok(requeue(&self.pool, &Unsettled { workers: &[worker], ..Unsettled::default() }).await?)
    }

    /// Queues again the jobs of processes whose lease has run out, and of those that have none. Each was started
    /// and not settled. Answers how many there were.
    pub(crate) async fn reap(&self) -> Result<u64, StoreError> {
        let mut tx = self.pool.begin().await?;
        let dead = sqlx::query_scalar!(
            "delete from berth.workers
             where id in (
                 select id from berth.workers where lease_until < clock_timestamp() for update skip locked
             )
             returning id",
        )
        .fetch_all(&mut *tx)
        .await?;
        let mut reaped = 0;
        if !dead.is_empty() {
            reaped = requeue(&mut *tx, &Unsettled { workers: &dead, died: true, ..Unsettled::default() }).await?;
        }
        tx.commit().await?;
        Ok(reaped)
    }

    /// Queues again jobs that run under no lease at all: their process' row was removed while a claim was made.
    pub(crate) async fn reap_strays(&self) -> Result<u64, StoreError> {
        Ok(requeue(&self.pool, &Unsettled { strays: true, died: true, ..Unsettled::default() }).await?)
    }

    /// The claims of a process.
    pub(crate) async fn claims_of(&self, worker: Uuid) -> Result<Vec<(JobId, Uuid)>, StoreError> {
        let rows = sqlx::query!(
            r#"select id, claim_id as "claim_id!" from berth.jobs where worker = $1 and state = 'running'"#,
            worker,
        )
        .fetch_all(&self.pool)
        .await?;
        Ok(rows.into_iter().map(|row| (JobId(row.id), row.claim_id)).collect())
    }

    /// Queues again jobs under these claims, which were never started.
    pub(crate) async fn give_back_claims(&self, claims: &[(JobId, Uuid)]) -> Result<(), StoreError> {
        requeue(&self.pool, &Unsettled { claims, ..Unsettled::default() }).await?;
        Ok(())
    }

    /// What Redis must say, and the server that said it last: `(epoch, run_id)`.
    pub(crate) async fn redis_epoch(&self) -> Result<(Option<Uuid>, Option<String>), StoreError> {
        let row = sqlx::query!("select epoch, run_id from berth.redis_epoch").fetch_one(&self.pool).await?;
        Ok((row.epoch, row.run_id))
    }

    /// Begins a new epoch, unless another process has begun one since `seen` was read; answers whether it did.
    pub(crate) async fn begin_epoch(&self, seen: Option<Uuid>, epoch: Uuid, run_id: &str) -> Result<bool, StoreError> {
        let done = sqlx::query!(
            "update berth.redis_epoch set epoch = $2, run_id = $3 where epoch is not distinct from $1",
            seen,
            epoch,
            run_id,
        )
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected() == 1)
    }
}

/// Runs that nobody will settle any more.
#[derive(Default)]
struct Unsettled<'a> {
    /// Those of these processes.
    workers: &'a [Uuid],
    /// Those of processes that have no lease at all.
    strays: bool,
    /// Those under these claims.
    claims: &'a [(JobId, Uuid)],
    /// Whether their processes died; otherwise the runs are given back, and no attempt was used.
    died: bool,
}

/// Queues the jobs of such runs again; answers how many there were.
async fn requeue<'c>(db: impl PgExecutor<'c>, runs: &Unsettled<'_>) -> Result<u64, sqlx::Error> {
    let (ids, claim_ids): (Vec<Uuid>, Vec<Uuid>) = runs.claims.iter().map(|(id, claim)| (id.0, *claim)).unzip();
    let done =
        sqlx::query_file!("src/store/queries/requeue.sql", runs.workers, runs.strays, runs.died, &ids, &claim_ids)
            .execute(db)
            .await?;
    Ok(done.rows_affected())
}
