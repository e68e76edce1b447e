//! No room left: PostgreSQL that writes nothing any more, a disk that is full, a Redis whose memory is. Nothing is taken in that is
//! not kept, and all goes on by itself once there is room.

use std::{path::Path, process::Command};

use berth_jobs::Queue;
use serde_json::json;
use uuid::Uuid;

use super::support::{Stack, StackOptions, events::foreign_event};

const ITEM: &str = r#"{"items":[{"service_id":"shared-monthly"}]}"#;

impl Stack {
    async fn sql(&self, sql: &'static str) {
        for statement in sql.split(';').map(str::trim).filter(|statement| !statement.is_empty()) {
            sqlx::query(statement).execute(&self.pool).await.unwrap();
        }
    }

    /// How a checkout and an event are answered.
    async fn answers(&self, event: &str) -> (u16, u16) {
        let (checkout, _) = self.post(Uuid::new_v4(), "/v1/checkout", &serde_json::from_str(ITEM).unwrap()).await;
        let event = self.sender().send(foreign_event(event).as_bytes()).await;
        (checkout, event.unwrap())
    }

    async fn until_answered(&self, event: &str) {
        self.until("requests are answered again", async || {
            let (checkout, event) = self.answers(event).await;
            checkout < 300 && event == 200
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_writes_nothing_is_said_to_be_away_until_it_writes_again() {
    let stack = Stack::with(StackOptions::default().own_postgres()).await;
    let _berth = stack.start().await;
    let bought = stack.checkout(Uuid::new_v4(), "shared-monthly", 1).await;

    stack.sql("alter system set default_transaction_read_only = on; select pg_reload_conf()").await;
    stack.until("nothing can be written", async || stack.answers("evt_while").await == (503, 503)).await;
    stack.sql("alter system reset default_transaction_read_only; select pg_reload_conf()").await;
    stack.until_answered("evt_after").await;
    stack.pay(&bought.1).await;

    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 1).await;
    assert_eq!(stack.count("select count(*) from berth.stripe_events where id = 'evt_while'").await, 0);
    stack.until_idle().await;
    stack.audit().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_without_memory_delays_work_and_loses_none() {
    let stack = Stack::new().await;
    let _berth = stack.start().await;
    let mut redis = redis::Client::open(stack.redis.url()).unwrap().get_multiplexed_async_connection().await.unwrap();
    let mut set = async |value: &str| {
        let set = redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(value).exec_async(&mut redis).await;
        set.unwrap();
    };

    set("1").await;
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(stack.checkout(Uuid::new_v4(), "shared-monthly", 1).await.1);
    }
    for session in &sessions {
        stack.pay(session).await;
    }
    stack.until_count("select count(*) from berth.jobs where kind = 'complete_checkout'", 3).await;
    let while_full = stack.count("select count(*) from berth.orders where phase = 'completed'").await;
    set("0").await;

    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 3).await;
    stack.until_idle().await;
    assert_eq!(while_full, 0);
    stack.audit().await;
}

/// A disk of a few megabytes, for PostgreSQL's user.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    /// `None`, said aloud, where none can be mounted.
    fn mount(at: &'a Path) -> Option<Self> {
        std::fs::create_dir_all(at).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m,mode=0777", "tmpfs"]).arg(at).output();
        if mounted.is_ok_and(|output| output.status.success()) {
            return Some(Self(at));
        }
        println!("SKIPPED: a full disk: only root can mount a small one");
        None
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_what_it_cannot_keep_and_takes_it_when_there_is_room() {
    let stack = Stack::with(StackOptions::default().own_postgres()).await;
    let folder = tempfile::Builder::new().prefix("berth-full").tempdir().unwrap();
    let at = folder.path().join("disk");
    let Some(disk) = SmallDisk::mount(&at) else { return };
    let owned = Command::new("chown").arg("--reference").arg(stack.postgres.directory()).arg(&at).status();
    assert!(owned.unwrap().success());
    let place = format!("create tablespace small location '{}'", at.display());
    // The path is of the test's own.
    sqlx::query(sqlx::AssertSqlSafe(place)).execute(&stack.pool).await.unwrap();
    stack.sql("alter table berth.stripe_events set tablespace small").await;
    let berth = stack.start_with(&[Queue::Payments]).await;
    let ballast = at.join("ballast");

    // What is left of the last page is soon used up.
    let fill = Command::new("dd").args(["if=/dev/zero", "bs=4k"]).arg(format!("of={}", ballast.display())).output();
    assert!(!fill.unwrap().status.success(), "the disk has room");
    let big = json!({ "pad": "x".repeat(100_000) }).to_string();
    let mut refused = false;
    for nth in 0..200 {
        let event = foreign_event(&format!("evt_full_{nth}")).replacen('{', &format!("{{\"padding\":{big},"), 1);
        if stack.sender().send(event.as_bytes()).await == Some(503) {
            refused = true;
            break;
        }
    }
    std::fs::remove_file(&ballast).unwrap();
    stack
        .until("events are taken again", async || {
            stack.sender().send(foreign_event("evt_room").as_bytes()).await == Some(200)
        })
        .await;

    assert!(refused, "more was taken in than the disk can keep");
    assert_eq!(stack.count("select count(*) from berth.stripe_events where id = 'evt_room'").await, 1);
    berth.stop().await;
    drop(stack);
    drop(disk);
}
