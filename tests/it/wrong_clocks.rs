//! Processes whose machines' clocks are five minutes fast and five minutes slow: the database's clock is the only one.

use std::path::Path;

use berth_jobs::Queue;
use serde_json::json;

use super::support::{Stack, StackOptions, process::Process};

const LIBRARIES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib64/faketime/libfaketime.so.1",
];

#[tokio::test(flavor = "multi_thread")]
async fn workers_whose_clocks_are_five_minutes_fast_and_slow_agree_on_every_date() {
    let Some(library) = LIBRARIES.into_iter().find(|path| Path::new(path).exists()) else {
        println!("SKIPPED: no libfaketime (apt-get install faketime; dnf install libfaketime)");
        return;
    };
    let stack = Stack::with(StackOptions::default().quick()).await;
    let with_clock = |command: &str, offset: &str| {
        // What waits and timeouts are counted by is not the machine's date.
        let faked = [("LD_PRELOAD", library), ("FAKETIME", offset), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
        Process::start(&stack, &[command], &faked)
    };
    let mut processes = [with_clock("serve", "+0"), with_clock("work", "+300"), with_clock("work", "-300")];
    stack.until_listening().await;

    let sessions = stack.sessions(20).await;
    stack.pay_all(&sessions).await;
    stack.until_count("select count(*) from berth.hosting_accounts where phase = 'active'", 20).await;
    stack.until_idle().await;
    stack.pass(28.0 * 24.0 * 3_600.0).await;
    // The offset that tests move the time by is read at the start.
    for worker in &mut processes[1..] {
        assert_eq!(worker.terminate().await, Some(0));
    }
    processes[1] = with_clock("work", "+300");
    processes[2] = with_clock("work", "-300");
    stack.insert_job("sweep_accounts", Queue::Sweeps, &json!({}), None).await;
    stack.until_count("select count(*) from berth.jobs where kind = 'sweep_accounts' and state = 'done'", 1).await;
    stack.until_idle().await;

    let off = "select count(*) from berth.hosting_accounts
               where abs(extract(epoch from activated_at - created_at)) > 60 or activated_at > berth.now()
                  or expires_at <> activated_at + interval '1 month'";
    assert_eq!(stack.count(off).await, 0, "activated when it was, for a month");
    let off = "select count(*) from berth.renewals
               where issued_at > berth.now() or issued_at < berth.now() - interval '60 seconds'";
    assert_eq!(stack.count(off).await, 0, "invoiced when it was");
    assert_eq!(stack.count("select count(*) from berth.renewals").await, 20);
    assert_eq!(stack.count("select count(*) from berth.workers where lease_until > now()").await, 2);
    assert_eq!(
        stack.count("select count(*) from berth.jobs where kind = 'provision_account' and attempt > 1").await,
        0
    );
    stack.audit().await;
    for process in &mut processes {
        assert_eq!(process.terminate().await, Some(0));
    }
}
