//! Many accounts: what a sweep costs follows what is due, and what an outage has left is caught up by one run.

use berth::sweeps::Sweep;
use berth_jobs::Queue;
use futures::{StreamExt, stream};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor};
use uuid::Uuid;

use super::support::{Running, Stack, StackOptions, process::Process, size};

/// So many rows of each account may be read for a look at it: its own, and some of each that belongs to it.
const ROWS_AN_ACCOUNT: u64 = 15;
/// What reads accounts whose turn has come, as the program plans it.
const BY_INDEX: &str = "set local enable_seqscan = off; set local jit = off";

/// Live accounts, of which some are to be invoiced at noon of 10 June 2030: the time that it is then.
async fn fill(stack: &Stack, accounts: u64, due: u64) {
    let mut db = stack.pool.acquire().await.unwrap().detach();
    for (name, value) in [("accounts", accounts), ("due", due)] {
        db.execute(AssertSqlSafe(format!("set bench.{name} = {value}"))).await.unwrap();
    }
    db.execute(sqlx::raw_sql(include_str!("../../benches/sweep/seed.sql"))).await.unwrap();
    // What was set is this connection's alone.
    db.close().await.unwrap();
    stack.pool.execute("analyze").await.unwrap();
}

/// Such accounts, and Berth on some day of that month.
async fn with_accounts(stack: &Stack, accounts: u64, due: u64, noon_of: &str) -> Running {
    fill(stack, accounts, due).await;
    let berth = stack.start().await;
    stack.set_time(&berth.app, format!("{noon_of}T12:00:00Z").parse().unwrap()).await;
    berth
}

fn any_number_of_them() -> StackOptions {
    StackOptions::default().setting("fuse.number", "1000000")
}

/// How many rows a plan and all that is below it have read from tables.
fn rows_read(node: &Value) -> u64 {
    let number =
        |key: &str| node[key].to_string().split('.').next().and_then(|whole| whole.parse().ok()).unwrap_or(0_u64);
    let looked_at = number("Actual Rows") + number("Rows Removed by Filter") + number("Rows Removed by Index Recheck");
    let own = if node["Relation Name"].is_string() { looked_at * number("Actual Loops") } else { 0 };
    own + node["Plans"].as_array().into_iter().flatten().map(rows_read).sum::<u64>()
}

async fn rows_read_by(stack: &Stack, sql: &str, accounts: &[Uuid]) -> (u64, Value) {
    let mut db = stack.pool.begin().await.unwrap();
    db.execute(BY_INDEX).await.unwrap();
    let plan: Value = sqlx::query_scalar(AssertSqlSafe(format!("explain (analyze, format json) {sql}")))
        .bind(accounts)
        .fetch_one(&mut *db)
        .await
        .unwrap();
    (rows_read(&plan[0]["Plan"]), plan)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_at_accounts_reads_their_rows_and_not_all_that_there_are() {
    // So few that to look each up is the cheaper plan by far; of one in thirty PostgreSQL rightly reads them all.
    const DUE: u64 = 20;
    let stack = Stack::with(any_number_of_them()).await;
    let berth = with_accounts(&stack, 10_000, DUE, "2030-06-10").await;

    stack.sweep(&berth.app, Sweep::Accounts).await;
    stack.pool.execute("analyze").await.unwrap();
    let accounts: Vec<Uuid> =
        sqlx::query_scalar("select account_id from berth.renewals").fetch_all(&stack.pool).await.unwrap();
    assert_eq!(u64::try_from(accounts.len()), Ok(DUE));
    for (name, sql) in [
        ("agenda", include_str!("../../src/store/queries/agenda.sql")),
        ("terms", include_str!("../../src/store/queries/renewal_terms.sql")),
    ] {
        let (rows, plan) = rows_read_by(&stack, sql, &accounts).await;
        assert!((DUE..=DUE * ROWS_AN_ACCOUNT).contains(&rows), "{name}: {rows} rows of {DUE} accounts: {plan:#}");
    }
    berth.stop().await;
}

/// The most that a process may ever hold, in bytes, however much an outage has left.
const MOST_MEMORY: u64 = 256 * 1024 * 1024;

/// What a process has held at the most, where that can be asked.
fn most_memory(process: &Process) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).ok()?;
    let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.trim().strip_suffix(" kB")?;
    Some(kilobytes.parse::<u64>().ok()? * 1024)
}

/// Waits until a query counts so many, as long as it counts more and more.
async fn until_all(stack: &Stack, sql: &'static str, wanted: u64) {
    let mut so_far = stack.count(sql).await;
    while so_far < i64::try_from(wanted).unwrap() {
        stack.until(&format!("more than {so_far} of {wanted}"), async || stack.count(sql).await > so_far).await;
        so_far = stack.count(sql).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_three_days_have_left_is_caught_up_each_account_once_and_in_bounded_memory() {
    let due = u64::from(size("LEFT", 20_000));
    let stack = Stack::with(any_number_of_them()).await;
    fill(&stack, due, due).await;
    stack.begin_at("2030-06-13T12:00:00Z").await;
    let mut berth = Process::start(&stack, &["work"], &[]);

    for _ in 0..2 {
        stack.insert_job("sweep_accounts", Queue::Sweeps, &json!({ "as_of": null }), None).await;
        until_all(&stack, "select count(*) from berth.renewals", due).await;
        until_no_runs_are_left(&stack).await;
    }
    let sent = "select count(*) from berth.mails where kind = 'renewal_invoice' and accepted_at is not null";
    until_all(&stack, sent, due).await;
    stack.until_idle().await;

    let count = async |what: &'static str| u64::try_from(stack.count(what).await).unwrap();
    assert_eq!(count("select count(*) from berth.renewals").await, due);
    assert_eq!(count("select count(distinct account_id) from berth.renewals").await, due);
    assert_eq!(count(sent).await, due);
    assert_eq!(count("select count(*) from berth.notices").await, 0, "who was invoiced today is not reminded today");
    assert_eq!(count("select count(*) from berth.jobs where state in ('queued', 'running', 'dead')").await, 0);
    if let Some(held) = most_memory(&berth) {
        println!("{due} accounts that were due: at most {} MB were held", held / 1_000_000);
        assert!(held < MOST_MEMORY, "{held} bytes");
    }
    assert_eq!(berth.terminate().await, Some(0));
}

/// So many processes sweep at once.
const SWEEPERS: usize = 8;
/// Most of a race is waiting for a lease to end.
const RACES_AT_ONCE: usize = 4;

/// Who was overtaken tries again in a while, which need not be waited for.
async fn until_no_runs_are_left(stack: &Stack) {
    let again = "update berth.jobs set run_at = berth.now()
                 where kind = 'sweep_accounts' and state = 'queued' and run_at > berth.now()";
    stack
        .until("the runs have ended", async || {
            sqlx::query(again).execute(&stack.pool).await.unwrap();
            stack.count("select count(*) from berth.jobs where kind = 'sweep_accounts' and state <> 'done'").await == 0
        })
        .await;
}

/// Of eight sweepers one freezes and one dies. Each period of so many accounts is invoiced once.
async fn race(due: u64) {
    let stack = Stack::with(any_number_of_them().quick().setting("database.max_connections", "5")).await;
    fill(&stack, due, due).await;
    let sweeper =
        |failpoint| Process::start(&stack, &["work", "--queues", "sweeps"], &[("BERTH_FAILPOINTS", failpoint)]);
    let run = async || {
        stack.insert_job("sweep_accounts", Queue::Sweeps, &json!({ "as_of": null }), None).await;
    };
    run().await;
    let frozen = sweeper("sweep.page=stop@1");
    frozen.until_frozen().await;
    run().await;
    sweeper("sweep.page=kill@1").wait().await;
    let mut sweepers: Vec<Process> = (2..SWEEPERS).map(|_| sweeper("")).collect();
    for _ in &sweepers {
        run().await;
    }

    let invoiced = "select count(*) from berth.renewals";
    stack.until_count(invoiced, i64::try_from(due).unwrap()).await;
    until_no_runs_are_left(&stack).await;
    frozen.signal(Signal::SIGCONT);
    // It says that it lives, and has read what is there by then.
    stack.until_count("select count(*) from berth.workers where lease_until > now()", 7).await;
    run().await;
    until_no_runs_are_left(&stack).await;
    sweepers.push(frozen);
    for sweeper in &mut sweepers {
        assert_eq!(sweeper.terminate().await, Some(0));
    }

    let due = i64::try_from(due).unwrap();
    for (what, sql) in [
        ("periods", invoiced),
        ("accounts", "select count(distinct account_id) from berth.renewals"),
        ("orders", "select count(*) from berth.orders where is_renewal"),
        ("invoices", "select count(*) from berth.invoices"),
        ("mails", "select count(*) from berth.mails where kind = 'renewal_invoice'"),
        ("jobs that send them", "select count(*) from berth.jobs where kind = 'send_mail'"),
    ] {
        assert_eq!(stack.count(sql).await, due, "{what}");
    }
    stack.postgres.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_eight_sweepers_one_freezes_past_its_lease_and_one_dies_and_each_period_is_invoiced_once() {
    let due = size("DUE", 2_000);
    stream::iter(0..size("RACES", 1)).for_each_concurrent(RACES_AT_ONCE, |_| race(due.into())).await;
}
