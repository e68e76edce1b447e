//! Connections to the database, also through a pooler that lends a server's connection for one transaction.

use futures::{
    FutureExt as _, StreamExt as _, TryFutureExt as _, TryStreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use sqlx::{
    Describe, Either, Error, Execute, Executor, PgConnection, PgPool, PgTransaction, Postgres, SqlStr,
    pool::PoolConnection,
    postgres::{PgQueryResult, PgRow, PgStatement, PgTypeInfo},
};

macro_rules! bounded_by_index {
    () => {
        "set local enable_seqscan = off; set local jit = off; set local max_parallel_workers_per_gather = 0; \
         set local plan_cache_mode = force_custom_plan"
    };
}
/// Left to itself, the plan for a page of 500 accounts reads every account there is, in parallel, and is compiled before that;
/// and one that was made while a table was empty reads all of it for each of the 500. Making it anew takes 2 ms.
const BEGIN_BY_INDEX: &str = concat!("begin read only; ", bounded_by_index!());
const BEGIN_BY_INDEX_UNPREPARED: &str = concat!("begin read only; deallocate all; ", bounded_by_index!());

macro_rules! bounded_look {
    () => {
        "set local statement_timeout = '1500ms'; set local enable_bitmapscan = off; set local enable_sort = off; "
    };
}
/// What is looked at by who only looks on: the first rows of an index in its order, and never all of it to be sorted.
const BEGIN_TO_LOOK: &str = concat!("begin read only; ", bounded_look!(), bounded_by_index!());
const BEGIN_TO_LOOK_UNPREPARED: &str =
    concat!("begin read only; deallocate all; ", bounded_look!(), bounded_by_index!());

/// As an executor, it runs each statement in a transaction of its own.
///
/// A statement is prepared and run in two steps under a name that is unique only among those of its client. A pooler
/// may give a server's connection to another client in between, and then to one that uses the same name. Without
/// `prepared`, both steps therefore lie in one transaction, which begins by forgetting the names that it finds.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    connections: PgPool,
    prepared: bool,
}

impl Pool {
    pub(crate) fn new(connections: PgPool, prepared: bool) -> Self {
        Self { connections, prepared }
    }

    /// A connection on which every transaction begins by [`begin_on`](Self::begin_on).
    pub(crate) async fn acquire(&self) -> Result<PoolConnection<Postgres>, Error> {
        self.connections.acquire().await
    }

    /// Begins a transaction by a statement of the caller's.
    pub(crate) async fn begin_on(&self, connection: &mut PgConnection, begin: &'static str) -> Result<(), Error> {
        sqlx::raw_sql(begin).execute(&mut *connection).await?;
        if !self.prepared {
            sqlx::raw_sql("deallocate all").execute(connection).await?;
        }
        Ok(())
    }

    /// Begins a transaction.
    pub(crate) async fn begin(&self) -> Result<PgTransaction<'static>, Error> {
        if self.prepared {
            return self.connections.begin().await;
        }
        self.connections.begin_with("begin; deallocate all").await
    }

    /// Begins a transaction that reads some rows of tables that may be large, by their indexes and nothing else.
    pub(crate) async fn begin_by_index(&self) -> Result<PgTransaction<'static>, Error> {
        let begin = if self.prepared { BEGIN_BY_INDEX } else { BEGIN_BY_INDEX_UNPREPARED };
        self.connections.begin_with(begin).await
    }

    /// Begins a transaction that reads a little of many tables, quickly or not at all.
    pub(crate) async fn begin_to_look(&self) -> Result<PgTransaction<'static>, Error> {
        let begin = if self.prepared { BEGIN_TO_LOOK } else { BEGIN_TO_LOOK_UNPREPARED };
        self.connections.begin_with(begin).await
    }
}

impl<'c> Executor<'c> for &'c Pool {
    type Database = Postgres;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        if self.prepared {
            return self.connections.fetch_many(query);
        }
        let all = async move {
            let mut transaction = self.begin().await?;
            let found: Vec<_> = transaction.fetch_many(query).try_collect().await?;
            transaction.commit().await?;
            Ok(stream::iter(found.into_iter().map(Ok)))
        };
        all.try_flatten_stream().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<PgRow>, Error>>
    where
        'c: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        if self.prepared {
            return self.connections.fetch_optional(query);
        }
        async move {
            let mut transaction = self.begin().await?;
            let found = transaction.fetch_optional(query).await?;
            transaction.commit().await?;
            Ok(found)
        }
        .boxed()
    }

    fn prepare_with<'e>(self, sql: SqlStr, parameters: &'e [PgTypeInfo]) -> BoxFuture<'e, Result<PgStatement, Error>>
    where
        'c: 'e,
    {
        self.connections.prepare_with(sql, parameters)
    }
    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Postgres>, Error>>
    where
        'c: 'e,
    {
        self.connections.describe(sql)
    }
}
