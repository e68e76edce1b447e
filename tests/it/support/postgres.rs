//! A test's database: one in the PostgreSQL that a whole run shares, or the only one of the test's own server.

use berth::{
    dev::servers::{PostgresOptions, PrivatePostgres, ServerError, StopMode},
    store,
};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use url::Url;
use uuid::Uuid;

/// Names the PostgreSQL that the tests of a run share, as its superuser. `bin/test` starts it, new for each run, and
/// stops it. Without the variable every test starts a server of its own, which takes a second longer.
const SHARED: &str = "BERTH_TEST_POSTGRES";
/// Has every migration; each test's database is a copy of it.
const TEMPLATE: &str = "berth_template";
/// Held while somebody makes the template.
const TEMPLATE_LOCK: i64 = 0x6265_7274_6800;
/// The password of the role that Berth runs as.
const APP_PASSWORD: &str = "app";

/// Whose server a test needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Server {
    /// Any that has a migrated database for this test alone. Roles, settings and the views of all connections
    /// (`pg_stat_activity`) are shared with other tests.
    #[default]
    Shared,
    /// One of its own, to be stopped, killed or counted in. Like the shared one it writes without syncs: what it was
    /// told survives every end of its processes, but not of the machine.
    Own,
    /// One of its own that syncs as in production.
    OwnDurable,
}

/// A migrated database for one test.
pub(crate) struct Postgres {
    /// As a superuser.
    url: Url,
    own: Option<PrivatePostgres>,
}

impl Postgres {
    pub(crate) async fn start(server: Server) -> Self {
        let shared = std::env::var(SHARED).ok().map(|url| Url::parse(&url).expect("the shared server has a URL"));
        match (server, shared) {
            (Server::Shared, Some(server)) => Self { url: copy_of_template(&server).await, own: None },
            (Server::Shared | Server::Own, _) => {
                Self::of_its_own(PostgresOptions::throwaway().setting("fsync", "off")).await
            }
            (Server::OwnDurable, _) => Self::of_its_own(PostgresOptions::throwaway()).await,
        }
    }

    async fn of_its_own(options: PostgresOptions) -> Self {
        let server = PrivatePostgres::start(options).await.unwrap();
        let url = Url::parse(&server.create_database("berth").await.unwrap()).unwrap();
        migrate(&url).await;
        Self { url, own: Some(server) }
    }

    /// The test's database, for a superuser.
    pub(crate) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// The test's database, for the role that Berth runs as.
    pub(crate) fn app_url(&self) -> Url {
        as_app(&self.url)
    }

    /// Makes a copy of the database as it is now. Whoever is connected to it is cut off.
    pub(crate) async fn back_up(&self) -> Url {
        let (from, name) = (self.url.path().trim_start_matches('/'), format!("berth_{}", Uuid::new_v4().simple()));
        let mut db = PgConnection::connect(database_of(&self.url, "postgres").as_str()).await.unwrap();
        let end = format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{from}'");
        execute(&mut db, end).await;
        execute(&mut db, format!("create database {name} template {from} strategy file_copy")).await;
        db.close().await.unwrap();
        database_of(&self.url, &name)
    }

    /// Goes on with that copy.
    pub(crate) fn restore(&mut self, backup: Url) {
        self.url = backup;
    }

    /// Drops the database now: a soak makes so many that those of all its rounds would fill the disk.
    pub(crate) async fn end(&self) {
        let mut db = PgConnection::connect(database_of(&self.url, "postgres").as_str()).await.unwrap();
        execute(&mut db, format!("drop database {} with (force)", self.url.path().trim_start_matches('/'))).await;
        db.close().await.unwrap();
    }

    /// Where a server of the test's own keeps its files.
    pub(crate) fn directory(&self) -> std::path::PathBuf {
        self.own.as_ref().expect("it has a server of its own").directory().join("data")
    }

    pub(crate) fn port(&self) -> u16 {
        self.url.port().unwrap()
    }

    pub(crate) async fn stop(&mut self, mode: StopMode) -> Result<(), ServerError> {
        self.own().stop(mode).await
    }

    pub(crate) async fn start_again(&mut self) -> Result<(), ServerError> {
        self.own().start_again().await
    }

    pub(crate) async fn restart_immediate(&mut self) -> Result<(), ServerError> {
        self.own().restart_immediate().await
    }

    fn own(&mut self) -> &mut PrivatePostgres {
        self.own
            .as_mut()
            .expect("a test that stops PostgreSQL asks for a server of its own: StackOptions::own_postgres")
    }
}

/// Makes a database for one test. It goes with the server: dropping it would take as long as making it.
async fn copy_of_template(server: &Url) -> Url {
    let name = format!("berth_{}", Uuid::new_v4().simple());
    let mut db = PgConnection::connect(server.as_str()).await.unwrap();
    make_template(&mut db, server).await;
    // Of the two ways to copy, that of the files costs less, and writes no log.
    execute(&mut db, format!("create database {name} template {TEMPLATE} strategy file_copy")).await;
    db.close().await.unwrap();
    database_of(server, &name)
}

/// The first test of a run makes the template while the others wait.
async fn make_template(db: &mut PgConnection, server: &Url) {
    sqlx::query("select pg_advisory_lock($1)").bind(TEMPLATE_LOCK).execute(&mut *db).await.unwrap();
    let exists: bool = sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
        .bind(TEMPLATE)
        .fetch_one(&mut *db)
        .await
        .unwrap();
    if !exists {
        // Under another name until it is complete: the maker may be killed.
        let partial = format!("{TEMPLATE}_partial");
        execute(db, format!("drop database if exists {partial}")).await;
        execute(db, format!("create database {partial}")).await;
        migrate(&database_of(server, &partial)).await;
        execute(db, format!("alter database {partial} rename to {TEMPLATE}")).await;
    }
    sqlx::query("select pg_advisory_unlock($1)").bind(TEMPLATE_LOCK).execute(&mut *db).await.unwrap();
}

async fn migrate(owner: &Url) {
    store::migrations::migrate(&owner.clone().into(), &as_app(owner).into()).await.unwrap();
}

async fn execute(db: &mut PgConnection, statement: String) {
    // The names are this file's own.
    sqlx::query(AssertSqlSafe(statement)).execute(db).await.unwrap();
}

fn database_of(server: &Url, name: &str) -> Url {
    let mut url = server.clone();
    url.set_path(name);
    url
}

fn as_app(owner: &Url) -> Url {
    let mut url = owner.clone();
    url.set_username("berth_app").unwrap();
    url.set_password(Some(APP_PASSWORD)).unwrap();
    url
}
