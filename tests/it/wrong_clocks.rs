//! Processes whose machines' clocks are minutes fast, minutes slow and forty days ahead: the database's clock is the only one.

use std::path::Path;

use berth_jobs::Queue;
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::json;

use super::support::{Stack, StackOptions, process::Process, size};

const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib64/faketime/libfaketime.so.1",
];

/// Between the invoice and the first charge, however long the month is: 24½ days.
const INVOICED_AFTER: f64 = 24.5 * 24.0 * 3_600.0;

/// When what is bought is bought: at the ends of months that no other month, or no other year, has, and around the nights on
/// which clocks change.
const DATES: [&str; 8] = [
    "2030-01-10T12:00:00Z",
    "2030-01-31T12:00:00Z",
    "2030-01-30T23:59:30Z",
    "2032-02-29T12:00:00Z",
    "2030-03-31T00:59:50Z",
    "2030-10-27T00:59:50Z",
    "2030-08-31T23:59:59Z",
    "2031-12-31T23:59:58Z",
];

/// Purchases and a renewal, by workers whose clocks are wrong by so many seconds.
async fn a_month(library: &str, bought_on: &str, clocks: [i64; 3]) {
    println!("bought on {bought_on}, by workers whose clocks are wrong by {clocks:?} s");
    let stack = Stack::with(StackOptions::default().quick()).await;
    stack.begin_at(bought_on).await;
    let worker = |offset: i64| {
        let offset = format!("{offset:+}");
        // What waits and timeouts are counted by is not the machine's date.
        let faked = [("LD_PRELOAD", library), ("FAKETIME", &*offset), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
        Process::start(&stack, &["work"], &faked)
    };
    let mut serving = Process::start(&stack, &["serve"], &[]);
    let mut workers = clocks.map(worker);
    stack.until_listening().await;

    let sessions = stack.sessions(20).await;
    stack.pay_all(&sessions).await;
    stack.until_count("select count(*) from berth.hosting_accounts where phase = 'active'", 20).await;
    stack.until_idle().await;
    stack.pass(INVOICED_AFTER).await;
    // The offset that tests move the time by is read at the start.
    for worker in &mut workers {
        assert_eq!(worker.terminate().await, Some(0));
    }
    let mut workers = clocks.map(worker);
    stack.insert_job("sweep_accounts", Queue::Sweeps, &json!({}), None).await;
    stack.until_count("select count(*) from berth.jobs where kind = 'sweep_accounts' and state = 'done'", 1).await;
    stack.until_idle().await;

    let off = "select count(*) from berth.hosting_accounts
               where abs(extract(epoch from activated_at - created_at)) > 60 or activated_at > berth.now()
                  or expires_at <> (activated_at at time zone 'UTC' + interval '1 month') at time zone 'UTC'";
    assert_eq!(stack.count(off).await, 0, "activated when it was, for a month");
    let off = "select count(*) from berth.renewals
               where issued_at > berth.now() or issued_at < berth.now() - interval '60 seconds'";
    assert_eq!(stack.count(off).await, 0, "invoiced when it was");
    assert_eq!(stack.count("select count(*) from berth.renewals").await, 20);
    assert_eq!(stack.count("select count(*) from berth.workers where lease_until > now()").await, 3);
    let again = "select coalesce(string_agg(concat_ws(' ', attempt, last_error), '; '), '')
                 from berth.jobs where kind = 'provision_account' and attempt > 1";
    assert_eq!(stack.text(again).await, "", "each account was made at once");
    stack.audit().await;
    for process in workers.iter_mut().chain([&mut serving]) {
        assert_eq!(process.terminate().await, Some(0));
    }
    stack.postgres.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_whose_clocks_are_minutes_and_weeks_off_agree_on_every_date() {
    const FORTY_DAYS: i64 = 40 * 24 * 3_600;
    let Some(library) = LIBRARIES.into_iter().find(|path| Path::new(path).exists()) else {
        println!("SKIPPED: no libfaketime (apt-get install faketime; dnf install libfaketime)");
        return;
    };
    let mut random = StdRng::seed_from_u64(15);
    let mut wrong = (300, -300);
    for date in DATES.iter().cycle().take(usize::try_from(size("MONTHS", 1)).unwrap()) {
        a_month(library, date, [wrong.0, wrong.1, FORTY_DAYS]).await;
        wrong = (random.random_range(1..=300), -random.random_range(1..=300));
    }
}
