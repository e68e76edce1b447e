//! Jobs that end the process which runs them: they are set aside, and their neighbours finish.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::support::{
    Stack, StackOptions,
    keeper::Keeper,
    load::{enqueue_no_op, enqueue_no_ops},
    process::{Launch, Process, children_of, signal_to},
};

const GOOD: usize = 127;
const WITHIN: Duration = Duration::from_secs(60);
/// A hang is noticed within seconds instead of half a minute.
const SHORTENED: &str = "no_op=1000;watchdog.grace=500";

/// What became of one bad job among good ones.
struct Outcome {
    state: String,
    attempts: i32,
    error: String,
    /// How often the worker was started.
    starts: usize,
    stack: Stack,
}

/// Runs one job that does `action` wherever it runs, among 127 good ones, under a service manager.
async fn among_good_ones(action: &str) -> Outcome {
    let stack = Stack::with(StackOptions::default().quick()).await;
    let berth = stack.start_with(&[]).await;
    enqueue_no_ops(&berth.app, GOOD / 2).await;
    let bad = enqueue_no_op(&stack, &berth.app, "bad").await;
    enqueue_no_ops(&berth.app, GOOD - GOOD / 2).await;
    let worker = Launch::new(&stack, &["work"])
        .with("BERTH_FAILPOINTS", &format!("job.run({bad})={action}"))
        .with("BERTH_SHORTEN", SHORTENED);
    let begun = Instant::now();
    let worker = Keeper::start(&worker, 1, &[]);

    stack.until_count("select count(*) from berth.jobs where state in ('done', 'dead')", 128).await;
    assert!(begun.elapsed() < WITHIN, "all was settled after {:?}", begun.elapsed());
    let good =
        stack.count("select count(*) from berth.jobs where state = 'done' and payload ->> 'note' <> 'bad'").await;
    assert_eq!(good, i64::try_from(GOOD).unwrap(), "the neighbours are done");
    let (state, attempts, error): (String, i32, String) =
        sqlx::query_as("select state, attempt, last_error from berth.jobs where id = $1")
            .bind(bad.0)
            .fetch_one(&stack.pool)
            .await
            .unwrap();
    let alert = format!("ledger: alert job_dead {bad}: no_op is dead: {error}");
    let wrong = stack.violations().await;
    assert!(wrong.iter().any(|line| line.starts_with(&alert)), "{wrong:#?}");
    assert_eq!(wrong.len(), 2, "that it is dead, and an alert, and nothing else: {wrong:#?}");
    // The worker that set it aside lives on.
    let starts = worker.starts();
    enqueue_no_ops(&berth.app, 1).await;
    stack.until_count("select count(*) from berth.jobs where state = 'done'", 128).await;
    assert_eq!(worker.starts(), starts);
    berth.stop().await;
    Outcome { state, attempts, error, starts, stack }
}

fn assert_quarantined(outcome: &Outcome, because: &str) {
    assert_eq!(outcome.state, "dead");
    assert_eq!(outcome.attempts, 3, "two starts among others, one alone");
    assert_eq!(outcome.starts, 3, "the worker died twice with it, and not the third time");
    assert!(outcome.error.starts_with("quarantined: ") && outcome.error.contains(because), "{}", outcome.error);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_aborting_job_is_quarantined_and_127_good_ones_are_done() {
    let outcome = among_good_ones("abort").await;

    assert_quarantined(&outcome, "the job kills its process, signal: 6");
    assert_eq!(outcome.stack.count("select count(*) from berth.jobs where unsettled > 0").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_job_that_gets_its_process_killed_is_quarantined() {
    // As the kernel does when memory runs out.
    let outcome = among_good_ones("kill").await;

    assert_quarantined(&outcome, "the job kills its process, signal: 9");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_job_that_never_ends_is_quarantined() {
    let outcome = among_good_ones("hang").await;

    assert_quarantined(&outcome, "the job kills its process, signal: 6");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_panicking_job_is_tried_three_times_and_ends_no_process() {
    let outcome = among_good_ones("panic").await;

    assert_eq!((outcome.state.as_str(), outcome.attempts, outcome.starts), ("dead", 3, 1));
    assert!(outcome.error.contains("panicked"), "{}", outcome.error);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_of_its_own_has_its_parents_settings_and_is_not_blamed_for_a_stop() {
    let stack = Stack::with(StackOptions::default().quick()).await;
    let berth = stack.start_with(&[]).await;
    let settings = stack.settings_file();
    // It was there twice when processes died; it did not kill them.
    let good = enqueue_no_op(&stack, &berth.app, "good").await;
    let slow = enqueue_no_op(&stack, &berth.app, "slow").await;
    sqlx::query("update berth.jobs set unsettled = 2").execute(&stack.pool).await.unwrap();
    let worker = Launch::new(&stack, &["work", "--config", &settings])
        .without_environment()
        .with("BERTH_FAILPOINTS", &format!("job.run({slow})=sleep:2000"))
        .start();

    // A service manager that stops everything signals the child too: that is no death of the job's making.
    let child = async {
        loop {
            if stack.count("select count(*) from berth.jobs where state = 'done'").await == 1
                && let [child] = children_of(worker.pid())[..]
            {
                return child;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let child = tokio::time::timeout(Duration::from_secs(20), child).await.expect("the slow job runs in a child");
    signal_to(child, Signal::SIGTERM);

    stack.until_count("select count(*) from berth.jobs where state in ('done', 'dead')", 2).await;
    let rows: Vec<(uuid::Uuid, String, i32)> =
        sqlx::query_as("select id, state, attempt from berth.jobs order by id").fetch_all(&stack.pool).await.unwrap();
    assert_eq!(rows, [(good.0, "done".to_owned(), 1), (slow.0, "done".to_owned(), 1)]);
    assert!(stack.violations().await.is_empty());
    drop(worker);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stood_still_for_longer_than_a_hang_may_last_goes_on() {
    let stack = Stack::with(StackOptions::default().quick()).await;
    let berth = stack.start_with(&[]).await;
    let mut worker = Process::start(&stack, &["work"], &[("BERTH_SHORTEN", "watchdog.stall=2000")]);
    enqueue_no_ops(&berth.app, 1).await;
    stack.until_count("select count(*) from berth.jobs where state = 'done'", 1).await;

    worker.signal(Signal::SIGSTOP);
    // As a container that is frozen, or a machine that is suspended.
    tokio::time::sleep(Duration::from_secs(5)).await;
    worker.signal(Signal::SIGCONT);
    enqueue_no_ops(&berth.app, 1).await;
    stack.until_count("select count(*) from berth.jobs where state = 'done'", 2).await;

    assert_eq!(worker.terminate().await, Some(0), "it ends when it is told to");
    berth.stop().await;
}
