use super::*;

async fn answer(url: &str, question: &str) -> String {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar(AssertSqlSafe(question.to_owned())).fetch_one(&mut connection).await.unwrap()
}

async fn run(url: &str, statement: &str) {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query(AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.unwrap();
}

/// Without syncs: these tests crash processes, not machines.
fn quick() -> PostgresOptions {
    PostgresOptions::throwaway().setting("fsync", "off")
}

#[tokio::test]
async fn a_private_postgres_is_durable_in_utf8_and_on_loopback_only() {
    let server = PrivatePostgres::start(PostgresOptions::throwaway()).await.unwrap();

    let url = server.create_database("berth").await.unwrap();
    let again = server.create_database("berth").await.unwrap();

    assert_eq!(url, again);
    assert_eq!(answer(&url, "show fsync").await, "on");
    assert_eq!(answer(&url, "show server_encoding").await, "UTF8");
    assert_eq!(answer(&url, "show listen_addresses").await, "127.0.0.1");
    assert_eq!(answer(&url, "select current_user::text").await, OWNER);
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let server = PrivatePostgres::start(quick()).await.unwrap();

    let url = format!("postgres://{OWNER}:guess@127.0.0.1:{}/postgres?sslmode=disable", server.port());

    assert!(PgConnection::connect(&url).await.is_err());
}

#[tokio::test]
async fn committed_rows_survive_every_kind_of_end() {
    let mut server = PrivatePostgres::start(quick()).await.unwrap();
    let url = server.create_database("berth").await.unwrap();
    run(&url, "create table kept (ending text)").await;

    run(&url, "insert into kept values ('immediate')").await;
    server.restart_immediate().await.unwrap();
    run(&url, "insert into kept values ('kill9')").await;
    server.kill9().await.unwrap();
    assert_eq!(server.pid(), None);
    assert!(PgConnection::connect(&url).await.is_err());
    server.start_again().await.unwrap();
    run(&url, "insert into kept values ('fast')").await;
    server.stop(StopMode::Fast).await.unwrap();
    server.start_again().await.unwrap();

    assert_eq!(answer(&url, "select string_agg(ending, ' ' order by ending) from kept").await, "fast immediate kill9");
}

#[tokio::test]
async fn data_is_used_again_and_its_directory_by_one_owner_at_a_time() {
    let options = PostgresOptions { throwaway: false, ..quick() };
    let first = PrivatePostgres::start(options.clone()).await.unwrap();
    first.create_database("berth").await.unwrap();

    let refused = PrivatePostgres::start(options.clone()).await.unwrap_err();
    drop(first);
    let second = PrivatePostgres::start(PostgresOptions { throwaway: true, ..options }).await.unwrap();

    assert!(matches!(refused, ServerError::InUse(_)), "{refused}");
    assert_eq!(answer(&second.url("berth"), "select current_database()::text").await, "berth");
}

#[tokio::test]
async fn an_orphan_of_a_killed_owner_is_stopped_by_the_next_one() {
    let options = PostgresOptions { throwaway: false, ..quick() };
    let mut killed = PrivatePostgres::start(options.clone()).await.unwrap();
    let orphan = killed.pid().unwrap();
    let process = killed.process.take().unwrap();
    std::mem::forget(process); // neither its Drop nor its guard runs, as if both were killed
    drop(killed);
    assert!(command_line(orphan).is_some());

    let next = PrivatePostgres::start(PostgresOptions { throwaway: true, ..options }).await.unwrap();

    assert_ne!(next.pid(), Some(orphan));
    assert_eq!(command_line(orphan), None);
    assert_eq!(answer(&next.url("postgres"), "select 'here'").await, "here");
}

#[tokio::test]
async fn a_server_that_somebody_else_started_on_the_data_is_left_alone() {
    let options = PostgresOptions { throwaway: false, ..quick() };
    let mut theirs = PrivatePostgres::start(options.clone()).await.unwrap();
    let pid = theirs.pid().unwrap();
    let directory = theirs.directory().to_owned();
    theirs.home.forget().unwrap();
    let process = theirs.process.take().unwrap();
    drop(theirs);

    let refused = PrivatePostgres::start(PostgresOptions { throwaway: true, ..options }).await.unwrap_err();

    assert!(matches!(refused, ServerError::NotOurs { pid: named, .. } if named == pid), "{refused}");
    assert!(command_line(pid).is_some());
    drop(process);
    remove_if_there(&directory).unwrap();
}

#[tokio::test]
async fn a_dropped_throwaway_leaves_neither_process_nor_files() {
    let server = PrivatePostgres::start(quick()).await.unwrap();
    let pid = server.pid().unwrap();
    let directory = server.directory().to_owned();

    drop(server);

    assert_eq!(command_line(pid), None);
    assert!(!directory.exists());
}

#[tokio::test]
async fn a_server_that_cannot_start_shows_the_end_of_its_log() {
    let error = PrivatePostgres::start(quick().setting("shared_buffers", "nonsense")).await.unwrap_err().to_string();

    assert!(error.contains("shared_buffers"), "{error}");
}

#[tokio::test]
async fn a_name_that_needs_quoting_names_no_database() {
    let server = PrivatePostgres::start(quick()).await.unwrap();

    for name in ["", "1st", "a\"b", "Upper", "a b", &"a".repeat(64)] {
        let refused = server.create_database(name).await;
        assert!(matches!(refused, Err(ServerError::DatabaseName(_))), "{name}");
    }
}
