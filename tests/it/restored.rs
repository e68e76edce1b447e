//! A backup is restored that is some minutes old, while Stripe and the panel have gone on: everything that happened since is
//! found, nothing is paid twice, and what only a person can know is told to one.

use std::collections::{BTreeMap, BTreeSet};

use berth::{
    app::{App, SITE_SERVER},
    domain::{account::AccountPhase, renewal::RenewalPhase},
    incoming,
    store::Store,
    sweeps::{self, Plan, Sources, Sweep},
};
use berth_jobs::ids::{AccountId, OrderId};
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{Running, Stack, hosting::Live, process};

/// So often in a row may a run of the accounts' sweep find something that the one before it made due.
const MOST_RUNS: usize = 6;
/// As long as it takes to restore: what was open before is asked about by then.
const LATER: f64 = 20.0 * 60.0;
/// Every look at a panel is made within it.
const A_ROUND_OF_LOOKS: f64 = 5.6 * 3600.0;
const ROWS: &str = "select sum((xpath('/row/n/text()', query_to_xml(
        format('select count(*) as n from berth.%I', table_name), false, true, '')))[1]::text::int8)::int8
    from information_schema.tables
    where table_schema = 'berth' and table_type = 'BASE TABLE' and table_name <> 'processes'";

/// The shop after the backup was restored, without workers yet.
struct Shop {
    stack: Stack,
    /// A renewal that was issued before is charged.
    charged: (Uuid, AccountId),
    /// One is issued and charged.
    issued: (Uuid, AccountId),
    /// One that was issued before is paid on its page.
    paged: (Uuid, AccountId),
    /// One is asked for by its customer, who has no card, and paid on its page.
    asked: (Uuid, AccountId),
    /// An order is made, paid and provisioned.
    unknown: OrderId,
    /// An order that was made before is paid and provisioned.
    bought: OrderId,
    /// An account is suspended by staff.
    suspended: Live,
    /// One that was suspended works again.
    lifted: Live,
    /// Stripe's events of the lost minutes that mean something.
    lost_events: BTreeSet<String>,
}

impl Shop {
    /// Lives through it until the backup is restored.
    async fn restored() -> Self {
        let mut stack = Stack::new().await;
        let berth = stack.start().await;
        let app = &berth.app;
        let mut renewers = Vec::new();
        for _ in 0..4 {
            renewers.push(stack.buyer(app, "pm_card_visa").await);
        }
        let (refunded, _) = stack.bought(Uuid::new_v4(), "shared-monthly").await;
        let (suspended, lifted) = (stack.live_account(app).await, stack.live_account(app).await);
        let staff_says = json!({ "reason": "staff", "note": "a test" });
        stack.as_staff_of(&lifted, "POST", "/suspend", staff_says.clone()).await.ok();
        stack.until_phase(&lifted, "suspended").await;
        let [charged, issued, paged, asked] = renewers.try_into().unwrap();
        remove_cards(&stack, app, asked.0).await;
        stack.pass_until_before(app, charged.1, 48).await;
        let charge = stack.issue(app, charged.1, "0").await;
        stack.issue(app, paged.1, "0").await;
        let (bought, page) = stack.checkout(Uuid::new_v4(), "shared-monthly", 1).await;
        stack.until_all_is_heard().await;
        let known = events(&stack).await;
        berth.stop().await;
        let backup = stack.back_up().await;

        let berth = stack.start().await;
        let app = &berth.app;
        assert_eq!(stack.charge_through(app, charge).await, RenewalPhase::Paid);
        let lost = stack.issue(app, issued.1, "0").await;
        assert_eq!(stack.charge_through(app, lost).await, RenewalPhase::Paid);
        for renewer in [paged, asked] {
            pay_on_page(&stack, app, renewer).await;
        }
        let (unknown, _) = stack.bought(Uuid::new_v4(), "shared-monthly").await;
        stack.pay(&page).await;
        stack.as_staff_of(&suspended, "POST", "/suspend", staff_says).await.ok();
        stack.until_phase(&suspended, "suspended").await;
        stack.as_staff_of(&lifted, "POST", "/unsuspend", json!({ "note": "a test" })).await.ok();
        stack.until_phase(&lifted, "active").await;
        stack.refund(&refunded, json!({ "amount": "2.00" })).await.ok();
        stack.until_all_is_heard().await;
        let mut lost_events = events(&stack).await;
        lost_events.retain(|id| !known.contains(id));
        berth.stop().await;
        stack.restore(backup).await;
        let [unknown, bought] = [unknown, bought].map(|order| order.parse().unwrap());
        Self { stack, charged, issued, paged, asked, unknown, bought, suspended, lifted, lost_events }
    }

    fn renewers(&self) -> [(Uuid, AccountId); 4] {
        [self.charged, self.issued, self.paged, self.asked]
    }

    /// Every sweep's dry run, which changes nothing.
    async fn plans(&self, app: &App) -> BTreeMap<&'static str, Plan> {
        let mut plans = BTreeMap::new();
        let now = app.store.now().await.unwrap();
        for sweep in [Sweep::StripeEvents, Sweep::CheckoutPages, Sweep::SilentCharges, Sweep::Panels, Sweep::Accounts] {
            let plan = sweeps::plan(&Sources::of(app, now), sweep, now, usize::MAX).await.unwrap();
            plans.insert(sweep.as_str(), plan);
        }
        plans
    }

    /// Runs a sweep, and what follows, as often as something is due by it.
    async fn run(&self, app: &App, sweep: Sweep) {
        for _ in 0..MOST_RUNS {
            self.stack.sweep(app, sweep).await;
            let due = "select count(*) from berth.agenda where look_at <= berth.now()";
            if sweep != Sweep::Accounts || self.stack.count(due).await == 0 {
                return;
            }
        }
        panic!("after {MOST_RUNS} runs something is still due");
    }

    /// What was paid at Stripe and not given back whole, by the account and the period that it is for.
    async fn paid_at_stripe(&self) -> BTreeMap<(String, String), usize> {
        let records = self.stack.sim_get("records").await;
        let mut paid = BTreeMap::new();
        for charge in records["charges"].as_array().unwrap() {
            let named = |name: &str| charge["metadata"][name].as_str().map(str::to_owned);
            if let (true, Some(account), Some(period)) =
                (charge["paid"] == true && charge["refunded"] == false, named("account_id"), named("period_start"))
            {
                *paid.entry((account, period)).or_default() += 1;
            }
        }
        paid
    }

    /// Each period was paid once, and each account is good for it.
    async fn is_right(&self, app: &App) {
        let paid = self.paid_at_stripe().await;
        for (_, id) in self.renewers() {
            let account = app.store.account(id).await.unwrap();
            let of_account: Vec<_> = paid.iter().filter(|((of, _), _)| *of == id.to_string()).collect();
            assert!(matches!(of_account.as_slice(), [(_, 1)]), "{id} is paid once at Stripe: {of_account:?}");
            let begins = of_account[0].0.1.parse().unwrap();
            let order = app.store.renewal_of_period(id, begins).await.unwrap().unwrap();
            let renewal = app.store.renewal(order).await.unwrap();
            assert_eq!(renewal.state.phase, RenewalPhase::Paid, "{id}");
            assert_eq!(account.expires_at, Some(renewal.period_end), "{id}");
        }
        assert!(paid.values().all(|times| *times == 1), "{paid:?}");
        let bought = app.store.order(self.bought).await.unwrap();
        assert!(bought.completed_at.is_some(), "what was ordered before is paid, and its account made");
        let back: Vec<i64> = self.stack.refunds_known().await.into_iter().map(|(_, minor, _)| minor).collect();
        assert_eq!(back, [200]);
        for (live, phase) in [(&self.suspended, AccountPhase::Active), (&self.lifted, AccountPhase::Suspended)] {
            assert_eq!(app.store.account(live.id).await.unwrap().state.phase, phase);
            let served = site_of(&self.stack, live).await;
            assert_eq!(served == 200, phase == AccountPhase::Active, "{}: {served}", live.username);
        }
    }

    /// What the audit says: of the order that nobody knows there is an event that a person is to look at, and nothing else.
    async fn audit(&self) {
        let findings = Store::on(self.stack.pool.clone()).audit().await.unwrap();
        let lines: Vec<String> = findings.into_iter().flat_map(|finding| finding.rows).collect();
        let unknown = self.unknown.to_string();
        assert!(matches!(lines.as_slice(), [line] if line.contains(&unknown)), "{lines:#?}");
        let alerts: Vec<(String, String)> =
            sqlx::query_as("select kind, detail from berth.alerts where resolved_at is null order by kind")
                .fetch_all(&self.stack.pool)
                .await
                .unwrap();
        let told =
            |kind: &str, what: &str| alerts.iter().filter(|(of, detail)| of == kind && detail.contains(what)).count();
        assert_eq!(told("event_parked", &unknown), 1, "{alerts:#?}");
        // The account of the unknown order, and the one that was made twice since the first one's making was lost.
        assert_eq!(told("orphans", "2 accounts"), 1, "{alerts:#?}");
        assert_eq!(alerts.len(), 2, "{alerts:#?}");
    }
}

async fn remove_cards(stack: &Stack, app: &App, user: Uuid) {
    for card in stack.cards(app, user).await {
        let path = format!("/v1/payment-methods/{}", card.id);
        stack.ask(&stack.token(user), "DELETE", &path, &Value::Null).await.ok();
    }
    stack.until_all_is_heard().await;
}

async fn pay_on_page(stack: &Stack, app: &App, (user, account): (Uuid, AccountId)) {
    let path = format!("/v1/hosting/{account}/renew");
    let opened = stack.ask(&stack.token(user), "POST", &path, &Value::Null).await.ok();
    stack.pay(opened["checkout_url"].as_str().unwrap().rsplit('/').next().unwrap()).await;
    let order = opened["order_id"].as_str().unwrap().parse().unwrap();
    stack.until_renewal(app, order, RenewalPhase::Paid).await;
    stack.until_idle().await;
}

/// The events of Stripe's that mean something to Berth.
async fn events(stack: &Stack) -> BTreeSet<String> {
    let all = stack.all_events().await.into_iter();
    let wanted = all.filter(|event| incoming::KINDS.contains(&event["type"].as_str().unwrap()));
    wanted.map(|event| event["id"].as_str().unwrap().to_owned()).collect()
}

async fn site_of(stack: &Stack, live: &Live) -> u16 {
    let request = stack.client.get(stack.base()).header("Host", format!("{}.localhost", live.username));
    request.send().await.unwrap().status().as_u16()
}

fn lists(plan: &Plan, action: &str, subject: &str) -> bool {
    plan.steps.iter().any(|step| step.action == action && step.subject == subject)
}

/// Starts again with the database of the backup, some time later.
async fn start_again(shop: &Shop) -> Running {
    let berth = shop.stack.start().await;
    shop.stack.pass_everywhere(&berth.app, LATER).await;
    berth
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_lost_minutes_left_is_listed_and_listing_it_changes_nothing() {
    let shop = Shop::restored().await;
    let berth = shop.stack.start_with(&[]).await;
    let app = &berth.app;
    shop.stack.pass_everywhere(app, LATER).await;
    let (rows, paid) = (shop.stack.count(ROWS).await, shop.paid_at_stripe().await);

    let plans = shop.plans(app).await;

    let listed = plans["stripe_events"].steps.iter().map(|step| step.subject.split(' ').next().unwrap().to_owned());
    assert_eq!(listed.collect::<BTreeSet<_>>(), shop.lost_events);
    for kind in ["payment_intent.succeeded", "checkout.session.completed", "refund.created"] {
        let is_there = plans["stripe_events"].steps.iter().any(|step| step.subject.ends_with(kind));
        assert!(is_there, "{kind}: {:?}", plans["stripe_events"].steps);
    }
    assert!(lists(&plans["checkout_pages"], "ask_stripe", &shop.bought.to_string()), "{:?}", plans["checkout_pages"]);
    assert_eq!(plans["silent_charges"].steps, []);
    for live in [&shop.suspended, &shop.lifted] {
        assert!(lists(&plans["panels"], "look_at_panel", &live.id.to_string()), "{:?}", plans["panels"]);
    }
    assert!(lists(&plans["panels"], "look_for_orphans", SITE_SERVER), "{:?}", plans["panels"]);
    assert!(lists(&plans["accounts"], "charge", &shop.charged.1.to_string()), "{:?}", plans["accounts"]);
    assert!(lists(&plans["accounts"], "charge", &shop.paged.1.to_string()), "{:?}", plans["accounts"]);
    assert!(lists(&plans["accounts"], "issue", &shop.issued.1.to_string()), "{:?}", plans["accounts"]);
    assert!(lists(&plans["accounts"], "issue", &shop.asked.1.to_string()), "{:?}", plans["accounts"]);
    let compared = process::run(&shop.stack, &["servers", "compare", "--json"], &[]).await;
    assert!(compared.status.success(), "{compared:?}");
    let differ: Vec<Value> = serde_json::from_slice(&compared.stdout).unwrap();
    let told = |what: &str| -> Vec<&str> {
        let of = differ.iter().filter(|it| it["what"] == what);
        of.map(|it| it["account_id"].as_str().unwrap()).collect()
    };
    assert_eq!(told("suspended"), [shop.suspended.id.to_string()], "{differ:#?}");
    assert_eq!(told("works"), [shop.lifted.id.to_string()], "{differ:#?}");
    assert_eq!((told("orphan").len(), differ.len()), (2, 4), "the two that were made: {differ:#?}");
    assert_eq!(shop.stack.count(ROWS).await, rows);
    assert_eq!(shop.paid_at_stripe().await, paid);
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_that_charges_before_it_has_heard_anything_charges_nobody_twice() {
    let shop = Shop::restored().await;
    let before = shop.paid_at_stripe().await;
    let berth = start_again(&shop).await;
    let app = &berth.app;

    shop.run(app, Sweep::Accounts).await;
    for (account, times) in &before {
        assert_eq!(shop.paid_at_stripe().await.get(account), Some(times), "{account:?}");
    }
    for sweep in [Sweep::StripeEvents, Sweep::CheckoutPages, Sweep::SilentCharges, Sweep::Panels, Sweep::Accounts] {
        shop.run(app, sweep).await;
    }
    shop.stack.pass_everywhere(app, A_ROUND_OF_LOOKS).await;
    shop.stack.until_all_is_heard().await;

    shop.is_right(app).await;
    shop.audit().await;
    berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_that_are_heard_before_their_periods_are_issued_anew_wait_for_them() {
    let shop = Shop::restored().await;
    let berth = start_again(&shop).await;
    let app = &berth.app;

    shop.run(app, Sweep::StripeEvents).await;
    let waits = "select count(*) from berth.jobs where kind in ('note_charge_event', 'complete_checkout')
        and state = 'queued' and last_error like '%not issued again%'";
    assert_eq!(shop.stack.count(waits).await, 2);
    for sweep in [Sweep::CheckoutPages, Sweep::SilentCharges, Sweep::Panels, Sweep::Accounts] {
        shop.run(app, sweep).await;
    }
    shop.stack.pass_everywhere(app, A_ROUND_OF_LOOKS).await;
    shop.stack.until_all_is_heard().await;

    shop.is_right(app).await;
    shop.audit().await;
    berth.stop().await;
}
