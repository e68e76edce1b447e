//! Redis emptied, restarted, away, out of date, full of what does not belong there: the ledger does not mind.

use std::time::Duration;

use berth::dev::servers::Persistence;
use redis::AsyncCommands;
use serde_json::Value;
use uuid::Uuid;

use super::support::{
    Stack, StackOptions,
    events::foreign_event,
    load::{enqueue_no_op, enqueue_no_ops},
    process::Process,
};

const FLUSHES: usize = 5;
/// With four jobs a purchase, these and the purchases make 1,000 jobs.
const NO_OPS: usize = 800;
const PURCHASES: usize = 50;
const FINISHED_WITHIN: Duration = Duration::from_secs(60);
/// As many ids of a queue as may lie in Redis.
const MOST_IDS: i64 = 10_000;

#[tokio::test(flavor = "multi_thread")]
async fn five_flushes_over_a_thousand_jobs_lose_none() {
    let stack = Stack::with(StackOptions::default().quick().setting("work.concurrency.sweeps", "2")).await;
    let berth = stack.start_with(&[]).await;
    let sessions = stack.sessions(PURCHASES).await;
    enqueue_no_ops(&berth.app, NO_OPS).await;
    let slow = ("BERTH_FAILPOINTS", "job.run(no_op)=sleep:10");
    let mut worker = Process::start(&stack, &["work"], &[slow]);

    let mut lost = 0;
    for paid in sessions.chunks(PURCHASES / FLUSHES) {
        stack.pay_all(paid).await;
        let before = ids_in_redis(&stack, "sweeps").await;
        stack.redis.flushall().await.unwrap();
        lost += before;
        // Until Redis has been filled again, so that each flush finds something to lose.
        stack.until("the ids are given again", async || all_ids_or_none_due(&stack).await).await;
    }

    let mut wrong = stack.unfinished_after(FINISHED_WITHIN).await;
    wrong.extend(stack.violations().await);
    println!("{lost} ids were flushed");
    assert!(lost >= 100, "only {lost} ids were flushed: the flushes came too late");
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(stack.count("select count(*) from berth.jobs where state <> 'done'").await, 0);
    assert!(
        stack.count("select count(*) from berth.jobs").await >= 1_000,
        "a thousand jobs, and the cards that were saved"
    );
    // Redis forgot; no process died: nothing ran twice.
    assert_eq!(stack.count("select count(*) from berth.jobs where kind = 'no_op' and attempt <> 1").await, 0);
    assert!(!worker.has_ended(), "no process ends because Redis was emptied");
    assert_eq!(worker.terminate().await, Some(0));
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_comes_back_empty_or_as_it_was_long_ago_is_filled_again() {
    let mut stack = Stack::with(StackOptions::default().quick()).await;
    let berth = stack.start_with(&[]).await;
    let mut worker = Process::start(&stack, &["work"], &[]);
    enqueue_no_ops(&berth.app, 100).await;
    stack.until_idle().await;

    stop(&mut worker).await;
    enqueue_no_ops(&berth.app, 100).await;
    until_redis_holds(&stack, 100).await;
    stack.redis.restart(Persistence::Discard).await.unwrap();
    assert_eq!(ids_in_redis(&stack, "sweeps").await, 0);
    worker = Process::start(&stack, &["work"], &[]);
    stack.until_count("select count(*) from berth.jobs where state = 'done'", 200).await;

    // A dump which holds ids of jobs that are done by the time it is read, and lacks the ids of newer ones.
    stop(&mut worker).await;
    enqueue_no_ops(&berth.app, 100).await;
    until_redis_holds(&stack, 100).await;
    let () = redis::cmd("SAVE").query_async(&mut connection(&stack).await).await.unwrap();
    worker = Process::start(&stack, &["work"], &[]);
    stack.until_count("select count(*) from berth.jobs where state = 'done'", 300).await;
    stop(&mut worker).await;
    enqueue_no_ops(&berth.app, 50).await;
    until_redis_holds(&stack, 50).await;
    stack.redis.kill9().await.unwrap();
    stack.redis.start_again().await.unwrap();
    assert_eq!(ids_in_redis(&stack, "sweeps").await, 100, "the old dump is read");
    worker = Process::start(&stack, &["work"], &[]);
    stack.until_count("select count(*) from berth.jobs where state = 'done'", 350).await;

    assert_eq!(stack.count("select count(*) from berth.jobs where attempt <> 1").await, 0);
    assert!(stack.violations().await.is_empty());
    assert_eq!(worker.terminate().await, Some(0));
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_redis_events_are_taken_and_their_work_waits() {
    let mut stack = Stack::with(StackOptions::default().quick()).await;
    let _up = Process::start(&stack, &["up"], &[]);
    stack.until_listening().await;
    let sessions = stack.sessions(10).await;
    assert_eq!(readiness(&stack).await, (200, "ready".to_owned()));

    stack.redis.kill9().await.unwrap();
    assert_eq!(readiness(&stack).await, (200, "degraded".to_owned()));
    for number in 0..20 {
        let event = foreign_event(&format!("evt_{number}"));
        assert_eq!(stack.send_event(event.as_bytes()).await, 200);
    }
    stack.pay_all(&sessions).await;
    stack.until_count("select count(*) from berth.stripe_events where type = 'checkout.session.completed'", 30).await;
    // A purchase can be begun as well: it needs Stripe and Postgres.
    stack.sessions(1).await;
    assert_eq!(stack.count("select count(*) from berth.orders where phase = 'completed'").await, 0);

    stack.redis.start_again().await.unwrap();
    let mut wrong = stack.unfinished_after(FINISHED_WITHIN).await;
    wrong.extend(stack.violations().await);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(stack.count("select count(*) from berth.orders where phase = 'completed'").await, 10);
    assert_eq!(readiness(&stack).await, (200, "ready".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_ids_do_nothing() {
    let stack = Stack::with(StackOptions::default().quick()).await;
    let berth = stack.start_with(&[]).await;
    let mut worker = Process::start(&stack, &["work"], &[]);
    let done = enqueue_no_op(&stack, &berth.app, "done").await;
    stack.until_idle().await;
    stop(&mut worker).await;
    let waiting = enqueue_no_op(&stack, &berth.app, "waiting").await;
    let future = enqueue_no_op(&stack, &berth.app, "due tomorrow").await;
    sqlx::query("update berth.jobs set run_at = now() + interval '1 day', dispatched_at = null where id = $1")
        .bind(future.0)
        .execute(&stack.pool)
        .await
        .unwrap();
    let mut redis = connection(&stack).await;
    let () = redis.del(key("sweeps", 1)).await.unwrap();
    worker = Process::start(&stack, &["work", "--queues", "payments,provisioning,mail"], &[]);

    let mut forged: Vec<String> = (0..500).map(|_| Uuid::new_v4().to_string()).collect();
    forged.extend(
        ["", "garbage", "'; drop table berth.jobs; --", "\u{0}\u{1}", "00000000-0000-0000-0000-000000000000"]
            .map(str::to_owned),
    );
    forged.push("x".repeat(1024 * 1024));
    forged.extend([done.0.to_string(), future.0.to_string(), waiting.0.to_string()]);
    for queue in ["payments", "provisioning", "mail"] {
        for class in 0..3 {
            for id in &forged {
                let () = redis.zadd(key(queue, class), id, -1).await.unwrap();
            }
        }
    }
    stack
        .until("the forged ids were taken", async || {
            ids_in_redis(&stack, "payments").await
                + ids_in_redis(&stack, "provisioning").await
                + ids_in_redis(&stack, "mail").await
                == 0
        })
        .await;

    assert!(!worker.has_ended());
    stop(&mut worker).await;
    let rows: Vec<(Uuid, String, i32)> =
        sqlx::query_as("select id, state, attempt from berth.jobs order by id").fetch_all(&stack.pool).await.unwrap();
    let queued = |id: Uuid| (id, "queued".to_owned(), 0);
    assert_eq!(rows, [(done.0, "done".to_owned(), 1), queued(waiting.0), queued(future.0)]);
    // In their own queue, the one that is done and the one that is not yet due do as little.
    for id in [done, future] {
        let () = redis.zadd(key("sweeps", 0), id.0.to_string(), -1).await.unwrap();
    }
    let _worker = Process::start(&stack, &["work"], &[]);
    stack.until_count("select count(*) from berth.jobs where state = 'done' and attempt = 1", 2).await;
    assert_eq!(stack.count("select count(*) from berth.jobs where state = 'queued' and attempt = 0").await, 1);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_due_jobs_wedge_nothing() {
    let stack = Stack::with(StackOptions::default().quick()).await;
    sqlx::query(
        "insert into berth.jobs (id, kind, queue, class, payload, run_at)
         select gen_random_uuid(), 'no_op', 'sweeps', 1, '{}', now() from generate_series(1, 20000)",
    )
    .execute(&stack.pool)
    .await
    .unwrap();
    // Two relays, and nobody who takes what they give.
    let relays = [(); 2].map(|()| Process::start(&stack, &["work", "--queues", "mail"], &[]));
    let mut most = 0;
    let mut last = -1;
    while last != most {
        last = most;
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        most = ids_in_redis(&stack, "sweeps").await;
    }
    assert!(most > MOST_IDS / 2 && most <= MOST_IDS, "{most} ids lie in Redis");

    let up = Process::start(&stack, &["up"], &[]);
    stack.until_listening().await;
    let begun = std::time::Instant::now();
    let sessions = stack.sessions(1).await;
    stack.pay_all(&sessions).await;
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 1).await;
    println!("a purchase beside 20,000 due jobs took {:?}", begun.elapsed());
    let mut wrong = stack.unfinished_after(FINISHED_WITHIN).await;
    println!("20,000 jobs took {:?}", begun.elapsed());
    wrong.extend(stack.violations().await);
    assert!(wrong.is_empty(), "{wrong:#?}");
    drop((relays, up));
}

fn key(queue: &str, class: u8) -> String {
    format!("berth:{{{queue}}}:{class}")
}

async fn connection(stack: &Stack) -> redis::aio::MultiplexedConnection {
    redis::Client::open(stack.redis.url()).unwrap().get_multiplexed_async_connection().await.unwrap()
}

async fn ids_in_redis(stack: &Stack, queue: &str) -> i64 {
    let mut redis = connection(stack).await;
    let mut all = 0;
    for class in 0..3 {
        let ids: i64 = redis.zcard(key(queue, class)).await.unwrap();
        all += ids;
    }
    all
}

async fn until_redis_holds(stack: &Stack, ids: i64) {
    stack.until(&format!("Redis holds {ids} ids"), async || ids_in_redis(stack, "sweeps").await == ids).await;
}

/// Whether Redis holds ids again, or there are none that it should hold.
async fn all_ids_or_none_due(stack: &Stack) -> bool {
    ids_in_redis(stack, "sweeps").await > 0
        || stack.count("select count(*) from berth.jobs where state = 'queued' and kind = 'no_op'").await == 0
}

async fn stop(worker: &mut Process) {
    assert_eq!(worker.terminate().await, Some(0));
}

async fn readiness(stack: &Stack) -> (u16, String) {
    let answer = stack.client.get(format!("{}/readyz", stack.base())).send().await.unwrap();
    let status = answer.status().as_u16();
    let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
    (status, body["status"].as_str().unwrap().to_owned())
}
