//! Sweeps that are killed between two pages, twice in a row: what the run after them leaves is what one run would have, every
//! due row done once.

use std::os::unix::process::ExitStatusExt;

use berth::effects::CouponTerms;
use berth_jobs::Queue;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Executor};

use super::support::{
    Stack, StackOptions, WatchedPanel,
    process::{self, Process},
    purchase::{agreeing, coupon, order, ten_per_cent},
};

/// Three pages.
const ROWS: i64 = 1_100;
/// After the first page of each run, of which the second goes on behind the first.
const BETWEEN_PAGES: [&str; 2] = ["sweep.page=kill@1", "sweep.page=kill@1"];
/// As that, where the second run looks at the first one's page again and finds it done.
const FROM_THE_BEGINNING: [&str; 2] = ["sweep.page=kill@1", "sweep.page=kill@2"];

/// What is swept here is asked for here, and nothing else.
fn options() -> StackOptions {
    StackOptions::default().quick().setting("work.schedule", "false")
}

/// Accounts that are to be invoiced at noon of 10 June 2030: the time that it is then.
async fn accounts(stack: &Stack) {
    let mut db = stack.pool.acquire().await.unwrap().detach();
    for name in ["accounts", "due"] {
        db.execute(AssertSqlSafe(format!("set bench.{name} = {ROWS}"))).await.unwrap();
    }
    db.execute(sqlx::raw_sql(include_str!("../../benches/sweep/seed.sql"))).await.unwrap();
}

async fn pass_days(stack: &Stack, days: i32) {
    sqlx::query("update berth.clock set clock_offset = clock_offset + make_interval(days => $1)")
        .bind(days)
        .execute(&stack.pool)
        .await
        .unwrap();
}

fn sweeper(stack: &Stack, failpoints: &str) -> Process {
    Process::start(stack, &["work", "--queues", "sweeps"], &[("BERTH_FAILPOINTS", failpoints)])
}

/// Has a sweep run to its end, without being killed.
async fn swept(stack: &Stack, kind: &str, payload: &Value) {
    stack.insert_job(kind, Queue::Sweeps, payload, None).await;
    finished(stack, kind).await;
}

async fn finished(stack: &Stack, kind: &str) {
    let mut whole = sweeper(stack, "");
    let left = format!("select count(*) from berth.jobs where kind = '{kind}' and state <> 'done'");
    stack
        .until("the run has ended", async || {
            sqlx::query_scalar::<_, i64>(AssertSqlSafe(left.clone())).fetch_one(&stack.pool).await.unwrap() == 0
        })
        .await;
    assert_eq!(whole.terminate().await, Some(0));
}

/// The job that waits is killed after a page, and after the next one; answers what `done` counts after each, and at the end.
async fn killed_twice_and_finished(stack: &Stack, kind: &str, points: [&str; 2], done: &'static str) -> [i64; 3] {
    let killed = async |point: &str| {
        let ended = sweeper(stack, point).wait().await;
        assert_eq!(ended.signal(), Some(9), "the run was killed between its pages");
        stack.count(done).await
    };
    let (first, second) = (killed(points[0]).await, killed(points[1]).await);
    finished(stack, kind).await;
    [first, second, stack.count(done).await]
}

/// Between two kills a page was done, or more, and never all.
fn by_pages(counts: [i64; 3]) {
    let [first, second, all] = counts;
    assert!(0 < first && first < second && second < ROWS && all == ROWS, "{counts:?} of {ROWS}");
}

async fn each_is(stack: &Stack, counts: &[(&str, &'static str)]) {
    for (what, sql) in counts {
        assert_eq!(stack.count(sql).await, ROWS, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_whose_sweep_dies_between_pages_are_invoiced_reminded_and_charged_once() {
    let stack = Stack::with(options().setting("fuse.number", "1000000")).await;
    accounts(&stack).await;
    let (kind, now) = ("sweep_accounts", json!({ "as_of": null }));

    stack.insert_job(kind, Queue::Sweeps, &now, None).await;
    by_pages(killed_twice_and_finished(&stack, kind, BETWEEN_PAGES, "select count(*) from berth.renewals").await);
    each_is(
        &stack,
        &[
            ("accounts", "select count(distinct account_id) from berth.renewals"),
            ("invoices", "select count(*) from berth.invoices"),
            ("mails", "select count(*) from berth.mails where kind = 'renewal_invoice'"),
        ],
    )
    .await;

    // Half of them have no card from now on: they are reminded where the others are charged.
    let removed = "update berth.cards set removed_at = berth.now(), default_since = null where right(id, 1) < '5'";
    sqlx::query(removed).execute(&stack.pool).await.unwrap();
    pass_days(&stack, 4).await;
    stack.insert_job(kind, Queue::Sweeps, &now, None).await;
    let charged_or_told = "select (select count(*) from berth.jobs where kind = 'charge_renewal')
        + (select count(*) from berth.notices where step = 'reminder_1')";
    by_pages(killed_twice_and_finished(&stack, kind, BETWEEN_PAGES, charged_or_told).await);
    swept(&stack, kind, &now).await;
    let told = stack.count("select count(*) from berth.mails where kind = 'renewal_reminder'").await;
    let charges = "select count(distinct payload ->> 'order_id') from berth.jobs where kind = 'charge_renewal'";
    assert!(told > ROWS / 3, "{told} reminded");
    assert_eq!((told + stack.count(charges).await, stack.count(charged_or_told).await), (ROWS, ROWS));

    // A day after D nobody has paid.
    sqlx::query("update berth.cards set removed_at = berth.now(), default_since = null")
        .execute(&stack.pool)
        .await
        .unwrap();
    pass_days(&stack, 4).await;
    stack.insert_job(kind, Queue::Sweeps, &now, None).await;
    let in_grace = "select count(*) from berth.hosting_accounts where phase = 'grace'";
    by_pages(killed_twice_and_finished(&stack, kind, BETWEEN_PAGES, in_grace).await);
    each_is(
        &stack,
        &[
            ("histories", "select count(*) from berth.account_history where to_phase = 'grace'"),
            ("told", "select count(*) from berth.mails where kind = 'renewal_overdue'"),
            ("past due", "select count(*) from berth.renewal_history where to_phase = 'past_due'"),
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_whose_sweep_dies_between_pages_are_given_up_once() {
    let stack = Stack::with(options()).await;
    let (app, _tasks) = stack.app(&WatchedPanel::new()).await;
    let ten = coupon(&app, "TEN", CouponTerms { max_uses: Some(5_000), ..ten_per_cent() }).await;
    let agreed = (0..ROWS).map(|_| app.committer.write(agreeing(order(&app, Some(ten)))));
    for result in futures::future::join_all(agreed).await {
        result.unwrap();
    }
    assert_eq!(stack.count("select uses::int8 from berth.coupons").await, ROWS);
    pass_days(&stack, 3).await;

    stack.insert_job("sweep_unpaid_orders", Queue::Sweeps, &json!({ "as_of": null }), None).await;
    let given_up = "select count(*) from berth.orders where phase = 'cancelled'";
    by_pages(killed_twice_and_finished(&stack, "sweep_unpaid_orders", BETWEEN_PAGES, given_up).await);

    each_is(&stack, &[("histories", "select count(*) from berth.order_history where to_phase = 'cancelled'")]).await;
    assert_eq!(stack.count("select uses::int8 from berth.coupons").await, 0);
    stack.audit_rows().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_confirmed_plan_whose_run_dies_between_pages_is_done_once() {
    let stack = Stack::with(options()).await;
    accounts(&stack).await;
    swept(&stack, "sweep_accounts", &json!({ "as_of": null })).await;
    let renewals = "select count(*) from berth.renewals";
    assert_eq!(stack.count(renewals).await, 0, "far more than usual waits for a person");
    let plan = stack.text("select berth.show_id('plan_', id) from berth.fuse_plans where what = 'invoices'").await;

    let confirmed = process::run(&stack, &["sweep", "accounts", "--confirm", &plan], &[]).await;
    assert!(confirmed.status.success(), "{confirmed:?}");
    by_pages(killed_twice_and_finished(&stack, "run_plan", FROM_THE_BEGINNING, renewals).await);

    each_is(
        &stack,
        &[
            ("accounts", "select count(distinct account_id) from berth.renewals"),
            ("invoices", "select count(*) from berth.invoices"),
            ("mails", "select count(*) from berth.mails where kind = 'renewal_invoice'"),
        ],
    )
    .await;
}
