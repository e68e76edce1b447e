//! An account becomes another service: priced by the days left, paid, credited and made once, whatever comes between.

use std::{sync::Arc, time::Duration};

use berth::{
    app::App,
    domain::{money::Money, renewal::RenewalPhase},
    effects::Effects,
    gateways::panels::{AccountRef, Observed, Panel as _, PanelError, memory::Fault},
    sweeps::Sweep,
};
use berth_jobs::{Queue, ids::AccountId};
use futures::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{Running, Stack, StackOptions, WatchedPanel, keeper::Keeper, process::Launch, purchase::usd};

const MADE: &str = "select count(*) from berth.plan_changes where outcome = 'made'";
const DAY: f64 = 24.0 * 3600.0;

/// A customer with a live account, on 10 January 2030: its period has 31 days and ends on 10 February.
struct World {
    stack: Stack,
    panel: Arc<WatchedPanel>,
    berth: Running,
    user: Uuid,
    account: String,
}

/// Lets it be this time for Berth and for Stripe.
pub(crate) async fn set_time(stack: &Stack, app: &App, text: &str) {
    sqlx::query("update berth.clock set clock_offset = $1::timestamptz - now()")
        .bind(text)
        .execute(&stack.pool)
        .await
        .unwrap();
    follow(stack, app).await;
}

/// Lets time pass for Berth and for Stripe.
pub(crate) async fn pass_everywhere(stack: &Stack, app: &App, seconds: f64) {
    stack.pass(seconds).await;
    follow(stack, app).await;
}

async fn follow(stack: &Stack, app: &App) {
    let now = app.store.now().await.unwrap();
    app.clock.set(now);
    let offset = now.as_second() - berth::clock::Clock::machine().as_second();
    stack.sim("clock", &json!({ "offset_seconds": offset })).await;
}

impl World {
    async fn new(service: &str) -> Self {
        Self::with(service, StackOptions::default()).await
    }

    async fn with(service: &str, options: StackOptions) -> Self {
        let stack = Stack::with(options).await;
        let panel = WatchedPanel::new();
        let berth = stack.start_on(&panel, &Queue::ALL).await;
        set_time(&stack, &berth.app, "2030-01-10T12:00:00Z").await;
        let user = Uuid::new_v4();
        let account = bought(&stack, user, service).await;
        Self { stack, panel, berth, user, account }
    }

    async fn pass(&self, seconds: f64) {
        pass_everywhere(&self.stack, &self.berth.app, seconds).await;
    }

    async fn ask(&self, service: &str) -> (u16, Value) {
        self.ask_as(self.user, service, "").await
    }

    async fn preview(&self, service: &str) -> Value {
        let (status, preview) = self.ask_as(self.user, service, "?preview").await;
        assert_eq!(status, 200, "{preview}");
        preview
    }

    async fn ask_as(&self, user: Uuid, service: &str, query: &str) -> (u16, Value) {
        let path = format!("/v1/hosting/{}/change{query}", self.account);
        self.stack.post(user, &path, &json!({ "service_id": service })).await
    }

    /// Asks for a change that costs something; answers it.
    async fn to_pay(&self, service: &str) -> Value {
        let (status, change) = self.ask(service).await;
        assert_eq!((status, &change["status"]), (201, &json!("to_pay")), "{change}");
        change
    }

    async fn pay(&self, change: &Value) {
        self.stack.pay(&session_of(change)).await;
    }

    /// The account as its customer sees it.
    async fn shown(&self) -> Value {
        let (status, account) = self.stack.get(self.user, &format!("/v1/hosting/{}", self.account)).await;
        assert_eq!(status, 200, "{account}");
        account
    }

    /// The package that it has on the panel.
    async fn package(&self) -> String {
        let id: AccountId = self.account.parse().unwrap();
        let username = self.shown().await["account_username"].as_str().unwrap().to_owned();
        let on_panel = AccountRef { account_id: id, username, remote_id: None, domain: None };
        match self.panel.memory.observe(&on_panel).await.unwrap() {
            Observed::Present { package, .. } => package,
            other @ (Observed::Absent | Observed::Partial { .. } | Observed::Foreign) => panic!("not there: {other:?}"),
        }
    }

    async fn credit(&self) -> String {
        let sql = "select coalesce(sum(balance), 0)::text from berth.credit_balances";
        sqlx::query_scalar::<_, String>(sql).fetch_one(&self.stack.pool).await.unwrap()
    }

    async fn mails(&self, kind: &str) -> i64 {
        sqlx::query_scalar("select count(*) from berth.mails where kind = $1")
            .bind(kind)
            .fetch_one(&self.stack.pool)
            .await
            .unwrap()
    }

    async fn order_phase(&self, change: &Value) -> String {
        let id = change["order_id"].as_str().unwrap().parse().unwrap();
        self.berth.app.store.order(id).await.unwrap().state.phase.to_string()
    }

    async fn until_order(&self, change: &Value, phase: &str) {
        self.stack.until(&format!("the order is {phase}"), async || self.order_phase(change).await == phase).await;
        self.stack.until_idle().await;
    }

    async fn end(self) {
        self.stack.until_idle().await;
        self.stack.audit_rows().await;
        self.berth.stop().await;
    }
}

/// Buys and pays an account; answers its id.
async fn bought(stack: &Stack, user: Uuid, service: &str) -> String {
    let (_, session) = stack.checkout(user, service, 1).await;
    stack.pay(&session).await;
    stack.until_count("select count(*) from berth.hosting_accounts where phase = 'active'", 1).await;
    stack.until_idle().await;
    let (_, accounts) = stack.get(user, "/v1/hosting").await;
    accounts["data"][0]["id"].as_str().unwrap().to_owned()
}

fn session_of(change: &Value) -> String {
    change["checkout_url"].as_str().unwrap().rsplit('/').next().unwrap().to_owned()
}

fn refusal(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["type"].as_str().unwrap_or_default().rsplit('/').next().unwrap_or_default())
}

fn sums(change: &Value) -> [&str; 7] {
    ["credit", "cost", "settlement", "amount", "from_credit", "due", "currency"]
        .map(|field| change[field].as_str().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_is_paid_for_the_days_left_and_made_once_the_panel_has_confirmed_it() {
    let world = World::new("shared-professional-monthly").await;
    // Ten days and an hour are used: the eleventh day has begun.
    world.pass(10.0 * DAY + 3600.0).await;

    let preview = world.preview("shared-enterprise-monthly").await;
    assert_eq!(world.stack.count("select count(*) from berth.plan_changes").await, 0, "a preview changes nothing");
    let change = world.to_pay("shared-enterprise-monthly").await;
    assert_eq!(world.package().await, "shared-professional", "nothing is made before it is paid");
    world.pay(&change).await;
    world.stack.until_count(MADE, 1).await;
    world.until_order(&change, "completed").await;

    // 9.99 × 20/31, rounded down, against 19.99 × 20/31.
    assert_eq!(sums(&preview), ["6.44", "12.90", "pay", "6.46", "0.00", "6.46", "USD"], "{preview}");
    assert_eq!((&preview["days_left"], &preview["renewal"]["total"]), (&json!(20), &json!("19.99")));
    assert_eq!(sums(&preview), sums(&change), "what was shown is what is paid");
    let account = world.shown().await;
    assert_eq!(account["service_id"], "shared-enterprise-monthly", "{account}");
    assert_eq!(account["plan_name"], "enterprise");
    assert!(
        account["expires_at"].as_str().unwrap().starts_with("2030-02-10T12:00"),
        "a change moves no date: {account}"
    );
    assert_eq!(world.package().await, "shared-enterprise");
    assert_eq!(world.mails("package_changed").await, 1);
    let order = change["order_id"].as_str().unwrap();
    let (status, invoice) = world.stack.get(world.user, &format!("/v1/orders/{order}/invoice")).await;
    assert_eq!(status, 200, "{invoice}");
    assert_eq!(world.stack.charged_net().await, 999 + 646);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_change_has_paid_for_is_what_the_next_one_counts_and_credit_is_used_first() {
    let world = World::new("shared-professional-monthly").await;
    world.pass(10.0 * DAY + 3600.0).await;
    let up = world.to_pay("shared-enterprise-monthly").await;
    world.pay(&up).await;
    world.stack.until_count(MADE, 1).await;
    world.stack.until_idle().await;
    world.pass(5.0 * DAY).await;

    // 15 days are left of the 20 that 12.90 paid for.
    let preview = world.preview("shared-monthly").await;
    let (status, down) = world.ask("shared-monthly").await;
    world.stack.until_count(MADE, 2).await;
    world.stack.until_idle().await;
    assert_eq!(status, 201, "{down}");
    assert_eq!((&down["status"], &down["order_id"]), (&json!("changing"), &Value::Null));
    assert_eq!(sums(&preview), ["9.67", "2.41", "credit", "7.26", "0.00", "0.00", "USD"], "{preview}");
    assert_eq!(sums(&preview), sums(&down));
    assert_eq!(world.credit().await, "7.26");
    assert_eq!(world.package().await, "shared-starter");

    // The credit pays what the next one costs.
    let (_, again) = world.ask("shared-enterprise-monthly").await;
    world.stack.until_count(MADE, 3).await;
    assert_eq!(sums(&again), ["2.41", "9.67", "pay", "7.26", "7.26", "0.00", "USD"], "{again}");
    assert_eq!(world.credit().await, "0.00");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_went_back_after_a_change_is_not_credited_by_the_next_one() {
    let world = World::new("shared-professional-monthly").await;
    let bought: String = sqlx::query_scalar("select berth.show_id('ord_', id) from berth.orders")
        .fetch_one(&world.stack.pool)
        .await
        .unwrap();
    world.pass(10.0 * DAY + 3600.0).await;
    let up = world.to_pay("shared-enterprise-monthly").await;
    world.pay(&up).await;
    world.until_order(&up, "completed").await;
    world.pass(5.0 * DAY).await;
    let credit_of_a_downgrade = async || world.preview("shared-monthly").await["credit"].as_str().unwrap().to_owned();

    let whole = credit_of_a_downgrade().await;
    world.stack.refund(&bought, json!({ "amount": "5.00" })).await;
    world.stack.until_count("select count(*) from berth.refunds where state = 'succeeded'", 1).await;
    let without_a_part = credit_of_a_downgrade().await;
    world.stack.refund(&bought, json!({ "amount": "4.99" })).await;
    world.stack.refund(up["order_id"].as_str().unwrap(), json!({})).await;
    world.stack.until_count("select count(*) from berth.refunds where state = 'succeeded'", 3).await;
    let without_all = credit_of_a_downgrade().await;

    // 15 of 20 days of 12.90, of 12.90 − 5.00, and of nothing.
    assert_eq!([whole, without_a_part, without_all], ["9.67", "5.92", "0.00"]);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_the_credit_pays_needs_no_page() {
    let world = World::new("shared-enterprise-monthly").await;
    world.pass(DAY).await;
    world.ask("shared-monthly").await;
    world.stack.until_count(MADE, 1).await;
    world.stack.until_idle().await;
    let before = world.credit().await;

    let (status, change) = world.ask("shared-professional-monthly").await;
    world.stack.until_count(MADE, 2).await;
    world.until_order(&change, "completed").await;

    assert_eq!((status, &change["status"], &change["due"]), (201, &json!("changing"), &json!("0.00")), "{change}");
    let used = usd(change["from_credit"].as_str().unwrap());
    assert_eq!(world.credit().await, usd(&before).checked_sub(used).unwrap().amount_text());
    assert_eq!(world.package().await, "shared-professional");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_double_click_and_two_browsers_open_one_page_and_another_choice_replaces_it() {
    let world = World::new("shared-monthly").await;
    world.pass(DAY).await;

    let clicks = join_all((0..6).map(|_| world.ask("shared-professional-monthly"))).await;
    let pages: std::collections::BTreeSet<String> = clicks
        .iter()
        .map(|(status, change)| {
            assert_eq!(*status, 201, "{change}");
            session_of(change)
        })
        .collect();
    let first = clicks.into_iter().next().unwrap().1;
    let other = world.to_pay("shared-enterprise-monthly").await;

    assert_eq!(pages.len(), 1, "{pages:?}");
    assert_eq!(world.order_phase(&first).await, "withdrawn");
    assert_ne!(session_of(&other), session_of(&first));
    let open = world.stack.sessions_at_stripe().await;
    let open: Vec<_> = open.iter().filter(|(_, status)| status == "open").collect();
    assert_eq!(open.len(), 1, "{open:?}");
    world.pay(&other).await;
    world.until_order(&other, "completed").await;
    assert_eq!(world.package().await, "shared-enterprise");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_changed_is_refused_by_name() {
    let world = World::new("shared-monthly").await;
    world.pass(DAY).await;

    assert_eq!(refusal(&world.ask_as(Uuid::new_v4(), "shared-enterprise-monthly", "").await), (404, "not-found"));
    assert_eq!(
        refusal(&world.ask_as(Uuid::new_v4(), "shared-enterprise-monthly", "?preview").await),
        (404, "not-found")
    );
    assert_eq!(refusal(&world.ask("vps-monthly").await), (422, "change-not-offered"), "another type");
    assert_eq!(refusal(&world.ask("shared-enterprise-annual").await), (422, "change-not-offered"), "another cycle");
    assert_eq!(refusal(&world.ask("shared-monthly").await), (422, "nothing-to-change"));
    assert_eq!(refusal(&world.ask("no-such-thing").await), (422, "service-not-sold"));
    let path = format!("/v1/hosting/{}/cancel", world.account);
    world.stack.post(world.user, &path, &json!({ "at": "period_end" })).await;
    assert_eq!(refusal(&world.ask("shared-enterprise-monthly").await), (409, "account-not-changeable"));
    let path = format!("/v1/hosting/{}/uncancel", world.account);
    world.stack.post(world.user, &path, &json!({})).await;
    // Less than a day is left.
    world.pass(29.0 * DAY + 3600.0).await;
    assert_eq!(refusal(&world.ask("shared-enterprise-monthly").await), (409, "period-over"));
    assert_eq!(world.stack.count("select count(*) from berth.plan_changes").await, 0);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_renewal_is_called_off_with_the_change_and_not_before() {
    let world = World::new("shared-monthly").await;
    world.pass(25.0 * DAY).await;
    let account: AccountId = world.account.parse().unwrap();
    let renewal = world.stack.issue(&world.berth.app, account, "0").await;
    let phase = async || world.berth.app.store.renewal(renewal).await.unwrap().state.phase;

    let change = world.to_pay("shared-enterprise-monthly").await;
    assert_eq!(phase().await, RenewalPhase::Invoiced, "the change may never be paid");
    world.pay(&change).await;
    world.until_order(&change, "completed").await;

    assert_eq!(phase().await, RenewalPhase::Void);
    let order = world.berth.app.store.order(renewal).await.unwrap();
    assert_eq!(order.state.phase.as_str(), "withdrawn");
    assert_eq!(world.stack.count("select count(*) from berth.renewals where settled_at is null").await, 0);
    world.berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_renewed_while_its_change_waits_to_be_paid_is_not_changed_and_the_money_is_credit() {
    let world = World::new("shared-monthly").await;
    let app = &world.berth.app;
    // Two whole days are left: the saved card is to be charged.
    world.pass(28.5 * DAY).await;
    let account: AccountId = world.account.parse().unwrap();
    let renewal = world.stack.issue(app, account, "0").await;
    let change = world.to_pay("shared-enterprise-monthly").await;
    assert_eq!(world.stack.charge_through(app, renewal).await, RenewalPhase::Paid);

    world.pay(&change).await;
    world.until_order(&change, "rejected").await;

    assert_eq!(world.credit().await, change["due"].as_str().unwrap());
    let account = world.shown().await;
    assert_eq!(account["service_id"], "shared-monthly");
    assert!(account["expires_at"].as_str().unwrap().starts_with("2030-03-10"), "{account}");
    assert_eq!(world.mails("change_not_made").await, 1);
    world.berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_changed_while_the_renewal_is_charged() {
    let world = World::new("shared-monthly").await;
    let app = &world.berth.app;
    world.pass(29.0 * DAY).await;
    let account: AccountId = world.account.parse().unwrap();
    let renewal = world.stack.issue(app, account, "0").await;
    let card = world.stack.cards(app, world.user).await.remove(0).id;
    world.stack.sim(&format!("payment_methods/{card}"), &json!({ "outcome": "processing" })).await;
    assert_eq!(world.stack.charge_through(app, renewal).await, RenewalPhase::InDoubt);

    assert_eq!(refusal(&world.ask("shared-enterprise-monthly").await), (409, "renewal-being-charged"));
    world.berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_the_panel_refuses_is_credited_and_the_account_stays_what_it_was() {
    let world = World::new("shared-monthly").await;
    world.pass(DAY).await;
    let change = world.to_pay("shared-enterprise-monthly").await;
    world.panel.refuse(PanelError::permanent("there is no package of that name"));

    world.pay(&change).await;
    world.until_order(&change, "rejected").await;

    assert_eq!(world.credit().await, change["due"].as_str().unwrap());
    let account = world.shown().await;
    assert_eq!((&account["service_id"], &account["status"]), (&json!("shared-monthly"), &json!("active")), "{account}");
    assert_eq!(world.mails("change_not_made").await, 1);
    assert_eq!(world.stack.count("select count(*) from berth.alerts where kind = 'change_refused'").await, 1);
    assert_eq!(world.stack.count("select count(*) from berth.invoices").await, 1, "what was not made is not invoiced");
    // Mended, it is asked for again and paid from the credit.
    let (_, again) = world.ask("shared-enterprise-monthly").await;
    world.until_order(&again, "completed").await;
    assert_eq!((&again["due"], world.credit().await.as_str()), (&json!("0.00"), "0.00"));
    assert_eq!(world.package().await, "shared-enterprise");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_cancelled_while_its_panel_is_at_work_is_changed_and_then_ends() {
    let world = World::new("shared-monthly").await;
    world.pass(DAY).await;
    let change = world.to_pay("shared-enterprise-monthly").await;
    world.panel.memory.script(Fault::Task { polls: 1 });
    world.pay(&change).await;
    world.stack.until_count("select count(*) from berth.hosting_accounts where phase = 'changing'", 1).await;

    let path = format!("/v1/hosting/{}/cancel", world.account);
    let (status, cancelled) = world.stack.post(world.user, &path, &json!({ "at": "now", "confirm": true })).await;
    assert_eq!(status, 200, "{cancelled}");
    world.pass(60.0).await;
    world.stack.until_count("select count(*) from berth.hosting_accounts where phase = 'terminated'", 1).await;
    world.stack.until_idle().await;

    assert_eq!(world.order_phase(&change).await, "completed");
    assert_eq!(world.stack.count("select count(*) from berth.plan_changes where outcome is null").await, 0);
    world.berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn money_that_comes_after_the_account_has_ended_or_the_change_was_given_up_is_credit() {
    // Given up, and paid at the last moment: Stripe has not told yet.
    let world = World::new("shared-monthly").await;
    world.pass(DAY).await;
    let late = world.to_pay("shared-professional-monthly").await;
    world.stack.sim("webhooks", &json!({})).await;
    world.pay(&late).await;
    let path = format!("/v1/orders/{}/cancel", late["order_id"].as_str().unwrap());
    world.stack.post(world.user, &path, &json!({})).await;
    world.stack.until_count("select count(*) from berth.payments where state = 'credited'", 1).await;
    world.stack.until_idle().await;
    assert_eq!(
        (world.credit().await.as_str(), world.mails("change_not_made").await),
        (late["due"].as_str().unwrap(), 1)
    );
    assert_eq!(world.order_phase(&late).await, "cancelled");

    // The account has ended since the page was opened.
    let other = world.to_pay("shared-enterprise-monthly").await;
    let path = format!("/v1/hosting/{}/cancel", world.account);
    world.stack.post(world.user, &path, &json!({ "at": "now", "confirm": true })).await;
    world.stack.until_idle().await;
    world.pay(&other).await;
    // Stripe lists what has happened a moment later.
    world
        .stack
        .until("the payment is found", async || {
            let sweep = Effects::none().enqueue(Sweep::StripeEvents.job(None));
            world.berth.app.committer.write(sweep).await.unwrap();
            world.stack.until_idle().await;
            world.order_phase(&other).await == "rejected"
        })
        .await;
    assert_eq!(world.mails("change_not_made").await, 2);
    let credited = "select count(*) from berth.payments where state = 'credited'";
    assert_eq!(world.stack.count(credited).await, 2);
    assert_eq!(world.stack.count("select count(*) from berth.payments where state = 'surplus'").await, 0);
    world.stack.audit_rows().await;
    world.berth.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_nobody_pays_is_given_up_and_its_credit_is_free_again() {
    let world = World::new("shared-enterprise-monthly").await;
    world.pass(DAY).await;
    world.ask("shared-monthly").await;
    world.stack.until_count(MADE, 1).await;
    world.stack.until_idle().await;
    let before = world.credit().await;
    // Dearer than what the credit pays: an add-on comes with it.
    let body = json!({ "service_id": "shared-enterprise-monthly", "addon_ids": ["dedicated-ip"] });
    let path = format!("/v1/hosting/{}/change", world.account);
    let (status, change) = world.stack.post(world.user, &path, &body).await;
    assert_eq!((status, &change["status"]), (201, &json!("to_pay")), "{change}");
    assert_ne!(world.credit().await, before);

    world.pass(2.0 * 3600.0).await;
    let sweep = Effects::none().enqueue(Sweep::UnpaidOrders.job(None));
    world.berth.app.committer.write(sweep).await.unwrap();
    world.until_order(&change, "cancelled").await;

    assert_eq!(world.credit().await, before);
    assert_eq!(world.shown().await["service_id"], "shared-monthly");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_killed_around_the_panels_answer_makes_the_change_once() {
    let stack = Stack::with(StackOptions::default().quick()).await;
    let _serve = Keeper::start(&Launch::new(&stack, &["serve"]), 1, &[]);
    stack.until_listening().await;
    let user = Uuid::new_v4();
    let first = Keeper::start(&Launch::new(&stack, &["work"]), 1, &[]);
    let account = bought(&stack, user, "shared-monthly").await;
    drop(first);
    let path = format!("/v1/hosting/{account}/change");
    let (status, change) = stack.post(user, &path, &json!({ "service_id": "shared-enterprise-monthly" })).await;
    assert_eq!(status, 201, "{change}");

    let points = ["panel.before_change=kill@1", "panel.after_change=kill@1"];
    let workers = Keeper::start(&Launch::new(&stack, &["work"]), 1, &points);
    stack.pay(&session_of(&change)).await;
    stack.until_count(MADE, 1).await;
    let mut wrong = stack.unfinished_after(Duration::from_secs(30)).await;

    wrong.extend(workers.deaths().iter().filter(|death| death.signal != Some(9)).map(|death| format!("{death:?}")));
    wrong.extend(stack.violations().await);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(workers.deaths().len(), 2, "both points were met");
    assert_eq!(stack.count("select count(*) from berth.mails where kind = 'package_changed'").await, 1);
    assert_eq!(stack.count("select count(*) from berth.account_history where to_phase = 'changing'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn however_often_somebody_changes_they_are_never_credited_more_than_they_have_paid() {
    let world = World::new("shared-professional-monthly").await;
    let services = ["shared-monthly", "shared-professional-monthly", "shared-enterprise-monthly"];
    let seed = std::env::var("BERTH_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(7_u64);
    println!("seed {seed}");
    let mut random = seed;
    for turn in 0..12 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let hours = u32::try_from((random >> 33) % 60).unwrap();
        world.pass(f64::from(hours) * 3600.0).await;
        let service = services[usize::try_from((random >> 40) % 3).unwrap()];
        let (status, change) = world.ask(service).await;
        if status == 201 && change["status"] == "to_pay" {
            world.pay(&change).await;
        }
        world.stack.until_idle().await;
        let open = "select count(*) from berth.plan_changes where outcome is null";
        world.stack.until_count(open, 0).await;
        let sum = async |sql: &'static str| {
            usd(&sqlx::query_scalar::<_, String>(sql).fetch_one(&world.stack.pool).await.unwrap())
        };
        let paid: Money = sum("select sum(amount)::text from berth.payments where state = 'succeeded'").await;
        let credited =
            sum("select coalesce(sum(amount), 0)::text from berth.credit_entries where kind = 'proration'").await;
        let balance = usd(&world.credit().await);
        let what = format!("turn {turn}, {service}: {change}");
        assert_ne!(balance.checked_cmp(paid).unwrap(), std::cmp::Ordering::Greater, "{what}");
        let used = sum("select coalesce(-sum(amount), 0)::text from berth.credit_entries where kind = 'used'").await;
        let inflow = paid.checked_add(used).unwrap();
        assert_ne!(credited.checked_cmp(inflow).unwrap(), std::cmp::Ordering::Greater, "{what}");
    }
    assert!(world.stack.count(MADE).await > 3, "several were made");
    world.end().await;
}
