//! The schedule and its sweeps: each run begins once, and what is due and not done is done once, whoever asks and how often.

use std::{collections::BTreeMap, process::Output};

use berth::{
    app::App,
    config::Role,
    effects::{CouponTerms, Effects, NewTick},
    queue::committer::Why,
    schedule,
    supervise::Supervisor,
    sweeps::{self, Plan, Sources, Sweep},
};
use berth_jobs::ids::OrderId;
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{
    Running, Stack,
    process::Process,
    purchase::{agreeing, coupon, expiring, order, ten_per_cent, why},
};

const TWO_DAYS: u32 = 2 * 24 * 60;
/// Longer than an order can be paid.
const A_DAY_AND_MORE: u32 = 26 * 60;
const TICKS: &str = "select count(*) from berth.ticks";
/// Everything that a sweep may bring about, but for its own job.
const DONE: &str = "select (select count(*) from berth.order_history) + (select count(*) from berth.payments)
    + (select count(*) from berth.mails) + (select count(*) from berth.coupon_redemptions where state <> 'reserved')
    + (select count(*) from berth.jobs where kind not like 'sweep_%')";

/// So many runs of every sweep.
fn of_all(runs: i64) -> i64 {
    runs * i64::try_from(Sweep::ALL.len()).unwrap()
}

fn minutes(minutes: u32) -> f64 {
    f64::from(minutes * 60)
}

/// Lets it be this time, by Berth's clock.
async fn set_time(stack: &Stack, app: &App, text: &str) {
    sqlx::query("update berth.clock set clock_offset = $1::timestamptz - now()")
        .bind(text)
        .execute(&stack.pool)
        .await
        .unwrap();
    stack.pass_for(app, 0.0).await;
}

async fn planned(app: &App, sweep: Sweep) -> Plan {
    let now = app.store.now().await.unwrap();
    sweeps::plan(&Sources::of(app, now), sweep, now, usize::MAX).await.unwrap()
}

/// What is planned to be done to which row.
fn actions(plan: &Plan) -> BTreeMap<String, &'static str> {
    plan.steps.iter().map(|step| (step.subject.clone(), step.action)).collect()
}

async fn phase(app: &App, order: &str) -> &'static str {
    app.store.order(order.parse().unwrap()).await.unwrap().state.phase.as_str()
}

/// Stripe keeps its events for itself.
async fn lose_events(stack: &Stack) {
    stack.sim("webhooks", &json!({})).await;
}

/// Agrees an order whose page opens at Stripe, but the answer is lost; answers the order and the session.
async fn unheard(stack: &Stack) -> (String, String) {
    let fault = json!({ "kind": "timeout_after_commit", "hold_milliseconds": 20 });
    let fault = json!({ "on": "response", "path_prefix": "/v1/checkout/sessions", "method": "POST", "times": 1000,
        "fault": fault });
    stack.sim("faults", &json!({ "faults": [fault] })).await;
    let body = json!({ "items": [{ "service_id": "shared-monthly" }] });
    let (status, _, problem) = stack.buy(Uuid::new_v4(), Some("a key"), &body).await;
    assert_eq!(status, 503, "{problem}");
    stack.client.delete(format!("{}/_sim/faults", stack.stripe)).send().await.unwrap();
    let order = problem["order_id"].as_str().unwrap().to_owned();
    let records = stack.sim_get("records").await;
    let sessions = records["checkout_sessions"].as_array().unwrap();
    let session = sessions.iter().find(|session| session["client_reference_id"] == *order).unwrap();
    (order, session["id"].as_str().unwrap().to_owned())
}

/// Orders of every sort, a day later.
struct ADayLater {
    stack: Stack,
    berth: Running,
    /// Paid, but Stripe's event was lost; the second one's page was opened without Berth hearing of it.
    paid: [String; 2],
    /// Not paid; the second one's page was opened without Berth hearing of it.
    unpaid: [String; 2],
    /// Without any page, with the only use of a coupon.
    without_page: String,
    /// Agreed just now.
    fresh: String,
}

impl ADayLater {
    async fn new() -> Self {
        let stack = Stack::new().await;
        let berth = stack.start().await;
        lose_events(&stack).await;
        let (paid, paid_page) = stack.checkout(Uuid::new_v4(), "shared-monthly", 1).await;
        let (paid_unheard, unheard_page) = unheard(&stack).await;
        for page in [&paid_page, &unheard_page] {
            stack.pay(page).await;
        }
        let (unpaid, _) = stack.checkout(Uuid::new_v4(), "vps-monthly", 2).await;
        let (unpaid_unheard, _) = unheard(&stack).await;
        let ten = coupon(&berth.app, "TEN", CouponTerms { max_uses: Some(1), ..ten_per_cent() }).await;
        let without_page = order(&berth.app, Some(ten));
        let id: OrderId = without_page.id;
        berth.app.committer.write(agreeing(without_page)).await.unwrap();
        // By Stripe's own clock no time passes: its pages stay open.
        stack.pass_for(&berth.app, minutes(A_DAY_AND_MORE)).await;
        let fresh = order(&berth.app, None);
        let fresh_id: OrderId = fresh.id;
        berth.app.committer.write(agreeing(fresh)).await.unwrap();
        Self {
            paid: [paid, paid_unheard],
            unpaid: [unpaid, unpaid_unheard],
            without_page: id.to_string(),
            fresh: fresh_id.to_string(),
            stack,
            berth,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_schedulers_at_once_begin_each_run_once() {
    let stack = Stack::new().await;
    let tasks = Supervisor::default();
    let apps = [0; 2].map(|_| App::new(stack.config(), Role::Schedule, &tasks).unwrap());
    let look = async || {
        let looks = (0..8).map(|number| schedule::tick(&apps[number % 2]));
        join_all(looks).await.into_iter().flat_map(Result::unwrap).map(|(sweep, at)| format!("{sweep} {at}"))
    };
    let sorted = |runs: Vec<String>| runs.into_iter().collect::<std::collections::BTreeSet<_>>();

    set_time(&stack, &apps[0], "2030-01-01T12:21:00Z").await;
    let first: Vec<String> = look().await.collect();
    let second: Vec<String> = look().await.collect();
    set_time(&stack, &apps[0], "2030-01-01T12:25:00Z").await;
    let third: Vec<String> = look().await.collect();

    let (first_runs, third_runs) = (first.len(), third.len());
    let (first, third) = (sorted(first), sorted(third));
    assert_eq!((first_runs, first.len()), (Sweep::ALL.len(), Sweep::ALL.len()), "each once: {first:?}");
    for run in ["checkout_pages 2030-01-01T12:20:00Z", "leftovers 2030-01-01T12:17:00Z"] {
        assert!(first.contains(run), "{first:?}");
    }
    assert_eq!(second, [""; 0]);
    assert!(third_runs == third.len() && third.contains("unpaid_orders 2030-01-01T12:25:00Z"), "{third:?}");
    assert!(third.iter().all(|run| run.ends_with("2030-01-01T12:25:00Z")), "{third:?}");
    assert_eq!(stack.count(TICKS).await, i64::try_from(first_runs + third_runs).unwrap());
    // Nobody has worked on them: what is asked for again waits already.
    let waiting = stack.count("select count(*) from berth.jobs where kind like 'sweep_%' and class = 2").await;
    assert_eq!(waiting, i64::try_from(Sweep::ALL.len()).unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_that_were_missed_for_days_are_made_up_for_by_one() {
    let stack = Stack::new().await;
    let tasks = Supervisor::default();
    let app = App::new(stack.config(), Role::Schedule, &tasks).unwrap();
    set_time(&stack, &app, "2030-01-01T12:21:00Z").await;
    schedule::tick(&app).await.unwrap();

    set_time(&stack, &app, "2030-01-04T09:02:00Z").await;
    let begun = schedule::tick(&app).await.unwrap();

    assert_eq!(begun.len(), Sweep::ALL.len(), "{begun:?}");
    assert_eq!(stack.count(TICKS).await, i64::try_from(2 * Sweep::ALL.len()).unwrap());
    // Whoever was stopped in between and wants an earlier run now is too late for it.
    let late = NewTick { name: "unpaid_orders", due_at: "2030-01-02T00:00:00Z".parse().unwrap() };
    let written = app.committer.write(Effects::none().tick(late).enqueue(Sweep::UnpaidOrders.job(None))).await;
    assert_eq!(why(written), Why::AlreadyThere);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_works_on_sweeps_begins_them_by_itself() {
    let stack = Stack::new().await;
    let mut schedules = Process::start(&stack, &["schedule"], &[]);
    stack.until_count(TICKS, of_all(1)).await;
    let mut works = Process::start(&stack, &["work", "--queues", "sweeps"], &[("BERTH_WORK__SCHEDULE", "true")]);

    stack.until_count("select count(*) from berth.jobs where kind like 'sweep_%' and state = 'done'", of_all(1)).await;
    // Their times come while nobody is there but the worker.
    assert_eq!(schedules.terminate().await, Some(0));
    stack.pass(minutes(TWO_DAYS)).await;
    stack.until_count("select count(*) from berth.jobs where kind like 'sweep_%' and state = 'done'", of_all(2)).await;

    assert_eq!(stack.count(TICKS).await, of_all(2));
    assert_eq!(works.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_whose_time_is_over_are_given_up_but_for_those_that_were_paid_and_never_twice() {
    let ADayLater { stack, berth, paid, unpaid, without_page, fresh } = ADayLater::new().await;
    let before = stack.count(DONE).await;

    let plan = planned(&berth.app, Sweep::UnpaidOrders).await;
    assert_eq!(stack.count(DONE).await, before, "a dry run does nothing");
    stack.sweep(&berth.app, Sweep::UnpaidOrders).await;

    for order in &paid {
        assert_eq!(phase(&berth.app, order).await, "completed", "{order}");
    }
    for order in unpaid.iter().chain([&without_page]) {
        assert_eq!(phase(&berth.app, order).await, "cancelled", "{order}");
    }
    assert_eq!(phase(&berth.app, &fresh).await, "pending");
    assert_eq!(stack.count("select uses::int8 from berth.coupons where code = 'TEN'").await, 0, "its coupon is free");
    // At Stripe nobody can pay any more what was given up.
    let at_stripe: BTreeMap<String, String> = stack.sessions_at_stripe().await.into_iter().collect();
    for order in &unpaid {
        assert_eq!(at_stripe[order], "expired", "{order}");
    }
    // The dry run had said so: which rows, what is done to each, and how much they are about.
    let asked = paid.iter().chain(&unpaid).map(|order| (order.clone(), "close_at_stripe"));
    let wanted: BTreeMap<String, &str> = asked.chain([(without_page.clone(), "cancel")]).collect();
    assert_eq!(actions(&plan), wanted);
    assert!(plan.steps.iter().all(|step| step.email.as_deref().is_some_and(|email| email.ends_with("@customer.test"))));
    let sums: Vec<_> =
        plan.sums.iter().map(|sum| (sum.action, sum.rows, sum.amount.as_deref().unwrap_or_default())).collect();
    assert_eq!(sums, [("cancel", 1, "4.99"), ("close_at_stripe", 4, "54.95")]);
    let history = "select count(*) from berth.order_history where reason = 'checkout expired unpaid'
        and actor = case order_id when (select order_id from berth.coupon_redemptions) then 'berth' else 'stripe' end";
    assert_eq!(stack.count(history).await, 3);

    let done = stack.count(DONE).await;
    for _ in 0..20 {
        stack.sweep(&berth.app, Sweep::UnpaidOrders).await;
    }
    assert_eq!(stack.count(DONE).await, done, "nothing new happens");
    assert_eq!(planned(&berth.app, Sweep::UnpaidOrders).await.steps, []);
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_stripe_is_away_no_order_that_may_have_been_paid_is_given_up() {
    let ADayLater { stack, berth, paid, unpaid, without_page, .. } = ADayLater::new().await;
    let fault = json!({ "on": "response", "path_prefix": "/v1/checkout/sessions", "method": "GET", "times": 100_000,
        "fault": { "kind": "bad_gateway", "committed": false } });
    stack.sim("faults", &json!({ "faults": [fault] })).await;

    berth.app.committer.write(Effects::none().enqueue(Sweep::UnpaidOrders.job(None))).await.unwrap();
    stack
        .until_count("select count(*) from berth.jobs where kind = 'expire_checkout' and last_error is not null", 4)
        .await;
    for order in paid.iter().chain(&unpaid) {
        assert_eq!(phase(&berth.app, order).await, "pending", "{order}");
    }
    assert_eq!(phase(&berth.app, &without_page).await, "cancelled");

    stack.client.delete(format!("{}/_sim/faults", stack.stripe)).send().await.unwrap();
    stack.pass_for(&berth.app, minutes(10)).await;
    stack.until_idle().await;
    for order in &paid {
        assert_eq!(phase(&berth.app, order).await, "completed", "{order}");
    }
    for order in &unpaid {
        assert_eq!(phase(&berth.app, order).await, "cancelled", "{order}");
    }
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_page_whose_event_was_lost_is_found_within_minutes_and_an_open_one_asked_about_ever_more_seldom() {
    const ASKED: &str = "select count(*) from berth.jobs where kind = 'sync_checkout'";
    let stack = Stack::new().await;
    let berth = stack.start().await;
    lose_events(&stack).await;
    let (paid, page) = stack.checkout(Uuid::new_v4(), "shared-monthly", 1).await;
    stack.pay(&page).await;
    let (open, _) = stack.checkout(Uuid::new_v4(), "shared-monthly", 1).await;

    stack.sweep(&berth.app, Sweep::CheckoutPages).await;
    assert_eq!(stack.count(ASKED).await, 0, "their events may still come");
    stack.pass_for(&berth.app, minutes(16)).await;
    let plan = planned(&berth.app, Sweep::CheckoutPages).await;
    let wanted: BTreeMap<String, &str> = [&paid, &open].map(|order| (order.clone(), "ask_stripe")).into();
    assert_eq!(actions(&plan), wanted);
    for _ in 0..20 {
        stack.sweep(&berth.app, Sweep::CheckoutPages).await;
    }

    assert_eq!((phase(&berth.app, &paid).await, phase(&berth.app, &open).await), ("completed", "pending"));
    assert_eq!(stack.count(ASKED).await, 2);
    for (later, asked) in [(14, 2), (3, 3), (17, 3), (17, 4), (60, 4), (10, 5)] {
        stack.pass_for(&berth.app, minutes(later)).await;
        stack.sweep(&berth.app, Sweep::CheckoutPages).await;
        assert_eq!(stack.count(ASKED).await, asked, "{later} minutes later");
    }
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_of_an_order_that_is_not_to_be_paid_any_more_is_closed() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    lose_events(&stack).await;
    let (order, _) = stack.checkout(Uuid::new_v4(), "shared-monthly", 1).await;
    let step = expiring(&berth.app, order.parse().unwrap()).await;
    berth.app.committer.write(step).await.unwrap();

    stack.pass_for(&berth.app, minutes(16)).await;
    let plan = planned(&berth.app, Sweep::CheckoutPages).await;
    stack.sweep(&berth.app, Sweep::CheckoutPages).await;

    assert_eq!(actions(&plan), [(order.clone(), "close_at_stripe")].into());
    assert_eq!(stack.sessions_at_stripe().await, [(order, "expired".to_owned())]);
    assert_eq!(stack.count("select count(*) from berth.checkout_sessions where state = 'open'").await, 0);
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_needs_any_more_is_deleted_and_what_a_person_must_see_stays() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    lose_events(&stack).await;
    stack.checkout(Uuid::new_v4(), "shared-monthly", 1).await;
    sqlx::raw_sql(
        "insert into berth.stream_tickets (hash, customer_id, order_id, expires_at)
         select sha256(n::text::bytea), o.customer_id, o.id, berth.now() + make_interval(mins => n)
         from berth.orders o, unnest(array[-90, -61, -59, 1]) n;
         insert into berth.ticks (name, due_at, at)
         select name, berth.now() - make_interval(days => n), berth.now()
         from unnest(array['a', 'b']) name, unnest(array[29, 31, 40]) n where name = 'a' or n > 30;
         insert into berth.jobs (id, kind, queue, class, payload, state, run_at, created_at, finished_at)
         select ('01900000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'no_op', 'sweeps', 1, '{}',
                (array['done', 'cancelled', 'dead'])[1 + n % 3], now(), now(), now() - interval '8 days'
         from generate_series(1, 3600) n;
         insert into berth.jobs (id, kind, queue, class, payload, state, run_at, created_at, finished_at)
         select '01900000-0000-7000-9000-000000000000', 'no_op', 'sweeps', 1, '{}', 'done', now(), now(), now()",
    )
    .execute(&stack.pool)
    .await
    .unwrap();

    let plan = planned(&berth.app, Sweep::Leftovers).await;
    stack.sweep(&berth.app, Sweep::Leftovers).await;

    let rows: BTreeMap<&str, u64> = plan.steps.iter().map(|step| (step.subject.as_str(), step.rows)).collect();
    assert_eq!(rows, BTreeMap::from([("jobs", 2400), ("stream tickets", 2), ("ticks", 3)]));
    assert_eq!(stack.count("select count(*) from berth.stream_tickets").await, 2);
    assert_eq!(stack.text("select string_agg(name, '' order by name) from berth.ticks").await, "ab");
    assert_eq!(stack.count("select count(*) from berth.jobs where kind = 'no_op'").await, 1201);
    assert_eq!(stack.count("select count(*) from berth.jobs where kind = 'no_op' and state = 'dead'").await, 1200);
    assert_eq!(planned(&berth.app, Sweep::Leftovers).await.steps, []);
    berth.stop().await;
}

/// Runs `berth` to its end.
async fn cli(stack: &Stack, arguments: &[&str]) -> Output {
    tokio::process::Command::new(env!("CARGO_BIN_EXE_berth"))
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(stack.environment())
        .current_dir(stack.folder.path())
        .output()
        .await
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn staff_and_operators_see_the_same_plan_and_run_the_same_job() {
    let stack = Stack::new().await;
    let berth = stack.start_with(&[]).await;
    let staff = stack.staff();
    let (order, _) = stack.checkout(Uuid::new_v4(), "shared-monthly", 1).await;
    let now: Timestamp = berth.app.store.now().await.unwrap();
    let ahead = now + SignedDuration::from_hours(30);
    let ask = async |name: &str, body: &Value| stack.ask(&staff, "POST", &format!("/v1/sweeps/{name}"), body).await;
    let before = stack.count(DONE).await;

    let body = json!({ "dry_run": true, "as_of": ahead, "reason": "what is tomorrow?" });
    let shown = ask("unpaid_orders", &body).await.ok();
    let output = cli(&stack, &["sweep", "unpaid_orders", "--dry-run", "--json", "--as-of", &ahead.to_string()]).await;
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(shown, told);
    assert_eq!((&shown["steps"][0]["subject"], &shown["sums"][0]["amount"]), (&json!(order), &json!("4.99")));
    let output = cli(&stack, &["sweep", "unpaid_orders", "--dry-run", "--as-of", &ahead.to_string()]).await;
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains(&order) && table.contains("4.99 USD") && table.contains("@customer.test"), "{table}");
    assert_eq!(stack.count(DONE).await, before, "a dry run does nothing");

    let early = cli(&stack, &["sweep", "unpaid_orders", "--as-of", &ahead.to_string()]).await;
    assert_eq!((early.status.code(), early.stdout.len()), (Some(1), 0));
    let reason = json!({ "reason": "now" });
    for (name, body, refusal) in [
        ("unpaid_orders", json!({ "as_of": ahead, "reason": "now" }), (422, "as-of-refused")),
        (
            "unpaid_orders",
            json!({ "as_of": "9000-01-01T00:00:00Z", "dry_run": true, "reason": "x" }),
            (422, "as-of-refused"),
        ),
        ("unpaid_orders", json!({ "as_of": "-009999-01-02T01:59:59Z", "reason": "x" }), (422, "as-of-refused")),
        ("unpaid_orders", json!({ "dry_run": true }), (400, "invalid-body")),
        ("unpaid_orders", json!({ "reason": "x", "force": true }), (400, "invalid-body")),
        ("dust", reason.clone(), (404, "not-found")),
    ] {
        assert_eq!(ask(name, &body).await.refusal(), refusal, "{name} {body}");
    }
    let customer = stack.token(Uuid::new_v4());
    let refused = stack.ask(&customer, "POST", "/v1/sweeps/unpaid_orders", &reason).await;
    assert_eq!(refused.refusal(), (403, "forbidden"));

    let started = ask("unpaid_orders", &reason).await;
    assert_eq!(started.status, 202, "{}", started.body);
    let output = cli(&stack, &["sweep", "unpaid_orders"]).await;
    assert_eq!(String::from_utf8(output.stdout).unwrap().trim(), started.body["job_id"], "it waits already");
    assert_eq!(stack.count("select count(*) from berth.jobs where kind = 'sweep_unpaid_orders'").await, 1);
    let audited = "select string_agg(action || ' ' || subject || ': ' || reason, ', ' order by id) from berth.audit";
    assert_eq!(
        stack.text(audited).await,
        "sweep.dry_run unpaid_orders: what is tomorrow?, sweep.run unpaid_orders: now"
    );
    berth.stop().await;
}
