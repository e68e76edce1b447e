//! Many at once: any order of what may happen around a charge ends in the same rows, sweepers that race do everything once,
//! and a hundred runs do nothing that one has not done.

use std::collections::BTreeMap;

use berth::{gateways::stripe::STRIPE_VERSION, sweeps::Sweep};
use berth_jobs::{
    Queue,
    ids::{AccountId, OrderId},
};
use jiff::SignedDuration;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;

use super::{Life, World, world::day_of};
use crate::support::{STRIPE_KEY, Stack, StackOptions, WatchedPanel, size};

const START: &str = "2030-05-10T12:00:00Z";
/// No fuse is to trip.
const A_CROWD: &str = "100000";

/// What may happen after a charge was made at Stripe, in any order.
#[derive(Clone, Copy, Debug)]
enum Then {
    /// Stripe's event comes.
    Event,
    /// It comes twice more, at once.
    EventTwice,
    /// The accounts' sweep runs again, and the one for charges of which nothing is heard.
    Sweep,
    /// The job that charges is run again, twice at once.
    Retry,
}

/// Every order of what happens.
fn orders() -> Vec<Vec<Then>> {
    let all = [Then::Event, Then::EventTwice, Then::Sweep, Then::Retry];
    let mut orders = vec![Vec::new()];
    for one in all {
        orders = orders
            .into_iter()
            .flat_map(|order: Vec<Then>| {
                (0..=order.len()).map(move |at| {
                    let mut order = order.clone();
                    order.insert(at, one);
                    order
                })
            })
            .collect();
    }
    orders
}

impl World {
    /// The order of an account's open or last renewal.
    async fn renewal_of(&self, life: &Life) -> OrderId {
        let id = sqlx::query_scalar("select order_id from berth.renewals where account_id = $1")
            .bind(life.account.0)
            .fetch_one(&self.stack.pool)
            .await
            .unwrap();
        OrderId(id)
    }

    /// Delivers Stripe's event about the payment of a renewal, so often at once.
    async fn deliver(&self, order: OrderId, times: usize) {
        let list = self
            .stack
            .client
            .get(format!("{}/v1/events?limit=100&type=payment_intent.succeeded", self.stack.stripe))
            .bearer_auth(STRIPE_KEY)
            .header("Stripe-Version", STRIPE_VERSION);
        let list: Value = serde_json::from_str(&list.send().await.unwrap().text().await.unwrap()).unwrap();
        let events = list["data"].as_array().unwrap();
        let of_order = |event: &&Value| event["data"]["object"]["metadata"]["order_id"] == json!(order.to_string());
        let event = events.iter().find(of_order).unwrap_or_else(|| panic!("Stripe has no event of {order}"));
        let id = event["id"].as_str().unwrap();
        for _ in 0..times {
            self.stack.sim(&format!("events/{id}/resend"), &json!({})).await;
        }
        self.stack
            .until("the event has come", async || {
                let come = sqlx::query_scalar("select exists (select from berth.stripe_events where id = $1)");
                come.bind(id).fetch_one(&self.stack.pool).await.unwrap()
            })
            .await;
    }

    async fn then(&self, life: &Life, what: Then) {
        let order = self.renewal_of(life).await;
        let again = json!({ "order_id": order.to_string() });
        match what {
            Then::Event => self.deliver(order, 1).await,
            Then::EventTwice => self.deliver(order, 2).await,
            Then::Sweep => {
                for sweep in [Sweep::Accounts, Sweep::SilentCharges] {
                    let effects = berth::effects::Effects::none().enqueue(sweep.job(None));
                    self.app().committer.write(effects).await.unwrap();
                }
            }
            Then::Retry => {
                for _ in 0..2 {
                    self.stack.insert_job("charge_renewal", Queue::Payments, &again, None).await;
                }
            }
        }
    }

    /// What an account has come to, without what depends on the way there.
    async fn outcome(&self, life: &Life) -> String {
        sqlx::query_scalar(
            "select concat_ws(' · ', a.phase, 'paid for ' || extract(day from a.expires_at - a.billing_anchor) || ' days',
                (select 'order ' || o.phase || ', renewal ' || r.phase || ', attempts ' || r.attempts
                 from berth.renewals r join berth.orders o on o.id = r.order_id where r.account_id = a.id),
                (select string_agg('charge ' || c.state || ' ' || c.amount, ', ' order by c.attempt)
                 from berth.charges c join berth.renewals r on r.order_id = c.order_id where r.account_id = a.id),
                (select string_agg('payment ' || p.state || ' ' || p.amount, ', ' order by p.created_at)
                 from berth.payments p join berth.renewals r on r.order_id = p.order_id where r.account_id = a.id),
                (select count(*) || ' invoices' from berth.invoices i where i.customer_id = a.customer_id),
                (select string_agg(m.kind, ', ' order by m.kind) from berth.mails m where m.customer_id = a.customer_id),
                (select count(*) || ' times renewed' from berth.account_history h
                 where h.account_id = a.id and h.reason like '%renew%'))
             from berth.hosting_accounts a where a.id = $1",
        )
        .bind(life.account.0)
        .fetch_one(&self.stack.pool)
        .await
        .unwrap()
    }
}

/// Of what happens the orders whose number leaves one of these rests when divided by four, of one account each. One snapshot is
/// of all.
async fn any_order(rests: &[usize]) {
    let world = World::with(StackOptions::default().setting("fuse.number", A_CROWD), START).await;
    let all = orders();
    assert_eq!(all.len(), 24);
    let orders: Vec<_> = all.into_iter().enumerate().filter(|(number, _)| rests.contains(&(number % 4))).collect();
    let mut lives = Vec::new();
    for _ in &orders {
        // Each is due an hour after the one before, so that a sweep has one account to charge.
        world.go_to(world.now().await + SignedDuration::from_hours(1)).await;
        lives.push(world.buy("shared-monthly", "pm_card_visa").await);
    }
    let last = world.due(lives.last().unwrap()).await;
    world.go_to(day_of(last, -7)).await;
    world.sweep().await;
    world.silence().await;

    let mut outcomes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (life, (number, order)) in lives.iter().zip(orders) {
        // Of every two charges the answer of one is lost, and of every four the events come while others are acted upon.
        let (is_lost, waits) = (number % 2 == 1, number % 4 < 2);
        world.go_to(day_of(world.due(life).await, -3)).await;
        if is_lost {
            world.stack.fault("/v1/payment_intents", 1, json!({ "kind": "server_error", "committed": true })).await;
        }
        world.sweep().await;
        for what in &order {
            world.then(life, *what).await;
            if waits {
                world.settle().await;
            }
        }
        world.settle().await;
        world.sweep_all().await;
        let told = format!("{number}: {order:?}, lost: {is_lost}, waits: {waits}");
        outcomes.entry(world.outcome(life).await).or_default().push(told);
    }

    assert_eq!(outcomes.len(), 1, "{outcomes:#?}");
    insta::assert_snapshot!("any_order", outcomes.keys().next().unwrap());
    world.end(&mut lives).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_sweeps_and_retries_in_any_order_end_in_the_same_rows() {
    any_order(&[0, 2]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_after_the_other_they_end_in_the_same_rows_also_where_an_answer_was_lost() {
    any_order(&[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_at_once_they_end_in_the_same_rows_also_where_an_answer_was_lost() {
    any_order(&[3]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_of_which_no_event_ever_comes_is_found_all_the_same() {
    let world = World::at(START).await;
    let lost = world.buy("shared-monthly", "pm_card_visa").await;
    let heard = world.buy("shared-monthly", "pm_card_visa").await;
    let due = world.due(&heard).await;
    world.go_to(day_of(due, -7)).await;
    world.sweep().await;
    world.go_to(day_of(due, -3)).await;
    world.silence().await;
    world.stack.fault("/v1/payment_intents", 2, json!({ "kind": "server_error", "committed": true })).await;
    world.sweep().await;
    world.deliver(world.renewal_of(&heard).await, 1).await;
    world.settle().await;

    world.go_to(day_of(due, -3) + SignedDuration::from_hours(6)).await;
    world.sweep_all().await;
    world.sweep().await;

    assert_eq!(world.outcome(&lost).await, world.outcome(&heard).await);
    world.end(&mut [lost, heard]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_runs_of_every_sweep_do_nothing_that_one_has_not_done() {
    let world = World::at(START).await;
    let mut paying = world.buy("shared-monthly", "pm_card_visa").await;
    let mut unpaid = world.buy("shared-monthly", "pm_card_visa").await;
    let mut leaving = world.buy("shared-monthly", "pm_card_visa").await;
    world.without_card(&mut unpaid).await;
    world.ask(&leaving, "POST", "/cancel", json!({ "at": "period_end" })).await;
    let due = world.due(&paying).await;
    for day in [-7, -3, 0, 1, 3, 4, 5] {
        world.visit(&mut [], day_of(due, day)).await;
    }
    for life in [&mut paying, &mut unpaid, &mut leaving] {
        world.look_at(life).await;
    }
    let mut lives = [paying, unpaid, leaving];
    world.sweep_all().await;
    let mut before = Vec::new();
    for life in &lives {
        before.push(world.timeline(life).await);
    }

    for _ in 0..100 {
        world.sweep_all().await;
    }

    for (life, before) in lives.iter().zip(&before) {
        assert_eq!(&world.timeline(life).await, before);
    }
    assert!(before[1].contains("then suspended"), "{}", before[1]);
    assert!(before[2].contains("then terminated"), "{}", before[2]);
    world.end(&mut lives).await;
}

/// How many accounts the sweepers have to do; the number is a matter of minutes.
fn crowd() -> u32 {
    size("ACCOUNTS", 200)
}

/// As many as one order can have.
const AN_ORDER: u32 = 10;
const SWEEPERS: usize = 8;
const UNSWEPT: &str = "select count(*) from berth.jobs where kind = 'sweep_accounts' and state <> 'done'";

/// Eight runs of the accounts' sweep in eight processes, none of which knows of another.
async fn race(stack: &Stack) {
    for _ in 0..SWEEPERS {
        stack.insert_job("sweep_accounts", Queue::Sweeps, &json!({ "as_of": null }), None).await;
    }
    stack
        .until("all of them have ended", async || {
            // Who was overtaken tries again in a while, which need not be waited for.
            let again = "update berth.jobs set run_at = berth.now()
                         where kind = 'sweep_accounts' and state = 'queued' and run_at > berth.now()";
            sqlx::query(again).execute(&stack.pool).await.unwrap();
            sqlx::query_scalar::<_, i64>(UNSWEPT).fetch_one(&stack.pool).await.unwrap() == 0
        })
        .await;
    stack.until_idle().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_sweepers_that_race_do_each_step_of_each_account_once() {
    let options = StackOptions::default().setting("fuse.number", A_CROWD).setting("database.max_connections", "5");
    let stack = Stack::with(options).await;
    let panel = WatchedPanel::new();
    let berth = stack.start_on(&panel, &Queue::ALL).await;
    let app = &berth.app;
    stack.set_time(app, START.parse().unwrap()).await;
    for _ in 0..crowd() / AN_ORDER {
        let order = stack.agree(app, &[("shared-monthly", AN_ORDER)]).await;
        stack.tell_paid(app, order).await;
    }
    let accounts = i64::from(crowd() / AN_ORDER * AN_ORDER);
    stack.until_count("select count(*) from berth.hosting_accounts where phase = 'active'", accounts).await;
    stack.until_idle().await;
    let one: uuid::Uuid = sqlx::query_scalar("select id from berth.hosting_accounts order by expires_at desc limit 1")
        .fetch_one(&stack.pool)
        .await
        .unwrap();
    let due = app.store.account(AccountId(one)).await.unwrap().expires_at.unwrap();
    let mut sweepers = Vec::new();
    for _ in 1..SWEEPERS {
        sweepers.push(stack.more_workers(&panel, &[Queue::Sweeps]).await);
    }

    for day in [-7, 1, 4, 5] {
        stack.set_time(app, day_of(due, day)).await;
        for sweeper in &sweepers {
            sweeper.app.clock.set(app.store.now().await.unwrap());
        }
        race(&stack).await;
        race(&stack).await;
    }

    let of_each = |what: &str| format!("select count(*) from berth.{what}");
    let count =
        async |sql: String| sqlx::query_scalar::<_, i64>(AssertSqlSafe(sql)).fetch_one(&stack.pool).await.unwrap();
    assert_eq!(count(of_each("renewals")).await, accounts, "one period of each account");
    assert_eq!(count(of_each("renewals where phase = 'past_due'")).await, accounts);
    for (step, kind) in [("overdue_1", "renewal_overdue"), ("final_warning", "suspension_warning")] {
        assert_eq!(count(of_each(&format!("notices where step = '{step}'"))).await, accounts, "{step}");
        let sent = of_each(&format!("mails where kind = '{kind}' and accepted_at is not null"));
        assert_eq!(count(sent).await, accounts, "{kind}");
    }
    for phase in ["grace", "suspending", "suspended"] {
        let ways = of_each(&format!("account_history where to_phase = '{phase}' and from_phase <> '{phase}'"));
        assert_eq!(count(ways).await, accounts, "{phase}");
    }
    // Of a crowd's mails the mailbox keeps the newest alone; how often each came it knows of all.
    let arrived = stack.mailbox.all_acceptances();
    assert_eq!(arrived.len(), usize::try_from(count(of_each("mails")).await).unwrap(), "every mail");
    assert!(arrived.values().all(|times| *times == 1), "each mail once");
    stack.audit_rows().await;
    for sweeper in sweepers {
        sweeper.stop().await;
    }
    berth.stop().await;
}
