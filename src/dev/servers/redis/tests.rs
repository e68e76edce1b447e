use super::super::process::command_line;
use super::*;

async fn set(server: &PrivateRedis, key: &str) {
    connect(&server.url()).await.unwrap().set::<_, _, ()>(key, "here").await.unwrap();
}

async fn get(server: &PrivateRedis, key: &str) -> Option<String> {
    connect(&server.url()).await.unwrap().get(key).await.unwrap()
}

async fn setting(server: &PrivateRedis, name: &str) -> String {
    let mut connection = connect(&server.url()).await.unwrap();
    let mut answer: Vec<String> = redis::cmd("CONFIG").arg("GET").arg(name).query_async(&mut connection).await.unwrap();
    answer.pop().unwrap()
}

#[tokio::test]
async fn a_private_redis_evicts_nothing_and_lets_nobody_in_without_its_password() {
    let server = PrivateRedis::start(RedisOptions::throwaway()).await.unwrap();

    assert_eq!(setting(&server, "maxmemory-policy").await, "noeviction");
    assert_eq!(setting(&server, "bind").await, "127.0.0.1");
    assert_eq!(setting(&server, "protected-mode").await, "yes");
    assert!(!answers(&format!("redis://127.0.0.1:{}/0", server.port())).await);
}

#[tokio::test]
async fn an_append_only_redis_keeps_its_keys_over_a_restart_and_a_kill() {
    let options = RedisOptions { appendonly: true, ..RedisOptions::throwaway() };
    let mut server = PrivateRedis::start(options).await.unwrap();

    set(&server, "before the restart").await;
    server.restart(Persistence::Keep).await.unwrap();
    set(&server, "before the kill").await;
    server.kill9().await.unwrap();
    assert_eq!(server.pid(), None);
    server.start_again().await.unwrap();

    assert_eq!(get(&server, "before the restart").await.as_deref(), Some("here"));
    assert_eq!(get(&server, "before the kill").await.as_deref(), Some("here"));
}

#[tokio::test]
async fn a_restart_that_discards_and_a_flush_both_empty_it() {
    let options = RedisOptions { appendonly: true, ..RedisOptions::throwaway() };
    let mut server = PrivateRedis::start(options).await.unwrap();
    let url = server.url();

    set(&server, "key").await;
    server.restart(Persistence::Discard).await.unwrap();
    assert_eq!(get(&server, "key").await, None);

    set(&server, "key").await;
    server.flushall().await.unwrap();
    assert_eq!(get(&server, "key").await, None);
    assert_eq!(server.url(), url);
}

#[tokio::test]
async fn more_lines_of_configuration_and_snapshots_are_passed_on() {
    let mut options = RedisOptions::throwaway();
    options.save = Some("60 1000".to_owned());
    options.extra.push(("maxmemory".to_owned(), "64mb".to_owned()));

    let server = PrivateRedis::start(options).await.unwrap();

    assert_eq!(setting(&server, "save").await, "60 1000");
    assert_eq!(setting(&server, "maxmemory").await, (64 << 20).to_string());
}

#[tokio::test]
async fn an_orphan_of_a_killed_owner_is_stopped_by_the_next_one() {
    let options = RedisOptions { throwaway: false, ..RedisOptions::throwaway() };
    let mut killed = PrivateRedis::start(options.clone()).await.unwrap();
    let orphan = killed.pid().unwrap();
    std::mem::forget(killed.process.take().unwrap()); // neither its Drop nor its guard runs
    drop(killed);
    assert!(command_line(orphan).is_some());

    let next = PrivateRedis::start(RedisOptions { throwaway: true, ..options }).await.unwrap();

    assert_ne!(next.pid(), Some(orphan));
    assert_eq!(command_line(orphan), None);
}

#[tokio::test]
async fn a_dropped_throwaway_leaves_neither_process_nor_files() {
    let server = PrivateRedis::start(RedisOptions::throwaway()).await.unwrap();
    let pid = server.pid().unwrap();
    let directory = server.directory().to_owned();

    drop(server);

    assert_eq!(command_line(pid), None);
    assert!(!directory.exists());
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_with_the_reason() {
    let first = PrivateRedis::start(RedisOptions::throwaway()).await.unwrap();

    let options = RedisOptions { port: Some(first.port()), ..RedisOptions::throwaway() };
    let error = PrivateRedis::start(options).await.unwrap_err().to_string();

    assert!(error.contains("in use"), "{error}");
}
