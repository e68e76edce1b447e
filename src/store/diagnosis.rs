//! What `berth doctor` asks: how the database is set up, who works on it, and whether what must go on does.

use jiff::Timestamp;

use super::{Store, StoreError};

/// The most dead rows that are no trouble, whatever their share.
const FEW_DEAD_ROWS: i64 = 10_000;

/// How the server is set up, and how it fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFacts {
    /// Such as `16.4`.
    pub version: String,
    /// Such as 160004.
    pub version_number: i32,
    pub fsync: bool,
    pub full_page_writes: bool,
    /// `on`, `off`, `local`, …
    pub synchronous_commit: String,
    pub autovacuum: bool,
    /// Such as `UTF8`.
    pub encoding: String,
    /// Whether it is a standby, which takes no writes.
    pub is_standby: bool,
    /// Whether each commit's log is kept elsewhere as well.
    pub archives: bool,
    /// Whether the latest attempt to keep it failed.
    pub archiving_fails: bool,
    pub max_connections: i64,
    /// Of them, kept for superusers.
    pub reserved_connections: i64,
    /// Connections of all who use the server.
    pub connections: i64,
    /// Of the database, where the role may ask.
    pub bytes: Option<i64>,
    /// Of the oldest open transaction that the role may see, in this database.
    pub oldest_transaction_seconds: i64,
    /// Transactions since rows were frozen last; at two thousand million the server takes no writes.
    pub transactions_unfrozen: i64,
    /// The server's own clock.
    pub now: Timestamp,
}

/// What the role that the program runs as could do beyond reading and writing rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleFacts {
    pub name: String,
    pub is_superuser: bool,
    /// No policy holds for it.
    pub bypasses_policies: bool,
    /// May make roles, and so become others.
    pub makes_roles: bool,
    /// Owns the schema or a table of it, or is a member of who does.
    pub owns_tables: bool,
    /// May make tables in the schema.
    pub makes_tables: bool,
    /// May become Supabase's role for servers, for which no policy holds.
    pub is_service_role: bool,
}

impl RoleFacts {
    /// Why a process should not run as it; nothing where it may.
    #[must_use]
    pub fn objections(&self) -> Vec<&'static str> {
        // For a superuser all the others hold as well.
        if self.is_superuser {
            return vec!["is a superuser"];
        }
        let told = [
            (self.owns_tables, "owns the tables"),
            (self.makes_tables, "may make tables in the schema berth"),
            (self.makes_roles, "may make roles"),
            (self.bypasses_policies, "is bound by no row-level security"),
            (self.is_service_role, "may become service_role"),
        ];
        told.into_iter().filter(|(holds, _)| *holds).map(|(_, why)| why).collect()
    }
}

/// A table in which more is dead than should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadRows {
    pub table: String,
    pub dead: i64,
    pub live: i64,
    /// When autovacuum was through last.
    pub vacuumed_at: Option<Timestamp>,
}

/// A process that runs jobs and renews its lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LivingWorker {
    /// Its host, process and id.
    pub name: String,
    /// The queues that it works on; none where an older version has not said.
    pub queues: Vec<String>,
    /// Of Berth; empty where it has not said.
    pub version: String,
}

/// How a queue fares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueFacts {
    pub queue: String,
    /// Jobs that are due.
    pub due: i64,
    /// For how long the oldest of them has been.
    pub oldest_seconds: i64,
}

/// When a sweep was begun last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastTick {
    /// By Berth's time, as [`now`](Self::now) is.
    pub at: Option<Timestamp>,
    pub now: Timestamp,
}

impl Store {
    /// How the server is set up, and how it fares.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn server_facts(&self) -> Result<ServerFacts, StoreError> {
        let row = sqlx::query_file!("src/store/queries/server_facts.sql").fetch_one(&self.pool).await?;
        Ok(ServerFacts {
            version: row.version,
            version_number: row.version_number,
            fsync: row.fsync,
            full_page_writes: row.full_page_writes,
            synchronous_commit: row.synchronous_commit,
            autovacuum: row.autovacuum,
            encoding: row.encoding,
            is_standby: row.is_standby,
            archives: row.archives,
            archiving_fails: row.archiving_fails,
            max_connections: row.max_connections,
            reserved_connections: row.reserved_connections,
            connections: row.connections,
            bytes: row.bytes,
            oldest_transaction_seconds: row.oldest_transaction_seconds,
            transactions_unfrozen: row.transactions_unfrozen,
            now: row.now.to_jiff(),
        })
    }

    /// What the role that the program runs as could do.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn role_facts(&self) -> Result<RoleFacts, StoreError> {
        let row = sqlx::query_file!("src/store/queries/role_facts.sql").fetch_one(&self.pool).await?;
        Ok(RoleFacts {
            name: row.name,
            is_superuser: row.is_superuser,
            bypasses_policies: row.bypasses_policies,
            makes_roles: row.makes_roles,
            owns_tables: row.owns_tables,
            makes_tables: row.makes_tables,
            is_service_role: row.is_service_role,
        })
    }

    /// Tables of which more than a fifth is dead, the worst first.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn dead_rows(&self) -> Result<Vec<DeadRows>, StoreError> {
        let rows = sqlx::query!(
            r#"select relname::text as "table!", n_dead_tup as "dead!", n_live_tup as "live!",
                   last_autovacuum as "vacuumed_at: jiff_sqlx::Timestamp"
               from pg_stat_user_tables
               where schemaname = 'berth' and n_dead_tup > $1 and n_dead_tup > n_live_tup / 5
               order by n_dead_tup desc
               limit 5"#,
            FEW_DEAD_ROWS,
        )
        .fetch_all(&self.pool)
        .await?;
        let read = rows.into_iter().map(|row| DeadRows {
            table: row.table,
            dead: row.dead,
            live: row.live,
            vacuumed_at: row.vacuumed_at.map(|at| at.to_jiff()),
        });
        Ok(read.collect())
    }

    /// The processes that run jobs now.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn living_workers(&self) -> Result<Vec<LivingWorker>, StoreError> {
        let rows = sqlx::query!(
            "select name, queues, version from berth.workers where lease_until > clock_timestamp() order by name"
        )
        .fetch_all(&self.pool)
        .await?;
        let read =
            rows.into_iter().map(|row| LivingWorker { name: row.name, queues: row.queues, version: row.version });
        Ok(read.collect())
    }

    /// The queues in which something is due.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn due_queues(&self) -> Result<Vec<QueueFacts>, StoreError> {
        let rows = sqlx::query!(
            r#"select queue as "queue!", count(*) as "due!",
                   extract(epoch from berth.now() - min(run_at))::int8 as "oldest_seconds!"
               from berth.jobs
               where state = 'queued' and run_at <= berth.now()
               group by queue
               order by queue"#
        )
        .fetch_all(&self.pool)
        .await?;
        let read = rows.into_iter().map(|row| QueueFacts {
            queue: row.queue,
            due: row.due,
            oldest_seconds: row.oldest_seconds,
        });
        Ok(read.collect())
    }

    /// When any sweep was begun last.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn last_tick(&self) -> Result<LastTick, StoreError> {
        let row = sqlx::query!(
            r#"select berth.now() as "now!", (select max(due_at) from berth.ticks) as "at: jiff_sqlx::Timestamp""#
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(LastTick { at: row.at.map(|at| at.to_jiff()), now: row.now.to_jiff() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_that_reads_and_writes_rows_has_no_objections() {
        assert!(RoleFacts { name: "berth_app".to_owned(), ..RoleFacts::default() }.objections().is_empty());
    }

    #[test]
    fn a_superuser_is_told_as_such_and_everything_else_by_itself() {
        let superuser =
            RoleFacts { is_superuser: true, owns_tables: true, is_service_role: true, ..RoleFacts::default() };
        let owner = RoleFacts { owns_tables: true, makes_tables: true, ..RoleFacts::default() };
        let server = RoleFacts { is_service_role: true, bypasses_policies: true, ..RoleFacts::default() };

        assert_eq!(superuser.objections(), ["is a superuser"]);
        assert_eq!(owner.objections(), ["owns the tables", "may make tables in the schema berth"]);
        assert_eq!(server.objections(), ["is bound by no row-level security", "may become service_role"]);
    }
}
