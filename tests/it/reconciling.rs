//! What Stripe has said and Berth has not heard is found by asking; accounts are compared with their panels; the operator is
//! told every morning; and what nobody needs any more is forgotten.

use berth::{
    app::App,
    effects::Effects,
    sweeps::{self, Plan, Sources, Sweep},
};
use serde_json::json;
use uuid::Uuid;

use super::{
    changes::{pass_everywhere, set_time},
    support::{Running, Stack, StackOptions, size},
};

const FOUND: &str = "select count(*) from berth.stripe_events where found_at is not null";
/// Those of pages to pay on: who pays has a card attached and a payment made as well.
const FOUND_OF_PAGES: &str =
    "select count(*) from berth.stripe_events where found_at is not null and type like 'checkout.session.%'";
const DAY: f64 = 24.0 * 3600.0;

async fn started(options: StackOptions) -> (Stack, Running) {
    let stack = Stack::with(options).await;
    let berth = stack.start().await;
    set_time(&stack, &berth.app, "2030-01-10T12:00:00Z").await;
    (stack, berth)
}

/// Stripe keeps its events for itself.
async fn lose_events(stack: &Stack) {
    stack.sim("webhooks", &json!({})).await;
}

async fn run(stack: &Stack, app: &App, sweep: Sweep) {
    app.committer.write(Effects::none().enqueue(sweep.job(None))).await.unwrap();
    stack.until_idle().await;
}

async fn planned(app: &App, sweep: Sweep) -> Plan {
    let sources = Sources::of(app, app.store.now().await.unwrap());
    sweeps::plan(&sources, sweep, app.store.now().await.unwrap(), usize::MAX).await.unwrap()
}

async fn phases(stack: &Stack) -> Vec<(String, i64)> {
    sqlx::query_as("select phase, count(*) from berth.orders group by phase order by phase")
        .fetch_all(&stack.pool)
        .await
        .unwrap()
}

/// Of so many checkouts Stripe tells nobody what becomes of them.
const UNHEARD: [(&str, Option<&str>, u32); 4] =
    [("paid", None, 20), ("expired", None, 10), ("unpaid", Some("succeed"), 5), ("unpaid", Some("fail"), 5)];

/// Those checkouts so often, over twenty-nine days if it is more than once.
async fn buy_unheard(stack: &Stack, app: &App, times: u32) {
    let one = async |way: &str, ending: Option<&str>| {
        let (_, session) = stack.checkout(Uuid::new_v4(), "shared-monthly", 1).await;
        stack.sim(&format!("checkout/sessions/{session}/complete"), &json!({ "as": way })).await;
        if let Some(result) = ending {
            stack.sim(&format!("checkout/sessions/{session}/async"), &json!({ "result": result })).await;
        }
    };
    for _ in 0..times {
        for (way, ending, checkouts) in UNHEARD {
            for _ in 0..checkouts {
                one(way, ending).await;
            }
        }
        if times > 1 {
            pass_everywhere(stack, app, f64::from(29 * 24 * 3_600 / times)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_events_that_never_came_are_found_by_one_reconciliation() {
    let times = size("MISSED", 1);
    let (of_each, many) = (i64::from(times), usize::try_from(times).unwrap());
    let (stack, berth) = started(StackOptions::default()).await;
    lose_events(&stack).await;
    buy_unheard(&stack, &berth.app, times).await;

    // Stripe tells of what happens a moment later.
    let of_pages = |plan: &Plan| plan.steps.iter().filter(|step| step.subject.contains("checkout.session.")).count();
    let mut plan = planned(&berth.app, Sweep::StripeEvents).await;
    stack
        .until("Stripe lists all of them", async || {
            plan = planned(&berth.app, Sweep::StripeEvents).await;
            of_pages(&plan) >= 50 * many
        })
        .await;
    assert_eq!(stack.count("select count(*) from berth.stripe_events").await, 0, "a dry run changes nothing");
    assert_eq!(phases(&stack).await, [("pending".to_owned(), 40 * of_each)]);
    run(&stack, &berth.app, Sweep::StripeEvents).await;
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 25 * of_each).await;
    stack.until_idle().await;

    assert_eq!(of_pages(&plan), 50 * many, "{:?}", plan.sums);
    assert_eq!(stack.count(FOUND_OF_PAGES).await, 50 * of_each);
    assert_eq!(stack.count(FOUND).await, i64::try_from(plan.steps.len()).unwrap(), "what was shown is what is done");
    let ended = [("cancelled", 10), ("completed", 25), ("failed", 5)];
    assert_eq!(phases(&stack).await, ended.map(|(phase, orders)| (phase.to_owned(), orders * of_each)));
    let jobs = "select count(*) from berth.jobs where kind not like 'sweep_%'";
    let before = (stack.count(FOUND).await, stack.count(jobs).await);
    run(&stack, &berth.app, Sweep::StripeEvents).await;
    assert_eq!((stack.count(FOUND).await, stack.count(jobs).await), before, "run again, it finds nothing new");
    assert_eq!(planned(&berth.app, Sweep::StripeEvents).await.steps, []);
    if times == 1 {
        assert_eq!(stack.count("select count(*) from berth.alerts").await, 0, "they may have been on their way");
    }
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gap_of_29_days_is_made_up_for_and_one_of_31_is_an_alarm() {
    let (stack, berth) = started(StackOptions::default()).await;
    let alerts = "select string_agg(kind, ' ' order by kind) from berth.alerts where kind like 'events_%' or kind like 'webhooks_%'";
    let lost = async || sqlx::query_scalar::<_, Option<String>>(alerts).fetch_one(&stack.pool).await.unwrap();
    let (_, heard) = stack.checkout(Uuid::new_v4(), "shared-monthly", 1).await;
    stack.pay(&heard).await;
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 1).await;
    // What came of this late would have come after all that time.
    stack.until_all_is_heard().await;
    run(&stack, &berth.app, Sweep::StripeEvents).await;
    assert_eq!(stack.count(FOUND_OF_PAGES).await, 0, "what came is not found again");
    // Stripe counts in whole seconds: what comes next is later by its clock as well.
    pass_everywhere(&stack, &berth.app, 60.0).await;
    lose_events(&stack).await;

    let (_, session) = stack.checkout(Uuid::new_v4(), "shared-monthly", 1).await;
    stack.pay(&session).await;
    pass_everywhere(&stack, &berth.app, 29.0 * DAY).await;
    run(&stack, &berth.app, Sweep::StripeEvents).await;
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 2).await;
    assert_eq!(stack.count(FOUND_OF_PAGES).await, 1);
    assert_eq!(lost().await.as_deref(), Some("webhooks_silent"), "the endpoint is looked at");

    let (_, session) = stack.checkout(Uuid::new_v4(), "shared-monthly", 1).await;
    stack.pay(&session).await;
    pass_everywhere(&stack, &berth.app, 31.0 * DAY).await;
    run(&stack, &berth.app, Sweep::StripeEvents).await;
    assert_eq!(stack.count(FOUND_OF_PAGES).await, 1, "Stripe has forgotten it");
    assert_eq!(lost().await.as_deref(), Some("events_lost webhooks_silent"));
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_stripe_cuts_short_is_taken_up_where_it_stopped() {
    let (stack, berth) = started(StackOptions::default()).await;
    lose_events(&stack).await;
    // More than a page of Stripe's, over two days.
    for _ in 0..2 {
        for _ in 0..60 {
            let (_, session) = stack.checkout(Uuid::new_v4(), "shared-monthly", 1).await;
            stack.sim(&format!("checkout/sessions/{session}/complete"), &json!({ "as": "expired" })).await;
        }
        pass_everywhere(&stack, &berth.app, 1.5 * DAY).await;
    }
    let fault = json!({ "on": "response", "path_prefix": "/v1/events", "method": "GET", "skip": 29, "times": 4,
        "fault": { "kind": "server_error", "committed": false } });
    stack.sim("faults", &json!({ "faults": [fault] })).await;

    run(&stack, &berth.app, Sweep::StripeEvents).await;
    stack
        .until("all are found", async || {
            stack.pass(30.0).await;
            stack.count(FOUND_OF_PAGES).await == 120
        })
        .await;

    stack.until_count("select count(*) from berth.orders where phase = 'cancelled'", 120).await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operator_is_written_to_once_a_day_and_only_where_one_is_named() {
    let (stack, berth) = started(StackOptions::default()).await;
    run(&stack, &berth.app, Sweep::Digest).await;
    assert_eq!(stack.count("select count(*) from berth.mails").await, 0);
    berth.stop().await;

    let options = StackOptions::default().setting("shop.operator_email", "operator@shop.test");
    let (stack, berth) = started(options).await;
    let (_, session) = stack.checkout(Uuid::new_v4(), "shared-monthly", 1).await;
    stack.pay(&session).await;
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 1).await;
    pass_everywhere(&stack, &berth.app, DAY).await;
    assert_eq!(planned(&berth.app, Sweep::Digest).await.steps.len(), 1);
    for _ in 0..3 {
        run(&stack, &berth.app, Sweep::Digest).await;
    }
    assert_eq!(planned(&berth.app, Sweep::Digest).await.steps, []);
    pass_everywhere(&stack, &berth.app, DAY).await;
    run(&stack, &berth.app, Sweep::Digest).await;

    let digests = "select count(*) from berth.mails where kind = 'digest' and accepted_at is not null";
    assert_eq!(stack.count(digests).await, 2);
    let mails = stack.mailbox.mails();
    let first = mails.iter().find(|mail| mail.to.iter().any(|to| to == "operator@shop.test")).unwrap();
    let text = first.message().text.unwrap_or_default();
    assert!(text.contains("2030-01-10") && text.contains("Money in: 4.99 USD, 1 payments"), "{text}");
    assert!(text.contains("Orders paid: 1"), "{text}");
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_mails_said_and_events_held_is_forgotten_after_90_days_and_nothing_is_said_again() {
    let (stack, berth) = started(StackOptions::default()).await;
    let (_, session) = stack.checkout(Uuid::new_v4(), "shared-monthly", 1).await;
    stack.pay(&session).await;
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 1).await;
    stack.until_idle().await;
    let full = "select (select count(*) from berth.mails where context <> '{}')
        + (select count(*) from berth.stripe_events where payload <> '')";
    let (before, sent) = (stack.count(full).await, stack.mailbox.mails().len());

    pass_everywhere(&stack, &berth.app, 89.0 * DAY).await;
    run(&stack, &berth.app, Sweep::Leftovers).await;
    assert_eq!(stack.count(full).await, before, "kept for 90 days");
    pass_everywhere(&stack, &berth.app, 2.0 * DAY).await;
    // When an event came is told by the database's own clock.
    sqlx::raw_sql("update berth.stripe_events set received_at = received_at - interval '91 days'")
        .execute(&stack.pool)
        .await
        .unwrap();
    run(&stack, &berth.app, Sweep::Leftovers).await;

    assert!(before >= 3, "{before}");
    assert_eq!(stack.count(full).await, 0);
    assert_eq!(stack.count("select count(*) from berth.mails where dedupe_key <> ''").await, 2, "the keys stay");
    assert_eq!(stack.mailbox.mails().len(), sent);
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_account_on_a_panel_is_looked_at_and_not_all_at_once() {
    let (stack, berth) = started(StackOptions::default()).await;
    for _ in 0..4 {
        let (_, session) = stack.checkout(Uuid::new_v4(), "shared-monthly", 1).await;
        stack.pay(&session).await;
    }
    stack.until_count("select count(*) from berth.orders where phase = 'completed'", 4).await;
    stack.until_idle().await;

    let plan = planned(&berth.app, Sweep::Panels).await;
    run(&stack, &berth.app, Sweep::Panels).await;
    run(&stack, &berth.app, Sweep::Panels).await;

    assert_eq!(plan.steps.iter().filter(|step| step.action == "look_at_panel").count(), 4, "{plan:?}");
    let looks = "select count(*) from berth.jobs where kind = 'reconcile_account'";
    assert_eq!(stack.count(looks).await, 4, "each waits once");
    let times = "select count(distinct run_at) from berth.jobs where kind = 'reconcile_account'
        and run_at < berth.now() + interval '5 hours 31 minutes'";
    assert_eq!(stack.count(times).await, 4);
    pass_everywhere(&stack, &berth.app, 6.0 * 3600.0).await;
    stack.until_count("select count(*) from berth.jobs where kind = 'reconcile_account' and state = 'done'", 4).await;
    stack.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_of_unknown_outcome_that_no_job_waits_for_is_asked_about() {
    let stack = Stack::new().await;
    let berth = stack.start().await;
    let app = &berth.app;
    let renewer = stack.renewer(app, "pm_card_visa").await;
    let card = stack.cards(app, renewer.user).await.remove(0).id;
    stack.sim(&format!("payment_methods/{card}"), &json!({ "outcome": "processing" })).await;
    stack.charge_through(app, renewer.order).await;
    let waiting = "select count(*) from berth.jobs where kind = 'resolve_charge' and state = 'queued'";
    stack.until_count(waiting, 1).await;
    run(&stack, app, Sweep::SilentCharges).await;
    sqlx::raw_sql("update berth.jobs set state = 'cancelled', finished_at = now() where kind = 'resolve_charge'")
        .execute(&stack.pool)
        .await
        .unwrap();
    assert_eq!(planned(app, Sweep::SilentCharges).await.steps, [], "it may answer at once");

    stack.pass_everywhere(app, 16.0 * 60.0).await;
    let plan = planned(app, Sweep::SilentCharges).await;
    run(&stack, app, Sweep::SilentCharges).await;

    assert_eq!((plan.steps.len(), plan.steps[0].action), (1, "ask_stripe"));
    stack.until_count(waiting, 1).await;
    assert_eq!(planned(app, Sweep::SilentCharges).await.steps, []);
    berth.stop().await;
}
