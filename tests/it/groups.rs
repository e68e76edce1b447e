//! What is committed together: who shares a transaction, who is sent back, and what stays true of it.

use std::time::Duration;

use berth::{
    app::App,
    domain::order::{OrderEvent, OrderPhase, OrderState},
    effects::{Effects, EventOutcome, Fact, Guard, NewStripeEvent, SessionNews, SessionState},
    queue::committer::{Claim, CommitError, Settlement},
};
use berth_jobs::{
    Job as _, Queue,
    checkout::SyncCheckout,
    diagnosis::NoOp,
    hosting::ReconcileAccount,
    ids::{AccountId, JobId, OrderId, StripeEventId},
};
use futures::future::{BoxFuture, join_all};
use serde_json::json;
use uuid::Uuid;

use super::support::{Stack, StackOptions, WatchedPanel, cutter::Cutter, shop, size};

const COMPLETED: &str = "select count(*) from berth.orders where phase = 'completed'";
const UNITS: [(&str, u32); 2] = [("shared-monthly", 10), ("wordpress-monthly", 10)];

/// Keeps the committer's lanes of routes and of settlements busy with a row that somebody else holds until all `sends`
/// have reached it, so that each finds its own together.
async fn gathered<T>(stack: &Stack, app: &App, sends: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    let order = stack.agree(app, &[("shared-monthly", 1)]).await;
    let claim = running_job(stack).await;
    let mut holder = stack.pool.begin().await.unwrap();
    sqlx::query("select id from berth.orders where id = $1 for update")
        .bind(order.0)
        .execute(&mut *holder)
        .await
        .unwrap();
    let busy = tokio::spawn({
        let app = app.clone();
        async move {
            let guarded = || Effects::none().guard(Guard::Order(order, 1));
            tokio::join!(app.committer.write(guarded()), app.committer.settle(claim, Settlement::Done, guarded()))
        }
    });
    stack
        .until_count(
            "select count(*) from pg_stat_activity
             where wait_event_type = 'Lock' and usename = 'berth_app' and datname = current_database()",
            2,
        )
        .await;
    // The sends are polled first, and the first poll of each puts it into the committer's inbox.
    let (results, released) = tokio::join!(join_all(sends), holder.rollback());
    released.unwrap();
    assert_eq!(busy.await.unwrap(), (Ok(()), Ok(())));
    results
}

/// The transaction that wrote a step of an order's history.
async fn transaction_of(stack: &Stack, order: OrderId, version: i32) -> String {
    sqlx::query_scalar("select xmin::text from berth.order_history where order_id = $1 and version = $2")
        .bind(order.0)
        .bind(version)
        .fetch_one(&stack.pool)
        .await
        .unwrap()
}

async fn phase_of(app: &App, order: OrderId) -> OrderPhase {
    app.store.order(order).await.unwrap().state.phase
}

fn step(order: OrderId, phase: OrderPhase, version: i32, event: OrderEvent) -> Effects {
    OrderState { id: order, phase, version }.apply(event).unwrap().into()
}

fn claim_of(job_id: JobId, claim_id: Uuid) -> Claim {
    Claim { job_id, claim_id, serial: None, attempt: 1, backoff: NoOp::BACKOFF, tries: NoOp::TRIES }
}

/// A job that runs, as far as the ledger knows, and the right to settle it.
async fn running_job(stack: &Stack) -> Claim {
    let id = stack.insert_job("no_op", Queue::Sweeps, &json!({}), None).await;
    let claim_id = Uuid::new_v4();
    sqlx::query("update berth.jobs set state = 'running', attempt = 1, claim_id = $2, worker = $2 where id = $1")
        .bind(id)
        .bind(claim_id)
        .execute(&stack.pool)
        .await
        .unwrap();
    claim_of(JobId(id), claim_id)
}

async fn job_column(stack: &Stack, id: JobId, column: &str) -> String {
    let sql = format!("select coalesce({column}::text, '') from berth.jobs where id = $1");
    sqlx::query_scalar(sqlx::AssertSqlSafe(sql)).bind(id.0).fetch_one(&stack.pool).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn units_on_different_rows_share_a_transaction_and_units_on_one_row_do_not() {
    let stack = Stack::new().await;
    let (app, _tasks) = stack.app(&WatchedPanel::new()).await;
    let (one, two) = (stack.agree(&app, &UNITS).await, stack.agree(&app, &UNITS).await);
    let delayed = |order| step(order, OrderPhase::Pending, 1, OrderEvent::PaymentDelayed);

    let results = gathered(
        &stack,
        &app,
        vec![
            Box::pin(app.committer.write(delayed(one))),
            Box::pin(app.committer.write(step(one, OrderPhase::AwaitingPayment, 2, OrderEvent::PaymentFailed))),
            Box::pin(app.committer.write(delayed(two))),
        ],
    )
    .await;

    assert_eq!(results, [Ok(()), Ok(()), Ok(())]);
    assert_eq!(phase_of(&app, one).await, OrderPhase::Failed);
    let first = transaction_of(&stack, one, 2).await;
    assert_eq!(first, transaction_of(&stack, two, 2).await, "different rows, one transaction");
    assert_ne!(first, transaction_of(&stack, one, 3).await, "one row, two transactions");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_unit_between_two_good_ones_keeps_its_facts_and_runs_again_and_the_good_ones_are_committed() {
    let stack = Stack::new().await;
    let panel = WatchedPanel::new();
    let (app, tasks) = stack.app(&panel).await;
    let (one, stale, two) =
        (stack.agree(&app, &UNITS).await, stack.agree(&app, &UNITS).await, stack.agree(&app, &UNITS).await);
    app.committer.write(step(stale, OrderPhase::Pending, 1, OrderEvent::PaymentDelayed)).await.unwrap();
    let claims = [running_job(&stack).await, running_job(&stack).await, running_job(&stack).await];
    let fact = Fact::Session(SessionNews {
        session_id: "cs_learnt".to_owned(),
        order_id: stale,
        version: 1,
        state: SessionState::Open,
        url: None,
        expires_at: None,
        at: app.clock.now(),
    });
    let expired = |order| step(order, OrderPhase::Pending, 1, OrderEvent::Expired);
    let settle = |at: usize, effects| app.committer.settle(claims[at].clone(), Settlement::Done, effects);

    let results = gathered(
        &stack,
        &app,
        vec![
            Box::pin(settle(0, expired(one))),
            // The order has moved since this one read it.
            Box::pin(settle(1, expired(stale).fact(fact).enqueue(SyncCheckout { order_id: stale }))),
            Box::pin(settle(2, expired(two))),
        ],
    )
    .await;

    assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
    assert_eq!(phase_of(&app, one).await, OrderPhase::Cancelled);
    assert_eq!(phase_of(&app, two).await, OrderPhase::Cancelled);
    assert_eq!(transaction_of(&stack, one, 2).await, transaction_of(&stack, two, 2).await);
    assert_eq!(phase_of(&app, stale).await, OrderPhase::AwaitingPayment, "its move is dropped");
    assert_eq!(app.store.order(stale).await.unwrap().stripe_session_id.as_deref(), Some("cs_learnt"));
    assert_eq!(stack.count("select count(*) from berth.jobs where kind = 'sync_checkout'").await, 0, "all or none");
    let state = [0, 1, 2].map(|at| claims[at].job_id);
    assert_eq!(job_column(&stack, state[0], "state").await, "done");
    assert_eq!(job_column(&stack, state[1], "state").await, "queued");
    assert!(job_column(&stack, state[1], "last_error").await.contains("has changed meanwhile"));
    let berth = stack.run(app, tasks, &[Queue::Sweeps]).await;
    stack.until_count("select count(*) from berth.jobs where kind = 'no_op' and state = 'done'", 4).await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unit_that_the_database_refuses_costs_its_neighbours_nothing() {
    let stack = Stack::new().await;
    let (app, _tasks) = stack.app(&WatchedPanel::new()).await;
    let orders = [stack.agree(&app, &UNITS).await, stack.agree(&app, &UNITS).await];
    let claim = running_job(&stack).await;
    // A text with a NUL cannot be stored.
    let impossible = Effects::new_event(NewStripeEvent {
        id: StripeEventId("evt_\0".to_owned()),
        kind: "x".to_owned(),
        payload: bytes::Bytes::from_static(b"{}"),
        outcome: EventOutcome::Ignored,
    });
    let expired = |order| step(order, OrderPhase::Pending, 1, OrderEvent::Expired);

    let results = gathered(
        &stack,
        &app,
        vec![
            Box::pin(app.committer.write(expired(orders[0]))),
            Box::pin(app.committer.settle(claim.clone(), Settlement::Done, impossible)),
            Box::pin(app.committer.write(expired(orders[1]))),
        ],
    )
    .await;

    assert!(matches!(results.as_slice(), [Ok(()), Err(CommitError::Failed(_)), Ok(())]), "{results:?}");
    assert_eq!(phase_of(&app, orders[0]).await, OrderPhase::Cancelled);
    assert_eq!(phase_of(&app, orders[1]).await, OrderPhase::Cancelled);
    assert_eq!(job_column(&stack, claim.job_id, "state").await, "queued", "it is tried again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_claim_that_was_lost_can_neither_settle_nor_checkpoint() {
    let stack = Stack::new().await;
    let (app, _tasks) = stack.app(&WatchedPanel::new()).await;
    let order = stack.agree(&app, &UNITS).await;
    let claim = running_job(&stack).await;
    let zombie = Claim { claim_id: Uuid::new_v4(), ..claim.clone() };
    let expired = || step(order, OrderPhase::Pending, 1, OrderEvent::Expired);

    assert_eq!(app.committer.checkpoint(zombie.clone(), expired()).await, Err(CommitError::ClaimLost));
    assert_eq!(app.committer.settle(zombie, Settlement::Done, expired()).await, Err(CommitError::ClaimLost));
    assert_eq!(phase_of(&app, order).await, OrderPhase::Pending);
    assert_eq!(app.committer.checkpoint(claim.clone(), Effects::none()).await, Ok(()));
    assert_eq!(app.committer.settle(claim.clone(), Settlement::Done, expired()).await, Ok(()));
    assert_eq!(app.committer.settle(claim, Settlement::Done, Effects::none()).await, Err(CommitError::ClaimLost));
    assert_eq!(phase_of(&app, order).await, OrderPhase::Cancelled);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_was_ended_while_the_panel_made_it_is_removed_from_the_panel_again() {
    let stack = Stack::new().await;
    let panel = WatchedPanel::new();
    let berth = stack.start_on(&panel, &Queue::ALL).await;
    let (made, release) = panel.hold();
    let order = stack.agree(&berth.app, &[("shared-monthly", 1)]).await;
    stack.tell_paid(&berth.app, order).await;

    let account = made.await.unwrap();
    assert_eq!(panel.memory.accounts(), 1);
    sqlx::query("update berth.hosting_accounts set phase = 'terminated', version = version + 1 where id = $1")
        .bind(account.0)
        .execute(&stack.pool)
        .await
        .unwrap();
    release.send(()).unwrap();

    stack.until("the panel follows the row", async || panel.memory.accounts() == 0).await;
    stack.until_count("select count(*) from berth.jobs where state <> 'done'", 0).await;
    let row = berth.app.store.account(account).await.unwrap();
    assert_eq!(row.state.phase.as_str(), "terminated");
    assert!(row.remote_id.is_some(), "what was learnt outside is kept");
    assert_eq!(phase_of(&berth.app, order).await, OrderPhase::Processing, "it is not complete without its account");
    assert_eq!(stack.count("select count(*) from berth.mails where kind = 'welcome'").await, 0);
    assert_eq!(stack.count("select count(*) from berth.jobs where kind = 'reconcile_account'").await, 1);
    berth.stop().await;
}

/// Orders of twenty units each, paid in rounds of fifty while two processes race for them.
async fn race(stack: &Stack, orders: usize, cutter: Option<&Cutter>) {
    let panel = WatchedPanel::new();
    let queues = [Queue::Payments, Queue::Provisioning];
    let berth = stack.start_on(&panel, &queues).await;
    let second = stack.more_workers(&panel, &queues).await;
    let mut left = orders;
    while left > 0 {
        let round = left.min(50);
        left -= round;
        let mut agreed = Vec::new();
        for _ in 0..round {
            agreed.push(stack.agree(&berth.app, &UNITS).await);
        }
        if let Some(cutter) = cutter {
            // Three lanes commit more and smaller groups than one did: every fifth loses as many answers.
            cutter.cut_every(5);
        }
        for order in agreed {
            stack
                .until("the event is taken", async || {
                    berth.app.committer.write(shop::paid(&berth.app, order).await).await.is_ok()
                })
                .await;
        }
        stack.until_count("select count(*) from berth.orders where phase in ('pending', 'processing')", 0).await;
        if let Some(cutter) = cutter {
            cutter.cut_every(0);
        }
    }
    stack
        .until_count(
            "select count(*) from berth.jobs where state <> 'done' and queue in ('payments', 'provisioning')",
            0,
        )
        .await;

    let orders = i64::try_from(orders).unwrap();
    assert_eq!(stack.count("select count(*) from berth.order_history where to_phase = 'completed'").await, orders);
    assert_eq!(stack.count("select count(*) from berth.order_history where to_phase = 'processing'").await, orders);
    assert_eq!(stack.count("select count(*) from berth.account_history where to_phase = 'active'").await, 20 * orders);
    assert_eq!(stack.count("select count(*) from berth.mails").await, 21 * orders);
    assert_eq!(stack.count("select count(*) from berth.alerts").await, 0);
    let creates = panel.memory.creates();
    assert_eq!(i64::try_from(creates.len()).unwrap(), 20 * orders);
    assert!(creates.values().all(|count| *count == 1));
    assert_eq!(panel.most_of_one_account(), 1);
    let taken_by_both = "select count(distinct worker) from berth.jobs where kind = 'provision_account'";
    assert_eq!(stack.count(taken_by_both).await, 2, "both processes took part");
    second.stop().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_twenty_accounts_finish_at_once_in_two_processes_completes_exactly_once() {
    let orders = usize::try_from(size("ORDERS", 100)).unwrap();
    let stack = Stack::new().await;

    race(&stack, orders, None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn commits_whose_answers_are_lost_count_once() {
    let mut stack = Stack::with(StackOptions::default().setting("work.group_size", "8")).await;
    let cutter = Cutter::before_database_of(&mut stack).await;

    race(&stack, 10, Some(&cutter)).await;

    assert!(cutter.cuts() >= 10, "{} answers were lost", cutter.cuts());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_whose_answer_is_lost_is_found_to_be_settled() {
    let mut stack = Stack::new().await;
    let cutter = Cutter::before_database_of(&mut stack).await;
    let (app, _tasks) = stack.app(&WatchedPanel::new()).await;
    let order = stack.agree(&app, &UNITS).await;
    let claim = running_job(&stack).await;
    let expired = step(order, OrderPhase::Pending, 1, OrderEvent::Expired);

    cutter.cut_every(1);
    let settling = app.committer.settle(claim.clone(), Settlement::Done, expired);
    let (result, ()) = tokio::join!(settling, async {
        stack.until("the answer is lost", async || cutter.cuts() == 1).await;
        cutter.cut_every(0);
    });

    assert_eq!(result, Ok(()));
    assert_eq!(phase_of(&app, order).await, OrderPhase::Cancelled);
    assert_eq!(job_column(&stack, claim.job_id, "state").await, "done");

    // A route is told that it cannot know; asking again is harmless.
    let other = stack.agree(&app, &UNITS).await;
    let paid = async || app.committer.write(shop::paid(&app, other).await).await;
    cutter.cut_every(1);
    assert!(matches!(paid().await, Err(CommitError::Unavailable(_))));
    cutter.cut_every(0);
    assert_eq!(paid().await, Ok(()));
    assert_eq!(stack.count("select count(*) from berth.stripe_events").await, 1);
    assert_eq!(stack.count("select count(*) from berth.jobs where kind = 'complete_checkout'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_are_killed_under_the_workers_change_nothing() {
    let stack = Stack::new().await;
    let panel = WatchedPanel::slow(Duration::from_millis(5));
    let queues = [Queue::Payments, Queue::Provisioning];
    let berth = stack.start_on(&panel, &queues).await;
    for _ in 0..20 {
        let order = stack.agree(&berth.app, &UNITS).await;
        stack.tell_paid(&berth.app, order).await;
    }

    let mut killed = 0;
    // A storm, in which hardly a commit gets through; then quiet.
    for _ in 0..200 {
        killed += stack
            .count(
                "select count(*) filter (where pg_terminate_backend(pid))
                 from (
                     select pid from pg_stat_activity
                     where usename = 'berth_app' and datname = current_database()
                     limit 3
                 ) victims",
            )
            .await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    stack.until_count(COMPLETED, 20).await;

    assert!(killed > 0);
    assert_eq!(stack.count("select count(*) from berth.order_history where to_phase = 'completed'").await, 20);
    assert_eq!(panel.memory.accounts(), 400);
    assert!(panel.memory.creates().values().all(|count| *count == 1));
    assert_eq!(stack.count("select count(*) from berth.alerts").await, 0);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_jobs_of_one_serial_never_overlap_and_all_of_them_run() {
    let stack = Stack::new().await;
    let panel = WatchedPanel::slow(Duration::from_millis(10));
    let queues = [Queue::Payments, Queue::Provisioning];
    let berth = stack.start_on(&panel, &queues).await;
    let second = stack.more_workers(&panel, &queues).await;
    let order = stack.agree(&berth.app, &[("shared-monthly", 4)]).await;
    stack.tell_paid(&berth.app, order).await;
    stack.until_count(COMPLETED, 1).await;
    let accounts: Vec<Uuid> =
        sqlx::query_scalar("select id from berth.hosting_accounts").fetch_all(&stack.pool).await.unwrap();

    for _ in 0..25 {
        for account in &accounts {
            let id = AccountId(*account).to_string();
            let payload = json!({ "account_id": id });
            stack.insert_job("reconcile_account", Queue::Provisioning, &payload, Some(&format!("account:{id}"))).await;
        }
    }
    stack.until_count("select count(*) from berth.jobs where kind = 'reconcile_account' and state = 'done'", 100).await;

    assert_eq!(panel.most_of_one_account(), 1);
    assert!(panel.most_at_once() > 1, "different accounts are worked on at once");
    second.stop().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn asking_for_what_waits_already_is_one_run_and_asking_during_a_run_is_one_more() {
    let stack = Stack::new().await;
    let (app, _tasks) = stack.app(&WatchedPanel::new()).await;
    let job = ReconcileAccount { account_id: AccountId::new() };
    let ask = async || app.committer.write(Effects::none().enqueue(job.clone())).await.unwrap();

    ask().await;
    ask().await;
    let both = Effects::none().enqueue(job.clone()).enqueue(job.clone());
    app.committer.write(both).await.unwrap();
    assert_eq!(stack.count("select count(*) from berth.jobs").await, 1);
    sqlx::query("update berth.jobs set state = 'running', claim_id = id, worker = id")
        .execute(&stack.pool)
        .await
        .unwrap();
    ask().await;
    ask().await;
    assert_eq!(stack.count("select count(*) from berth.jobs where state = 'queued'").await, 1);
    assert_eq!(stack.count("select count(*) from berth.jobs").await, 2);
}

/// What is asked in a transaction that commits later is seen by a run that begins later still.
#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_job_does_not_begin_before_the_commit_of_who_asked_for_it_again() {
    let stack = Stack::new().await;
    let panel = WatchedPanel::new();
    let (app, _tasks) = stack.app(&panel).await;
    let order = stack.agree(&app, &UNITS).await;
    let ask = || Effects::none().enqueue(SyncCheckout { order_id: order });
    app.committer.write(ask()).await.unwrap();
    let mut counter = stack.pool.begin().await.unwrap();
    sqlx::query("select last from berth.invoice_counter for update").execute(&mut *counter).await.unwrap();
    let asking = tokio::spawn({
        let (app, asked) = (app.clone(), ask().invoice(shop::invoice(&app, order).await));
        async move { app.committer.write(asked).await }
    });
    stack
        .until_count(
            "select count(*) from pg_stat_activity
             where wait_event_type = 'Lock' and usename = 'berth_app' and datname = current_database()",
            1,
        )
        .await;

    let passing_by = stack.insert_job("no_op", Queue::Payments, &json!({}), None).await;
    let workers = stack.more_workers(&panel, &[Queue::Payments]).await;
    stack
        .until("the workers have passed by", async || job_column(&stack, JobId(passing_by), "state").await == "done")
        .await;
    let released = stack.text("select clock_timestamp()::text").await;
    counter.rollback().await.unwrap();
    asking.await.unwrap().unwrap();

    stack
        .until("a run has begun since", async || {
            let sql = "select exists (select from berth.jobs
                                      where kind = 'sync_checkout' and finished_at > $1::text::timestamptz)";
            sqlx::query_scalar(sql).bind(&released).fetch_one(&stack.pool).await.unwrap()
        })
        .await;
    workers.stop().await;
}

/// A run of a job whose like has been asked for again meanwhile.
async fn asked_again_during_the_run(stack: &Stack, app: &App) -> Claim {
    let job = SyncCheckout { order_id: OrderId::new() };
    app.committer.write(Effects::none().enqueue(job.clone())).await.unwrap();
    let id: Uuid =
        sqlx::query_scalar("select id from berth.jobs where state = 'queued'").fetch_one(&stack.pool).await.unwrap();
    let claim_id = Uuid::new_v4();
    sqlx::query("update berth.jobs set state = 'running', attempt = 1, claim_id = $2, worker = $2 where id = $1")
        .bind(id)
        .bind(claim_id)
        .execute(&stack.pool)
        .await
        .unwrap();
    app.committer.write(Effects::none().enqueue(job)).await.unwrap();
    claim_of(JobId(id), claim_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_fails_gives_way_to_its_like_that_waits_already() {
    let stack = Stack::new().await;
    let (app, _tasks) = stack.app(&WatchedPanel::new()).await;
    let claim = asked_again_during_the_run(&stack, &app).await;

    let retry = Settlement::Retry { after: Duration::from_secs(5), error: "Stripe is away".to_owned() };
    app.committer.settle(claim.clone(), retry, Effects::none()).await.unwrap();

    assert_eq!(job_column(&stack, claim.job_id, "state").await, "cancelled");
    assert!(job_column(&stack, claim.job_id, "last_error").await.contains("Stripe is away"));
    assert_eq!(stack.count("select count(*) from berth.jobs where state = 'queued'").await, 1);
    assert_eq!(stack.count("select count(*) from berth.alerts").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_process_that_died_every_job_is_queued_again_though_the_like_of_one_waits_already() {
    let stack = Stack::new().await;
    let panel = WatchedPanel::new();
    let (app, _tasks) = stack.app(&panel).await;
    let superseded = asked_again_during_the_run(&stack, &app).await;
    let other = running_job(&stack).await;
    // Two of a kind in one dead process.
    twin_of(&stack, &superseded).await;
    sqlx::query(
        "insert into berth.workers (id, name, lease_until)
         select distinct worker, 'dead', now() - interval '1 minute' from berth.jobs where worker is not null",
    )
    .execute(&stack.pool)
    .await
    .unwrap();

    let berth = stack.start_on(&panel, &[Queue::Sweeps]).await;

    stack.until_count("select count(*) from berth.jobs where state = 'running'", 0).await;
    stack.until_count("select count(*) from berth.jobs where kind = 'no_op' and state = 'done'", 1).await;
    assert_eq!(job_column(&stack, other.job_id, "state").await, "done");
    assert_eq!(
        stack.count("select count(*) from berth.jobs where kind = 'sync_checkout' and state = 'queued'").await,
        1
    );
    assert_eq!(
        stack.count("select count(*) from berth.jobs where kind = 'sync_checkout' and state = 'cancelled'").await,
        2
    );
    berth.stop().await;
}

/// Another run of the same job, by the same process.
async fn twin_of(stack: &Stack, claim: &Claim) {
    sqlx::query(
        "insert into berth.jobs
             (id, kind, queue, class, payload, coalesce_key, state, attempt, run_at, claim_id, worker)
         select $2, kind, queue, class, payload, coalesce_key, 'running', 1, run_at, claim_id, worker
         from berth.jobs where id = $1",
    )
    .bind(claim.job_id.0)
    .bind(Uuid::now_v7())
    .execute(&stack.pool)
    .await
    .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn under_one_key_there_is_one_job_even_after_it_is_done() {
    let stack = Stack::new().await;
    let panel = WatchedPanel::new();
    let berth = stack.start_on(&panel, &Queue::ALL).await;
    let order = stack.agree(&berth.app, &[("shared-monthly", 1)]).await;

    for _ in 0..2 {
        stack.tell_paid(&berth.app, order).await;
        stack.tell_paid(&berth.app, order).await;
        stack.until_count(COMPLETED, 1).await;
        stack.until_idle().await;
    }

    assert_eq!(stack.count("select count(*) from berth.jobs where kind = 'complete_checkout'").await, 1);
    assert_eq!(stack.count("select count(*) from berth.mails").await, 2);
    berth.stop().await;
}
