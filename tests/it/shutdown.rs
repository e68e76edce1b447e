//! SIGTERM: nothing new is begun, what was begun ends or is given back, others go on.

use std::time::{Duration, Instant};

use berth::dev::mailbox::Fault;
use nix::sys::signal::Signal;

use super::support::{Stack, StackOptions, load::enqueue_no_ops, process::Process};

const GRACE: Duration = Duration::from_secs(4);
const STOPS: usize = 5;

fn options() -> StackOptions {
    StackOptions::default().quick().setting("work.shutdown_grace_seconds", "4")
}

#[tokio::test(flavor = "multi_thread")]
async fn five_stops_under_load_cost_no_attempt_and_take_nothing_new() {
    let stack = Stack::with(options()).await;
    let berth = stack.start_with(&[]).await;
    let sessions = stack.sessions(50).await;
    enqueue_no_ops(&berth.app, 1_500).await;
    let slow = [("BERTH_FAILPOINTS", "job.run(no_op)=sleep:20")];
    let stays = Process::start(&stack, &["work"], &slow);

    for paid in sessions.chunks(50 / STOPS) {
        let mut stopped = Process::start(&stack, &["work"], &slow);
        let lease = lease_of(&stack, stopped.pid()).await;
        stack.pay_all(paid).await;
        stack.until("it works", async || runs_of(&stack, lease).await > 0).await;
        let begun = Instant::now();
        stopped.signal(Signal::SIGTERM);
        tokio::time::sleep(Duration::from_millis(100)).await;
        let (before, runs) = (runs_of(&stack, lease).await, running_of(&stack, lease).await);
        assert_eq!(stopped.wait().await.code(), Some(0));
        println!("stopped after {:?}, with {runs} runs to end", begun.elapsed());
        assert!(begun.elapsed() < GRACE + Duration::from_secs(1));
        assert_eq!(running_of(&stack, lease).await, 0, "what it held has ended or was given back");
        assert!(runs_of(&stack, lease).await <= before, "it took jobs after it was asked to stop");
        assert!(stack.count("select count(*) from berth.jobs where state = 'queued'").await > 0, "there was load");
    }

    let mut wrong = stack.unfinished_after(Duration::from_secs(60)).await;
    wrong.extend(stack.violations().await);
    assert!(wrong.is_empty(), "{wrong:#?}");
    // One that was given back while its like waited has given way to it, without an attempt.
    let tried_again = "select coalesce(string_agg(concat_ws(' ', kind, attempt, unsettled, last_error), '; '), '')
        from berth.jobs where attempt > 1 or unsettled <> 0";
    assert_eq!(stack.text(tried_again).await, "");
    drop(stays);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_outlasts_the_grace_is_given_back_and_a_second_signal_ends_at_once() {
    let stack = Stack::with(options()).await;
    let mut up = Process::start(&stack, &["up"], &[]);
    stack.until_listening().await;
    let sessions = stack.sessions(3).await;
    // The mail server reads and never answers.
    stack.mailbox.set_fault(Fault::HangAfterData);
    stack.pay_all(&sessions).await;
    stack.until_count("select count(*) from berth.jobs where kind = 'send_mail' and state = 'running'", 6).await;

    let begun = Instant::now();
    up.signal(Signal::SIGTERM);
    while !up.has_ended() {
        let ready = stack.client.get(format!("{}/readyz", stack.base())).send().await;
        assert!(begun.elapsed() < Duration::from_millis(50) || ready.is_err() || ready.unwrap().status() == 503);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("given back after {:?}", begun.elapsed());
    assert_eq!(up.wait().await.code(), Some(0));
    assert!(begun.elapsed() < GRACE + Duration::from_secs(1));
    let given_back = "select count(*) from berth.jobs
                      where kind = 'send_mail' and state = 'queued' and attempt = 0 and unsettled = 0";
    assert_eq!(stack.count(given_back).await, 6);
    assert_eq!(stack.count("select count(*) from berth.workers").await, 0, "its lease is ended");

    let mut hasty = Process::start(&stack, &["work"], &[]);
    stack.until_count("select count(*) from berth.jobs where kind = 'send_mail' and state = 'running'", 6).await;
    hasty.signal(Signal::SIGTERM);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!hasty.has_ended(), "it waits for its runs");
    let again = Instant::now();
    assert_eq!(hasty.terminate().await, Some(130));
    assert!(again.elapsed() < Duration::from_secs(1));

    stack.mailbox.set_fault(Fault::None);
    let _other = Process::start(&stack, &["work"], &[]);
    let mut wrong = stack.unfinished_after(Duration::from_secs(60)).await;
    wrong.extend(stack.violations().await);
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The id of a process' lease, once it has one.
async fn lease_of(stack: &Stack, pid: u32) -> uuid::Uuid {
    let mut found = None;
    stack
        .until("the worker has its lease", async || {
            found = sqlx::query_scalar("select id from berth.workers where name like '%-' || $1::text || '-%'")
                .bind(i64::from(pid))
                .fetch_optional(&stack.pool)
                .await
                .unwrap();
            found.is_some()
        })
        .await;
    found.unwrap()
}

/// How many jobs a process has taken and not given back.
async fn runs_of(stack: &Stack, lease: uuid::Uuid) -> i64 {
    let count = sqlx::query_scalar("select count(*) from berth.jobs where worker = $1");
    count.bind(lease).fetch_one(&stack.pool).await.unwrap()
}

async fn running_of(stack: &Stack, lease: uuid::Uuid) -> i64 {
    let count = sqlx::query_scalar("select count(*) from berth.jobs where worker = $1 and state = 'running'");
    count.bind(lease).fetch_one(&stack.pool).await.unwrap()
}
